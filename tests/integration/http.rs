//! `scout serve --http`, by clients that speak to it over real sockets.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::{Method, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use scout_tests::http::{HttpConnection, HttpScout, Place, call, initialize, key, scout, whole, with_key};
use scout_tests::{ScoutOptions, Sshd};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::limits::{running, until};
use crate::world::options;

const SESSION: &str = "mcp-session-id";

/// A client's metadata in each request of 2026-07-28.
fn meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// Headers of a request of 2026-07-28.
fn modern<'a>(key: &'a str, method: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut headers = vec![("authorization", key), ("mcp-protocol-version", "2026-07-28"), ("mcp-method", method)];
    if !name.is_empty() {
        headers.push(("mcp-name", name));
    }
    headers
}

/// An sshd, a Scout that serves it over TCP, and the key of `local`.
async fn served(settings: &str) -> (Sshd, HttpScout, String) {
    let sshd = Sshd::start();
    let options = options(&sshd).setting(settings);
    let (scout, key) = serving(&options).await;
    (sshd, scout, key)
}

/// A Scout that serves over TCP, and the key of `local`.
pub(crate) async fn serving(options: &ScoutOptions) -> (HttpScout, String) {
    let dir = tempfile::tempdir().unwrap();
    let key = key(options, dir.path(), "local").await;
    (HttpScout::start(options, dir).await, key)
}

/// A command that runs until the test says so, or for ever.
struct Command {
    query: String,
    begun: PathBuf,
    marker: String,
}

impl Command {
    fn new(sshd: &Sshd, name: &str) -> Self {
        let begun = sshd.dir().join(name);
        let marker = format!("scout-http-{name}-{}", sshd.address().port());
        let query = format!("touch {}; sleep 1000; : {marker}", begun.display());
        Self { query, begun, marker }
    }

    fn call(&self, id: u64) -> Value {
        call(id, json!({"target": "box", "query": self.query}))
    }

    async fn has_begun(&self) {
        until(|| self.begun.exists()).await;
    }

    async fn has_ended(&self) {
        until(|| running(&self.marker).is_empty()).await;
    }
}

const SHELL: &str = "commands = \"shell\"\ncommand_timeout = \"600s\"";

#[tokio::test]
async fn a_file_is_read_in_both_eras_and_a_call_with_progress_is_told_in_events() {
    let (sshd, scout, key) = served("").await;
    std::fs::write(sshd.dir().join("greeting.txt"), "hello \"you\"\n").unwrap();
    let target = format!("box:{}/greeting.txt", sshd.dir().display());
    let mut connection = scout.connect().await;
    let answer = connection.post(&with_key(&key), &call(1, json!({"target": target}))).await;
    assert_eq!((answer.status, answer.headers["content-type"].to_str().unwrap()), (StatusCode::OK, "application/json"));
    let result = &answer.json()["result"];
    assert_eq!(result["content"], json!([{"type": "text", "text": "hello \"you\"\n"}]));
    assert_eq!(result["structuredContent"]["content"], "hello \"you\"\n");
    assert_eq!(answer.headers["cache-control"], "no-store");
    // 2026-07-28, on the same connection.
    let mut message = call(2, json!({"target": target}));
    message["params"]["_meta"] = meta();
    let answer = connection.post(&modern(&key, "tools/call", "scout"), &message).await;
    assert_eq!(answer.json()["result"]["structuredContent"]["content"], "hello \"you\"\n", "{answer:?}");
    let list = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {"_meta": meta()}});
    let answer = connection.post(&modern(&key, "tools/list", ""), &list).await;
    assert_eq!(answer.json()["result"]["tools"][0]["name"], "scout", "{answer:?}");
    assert!(answer.headers.get(SESSION).is_none());
    // What the headers say is held against the body.
    let answer = connection.post(&modern(&key, "tools/call", "another"), &message).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32020)));
    // Over a whole tree progress is told.
    let mut message = call(4, json!({"target": "box:/usr/share/doc", "find": "*", "depth": 2}));
    message["params"]["_meta"] = json!({"progressToken": "t"});
    let answer = connection.post(&with_key(&key), &message).await;
    let messages = answer.messages();
    assert_eq!(messages.last().unwrap()["id"], 4, "{answer:?}");
    assert!(messages.last().unwrap()["result"]["structuredContent"].is_object());
}

