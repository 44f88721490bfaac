use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::issuer::{AGAIN, Issuer, RENEWAL, UNKNOWN, fetch, places};
use super::key_set::KeySet;
use super::resource::{OAuth, Resource, TOKENS};
use super::token::BadToken;
use crate::config::{self, Algorithm};

const ISSUER: &str = "https://login.example.org";
const RESOURCE: &str = "https://scout.example.org/mcp";
const NOW: f64 = 1_800_000_000.0;

/// A key of an issuer.
struct Signer {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Signer {
    fn new(kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let [x, y] = [x, y].map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
        json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "use": "sig", "alg": "ES256", "x": x, "y": y})
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with these members instead of what it usually has; null takes one away.
    fn token(&self, header: Value, claims: Value) -> String {
        let mut all = [
            json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid}),
            json!({"iss": ISSUER, "aud": RESOURCE, "exp": NOW + 600.0, "iat": NOW, "sub": "alice", "scope": "scout more"}),
        ];
        for (all, changed) in all.iter_mut().zip([header, claims]) {
            for (name, value) in changed.as_object().unwrap() {
                match value {
                    Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
                    value => all[name] = value.clone(),
                }
            }
        }
        self.sign(&all[0].to_string(), &all[1].to_string())
    }
}

fn set(keys: &[&Signer]) -> KeySet {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

fn table() -> config::Issuer {
    config::Issuer {
        name: "corp".into(),
        issuer: ISSUER.to_owned(),
        jwks_uri: None,
        algorithms: vec![Algorithm::ES256],
        claim: "sub".to_owned(),
        principals: None,
        scopes: vec!["scout".to_owned()],
        any_type: false,
    }
}

/// What an issuer answers, and how often it was asked.
#[derive(Clone, Default)]
struct Answers(Arc<(Mutex<Option<Vec<Value>>>, AtomicUsize)>);

impl Answers {
    fn are(&self, keys: Option<&[&Signer]>) {
        *self.0.0.lock() = keys.map(|keys| keys.iter().map(|key| key.jwk()).collect());
    }

    fn asked(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn issuer(&self, table: config::Issuer) -> Arc<Issuer> {
        let answers = self.clone();
        Arc::new(Issuer::fetching(table, move || {
            answers.0.1.fetch_add(1, Ordering::Relaxed);
            let keys = answers.0.0.lock().clone().ok_or("it is away")?;
            KeySet::parse(json!({"keys": keys}).to_string().as_bytes())
        }))
    }
}

fn resource(tables: Vec<config::Issuer>, issuers: Vec<Arc<Issuer>>) -> Resource {
    Resource::of_issuers(&Arc::new(config::OAuth { resource: RESOURCE.to_owned(), issuers: tables }), issuers)
}

/// A resource of one issuer that has these keys.
fn of_one(table: config::Issuer, keys: &[&Signer]) -> (Resource, Answers) {
    let answers = Answers::default();
    answers.are(Some(keys));
    (resource(vec![table.clone()], vec![answers.issuer(table)]), answers)
}

async fn refused(resource: &Resource, token: &str) -> BadToken {
    resource.principal_at(token, NOW).await.unwrap_err()
}

fn says(why: &BadToken, text: &str) -> bool {
    match why {
        BadToken::Invalid(why) => why.contains(text),
        other => format!("{other:?}") == text,
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refused_for_each_thing_that_is_not_as_it_must_be() {
    let (one, other) = (Signer::new("one"), Signer::new("one"));
    let (resource, _) = of_one(table(), &[&one]);
    let principal = |token: String| {
        let resource = &resource;
        async move { resource.principal_at(&token, NOW).await.map(|name| name.to_string()) }
    };
    for (header, claims) in [
        (json!({}), json!({})),
        (json!({"typ": "application/at+jwt", "jku": "https://evil.example.org"}), json!({})),
        (json!({"typ": "AT+JWT"}), json!({"aud": ["https://other.example.org", RESOURCE]})),
        // As far apart as clocks may be.
        (json!({}), json!({"exp": NOW - 29.0, "nbf": NOW + 29.0, "iat": NOW + 29.0})),
        (json!({}), json!({"exp": NOW + 0.5, "iat": null})),
        (json!({}), json!({"scope": null, "scp": ["more", "scout"]})),
        (json!({}), json!({"scope": null, "scp": "more scout"})),
    ] {
        assert_eq!(
            principal(one.token(header.clone(), claims.clone())).await,
            Ok("alice".to_owned()),
            "{header} {claims}"
        );
    }
    for (header, claims, text) in [
        (json!({"alg": "none"}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": "HS256"}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": "RS256"}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": "ES512"}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": "es256"}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": ["ES256"]}), json!({}), "not signed as its issuer signs"),
        (json!({"alg": null}), json!({}), "not signed as its issuer signs"),
        (json!({"kid": null}), json!({}), "does not name the key"),
        (json!({"kid": "two"}), json!({}), "no such key"),
        (json!({"kid": 1}), json!({}), "does not name the key"),
        (json!({"crit": ["exp"]}), json!({}), "has to be understood"),
        (json!({"crit": []}), json!({}), "has to be understood"),
        (json!({"typ": "JWT"}), json!({}), "not an access token"),
        (json!({"typ": "logout+jwt"}), json!({}), "not an access token"),
        (json!({"typ": null}), json!({}), "not an access token"),
        (json!({"typ": 1}), json!({}), "not an access token"),
        (json!({}), json!({"iss": "https://login.example.org/"}), "no issuer that is known"),
        (json!({}), json!({"iss": "https://other.example.org"}), "no issuer that is known"),
        (json!({}), json!({"iss": [ISSUER]}), "no issuer that is known"),
        (json!({}), json!({"iss": null}), "no issuer that is known"),
        (json!({}), json!({"aud": "https://scout.example.org"}), "its audience is another"),
        (json!({}), json!({"aud": ["https://other.example.org"]}), "its audience is another"),
        (json!({}), json!({"aud": []}), "its audience is another"),
        (json!({}), json!({"aud": null}), "its audience is another"),
        (json!({}), json!({"exp": NOW - 30.0}), "Expired"),
        (json!({}), json!({"exp": null}), "when it ends"),
        (json!({}), json!({"exp": "1900000000"}), "not a number of seconds"),
        (json!({}), json!({"exp": -1}), "not a number of seconds"),
        (json!({}), json!({"exp": 1e300}), "not a number of seconds"),
        (json!({}), json!({"nbf": NOW + 31.0}), "not valid yet"),
        (json!({}), json!({"nbf": "soon"}), "not a number of seconds"),
        (json!({}), json!({"iat": NOW + 31.0}), "in the future"),
        (json!({}), json!({"sub": null}), "names the principal"),
        (json!({}), json!({"sub": ""}), "names the principal"),
        (json!({}), json!({"sub": 7}), "names the principal"),
        (json!({}), json!({"sub": "local"}), "Nobody(\"sub\", \"local\")"),
        (json!({}), json!({"sub": "a b"}), "Nobody(\"sub\", \"a b\")"),
        (json!({}), json!({"scope": "scouts more"}), "Scope(\"scout\")"),
        (json!({}), json!({"scope": null}), "Scope(\"scout\")"),
    ] {
        let why = principal(one.token(header.clone(), claims.clone())).await.unwrap_err();
        assert!(says(&why, text), "{header} {claims}: {why:?}");
    }
    // Of the same name, by somebody else.
    assert!(says(&refused(&resource, &other.token(json!({}), json!({}))).await, "signature"));
    let good = one.token(json!({}), json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = signed.split_once('.').unwrap();
    let twice = r#"{"alg":"ES256","typ":"at+jwt","kid":"one","alg":"ES256"}"#;
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"{RESOURCE}","exp":1900000000,"sub":"alice","sub":"local","scope":"scout"}}"#
    );
    for (token, text) in [
        (format!("{signed}."), "signature"),
        (format!("{good}."), "not a signed JWT"),
        (format!("{good}.{signature}"), "not a signed JWT"),
        (format!("{good}="), "not a signed JWT"),
        (signed.to_owned(), "not a signed JWT"),
        (String::new(), "not a signed JWT"),
        (format!("{head}..{signature}"), "not a signed JWT"),
        (one.sign(twice, &claims), "not a signed JWT"),
        (one.sign(r#"{"alg":"ES256","typ":"at+jwt","kid":"one"}"#, &claims), "not a signed JWT"),
        (one.sign("[]", "{}"), "not a signed JWT"),
        (one.sign("{} {}", "{}"), "not a signed JWT"),
        (one.token(json!({}), json!({"x": "x".repeat(16 << 10)})), "too long"),
    ] {
        let why = refused(&resource, &token).await;
        assert!(says(&why, text), "{token}: {why:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_types_are_not_told_tokens_of_other_kinds_are_refused_all_the_same() {
    let one = Signer::new("one");
    let (resource, _) = of_one(config::Issuer { any_type: true, ..table() }, &[&one]);
    for (header, claims, is_good) in [
        (json!({"typ": "JWT"}), json!({"typ": "Bearer"}), true),
        (json!({"typ": null}), json!({"nonce": "n"}), true),
        (json!({"typ": "at+jwt"}), json!({}), true),
        (json!({"typ": "JWT"}), json!({"typ": "ID"}), false),
        (json!({"typ": "JWT"}), json!({"typ": "Refresh"}), false),
        (json!({"typ": "JWT"}), json!({"at_hash": "x"}), false),
        (json!({"typ": "JWT"}), json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), false),
        (json!({"typ": "logout+jwt"}), json!({}), false),
        (json!({"typ": "dpop+jwt"}), json!({}), false),
    ] {
        let answer = resource.principal_at(&one.token(header.clone(), claims.clone()), NOW).await;
        assert_eq!(answer.is_ok(), is_good, "{header} {claims}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_says_who_each_is_and_an_issuer_vouches_for_its_own_only() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let principals = BTreeMap::from([("00u1".to_owned(), "local".into()), ("00u2".to_owned(), "alice".into())]);
    let first = config::Issuer { principals: Some(principals), claim: "oid".to_owned(), ..table() };
    let second = config::Issuer { name: "other".into(), issuer: "https://other.example.org".to_owned(), ..table() };
    let [of_first, of_second] = [Answers::default(), Answers::default()];
    of_first.are(Some(&[&one]));
    of_second.are(Some(&[&two]));
    let issuers = vec![of_first.issuer(first.clone()), of_second.issuer(second.clone())];
    let resource = resource(vec![first, second], issuers);
    for (oid, is) in [("00u1", Some("local")), ("00u2", Some("alice")), ("alice", None), ("local", None)] {
        let answer = resource.principal_at(&one.token(json!({}), json!({"oid": oid})), NOW).await;
        assert_eq!(answer.as_deref().ok(), is, "{answer:?}");
    }
    let others = |key: &Signer| key.token(json!({}), json!({"iss": "https://other.example.org", "sub": "bob"}));
    assert_eq!(resource.principal_at(&others(&two), NOW).await.as_deref(), Ok("bob"));
    // By the key of the first, in the name of the second.
    assert!(says(&refused(&resource, &others(&one)).await, "no such key"));
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_ends_with_the_token_with_its_key_and_with_the_configuration() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let (resource, answers) = of_one(table(), &[&one]);
    let token = one.token(json!({}), json!({}));
    assert!(resource.principal_at(&token, NOW).await.is_ok());
    assert_eq!(resource.remembered(), 1);
    assert!(resource.principal_at(&token, NOW + 629.0).await.is_ok());
    assert_eq!(resource.principal_at(&token, NOW + 631.0).await, Err(BadToken::Expired));
    // A key more changes nothing for the others, a key less does.
    answers.are(Some(&[&one, &two]));
    assert!(resource.principal_at(&two.token(json!({}), json!({})), NOW).await.is_ok());
    assert!(resource.principal_at(&token, NOW).await.is_ok());
    answers.are(Some(&[&two]));
    tokio::time::sleep(UNKNOWN).await;
    assert!(says(&refused(&resource, &one.token(json!({"kid": "three"}), json!({}))).await, "no such key"));
    assert!(says(&refused(&resource, &token).await, "no such key"));
}

#[tokio::test(start_paused = true)]
async fn no_more_tokens_are_remembered_than_there_may_be() {
    let one = Signer::new("one");
    let (resource, _) = of_one(table(), &[&one]);
    resource.remembers(TOKENS.get() + 10);
    assert!(resource.principal_at(&one.token(json!({}), json!({})), NOW).await.is_ok());
    assert_eq!(resource.remembered(), TOKENS.get());
}

#[tokio::test(start_paused = true)]
async fn another_configuration_remembers_no_token_and_an_issuer_that_stays_keeps_its_keys() {
    let oauth = OAuth::default();
    // An issuer that nobody listens for.
    let issuer = config::Issuer { issuer: "http://127.0.0.1:1".to_owned(), ..table() };
    let config = Arc::new(config::OAuth { resource: RESOURCE.to_owned(), issuers: vec![issuer.clone()] });
    let first = oauth.of(Some(&config)).unwrap();
    assert!(Arc::ptr_eq(&first, &oauth.of(Some(&config)).unwrap()));
    let read_again = Arc::new(config::OAuth::clone(&config));
    let second = oauth.of(Some(&read_again)).unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && Arc::ptr_eq(first.first(), second.first()));
    let changed =
        config::OAuth { resource: RESOURCE.to_owned(), issuers: vec![config::Issuer { any_type: true, ..issuer }] };
    assert!(!Arc::ptr_eq(oauth.of(Some(&Arc::new(changed))).unwrap().first(), first.first()));
    assert!(oauth.of(None).is_none());
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_for_keys_ask_for_them_once_and_strangers_at_most_once_a_minute() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let (resource, answers) = of_one(table(), &[&one]);
    let token = one.token(json!({}), json!({}));
    let all = futures_util::future::join_all((0..100).map(|_| resource.principal_at(&token, NOW))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(answers.asked(), 1);
    let unknown = |n: usize| one.token(json!({"kid": format!("unknown-{n}")}), json!({}));
    let tokens: Vec<_> = (0..100).map(unknown).collect();
    let all = futures_util::future::join_all(tokens.iter().map(|token| resource.principal_at(token, NOW))).await;
    assert!(all.iter().all(|answer| answer.as_ref().is_err_and(|why| says(why, "no such key"))));
    assert_eq!(answers.asked(), 2);
    answers.are(Some(&[&one, &two]));
    let renewed = two.token(json!({}), json!({}));
    assert!(says(&refused(&resource, &renewed).await, "no such key"));
    assert_eq!(answers.asked(), 2);
    tokio::time::advance(UNKNOWN).await;
    assert!(resource.principal_at(&renewed, NOW).await.is_ok());
    assert_eq!(answers.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn keys_serve_while_others_cannot_be_had_and_are_renewed_without_being_asked_for() {
    let (one, two) = (Signer::new("one"), Signer::new("two"));
    let answers = Answers::default();
    let issuer = answers.issuer(table());
    let resource = resource(vec![table()], vec![Arc::clone(&issuer)]);
    // Away from the start: nobody is told that a token is bad.
    let token = one.token(json!({}), json!({}));
    assert_eq!(refused(&resource, &token).await, BadToken::Unverified);
    answers.are(Some(&[&one]));
    tokio::time::sleep(AGAIN + Duration::from_secs(1)).await;
    assert!(resource.principal_at(&token, NOW).await.is_ok());
    answers.are(None);
    let asked = answers.asked();
    tokio::time::sleep(2 * RENEWAL).await;
    assert!(answers.asked() > asked + 2, "it is tried again sooner than it would be renewed");
    assert!(resource.principal_at(&one.token(json!({}), json!({"jti": "another"})), NOW).await.is_ok());
    answers.are(Some(&[&two]));
    tokio::time::sleep(AGAIN + Duration::from_secs(1)).await;
    let generation = issuer.generation();
    assert!(resource.principal_at(&two.token(json!({}), json!({})), NOW).await.is_ok());
    assert_eq!(issuer.generation(), generation);
    assert!(says(&refused(&resource, &token).await, "no such key"));
}

#[test]
fn of_a_set_only_what_verifies_is_taken() {
    let one = Signer::new("one");
    let with = |changed: Value| {
        let mut key = one.jwk();
        for (name, value) in changed.as_object().unwrap() {
            match value {
                Value::Null => drop(key.as_object_mut().unwrap().remove(name)),
                value => key[name] = value.clone(),
            }
        }
        KeySet::parse(json!({"keys": [key, {"kty": "new"}, 7]}).to_string().as_bytes())
    };
    let is_found = |changed: Value| with(changed).is_ok_and(|set| set.find("one", Algorithm::ES256).is_some());
    for changed in [json!({}), json!({"use": null, "alg": null}), json!({"key_ops": ["verify"]}), json!({"x5c": ["x"]})]
    {
        assert!(is_found(changed.clone()), "{changed}");
    }
    let short = BASE64_URL_SAFE_NO_PAD.encode([7; 31]);
    for changed in [
        json!({"use": "enc"}),
        json!({"key_ops": ["encrypt"]}),
        json!({"alg": "ES384"}),
        json!({"alg": "HS256"}),
        json!({"kid": null}),
        json!({"kid": "two"}),
        json!({"crv": "P-384"}),
        json!({"crv": "secp256k1"}),
        json!({"x": short}),
        json!({"x": null}),
        // Everybody could sign with it.
        json!({"d": "AAAA"}),
        json!({"kty": "oct", "k": "AAAA"}),
    ] {
        assert!(!is_found(changed.clone()), "{changed}");
    }
    let rsa = |bytes: usize| {
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        KeySet::parse(json!({"keys": [{"kty": "RSA", "kid": "r", "n": n, "e": "AQAB"}]}).to_string().as_bytes())
    };
    assert!(rsa(255).is_err() && rsa(1025).is_err());
    let set = rsa(256).unwrap();
    assert!(set.find("r", Algorithm::RS256).is_some() && set.find("r", Algorithm::PS512).is_some());
    assert!(set.find("r", Algorithm::ES256).is_none() && set.find("r", Algorithm::EdDSA).is_none());
    for text in ["", "{}", "[]", r#"{"keys": []}"#, r#"{"keys": {}}"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn each_algorithm_verifies_what_others_have_signed_with_it() {
    // RFC 7515 A.2 (RS256) and RFC 8037 A.4 (EdDSA).
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let rs256 = (
        json!({"kty": "RSA", "kid": "k", "n": n, "e": "AQAB"}),
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    let eddsa = (
        json!({"kty": "OKP", "kid": "k", "crv": "Ed25519", "alg": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    for ((key, signed, signature), algorithm) in [(rs256, Algorithm::RS256), (eddsa, Algorithm::EdDSA)] {
        let set = KeySet::parse(json!({"keys": [key]}).to_string().as_bytes()).unwrap();
        let key = set.find("k", algorithm).unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.has_signed(algorithm, signed.as_bytes(), &signature), "{algorithm:?}");
        assert!(!key.has_signed(algorithm, &signed.as_bytes()[1..], &signature), "{algorithm:?}");
        for other in [Algorithm::RS384, Algorithm::PS256, Algorithm::ES256] {
            assert!(!key.has_signed(other, signed.as_bytes(), &signature), "{algorithm:?} as {other:?}");
        }
    }
    let one = Signer::new("one");
    assert_eq!(set(&[&one]).len(), 1);
}

/// Answers so many requests by their paths, and everything else with 404; gives what was asked for.
fn web(listener: TcpListener, pages: &[(&str, String)], requests: usize) -> std::thread::JoinHandle<Vec<String>> {
    let pages: BTreeMap<String, String> = pages.iter().map(|(path, page)| ((*path).to_owned(), page.clone())).collect();
    std::thread::spawn(move || {
        let serve = || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let path = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
            lines.find(String::is_empty).unwrap();
            let (status, page) = pages.get(&path).map_or((404, ""), |page| (200, page));
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", page.len());
            // Who has heard enough leaves in the middle.
            drop(stream.write_all(format!("{head}{page}").as_bytes()));
            path
        };
        (0..requests).map(|_| serve()).collect()
    })
}

#[test]
fn keys_are_fetched_from_where_the_metadata_of_the_same_issuer_says_and_are_no_more_than_there_may_be() {
    const OAUTH: &str = "/.well-known/oauth-authorization-server/a";
    const OPENID: &str = "/.well-known/openid-configuration/a";
    const BEHIND: &str = "/a/.well-known/openid-configuration";
    let one = Signer::new("one");
    let keys = json!({"keys": [one.jwk()]}).to_string();
    let large = format!("{keys}{}", " ".repeat(64 << 10));
    for (place, issuer, jwks_uri, keys, asked, says) in [
        (OAUTH, "/a", "/keys", &keys, &[OAUTH, "/keys"][..], None),
        (OPENID, "/a", "/keys", &keys, &[OAUTH, OPENID, "/keys"], None),
        (BEHIND, "/a", "/keys", &keys, &[OAUTH, OPENID, BEHIND, "/keys"], None),
        (OAUTH, "/a/", "/keys", &keys, &[OAUTH, OPENID, BEHIND], Some("the metadata of another issuer")),
        (OAUTH, "/b", "/keys", &keys, &[OAUTH, OPENID, BEHIND], Some("the metadata of another issuer")),
        (OAUTH, "/a", "https:///", &keys, &[OAUTH, OPENID, BEHIND], Some("says that the keys are nowhere")),
        (OAUTH, "/a", "ftp://192.0.2.1/keys", &keys, &[OAUTH, OPENID, BEHIND], Some("is not https")),
        (OAUTH, "/a", "/others", &keys, &[OAUTH, "/others"], Some("status 404")),
        (OAUTH, "/a", "/keys", &large, &[OAUTH, "/keys"], Some("more than 65536 bytes")),
        (OAUTH, "/a", "/keys", &"{}".to_owned(), &[OAUTH, "/keys"], Some("not a set of keys")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let jwks_uri = if jwks_uri.starts_with('/') { format!("{base}{jwks_uri}") } else { jwks_uri.to_owned() };
        let metadata = json!({"issuer": format!("{base}{issuer}"), "jwks_uri": jwks_uri}).to_string();
        let web = web(listener, &[(place, metadata), ("/keys", keys.clone())], asked.len());
        let fetched = fetch(&config::Issuer { issuer: format!("{base}/a"), ..table() });
        assert_eq!(web.join().unwrap(), asked, "{fetched:?}");
        match (fetched, says) {
            (Ok(set), None) => assert!(set.find("one", Algorithm::ES256).is_some()),
            (Err(why), Some(says)) => assert!(why.contains(says), "{why}"),
            (fetched, says) => panic!("{fetched:?} {says:?}"),
        }
    }
    // Where the table says where they are, nothing else is asked for.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let jwks_uri = format!("http://{}/keys", listener.local_addr().unwrap()).parse().unwrap();
    let web = web(listener, &[("/keys", keys)], 1);
    assert!(fetch(&config::Issuer { jwks_uri: Some(jwks_uri), ..table() }).is_ok());
    assert_eq!(web.join().unwrap(), ["/keys"]);
}

#[test]
fn metadata_is_looked_for_where_issuers_have_it() {
    let of =
        |issuer: &str| places(&issuer.parse().unwrap()).iter().map(|url| url.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(
        of("https://login.example.org/"),
        [
            "https://login.example.org/.well-known/oauth-authorization-server",
            "https://login.example.org/.well-known/openid-configuration",
        ]
    );
    assert_eq!(
        of("https://login.example.org/realms/a"),
        [
            "https://login.example.org/.well-known/oauth-authorization-server/realms/a",
            "https://login.example.org/.well-known/openid-configuration/realms/a",
            "https://login.example.org/realms/a/.well-known/openid-configuration",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_resource_is_can_be_read_at_each_of_its_places_only() {
    let one = Signer::new("one");
    let (resource, _) = of_one(table(), &[&one]);
    for (path, is_there) in [
        ("/.well-known/oauth-protected-resource", true),
        ("/.well-known/oauth-protected-resource/mcp", true),
        ("/.well-known/oauth-protected-resource/", false),
        ("/.well-known/oauth-protected-resource/other", false),
        ("/.well-known/oauth-protected-resources", false),
        ("/mcp", false),
    ] {
        assert_eq!(resource.metadata(path).is_some(), is_there, "{path}");
    }
}
