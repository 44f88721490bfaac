#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed test is a panic")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::*;

/// What a test's server answers.
enum Say {
    /// Status, headers, body.
    This(u16, Vec<(String, String)>, Vec<u8>),
    /// A body that does not end.
    Endless,
    /// A few bytes, and then nothing until the client leaves.
    Stall,
}

fn ok(body: &[u8]) -> Say {
    Say::This(200, Vec::new(), body.to_vec())
}

fn to(location: &str) -> Say {
    Say::This(302, vec![("location".to_owned(), location.to_owned())], Vec::new())
}

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    authorization: Option<String>,
}

/// A web server on loopback; ends with this value.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(say: impl Fn(&Asked) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, is_over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (kept, over, say) = (Arc::clone(&asked), Arc::clone(&is_over), Arc::new(say));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let (kept, say) = (Arc::clone(&kept), Arc::clone(&say));
                // Ends with its connection, which the client closes.
                std::thread::spawn(move || answer(stream.unwrap(), &kept, &*say));
            }
        });
        Self { address, asked, is_over, thread: Some(thread) }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    fn oci(&self, rest: &str) -> Source {
        format!("oci://{}/{rest}", self.address).parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn answer(stream: TcpStream, kept: &Mutex<Vec<Asked>>, say: &(dyn Fn(&Asked) -> Say + Send + Sync)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let mut asked = Asked { path: line.split(' ').nth(1).unwrap().to_owned(), authorization: None };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("authorization") {
            asked.authorization = Some(value.to_owned());
        }
    }
    kept.lock().unwrap().push(asked.clone());
    let mut stream = stream;
    // A client that has heard enough leaves in the middle.
    match say(&asked) {
        Say::This(status, headers, body) => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            drop(stream.write_all(format!("{head}\r\n").as_bytes()));
            drop(stream.write_all(&body));
        }
        Say::Endless => {
            drop(stream.write_all(b"HTTP/1.1 200 X\r\nconnection: close\r\n\r\n"));
            while stream.write_all(&[b'x'; 64 << 10]).is_ok() {}
        }
        Say::Stall => {
            drop(stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\nabc"));
            drop(stream.read(&mut [0; 1]));
        }
    }
}

/// A fetcher with a cache and no docker login.
struct Bench {
    dir: tempfile::TempDir,
    fetcher: Fetcher,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(Some(dir.path().join("cache")), dir.path().join("config.json"));
    Bench { dir, fetcher }
}

impl Bench {
    fn fetch(&self, source: &Source, pinned: Option<&Digest>) -> Result<Fetched, FetchError> {
        self.fetcher.fetch(source, super::FetchRequest { pinned, signed: true, fresh: false })
    }