#[tokio::test]
async fn who_asks_is_told_by_each_request_and_nobody_else_is_answered() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting("[access.alice]\n[access.bob]\nhosts = []");
    let dir = tempfile::tempdir().unwrap();
    let [alice, bob, carol] = [
        key(&options, dir.path(), "alice").await,
        key(&options, dir.path(), "bob").await,
        key(&options, dir.path(), "carol").await,
    ];
    let scout = HttpScout::start(&options, dir).await;
    let read = call(1, json!({"target": "box:/etc/hostname"}));
    let mut connection = scout.connect().await;
    let answer = connection.post(&with_key(&alice), &read).await;
    assert_eq!((answer.status, &answer.json()["result"]["isError"]), (StatusCode::OK, &json!(false)), "{answer:?}");
    // On the same connection: what one may do is no other's.
    let answer = connection.post(&with_key(&bob), &read).await;
    assert_eq!(answer.json()["result"]["isError"], true, "{answer:?}");
    let answer = connection.post(&with_key(&carol), &read).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.words().contains("[access.carol]"), "{answer:?}");
    for (headers, status, says) in [
        (vec![], 401, "Authorization: Bearer KEY"),
        (vec![("authorization", "Bearer scoutkey_000000000000_AAAA")], 401, "none of this server's"),
        (vec![("authorization", "Basic YWxpY2U6eA==")], 400, "nothing else is known"),
        (vec![("authorization", &*alice), ("authorization", &*alice)], 400, "twice"),
    ] {
        let answer = scout.post(&headers, &read).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        assert!(answer.words().contains(says), "{answer:?}");
        assert_eq!(answer.headers.get("www-authenticate").is_some(), status == 401);
    }
    let bare = alice.strip_prefix("Bearer ").unwrap();
    let answer = scout.connect().await.ask(Method::POST, &format!("/mcp?access_token={bare}"), &[], "{}").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!scout.stderr().contains(bare), "a key is written nowhere");
    // Each is used, listed without being told, and revoked while Scout serves.
    let listed: Value = serde_json::from_str(&scout.scout(&["key", "list", "--json"]).await).unwrap();
    let of = |principal: &str| listed.as_array().unwrap().iter().find(|key| key["principal"] == principal).unwrap();
    assert!(of("alice")["used"].is_string() && !listed.to_string().contains(&bare[22..]), "{listed}");
    scout.scout(&["key", "revoke", of("alice")["id"].as_str().unwrap()]).await;
    let answer = connection.post(&with_key(&alice), &read).await;
    assert_eq!((answer.status, answer.headers["connection"].to_str().unwrap()), (StatusCode::UNAUTHORIZED, "close"));
    assert_eq!(scout.post(&with_key(&bob), &read).await.status, StatusCode::OK);
    // Too many keys that are none are answered later, and a good one at once.
    let mut last = StatusCode::OK;
    for _ in 0..20 {
        let answer = scout.post(&with_key("Bearer none"), &read).await;
        last = answer.status;
        assert_eq!(answer.headers.get("retry-after").is_some(), last == StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(scout.post(&with_key(&bob), &read).await.status, StatusCode::OK);
}

#[tokio::test]
async fn over_a_socket_the_account_says_who_asks() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mcp.sock");
    let address = format!("unix:{}", socket.display());
    let options = options(&sshd).setting("[access.alice]\nhosts = []");
    let alice = key(&options, dir.path(), "alice").await;
    let mut scout = HttpScout::start_at(&options, dir, &address, |_| {}).await;
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let read = call(1, json!({"target": "box:/etc/hostname"}));
    // This account has started it: it is `local`. No browser comes here, so any name will do.
    let answer = scout.post(&[("host", "anything")], &read).await;
    assert_eq!(answer.json()["result"]["isError"], false, "{answer:?}");
    // What a proxy has passed on is not asked by the proxy's account.
    for header in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        assert_eq!(scout.post(&[(header, "192.0.2.1")], &read).await.status, StatusCode::UNAUTHORIZED);
    }
    // A proxy that comes over the socket passes on whose key it is.
    assert_eq!(scout.post(&with_key(&alice), &read).await.json()["result"]["isError"], true);
    scout.signal("TERM");
    assert!(scout.wait().await.success());
    assert!(!socket.exists());
}

