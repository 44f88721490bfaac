//! Access tokens over HTTP, of an issuer that is a process of its own.

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use scout_tests::http::{HttpAnswer, HttpScout, call, initialize, key, with_key};
use scout_tests::issuer::Issuer;
use scout_tests::{ScoutOptions, Sshd};
use serde_json::{Value, json};

use crate::world::options;

const RESOURCE: &str = "https://scout.example.org/mcp";
const METADATA: &str = "https://scout.example.org/.well-known/oauth-protected-resource/mcp";

/// An sshd, and settings of a Scout that takes tokens of these issuers, with what their tables say more.
fn world(issuers: &[(&str, &Issuer, &str)]) -> (Sshd, ScoutOptions) {
    let sshd = Sshd::start();
    let mut options = options(&sshd).setting(&format!(
        "[access.alice]\n[access.bob]\nhosts = []\n[access.carol]\n[access.agent]\n[http]\nresource = \"{RESOURCE}\"\nallowed_origins = [\"https://app.example.org\"]"
    ));
    for (name, issuer, more) in issuers {
        options = options.setting(&format!("[http.issuers.{name}]\nissuer = \"{}\"\n{more}", issuer.url()));
    }
    (sshd, options)
}

async fn serving(options: &ScoutOptions) -> HttpScout {
    HttpScout::start(options, tempfile::tempdir().unwrap()).await
}

fn read(id: u64) -> Value {
    call(id, json!({"target": "box:/etc/hostname"}))
}

/// Asks for a file with this token, on a connection of its own.
async fn asks(scout: &HttpScout, token: &str) -> HttpAnswer {
    scout.post(&with_key(token), &read(1)).await
}

fn is_answered(answer: &HttpAnswer) -> bool {
    answer.status == StatusCode::OK && answer.json()["result"]["isError"] == false
}

fn challenge(answer: &HttpAnswer) -> &str {
    answer.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

/// A header and claims that an issuer would write now, with other members; null takes one away.
fn written(issuer: &Issuer, header: Value, claims: Value) -> (Value, Value) {
    let now = Timestamp::now().as_second();
    let mut all = [
        json!({"alg": "ES256", "typ": "at+jwt", "kid": "one"}),
        json!({"iss": issuer.url(), "aud": RESOURCE, "exp": now + 600, "iat": now, "sub": "agent", "scope": "scout"}),
    ];
    for (all, changed) in all.iter_mut().zip([header, claims]) {
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                value => all[name] = value.clone(),
            }
        }
    }
    let [header, claims] = all;
    (header, claims)
}

async fn forged(issuer: &Issuer, header: Value, claims: Value, key: &str) -> String {
    let (header, claims) = written(issuer, header, claims);
    issuer.forge(&header, &claims, key).await
}