    fn refusal(&self, source: &Source) -> String {
        match self.fetch(source, None) {
            Err(FetchError::Failed(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    fn docker(&self, config: &Value) {
        std::fs::write(self.dir.path().join("config.json"), config.to_string()).unwrap();
    }

    fn kept(&self) -> Vec<PathBuf> {
        let dir = self.dir.path().join("cache/fetched");
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

const BYTES: &[u8] = b"a component";

#[test]
fn a_component_and_its_signature_are_fetched_once_and_kept() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/mine.wasm" => ok(BYTES),
        "/mine.wasm.sig" => ok(b"signature"),
        path => panic!("{path}"),
    });
    let bench = bench();
    let source = Source::Https(server.url("/mine.wasm"));
    let fetched = bench.fetch(&source, None).unwrap();
    assert_eq!((fetched.bytes.as_slice(), fetched.signature.as_deref()), (BYTES, Some(&b"signature"[..])));
    let asked = server.asked().len();
    assert_eq!(bench.fetch(&source, Some(&Digest::of(BYTES))).unwrap(), fetched);
    assert_eq!(server.asked().len(), asked, "what is pinned and kept is not asked for again");
}

#[test]
fn a_newer_signature_of_the_same_bytes_takes_the_place_of_the_kept_one() {
    let signature = Arc::new(Mutex::new(b"old".to_vec()));
    let given = Arc::clone(&signature);
    let server = Server::new(move |asked| {
        ok(if asked.path.ends_with(".sig") { given.lock().unwrap().clone() } else { BYTES.to_vec() }.as_slice())
    });
    let (bench, digest) = (bench(), Digest::of(BYTES));
    let source = Source::Https(server.url("/mine.wasm"));
    let kept = |fresh| {
        let asked = super::FetchRequest { pinned: Some(&digest), signed: true, fresh };
        bench.fetcher.fetch(&source, asked).unwrap().signature.unwrap()
    };
    assert_eq!(kept(false), b"old");
    *signature.lock().unwrap() = b"new".to_vec();
    assert_eq!((kept(false), kept(true), kept(false)), (b"old".to_vec(), b"new".to_vec(), b"new".to_vec()));
}

#[test]
fn what_was_kept_and_has_changed_on_disk_is_fetched_again() {
    let server =
        Server::new(|asked| if asked.path.ends_with(".sig") { Say::This(404, vec![], vec![]) } else { ok(BYTES) });
    let bench = bench();
    let source = Source::Https(server.url("/mine.wasm"));
    assert_eq!(bench.fetch(&source, None).unwrap().signature, None);
    for path in bench.kept() {
        std::fs::write(path, b"something else").unwrap();
    }
    let asked = super::FetchRequest { pinned: Some(&Digest::of(BYTES)), ..super::FetchRequest::default() };
    assert_eq!(bench.fetcher.fetch(&source, asked).unwrap().bytes, BYTES);
}

#[test]
fn a_cache_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let bench = bench();
    let dir = bench.dir.path().join("cache/fetched");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let refusal = bench.refusal(&"https://192.0.2.1/mine.wasm".parse().unwrap());
    assert!(refusal.contains("chmod 700"), "{refusal}");
}

#[test]
fn bytes_of_another_digest_are_neither_given_nor_kept() {
    let server = Server::new(|_| ok(BYTES));
    let bench = bench();
    let pinned = Digest::of(b"another");
    let refused = bench.fetch(&Source::Https(server.url("/mine.wasm")), Some(&pinned));
    assert_eq!(refused, Err(FetchError::OtherBytes(Digest::of(BYTES))));
    assert_eq!(bench.kept(), Vec::<PathBuf>::new());
}

#[test]
fn a_body_without_end_is_cut_off() {
    let server = Server::new(|_| Say::Endless);
    let client = Client::new(Instant::now() + PATIENCE).unwrap();
    let refusal = client.get(&server.url("/"), "*/*", None, Limit(1 << 20)).unwrap_err();
    assert!(refusal.contains("more than 1048576 bytes"), "{refusal}");
}

#[test]
fn a_body_that_stalls_ends_with_the_time_that_there_is() {
    let server = Server::new(|_| Say::Stall);
    let mut bench = bench();
    bench.fetcher.patience = Duration::from_millis(300);
    let refusal = bench.refusal(&Source::Https(server.url("/mine.wasm")));
    assert!(refusal.contains("did not answer in time"), "{refusal}");
}

#[test]
fn redirects_are_followed_a_few_times_and_only_where_nothing_is_given_away() {
    let server = Server::new(|asked| match asked.path.as_str() {
        "/once" => to("/mine.wasm"),
        "/loop" => to("/loop"),
        "/plain" => to("http://example.org/mine.wasm"),
        "/file" => to("file:///etc/passwd"),
        "/user" => to("https://user:secret@example.org/"),
        "/nowhere" => Say::This(302, Vec::new(), Vec::new()),
        path if path.ends_with(".sig") => Say::This(404, Vec::new(), Vec::new()),
        _ => ok(BYTES),
    });
    let bench = bench();
    assert_eq!(bench.fetch(&Source::Https(server.url("/once")), None).unwrap().bytes, BYTES);
    for (path, says) in [
        ("/loop", "more than 5 times"),
        ("/plain", "not https"),
        ("/file", "not https"),
        ("/user", "user or a password"),
        ("/nowhere", "to nowhere"),
    ] {
        let refusal = bench.refusal(&Source::Https(server.url(path)));
        assert!(refusal.contains(says), "{path}: {refusal}");
    }
}

#[test]
fn a_credential_is_sent_to_its_origin_and_to_nobody_else() {
    let other = Server::new(|_| ok(b"other"));
    let there = other.url("/there").to_string();
    let server = Server::new(move |asked| match asked.path.as_str() {
        "/same" => to("/there"),
        "/other" => to(&there),
        _ => ok(BYTES),
    });
    let client = Client::new(Instant::now() + PATIENCE).unwrap();
    let get = |path: &str| client.get(&server.url(path), "*/*", Some("Bearer secret"), Limit(100)).unwrap();
    assert_eq!(get("/same").success().unwrap(), BYTES);
    assert_eq!(get("/other").success().unwrap(), b"other");
    let sent: Vec<_> = server.asked().into_iter().map(|asked| asked.authorization).collect();
    assert_eq!(sent, vec![Some("Bearer secret".to_owned()); 3]);
    assert_eq!(other.asked()[0].authorization, None);
}

#[test]
fn a_status_that_is_no_success_is_told() {
    let server = Server::new(|_| Say::This(500, Vec::new(), Vec::new()));
    let refusal = bench().refusal(&Source::Https(server.url("/mine.wasm")));
    assert!(refusal.contains("/mine.wasm answered with status 500"), "{refusal}");
}

// ---- Registries -----------------------------------------------------------------------------------------------------

fn layer(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": format!("sha256:{}", Digest::of(bytes)), "size": bytes.len()})
}

fn manifest(layers: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": oci_manifest(), "layers": layers}).to_string().into_bytes()
}

fn oci_manifest() -> &'static str {
    "application/vnd.oci.image.manifest.v1+json"
}

/// A registry with one repository: `team/mine`, with this manifest and these blobs.
fn registry(manifest: Vec<u8>, blobs: &[&[u8]]) -> impl Fn(&Asked) -> Say + Send + Sync + use<> {
    let blobs: Vec<(String, Vec<u8>)> = blobs
        .iter()
        .map(|bytes| (format!("/v2/team/mine/blobs/sha256:{}", Digest::of(bytes)), bytes.to_vec()))
        .collect();
    let by_digest = format!("/v2/team/mine/manifests/sha256:{}", Digest::of(&manifest));
    move |asked| {
        let blob = blobs.iter().find(|(path, _)| *path == asked.path);
        match (asked.path.as_str(), blob) {
            ("/v2/team/mine/manifests/1.0", _) => ok(&manifest),
            (path, _) if path == by_digest => ok(&manifest),
            (_, Some((_, bytes))) => ok(bytes),
            _ => Say::This(404, Vec::new(), Vec::new()),
        }
    }
}

fn good() -> Vec<u8> {
    manifest(&[layer("application/wasm", BYTES), layer(SIGNATURE, b"signature")])
}

#[test]
fn a_component_and_its_signature_come_from_a_registry() {
    let server = Server::new(registry(good(), &[BYTES, b"signature"]));
    let bench = bench();
    let fetched = bench.fetch(&server.oci("team/mine:1.0"), None).unwrap();
    assert_eq!((fetched.bytes.as_slice(), fetched.signature.as_deref()), (BYTES, Some(&b"signature"[..])));
    let by_digest = server.oci(&format!("team/mine:9.9@sha256:{}", Digest::of(&good())));
    assert_eq!(bench.fetch(&by_digest, None).unwrap().bytes, BYTES);
}

#[test]
fn a_tag_that_has_moved_is_told_before_its_layer_is_fetched() {
    let server = Server::new(registry(good(), &[]));
    let refused = bench().fetch(&server.oci("team/mine:1.0"), Some(&Digest::of(b"before")));
    assert_eq!(refused, Err(FetchError::OtherBytes(Digest::of(BYTES))));
}

#[test]
fn a_manifest_of_something_else_is_refused_with_what_it_is() {
    let wasm = || layer("application/wasm", BYTES);
    let mut huge = wasm();
    huge["size"] = json!(1_u64 << 40);
    for (manifest, says) in [
        (manifest(&[]), "layers of the types []"),
        (manifest(&[layer("application/x-tar", BYTES)]), "[application/x-tar]"),
        (manifest(&[wasm(), wasm()]), "a plugin has one of application/wasm"),
        (manifest(&[huge]), "1099511627776 bytes"),
        (json!({"schemaVersion": 2, "manifests": []}).to_string().into_bytes(), "index of several"),
        (json!({"schemaVersion": 1, "layers": [wasm()]}).to_string().into_bytes(), "schema version 2"),
        (b"<html>".to_vec(), "cannot be read"),
        (json!({"schemaVersion": 2, "layers": [{"mediaType": "application/wasm", "digest": "sha256:../..", "size": 1}]}).to_string().into_bytes(), "cannot be read"),
        (vec![b' '; (1 << 20) + 1], "more than 1048576 bytes"),
    ] {
        let server = Server::new(registry(manifest, &[BYTES]));
        let refusal = bench().refusal(&server.oci("team/mine:1.0"));
        assert!(refusal.contains(says), "{refusal}");
    }
}

#[test]
fn other_bytes_than_the_registry_itself_said_are_refused() {
    let swapped = Server::new(|asked| if asked.path.contains("manifests") { ok(&good()) } else { ok(b"b component") });
    let refusal = bench().refusal(&swapped.oci("team/mine:1.0"));
    assert!(refusal.contains("other bytes than its manifest says"), "{refusal}");
    let longer = Server::new(|asked| if asked.path.contains("manifests") { ok(&good()) } else { Say::Endless });
    let refusal = bench().refusal(&longer.oci("team/mine:1.0"));
    assert!(refusal.contains("more than 11 bytes"), "{refusal}");
    let other = Server::new(|_| ok(&good()));
    let refusal = bench().refusal(&other.oci(&format!("team/mine@sha256:{}", Digest::of(b"x"))));
    assert!(refusal.contains("another manifest"), "{refusal}");
}

/// What `docker login` writes for a registry.
fn login(server: &Server, secret: &str) -> Value {
    json!({"auths": {server.address.to_string(): {"auth": BASE64_STANDARD.encode(secret)}}})
}

fn asks(challenge: String) -> Say {
    Say::This(401, vec![("www-authenticate".to_owned(), challenge)], Vec::new())
}

#[test]
fn a_registry_that_asks_for_a_login_gets_the_one_of_dockers_config() {
    let inner = registry(good(), &[BYTES, b"signature"]);
    let wanted = format!("Basic {}", BASE64_STANDARD.encode("me:secret"));
    let server = Server::new(move |asked| {
        if asked.authorization.as_ref() == Some(&wanted) { inner(asked) } else { asks("Basic realm=\"x\"".to_owned()) }
    });
    let (bench, source) = (bench(), server.oci("team/mine:1.0"));
    assert!(bench.refusal(&source).contains("has no login for it"));
    bench.docker(&login(&server, "me:wrong"));
    assert!(bench.refusal(&source).contains("refuses the login"));
    bench.docker(&login(&server, "me:secret"));
    assert_eq!(bench.fetch(&source, None).unwrap().bytes, BYTES);
}

#[test]
fn a_token_is_had_with_a_login_or_without() {
    for (config, sent) in [(None, None), (Some("me:secret"), Some(BASE64_STANDARD.encode("me:secret")))] {
        let inner = registry(good(), &[BYTES, b"signature"]);
        let own = Arc::new(Mutex::new(String::new()));
        let realm = Arc::clone(&own);
        let server = Server::new(move |asked| match asked.path.split('?').next().unwrap() {
            "/token" => ok(b"{\"token\": \"t0ken\"}"),
            _ if asked.authorization.as_deref() == Some("Bearer t0ken") => inner(asked),
            _ => asks(format!("Bearer realm=\"{}\",service=\"reg\",scope=\"ignored\"", realm.lock().unwrap())),
        });
        *own.lock().unwrap() = server.url("/token").to_string();
        let bench = bench();
        if let Some(secret) = config {
            bench.docker(&login(&server, secret));
        }
        assert_eq!(bench.fetch(&server.oci("team/mine:1.0"), None).unwrap().bytes, BYTES);
        let asked = server.asked();
        let token = asked.iter().find(|asked| asked.path.starts_with("/token")).unwrap();
        assert_eq!(token.path, "/token?service=reg&scope=repository%3Ateam%2Fmine%3Apull");
        assert_eq!(token.authorization, sent.map(|auth| format!("Basic {auth}")));
    }
}

#[test]
fn no_password_goes_where_a_registry_points() {
    let elsewhere = Server::new(|_| ok(b"{\"token\": \"x\"}"));
    for realm in [elsewhere.url("/token").to_string(), "http://example.org/token".to_owned(), "/token".to_owned()] {
        let server = Server::new(move |_| asks(format!("Bearer realm=\"{realm}\"")));
        let bench = bench();
        bench.docker(&login(&server, "me:secret"));
        bench.refusal(&server.oci("team/mine:1.0"));
    }
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn a_token_that_is_none_is_refused() {
    for body in [&b"{}"[..], b"", b"{\"token\": \"a\\nb\"}", b"{\"token\": \"\"}", b"[[[", &[b'['; 100_000]] {
        let own = Arc::new(Mutex::new(String::new()));
        let realm = Arc::clone(&own);
        let server = Server::new(move |asked| match asked.path.starts_with("/token") {
            true => ok(body),
            false => asks(format!("Bearer realm=\"{}\"", realm.lock().unwrap())),
        });
        *own.lock().unwrap() = server.url("/token").to_string();
        let refusal = bench().refusal(&server.oci("team/mine:1.0"));
        assert!(refusal.contains("token"), "{refusal}");
    }
}

#[test]
fn logins_that_scout_cannot_use_are_told_with_what_to_do() {
    let server = Server::new(|_| asks("Basic realm=\"x\"".to_owned()));
    let registry = server.address.to_string();
    for (config, says) in [
        (json!({"credsStore": "desktop"}), "the helper `desktop`"),
        (json!({"credHelpers": {registry.clone(): "ecr-login"}}), "the helper `ecr-login`"),
        (json!({"auths": {registry.clone(): {}}, "credsStore": "pass"}), "the helper `pass`"),
        (json!({"auths": {registry.clone(): {"identitytoken": "x"}}}), "identity token"),
        (json!({"auths": {registry.clone(): {"auth": "!"}}}), "not base64"),
        (json!({"auths": {registry.clone(): {"auth": BASE64_STANDARD.encode("a:b\r\nx: y")}}}), "not base64"),
        (json!({"auths": 7}), "not docker's config.json"),
        (json!({"auths": {"other.example.org": {"auth": "bWU6c2VjcmV0"}}}), "has no login for it"),
    ] {
        let bench = bench();
        bench.docker(&config);
        let refusal = bench.refusal(&server.oci("team/mine:1.0"));
        assert!(refusal.contains(says), "{refusal}");
    }
}

#[test]
fn a_layer_that_is_elsewhere_is_fetched_there_without_the_token() {
    let store = Server::new(|_| ok(BYTES));
    let there = store.url("/blob").to_string();
    let manifest = manifest(&[layer("application/wasm", BYTES)]);
    let server = Server::new(move |asked| match asked.authorization {
        None => asks("Basic realm=\"x\"".to_owned()),
        Some(_) if asked.path.contains("manifests") => ok(&manifest),
        Some(_) => to(&there),
    });
    let bench = bench();
    bench.docker(&login(&server, "me:secret"));
    assert_eq!(bench.fetch(&server.oci("team/mine:1.0"), None).unwrap().bytes, BYTES);
    assert_eq!(store.asked()[0].authorization, None);
}