#[tokio::test]
async fn behind_a_proxy_no_account_says_who_asks() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", dir.path().join("mcp.sock").display());
    let options = options(&sshd);
    let key = key(&options, dir.path(), "local").await;
    let scout = HttpScout::start_at(&options, dir, &address, |command| {
        command.args(["--behind-proxy", "127.0.0.1"]);
    })
    .await;
    assert_eq!(scout.post(&[], &initialize()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(scout.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
    let other = [("authorization", &*key), ("host", "evil.example")];
    assert_eq!(scout.post(&other, &initialize()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn names_sites_and_forms_that_are_not_ours_are_refused_in_words() {
    let settings = "[http]\nallowed_hosts = [\"scout.example.org\"]\nallowed_origins = [\"https://app.example.org\"]";
    let (_sshd, scout, key) = served(settings).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let mut connection = scout.connect().await;
    let good = ("authorization", key.as_str());
    for (method, path, headers, body, status, says) in [
        (Method::POST, "/mcp", vec![good, ("host", "evil.example")], &*list, 403, "allowed_hosts"),
        (Method::POST, "/mcp", vec![good, ("host", "127.0.0.1.evil.example")], &list, 403, "allowed_hosts"),
        (Method::POST, "/mcp", vec![good, ("origin", "https://evil.example")], &list, 403, "allowed_origins"),
        (Method::POST, "/mcp", vec![good, ("origin", "null")], &list, 403, "allowed_origins"),
        (
            Method::POST,
            "/mcp",
            vec![good, ("origin", "https://app.example.org.evil.example")],
            &list,
            403,
            "allowed_origins",
        ),
        (Method::POST, "/", vec![good], &list, 404, "/mcp"),
        (Method::PUT, "/mcp", vec![good], &list, 405, "POST"),
        (Method::GET, "/mcp", vec![good], "", 405, "POST"),
        (Method::DELETE, "/mcp", vec![good], "", 405, "POST"),
        (Method::POST, "/mcp", vec![good, ("content-type", "text/plain")], &list, 415, "application/json"),
        (Method::POST, "/mcp", vec![good, ("accept", "text/html")], &list, 406, "text/event-stream"),
        (Method::POST, "/mcp", vec![good, ("accept", "application/json")], &list, 406, "text/event-stream"),
        (Method::POST, "/mcp", vec![good, (SESSION, "x")], &list, 404, "initialize"),
        (Method::POST, "/mcp", vec![good], "", 400, "empty"),
        (Method::POST, "/mcp", vec![good], "{", 400, "Parse error"),
        (Method::POST, "/mcp", vec![good], "7", 400, "Invalid Request"),
        (Method::POST, "/mcp", vec![good, ("mcp-protocol-version", "1999-01-01")], &list, 400, "1999-01-01"),
    ] {
        let case = format!("{method} {path} {headers:?} {body}");
        let answer = connection.ask(method, path, &headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{case}: {answer:?}");
        assert!(says.is_empty() || answer.words().contains(says), "{case}: {answer:?}");
    }
    for headers in [
        vec![("host", "scout.example.org:443")],
        vec![("host", "SCOUT.example.org")],
        vec![("host", "[::1]:80")],
        vec![("accept", "*/*")],
        vec![("accept", "")],
        vec![("content-type", "application/json; charset=utf-8")],
        vec![("origin", "https://app.example.org")],
    ] {
        let headers: Vec<_> = headers.into_iter().chain([good]).collect();
        let answer = connection.ask(Method::POST, "/mcp", &headers, &list).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?} {answer:?}");
        let is_site = headers.iter().any(|(name, _)| *name == "origin");
        assert_eq!(answer.headers.get("access-control-allow-origin").is_some(), is_site);
    }
    // A browser asks whether its page may ask.
    let asked = [
        ("origin", "https://app.example.org"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,x-other,mcp-param-host"),
    ];
    let answer = connection.ask(Method::OPTIONS, "/mcp", &asked, "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.headers["access-control-allow-headers"], "authorization, mcp-param-host");
}

#[tokio::test]
async fn a_batch_is_answered_as_a_whole_where_there_are_batches() {
    let (sshd, scout, key) = served("").await;
    let read = |id: u64| call(id, json!({"target": "box:/etc/hostname"}));
    let batch = json!([
        read(1),
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": "two", "method": "ping"},
        7,
        initialize(),
    ]);
    let answer = scout.post(&with_key(&key), &batch).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let mut told = answer.json().as_array().unwrap().clone();
    told.sort_by_key(|message| message["id"].to_string());
    let ids: Vec<_> = told.iter().map(|message| (message["id"].clone(), message.get("error").is_some())).collect();
    assert_eq!(ids, [(json!("two"), false), (json!(1), false), (json!(null), true), (json!(null), true)], "{answer:?}");
    assert_eq!(told[1]["result"]["isError"], false);
    let tells = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
    assert_eq!(scout.post(&with_key(&key), &tells).await.status, StatusCode::ACCEPTED);
    // Together they are not longer than one may be.
    std::fs::write(sshd.dir().join("large"), vec![b'x'; 1 << 20]).unwrap();
    let target = format!("box:{}/large", sshd.dir().display());
    let batch: Vec<_> = (0..8).map(|id| call(id, json!({"target": target}))).collect();
    let answer = scout.post(&with_key(&key), &json!(batch)).await;
    let told = answer.json().as_array().unwrap().clone();
    let refused =
        told.iter().filter(|message| message["error"]["message"].as_str().is_some_and(|why| why.contains("batch")));
    assert_eq!((told.len(), refused.count()), (8, 4), "each is the content and the field");
    for (version, batch) in [("2025-11-25", json!([read(1)])), ("2025-03-26", json!([]))] {
        let headers = [("authorization", &*key), ("mcp-protocol-version", version)];
        let answer = scout.post(&headers, &batch).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
        assert!(answer.words().contains("batch"), "{answer:?}");
    }
}

/// A certificate for `localhost` and its key, in PEM.
pub(crate) fn certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    let words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 \
                 -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE";
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(words.split_whitespace()).arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    let output = openssl.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}

/// A connection to a server that shows this certificate.
async fn encrypted(address: std::net::SocketAddr, certificate: &Path) -> std::io::Result<HttpConnection> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(address).await?;
    let stream = connector.connect("localhost".try_into().unwrap(), stream).await?;
    Ok(HttpConnection::over(stream).await)
}

#[tokio::test]
async fn a_certificate_that_is_renewed_is_shown_from_the_next_connection_on() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let ((first, first_key), (second, second_key)) =
        (certificate(dir.path(), "first"), certificate(dir.path(), "second"));
    let (shown, shown_key) = (dir.path().join("shown.crt"), dir.path().join("shown.key"));
    std::fs::copy(&first, &shown).unwrap();
    std::fs::copy(&first_key, &shown_key).unwrap();
    let options = options(&sshd).setting("[http]\ncertificate = \"shown.crt\"\nprivate_key = \"shown.key\"");
    let key = key(&options, dir.path(), "local").await;
    // TLS: other machines may come.
    let scout = HttpScout::start_at(&options, dir, "0.0.0.0:0", |_| {}).await;
    let address = (std::net::Ipv4Addr::LOCALHOST, scout.address().port()).into();
    let mut connection = encrypted(address, &first).await.unwrap();
    assert_eq!(connection.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
    assert!(encrypted(address, &second).await.is_err());
    let clear =
        HttpConnection::to(&Place::Tcp(address)).await.unwrap().send(Method::POST, "/mcp", &with_key(&key), "").await;
    assert!(clear.is_err(), "nothing is spoken in clear");
    // A pair that does not fit leaves what was there.
    std::fs::copy(&second, &shown).unwrap();
    assert!(encrypted(address, &first).await.is_ok());
    scout.logs("the certificate that was read before serves on").await;
    std::fs::copy(&second_key, &shown_key).unwrap();
    let mut renewed = encrypted(address, &second).await.unwrap();
    assert!(encrypted(address, &first).await.is_err());
    for connection in [&mut connection, &mut renewed] {
        assert_eq!(connection.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn behind_a_proxy_nobody_else_is_served_and_failures_are_its_clients() {
    let sshd = Sshd::start();
    let options = options(&sshd);
    let dir = tempfile::tempdir().unwrap();
    let key = key(&options, dir.path(), "local").await;
    let scout = HttpScout::start_at(&options, dir, "0.0.0.0:0", |command| {
        command.args(["--behind-proxy", "127.0.0.2", "--behind-proxy", "192.0.2.1"]);
    })
    .await;
    let from = async |address: [u8; 4]| {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((std::net::Ipv4Addr::from(address), 0).into()).unwrap();
        let to = (std::net::Ipv4Addr::LOCALHOST, scout.address().port());
        HttpConnection::over(socket.connect(to.into()).await.unwrap()).await
    };
    assert!(from([127, 0, 0, 1]).await.send(Method::POST, "/mcp", &with_key(&key), "").await.is_err());
    let fails = async |forwarded: &str| {
        let headers = [("authorization", "Bearer none"), ("x-forwarded-for", forwarded)];
        from([127, 0, 0, 2]).await.post(&headers, &initialize()).await.status
    };
    for _ in 0..10 {
        // What stands before the last one anybody may have written.
        assert_eq!(fails("198.51.100.9, 192.0.2.7").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(fails("192.0.2.7").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fails("192.0.2.8").await, StatusCode::UNAUTHORIZED);
    assert_eq!(from([127, 0, 0, 2]).await.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_principal_has_limits_that_are_told_and_change_without_ending_a_call() {
    let sshd = Sshd::start();
    let limits = |concurrent: u32| {
        format!(
            "[access.alice]\nconcurrent_calls = {concurrent}\ncalls_per_day = 3\n[access.bob]\ncalls_per_minute = 1"
        )
    };
    let options = options(&sshd).setting(SHELL).setting(&limits(1));
    let dir = tempfile::tempdir().unwrap();
    let [alice, bob] = [key(&options, dir.path(), "alice").await, key(&options, dir.path(), "bob").await];
    let scout = HttpScout::start(&options, dir).await;
    let command = Command::new(&sshd, "limited");
    let mut running = scout.connect().await;
    let headers = [("authorization", alice.as_str()), ("content-type", "application/json")];
    let body = command.call(1).to_string();
    let call_ends = running.send(Method::POST, "/mcp", &headers, body);
    let ask = async |key: &str| scout.post(&with_key(key), &call(2, json!({"target": "hosts"}))).await;
    let over_quota = async |key: &str| {
        let answer = ask(key).await;
        let result = &answer.json()["result"];
        assert_eq!((answer.status, &result["isError"]), (StatusCode::OK, &json!(true)), "{answer:?}");
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["kind"], "busy");
        format!("{}; {}", error["message"].as_str().unwrap(), error["hint"].as_str().unwrap())
    };
    let checks = async {
        command.has_begun().await;
        let why = over_quota(&alice).await;
        assert!(
            why.contains("`alice` has 1 calls under way") && why.contains("`concurrent_calls` of [access.alice]"),
            "{why}"
        );
        // Another principal has limits of its own.
        assert!(ask(&bob).await.json()["result"]["isError"] != true);
        let why = over_quota(&bob).await;
        assert!(why.contains("`calls_per_minute` of [access.bob]") && why.contains("ask again in"), "{why}");
        // More is allowed while her call runs.
        let file = scout.dir().join("scout.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("concurrent_calls = 1", "concurrent_calls = 2");
        std::fs::write(scout.dir().join("new"), text).unwrap();
        std::fs::rename(scout.dir().join("new"), file).unwrap();
        // It is told within the time that each test has.
        while ask(&alice).await.json()["result"]["isError"] == true {}
        assert!(ask(&alice).await.json()["result"]["isError"] != true);
        let why = over_quota(&alice).await;
        assert!(why.contains("`alice` has made the 3 calls of today (UTC): `calls_per_day`"), "{why}");
        assert!(!crate::limits::running(&command.marker).is_empty(), "it runs on");
    };
    // It ends with its client.
    tokio::select! {
        ended = call_ends => unreachable!("{ended:?}"),
        () = checks => {}
    }
    drop(running);
    command.has_ended().await;
}

#[tokio::test]
async fn who_may_no_longer_ask_loses_what_goes_on_too() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting(SHELL).setting("[access.alice]\n[access.bob]");
    let dir = tempfile::tempdir().unwrap();
    let [alice, bob] = [key(&options, dir.path(), "alice").await, key(&options, dir.path(), "bob").await];
    let scout = HttpScout::start(&options, dir).await;
    let begun = async |key: &str| {
        let answer = scout.post(&with_key(key), &initialize()).await;
        answer.headers[SESSION].to_str().unwrap().to_owned()
    };
    let listens = async |key: &str, session: &str| {
        let headers = [("authorization", key), (SESSION, session)];
        let mut connection = scout.connect().await;
        let stream = connection.send(Method::GET, "/mcp", &headers, "").await.unwrap().into_body();
        (connection, stream)
    };
    let (session, other) = (begun(&alice).await, begun(&bob).await);
    let streams = [listens(&alice, &session).await, listens(&alice, &session).await];
    let bobs = listens(&bob, &other).await;
    let command = Command::new(&sshd, "revoked");
    let mut connection = scout.connect().await;
    let headers = with_key(&alice);
    let body = command.call(1);
    let call = connection.post(&headers, &body);
    let ends = async {
        command.has_begun().await;
        let id = alice.trim_start_matches("Bearer scoutkey_").split('_').next().unwrap().to_owned();
        scout.scout(&["key", "revoke", &id]).await;
        for (_connection, stream) in streams {
            drop(stream.collect().await.unwrap());
        }
        // Of a principal whose table goes, too.
        let file = scout.dir().join("scout.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("[access.bob]", "");
        std::fs::write(scout.dir().join("new"), text).unwrap();
        std::fs::rename(scout.dir().join("new"), file).unwrap();
        drop(bobs.1.collect().await.unwrap());
    };
    let (answer, ()) = tokio::join!(call, ends);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    command.has_ended().await;
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_streams_and_no_other() {
    let (_sshd, scout, key) = served("").await;
    let begun = async || {
        let answer = scout.post(&with_key(&key), &initialize()).await;
        answer.headers[SESSION].to_str().unwrap().to_owned()
    };
    let (session, other) = (begun().await, begun().await);
    let listens = async |session: &str| {
        let headers = [("authorization", key.as_str()), (SESSION, session)];
        let mut connection = scout.connect().await;
        let stream = connection.send(Method::GET, "/mcp", &headers, "").await.unwrap().into_body();
        (connection, stream)
    };
    let (_connection, stream) = listens(&session).await;
    let (_connection, mut goes_on) = listens(&other).await;
    let headers = [("authorization", key.as_str()), (SESSION, session.as_str())];
    let answer = scout.connect().await.ask(Method::DELETE, "/mcp", &headers, "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    drop(stream.collect().await.unwrap());
    assert!(goes_on.frame().now_or_never().is_none());
}

/// Read by a strict reader of the format; names that dashboards use do not change by themselves.
#[tokio::test]
async fn what_happens_is_told_in_the_words_of_prometheus_without_a_host_or_who_asks() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting("[access.alice]\ncalls_per_minute = 1");
    let dir = tempfile::tempdir().unwrap();
    let key = key(&options, dir.path(), "alice").await;
    let health = dir.path().join("health.sock");
    let flags = format!("unix:{}", health.display());
    let scout = HttpScout::start_at(&options, dir, "127.0.0.1:0", |command| {
        command.args(["--health", &flags]);
    })
    .await;
    let target = format!("box:{}", sshd.dir().display());
    scout.post(&with_key(&key), &call(1, json!({"target": target}))).await;
    scout.post(&with_key(&key), &call(2, json!({"target": target}))).await;
    scout.post(&with_key("Bearer scoutkey_none"), &call(3, json!({"target": target}))).await;
    let page = HttpConnection::to(&Place::Unix(health)).await.unwrap().ask(Method::GET, "/metrics", &[], "").await;
    let media_type = page.headers["content-type"].to_str().unwrap();
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let (python, scripts) = crate::python::python();
    let mut reader = tokio::process::Command::new(python)
        .arg(scripts.join("strict_metrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    reader.stdin.take().unwrap().write_all(page.body.as_bytes()).await.unwrap();
    let read = reader.wait_with_output().await.unwrap();
    assert!(read.status.success(), "{}", page.body);
    let samples: Vec<(String, std::collections::BTreeMap<String, String>, f64)> =
        serde_json::from_slice(&read.stdout).unwrap();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let is_it = |(of, own, _): &&(String, std::collections::BTreeMap<String, String>, f64)| {
            of == name && labels.iter().all(|(label, value)| own.get(*label).is_some_and(|own| own == value))
        };
        samples.iter().find(is_it).map(|(_, _, value)| *value)
    };
    for (name, labels, expected) in [
        ("scout_calls_total", &[("plugin", "dir"), ("outcome", "answered")][..], 1.0),
        ("scout_calls_total", &[("plugin", ""), ("outcome", "busy")], 1.0),
        ("scout_call_seconds_count", &[("plugin", "dir")], 1.0),
        ("scout_call_seconds_bucket", &[("plugin", "dir"), ("le", "+Inf")], 1.0),
        ("scout_over_quota_total", &[("limit", "calls_per_minute")], 1.0),
        ("scout_over_quota_total", &[("limit", "bytes_per_day")], 0.0),
        ("scout_pool_dials_total", &[], 1.0),
        ("scout_pool_connections", &[("state", "ready")], 1.0),
        ("scout_http_answers_total", &[("status", "2xx")], 2.0),
        ("scout_http_answers_total", &[("status", "4xx")], 1.0),
        ("scout_http_failed_logins_total", &[], 1.0),
        ("scout_revision", &[], 1.0),
    ] {
        assert_eq!(value(name, labels), Some(expected), "{name} {labels:?}\n{}", page.body);
    }
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds"] {
        assert!(value(name, &[]) > Some(0.0), "{name}");
    }
    assert!(value("scout_remote_bytes_total", &[("plugin", "dir")]) > Some(0.0));
    for secret in ["box", "alice", "127.0.0.1"] {
        assert!(!page.body.contains(secret), "{secret} in {}", page.body);
    }
}

#[tokio::test]
async fn secrets_are_masked_for_those_who_come_over_http_unless_it_is_said_otherwise() {
    let secret = format!("AKIA{}", "QYLPMN5HHHFPZAM2");
    for (setting, is_masked) in [("", true), ("redact = false", false)] {
        let (sshd, scout, key) = served(setting).await;
        std::fs::write(sshd.dir().join("notes.txt"), format!("key {secret}\nand {}\n", key.replace("Bearer ", "")))
            .unwrap();
        let target = format!("box:{}/notes.txt", sshd.dir().display());
        let answer = scout.post(&with_key(&key), &call(1, json!({"target": target}))).await;
        assert_eq!(!answer.body.contains(&secret), is_masked, "{answer:?}");
        // A key of Scout's own is a secret as any other.
        assert_eq!(!answer.body.contains(&key[20..]), is_masked, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_too_much_is_refused_before_it_is_read() {
    let (_sshd, scout, key) = served("").await;
    let mut stream = TcpStream::connect(scout.address()).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n\
         Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    // One whose length nobody knows.
    let mut stream = TcpStream::connect(scout.address()).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAuthorization: {key}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b' '; 1 << 20];
    let (mut reading, mut writing) = stream.into_split();
    let writing = tokio::spawn(async move {
        // It is closed before all is written.
        while writing.write_all(b"100000\r\n").await.is_ok()
            && writing.write_all(&piece).await.is_ok()
            && writing.write_all(b"\r\n").await.is_ok()
        {}
    });
    let mut answer = [0; 13];
    reading.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413 ");
    drop(reading);
    writing.await.unwrap();
    // Heads.
    let mut stream = TcpStream::connect(scout.address()).await.unwrap();
    let long = format!("GET /mcp HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    // It may be closed before all is written.
    drop(stream.write_all(long.as_bytes()).await);
    let mut answer = [0; 13];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431 ");
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).unwrap();
    let answer = scout.post(&with_key(&key), &call(1, json!({"target": deep}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.words().contains("nested deeper"), "{answer:?}");
}

#[tokio::test]
async fn a_connection_that_says_nothing_of_who_asks_is_closed() {
    let (_sshd, scout, key) = served("").await;
    let mut silent = TcpStream::connect(scout.address()).await.unwrap();
    let mut refused = scout.connect().await;
    assert_eq!(refused.post(&[], &initialize()).await.status, StatusCode::UNAUTHORIZED);
    let mut known = scout.connect().await;
    assert_eq!(known.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
    // Both ends come from Scout: its ten seconds are over.
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
    until(|| refused.is_closed()).await;
    assert_eq!(known.post(&with_key(&key), &initialize()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn nobody_takes_all_connections() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting("[access.alice]\n[http]\nmax_connections = 16");
    let dir = tempfile::tempdir().unwrap();
    let (local, alice) = (key(&options, dir.path(), "local").await, key(&options, dir.path(), "alice").await);
    let scout = HttpScout::start(&options, dir).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut connection = scout.connect().await;
        assert_eq!(connection.post(&with_key(&local), &initialize()).await.status, StatusCode::OK);
        held.push(connection);
    }
    let refused = scout.post(&with_key(&local), &initialize()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers["connection"], "close");
    assert!(refused.words().contains("half of all connections"), "{refused:?}");
    assert_eq!(scout.post(&with_key(&alice), &initialize()).await.status, StatusCode::OK);
    // Each of them serves on, and one that ends leaves its place to another.
    assert_eq!(held[0].post(&with_key(&local), &initialize()).await.status, StatusCode::OK);
    drop(held.pop());
    let mut answered = StatusCode::TOO_MANY_REQUESTS;
    while answered == StatusCode::TOO_MANY_REQUESTS {
        answered = scout.post(&with_key(&local), &initialize()).await.status;
    }
    assert_eq!(answered, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_leaves_ends_what_runs_for_it() {
    let (sshd, scout, key) = served(SHELL).await;
    // Before anything was said, and in the midst of events.
    for (name, with_progress) in [("silent", false), ("events", true)] {
        let command = Command::new(&sshd, name);
        let mut message = command.call(1);
        if with_progress {
            message["params"]["_meta"] = json!({"progressToken": 1});
        }
        let mut connection = scout.connect().await;
        let headers = with_key(&key);
        let mut asking = Box::pin(connection.send(Method::POST, "/mcp", &headers, message.to_string()));
        tokio::select! {
            answer = &mut asking => assert!(with_progress, "{answer:?}"),
            () = command.has_begun() => {}
        }
        command.has_begun().await;
        drop(asking);
        drop(connection);
        command.has_ended().await;
    }
}

#[tokio::test]
async fn a_session_is_its_principals_and_its_messages_cancel_its_calls() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting(SHELL).setting("[access.alice]");
    let dir = tempfile::tempdir().unwrap();
    let (local, alice) = (key(&options, dir.path(), "local").await, key(&options, dir.path(), "alice").await);
    let scout = HttpScout::start(&options, dir).await;
    let begun = scout.post(&with_key(&local), &initialize()).await;
    let session = begun.headers[SESSION].to_str().unwrap().to_owned();
    let other = scout.post(&with_key(&local), &initialize()).await.headers[SESSION].to_str().unwrap().to_owned();
    assert_ne!(session, other);
    let headers = |session: &str| vec![("authorization", local.clone()), (SESSION, session.to_owned())];
    let asks = async |headers: &[(&str, String)], message: &Value| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        scout.post(&headers, message).await
    };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(asks(&headers(&session), &list).await.status, StatusCode::OK);
    // Another principal's is none.
    let stolen = vec![("authorization", alice), (SESSION, session.clone())];
    assert_eq!(asks(&stolen, &list).await.status, StatusCode::NOT_FOUND);
    let cancel = |id: u64| json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    let command = Command::new(&sshd, "cancelled");
    let call = command.call(7);
    let calling = async {
        let answer = asks(&headers(&session), &call).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""), "a cancelled call has no answer");
    };
    let cancelling = async {
        command.has_begun().await;
        let again = asks(&headers(&session), &call).await;
        assert!(again.words().contains("same id"), "{again:?}");
        // Of another session, and without one, nothing is cancelled.
        assert_eq!(asks(&headers(&other), &cancel(7)).await.status, StatusCode::ACCEPTED);
        assert_eq!(scout.post(&with_key(&local), &cancel(7)).await.status, StatusCode::ACCEPTED);
        assert!(!running(&command.marker).is_empty());
        assert_eq!(asks(&headers(&session), &cancel(7)).await.status, StatusCode::ACCEPTED);
    };
    tokio::join!(calling, cancelling);
    command.has_ended().await;
    // Its end ends what runs for it, and it is one no longer.
    let command = Command::new(&sshd, "ended");
    let call = command.call(7);
    let ending = async {
        command.has_begun().await;
        let (auth, label) = (("authorization", &*local), (SESSION, &*session));
        let mut connection = scout.connect().await;
        assert_eq!(connection.ask(Method::DELETE, "/mcp", &[auth, label], "").await.status, StatusCode::NO_CONTENT);
    };
    let of_session = headers(&session);
    tokio::join!(asks(&of_session, &call), ending);
    command.has_ended().await;
    assert_eq!(asks(&headers(&session), &list).await.status, StatusCode::NOT_FOUND);
    assert_eq!(asks(&headers(&other), &list).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_hears_of_new_tools_and_its_stream_ends_with_the_server() {
    let (_sshd, mut scout, key) = served("").await;
    let session = scout.post(&with_key(&key), &initialize()).await.headers[SESSION].to_str().unwrap().to_owned();
    let headers = [("authorization", &*key), (SESSION, &*session)];
    // What it has not listed cannot become another: the list is whole first.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    scout.post(&headers, &list).await;
    let mut connection = scout.connect().await;
    let mut stream = connection.send(Method::GET, "/mcp", &headers, "").await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut others = Vec::new();
    for _ in 1..16 {
        let mut connection = scout.connect().await;
        others.push((connection.send(Method::GET, "/mcp", &headers, "").await.unwrap(), connection));
    }
    let refused = scout.connect().await.ask(Method::GET, "/mcp", &headers, "").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.words().contains("at most 16"), "{refused:?}");
    let file = scout.dir().join("scout.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n[plugins.listeners]\nsource = \"bundled\"\ngrants = [\"exec\"]\n")).unwrap();
    let told = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&told),
        "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n"
    );
    scout.signal("TERM");
    while stream.frame().await.is_some_and(|frame| frame.is_ok()) {}
    assert!(scout.wait().await.success());
}

#[tokio::test]
async fn the_end_takes_no_new_connections_and_lets_calls_end() {
    let sshd = Sshd::start();
    let options = options(&sshd).setting(SHELL);
    let dir = tempfile::tempdir().unwrap();
    let health = dir.path().join("health.sock");
    let key = key(&options, dir.path(), "local").await;
    let place = format!("unix:{}", health.display());
    let mut scout = HttpScout::start_at(&options, dir, "127.0.0.1:0", |command| {
        command.args(["--health", &place]);
    })
    .await;
    let asked = async |path: &str| {
        let mut connection = HttpConnection::to(&Place::Unix(health.clone())).await.unwrap();
        connection.ask(Method::GET, path, &[], "").await.status.as_u16()
    };
    assert_eq!((asked("/health").await, asked("/ready").await, asked("/mcp").await), (200, 200, 404));
    let (begun, go) = (sshd.dir().join("begun"), sshd.dir().join("go"));
    let query =
        format!("touch {}; while [ ! -e {} ]; do sleep 0.02; done; echo finished", begun.display(), go.display());
    let mut connection = scout.connect().await;
    let message = call(1, json!({"target": "box", "query": query})).to_string();
    let listen = json!({"jsonrpc": "2.0", "id": 2, "method": "subscriptions/listen",
        "params": {"_meta": meta(), "notifications": {"toolsListChanged": true}}});
    let mut listening = scout.connect().await;
    let stream =
        listening.send(Method::POST, "/mcp", &modern(&key, "subscriptions/listen", ""), listen.to_string()).await;
    let stream = stream.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    let running = async {
        let answer = connection.send(Method::POST, "/mcp", &with_key(&key), message).await.unwrap();
        assert_eq!(answer.headers()["connection"], "close");
        whole(answer).await.json()["result"]["structuredContent"]["stdout"].clone()
    };
    let ending = async {
        until(|| begun.exists()).await;
        scout.signal("TERM");
        // It is answered, not cut.
        let heard = whole(stream).await.messages();
        assert_eq!(heard.last().unwrap()["id"], 2, "{heard:?}");
        assert_eq!(asked("/ready").await, 503);
        assert!(TcpStream::connect(scout.address()).await.is_err());
        std::fs::write(&go, "").unwrap();
    };
    let (stdout, ()) = tokio::join!(running, ending);
    assert_eq!(stdout, "finished\n");
    assert!(scout.wait().await.success());
}

#[tokio::test]
async fn no_answer_is_lost_when_processes_follow_each_other_at_one_socket() {
    let sshd = Sshd::start();
    let options = options(&sshd);
    let dir = tempfile::tempdir().unwrap();
    let key: Arc<str> = key(&options, dir.path(), "local").await.into();
    // As systemd does it: the socket stays, and is handed to one process after the other.
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let start = async |dir: TempDir| {
        let mut launcher = std::process::Command::new("sh");
        launcher.args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh"]);
        let options = options.clone().launched_by(&launcher);
        let socket = socket.try_clone().unwrap();
        HttpScout::start_with_stdin(&options, dir, "systemd", Stdio::from(std::os::fd::OwnedFd::from(socket))).await
    };
    let mut scout = start(dir).await;
    let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, answered, key) = (Arc::clone(&over), Arc::clone(&answered), Arc::clone(&key));
            tokio::spawn(async move {
                let place = Place::Tcp(address);
                let mut connection = HttpConnection::to(&place).await.unwrap();
                while !over.load(Ordering::Relaxed) {
                    let answer =
                        connection.post(&with_key(&key), &call(1, json!({"target": "box:/etc/hostname"}))).await;
                    assert_eq!(answer.json()["result"]["isError"], false, "{answer:?}");
                    answered.fetch_add(1, Ordering::Relaxed);
                    if answer.headers.get("connection").is_some() {
                        connection = HttpConnection::to(&place).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for _ in 0..4 {
        let before = answered.load(Ordering::Relaxed);
        until(|| answered.load(Ordering::Relaxed) > before + 20).await;
        scout.signal("TERM");
        assert!(scout.wait().await.success());
        scout = start(scout.into_dir()).await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_served_in_the_open() {
    let sshd = Sshd::start();
    let options = options(&sshd);
    let dir = tempfile::tempdir().unwrap();
    let refused = async |arguments: &[&str]| {
        let output = options.command(dir.path()).args(["serve", "--http"]).args(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    let why = refused(&["127.0.0.1:0"]).await;
    assert!(why.contains("scout key add --principal local"), "{why}");
    scout(&options, dir.path(), &["key", "add", "--principal", "local"]).await;
    let why = refused(&["0.0.0.0:0"]).await;
    assert!(why.contains("in clear") && why.contains("--behind-proxy"), "{why}");
    let why = refused(&["localhost:80"]).await;
    assert!(why.contains("127.0.0.1:8750"), "{why}");
}