#[tokio::test]
async fn tokens_of_issuers_say_who_asks_beside_keys_and_what_they_lack_is_told_at_once() {
    let es = Issuer::start("ES256", &["one", "two"]).await;
    let rs = Issuer::start("RS256", &["one"]).await;
    let ed = Issuer::start("EdDSA", &["one"]).await;
    let (_sshd, options) = world(&[
        ("es", &es, "principals = { agent = \"alice\" }\nscopes = [\"scout\", \"admin\"]"),
        ("rs", &rs, "principals = { agent = \"bob\" }"),
        ("ed", &ed, &format!("principal = \"client_id\"\njwks_uri = \"{}/jwks\"", ed.url())),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let key = key(&options, dir.path(), "carol").await;
    let scout = HttpScout::start(&options, dir).await;
    // Without anything a client is told where it may log in.
    let mut connection = scout.connect().await;
    // By the name that the resource has.
    let answer = connection.post(&[("host", "scout.example.org")], &read(1)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert_eq!(connection.post(&[("host", "other.example.org")], &read(1)).await.status, StatusCode::FORBIDDEN);
    let told = format!("Bearer realm=\"scout\", resource_metadata=\"{METADATA}\", scope=\"admin scout\"");
    assert_eq!(challenge(&answer), told);
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let answer = connection.ask(Method::GET, path, &[("origin", "https://app.example.org")], "").await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example.org");
        assert_eq!(
            answer.json(),
            json!({
                "resource": RESOURCE,
                "authorization_servers": [ed.url(), es.url(), rs.url()],
                "scopes_supported": ["admin", "scout"],
                "bearer_methods_supported": ["header"],
            })
        );
        let answer = connection.ask(Method::POST, path, &[], "{}").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        let answer = connection.ask(Method::GET, path, &[("origin", "https://evil.example.org")], "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    // Too little, with all that it takes; then with all of it.
    let answer = connection.post(&with_key(&es.token(RESOURCE, "scout").await), &read(1)).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    let told = format!(
        "Bearer realm=\"scout\", resource_metadata=\"{METADATA}\", scope=\"scout admin\", error=\"insufficient_scope\""
    );
    assert_eq!(challenge(&answer), told);
    let alice = es.token(RESOURCE, "scout admin").await;
    let (bob, agent) = (rs.token(RESOURCE, "").await, ed.token(RESOURCE, "").await);
    for (token, is_error) in [(&alice, false), (&bob, true), (&agent, false), (&bob, true), (&key, false)] {
        let answer = connection.post(&with_key(token), &read(1)).await;
        assert_eq!(
            (answer.status, &answer.json()["result"]["isError"]),
            (StatusCode::OK, &json!(is_error)),
            "{answer:?}"
        );
    }
    let audit = std::fs::read_to_string(scout.dir().join("audit.jsonl")).unwrap_or_default();
    assert!(!audit.contains("eyJ") && !scout.stderr().contains("eyJ"));
    // A session is its principal's alone, whichever way that comes.
    let answer = connection.post(&with_key(&alice), &initialize()).await;
    let label = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    for (token, status) in [(&alice, StatusCode::OK), (&bob, StatusCode::NOT_FOUND), (&key, StatusCode::NOT_FOUND)] {
        let answer = connection.post(&[("authorization", token), ("mcp-session-id", &label)], &read(2)).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // Where a token may stand, and how often.
    let twice = [("authorization", alice.as_str()), ("authorization", alice.as_str())];
    assert_eq!(connection.post(&twice, &read(1)).await.status, StatusCode::BAD_REQUEST);
    let path = format!("/mcp?access_token={}", alice.trim_start_matches("Bearer "));
    for headers in [&[][..], &with_key(&alice)] {
        let answer = connection.ask(Method::POST, &path, headers, &read(1).to_string()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_as_it_must_be_is_refused_whatever_else_is_right() {
    let issuer = Issuer::start("ES256", &["one", "two"]).await;
    let other = Issuer::start("ES256", &["one"]).await;
    let (_sshd, options) =
        world(&[("corp", &issuer, "scopes = [\"scout\"]"), ("other", &other, "principals = { agent = \"bob\" }")]);
    // So each failure is one of an address of its own.
    let scout = HttpScout::start_at(&options, tempfile::tempdir().unwrap(), "127.0.0.1:0", |command| {
        command.args(["--behind-proxy", "127.0.0.1"]);
    })
    .await;
    let mut connections = 0;
    let mut asks = async |token: &str| {
        connections += 1;
        let address = format!("192.0.2.{connections}");
        let mut connection = scout.connect().await;
        connection.post(&[("authorization", token), ("x-forwarded-for", &address)], &read(1)).await
    };
    // What it takes to be let in, so that each of the others lacks one thing only.
    for key in ["one", "two"] {
        let answer = asks(&forged(&issuer, json!({"kid": key}), json!({}), key).await).await;
        assert!(is_answered(&answer), "{answer:?}");
    }
    let now = Timestamp::now().as_second();
    for (header, claims, key, says) in [
        (json!({}), json!({"aud": "https://other.example.org/mcp"}), "one", "its audience is another"),
        (json!({}), json!({"aud": null}), "one", "its audience is another"),
        (json!({}), json!({"iss": "https://login.example.org"}), "one", "no issuer that is known"),
        (json!({}), json!({"iss": format!("{}/", issuer.url())}), "one", "no issuer that is known"),
        (json!({}), json!({"iss": other.url()}), "one", "its signature is not its issuer's"),
        (json!({}), json!({"exp": now - 31}), "one", "this token has expired"),
        (json!({}), json!({"exp": null}), "one", "when it ends"),
        (json!({}), json!({"nbf": now + 90}), "one", "not valid yet"),
        (json!({}), json!({"iat": now + 90}), "one", "in the future"),
        (json!({"alg": "none"}), json!({}), "none", "not signed as its issuer signs"),
        (json!({"alg": "HS256"}), json!({}), "public", "not signed as its issuer signs"),
        (json!({"alg": "RS256"}), json!({}), "one", "no such key"),
        (json!({}), json!({}), "none", "its signature is not its issuer's"),
        (json!({}), json!({}), "public", "its signature is not its issuer's"),
        (json!({}), json!({}), "two", "its signature is not its issuer's"),
        (json!({}), json!({}), "stranger", "its signature is not its issuer's"),
        (json!({"kid": "stranger"}), json!({}), "stranger", "no such key"),
        (json!({"kid": null}), json!({}), "one", "does not name the key"),
        (json!({"crit": ["b64"], "b64": true}), json!({}), "one", "has to be understood"),
        (json!({"typ": "JWT"}), json!({}), "one", "not an access token"),
        (json!({"typ": "logout+jwt"}), json!({}), "one", "not an access token"),
        (json!({"typ": null}), json!({}), "one", "not an access token"),
        (json!({}), json!({"at_hash": "AAAA"}), "one", "not an access token"),
    ] {
        let answer = asks(&forged(&issuer, header.clone(), claims.clone(), key).await).await;
        let case = format!("{header} {claims} {key}: {answer:?}");
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{case}");
        assert!(answer.words().contains(says), "{case}");
        assert!(
            challenge(&answer).contains(METADATA) && challenge(&answer).ends_with("error=\"invalid_token\""),
            "{case}"
        );
    }
    // Good, and nobody's here: `local` is for a table to say.
    for subject in ["local", "nobody", "mallory@example.org"] {
        let answer = asks(&forged(&issuer, json!({}), json!({"sub": subject}), "one").await).await;
        assert_eq!((answer.status, challenge(&answer)), (StatusCode::FORBIDDEN, ""), "{answer:?}");
        assert!(answer.words().contains(subject), "{answer:?}");
    }
    // Text that is read in more than one way.
    let (header, claims) = written(&issuer, json!({}), json!({"sub": "nobody"}));
    let twice = claims.to_string().replacen('{', "{\"sub\":\"agent\",", 1);
    let answer = asks(&issuer.forge(&header, &json!(twice), "one").await).await;
    assert!(answer.words().contains("not a signed JWT"), "{answer:?}");
    for token in ["Bearer a.b.c", "Bearer eyJ", "bearer scoutkey_", &format!("Bearer {}", "x".repeat(16 << 10))] {
        assert_eq!(asks(token).await.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    let token = forged(&issuer, json!({}), json!({"x": "x".repeat(16 << 10)}), "one").await;
    assert_eq!(asks(&token).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_forges_tokens_waits_and_nobody_who_has_one_does() {
    let issuer = Issuer::start("ES256", &["one"]).await;
    let (_sshd, options) = world(&[("corp", &issuer, "")]);
    let scout = serving(&options).await;
    let forged_one = forged(&issuer, json!({}), json!({}), "stranger").await;
    let now = Timestamp::now().as_second();
    let expired = forged(&issuer, json!({}), json!({"exp": now - 3600, "iat": now - 7200}), "one").await;
    // A program whose token has ended may ask as often as it likes: it has to hear that it is to fetch another.
    for _ in 0..20 {
        assert!(asks(&scout, &expired).await.words().contains("fetch another"));
    }
    for _ in 0..10 {
        assert_eq!(asks(&scout, &forged_one).await.status, StatusCode::UNAUTHORIZED);
    }
    let answer = asks(&scout, &forged_one).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{answer:?}");
    assert!(asks(&scout, &expired).await.words().contains("fetch another"));
    let answer = asks(&scout, &issuer.token(RESOURCE, "").await).await;
    assert!(is_answered(&answer), "{answer:?}");
}

#[tokio::test]
async fn an_issuer_changes_its_keys_while_scout_runs() {
    let mut issuer = Issuer::start("ES256", &["one"]).await;
    let (_sshd, options) = world(&[("corp", &issuer, "")]);
    let scout = serving(&options).await;
    let old = issuer.token(RESOURCE, "").await;
    let unused = forged(&issuer, json!({}), json!({}), "one").await;
    assert!(is_answered(&asks(&scout, &old).await));
    // While it is away its keys serve, for tokens too that were not brought before.
    issuer.end().await;
    let answer = asks(&scout, &unused).await;
    assert!(is_answered(&answer), "{answer:?}");
    issuer.restart(&["two"]).await;
    let new = issuer.token(RESOURCE, "").await;
    let answer = asks(&scout, &new).await;
    assert!(is_answered(&answer), "{answer:?}");
    for token in [&old, &unused] {
        let answer = asks(&scout, token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
        assert!(answer.words().contains("no such key"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_at_the_start_is_told_of_and_its_tokens_serve_when_it_comes() {
    let mut issuer = Issuer::start("ES256", &["one"]).await;
    let (_sshd, options) = world(&[("corp", &issuer, "")]);
    let token = forged(&issuer, json!({}), json!({}), "one").await;
    issuer.end().await;
    let scout = HttpScout::start_at(&options, tempfile::tempdir().unwrap(), "127.0.0.1:0", |command| {
        command.env("SCOUT_LOG", "info");
    })
    .await;
    scout.logs("the keys of the issuer cannot be fetched").await;
    let answer = asks(&scout, &token).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
    issuer.restart(&["one"]).await;
    // Nobody has to ask for that: it is tried again.
    scout.logs("the keys of the issuer are there").await;
    let answer = asks(&scout, &issuer.token(RESOURCE, "").await).await;
    assert!(is_answered(&answer), "{answer:?}");
}

#[tokio::test]
async fn what_a_token_may_ends_with_the_table_that_says_so() {
    let issuer = Issuer::start("ES256", &["one"]).await;
    let (_sshd, options) = world(&[("corp", &issuer, "principals = { agent = \"alice\" }")]);
    let scout = serving(&options).await;
    let token = issuer.token(RESOURCE, "").await;
    assert!(is_answered(&asks(&scout, &token).await));
    let file = scout.dir().join("scout.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let beside = scout.dir().join("new.toml");
    std::fs::write(&beside, text.replace("agent = \"alice\"", "other = \"alice\"")).unwrap();
    std::fs::rename(&beside, &file).unwrap();
    let answer = loop {
        let answer = asks(&scout, &token).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
    assert!(answer.words().contains("no principal for `agent` as `sub`"), "{answer:?}");
}
