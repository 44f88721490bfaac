//! Plugins that come over a network, late or not at all, and those beside them.

use std::collections::HashSet;
use std::hash::BuildHasher as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use scout_tests::{Answer, Guest, Scout, ScoutOptions, Sshd};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::world::{binary, options};

const CHANGED: &str = "notifications/tools/list_changed";
const SERVES: &str = "a changed configuration serves";

/// A status and a body.
type Given = (u16, Vec<u8>);

/// A web server on loopback that takes every request, and answers when it is told to.
struct Server {
    address: SocketAddr,
    answer: watch::Sender<Option<Given>>,
    requests: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Server {
    async fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (answer, given) = watch::channel(None);
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut clients = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                clients.spawn(give(stream, given.clone()));
            }
        });
        Self { address, answer, requests, _serving: serving }
    }

    fn answers(&self, status: u16, body: Vec<u8>) {
        self.answer.send_replace(Some((status, body)));
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Answers one request, if the client is still there.
async fn give(stream: TcpStream, mut given: watch::Receiver<Option<Given>>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 2) {
        line.clear();
    }
    let Ok(given) = given.wait_for(Option::is_some).await.map(|given| given.clone()) else { return };
    let (status, body) = given.unwrap();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await.ok();
}

/// A directory with scout.toml and a Scout that serves it.
struct Place {
    dir: tempfile::TempDir,
    options: ScoutOptions,
    sshd: Sshd,
}

impl Place {
    fn new() -> Self {
        let sshd = Sshd::start();
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(&sshd);
        options.env.push(("SCOUT_LOG".to_owned(), "warn,scout_server=info".to_owned()));
        Self { dir, options, sshd }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> PathBuf {
        self.path("scout.toml")
    }

    /// Writes scout.toml with these tables.
    fn configure(&mut self, tables: &str) {
        self.options.settings = tables.to_owned();
        drop(self.options.command(self.dir.path()));
    }

    /// Gives the running Scout other tables, in one piece.
    fn change(&self, tables: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        let before = text.strip_suffix(&self.options.settings).unwrap();
        replace(&self.config(), format!("{before}{tables}").as_bytes());
    }

    async fn start(&self) -> Arc<Scout> {
        let scout = Scout::spawn_at(&self.options, &self.config());
        let client = json!({"name": "t", "version": "0"});
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        scout.request("initialize", hello).await;
        scout.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
        scout
    }

    /// Another `scout`, with a cache of its own.
    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::new(binary());
        command.env("XDG_CACHE_HOME", self.path("cache")).env("XDG_STATE_HOME", self.path("state"));
        let output = command.arg("--config").arg(self.config()).args(arguments).output().await.unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

fn replace(path: &Path, content: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// A plugin of this server, pinned to these bytes.
fn fetched(name: &str, server: &Server, bytes: &[u8]) -> String {
    let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let source = format!("http://{}/{name}.wasm", server.address);
    format!("[plugins.{name}]\nsource = {source:?}\nsha256 = {sha256:?}\ngrants = [\"files\", \"exec\", \"shell\"]\n")
}

const DISK: &str = "[plugins.disk]\nsource = \"bundled\"\n";

/// The bytes of a component that was never fetched before: with a section of its own.
fn fresh(guest: Guest) -> Vec<u8> {
    let unlike = std::hash::RandomState::new().hash_one(guest).to_le_bytes();
    [guest.bytes().as_slice(), &[0, 10, 1, b'x'], &unlike].concat()
}

/// What must not wait for a server that never answers. A bound against hanging, below the patience of a fetch.
async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(100), awaited).await.expect("an answer without that of the web server")
}

async fn tools(scout: &Arc<Scout>) -> Vec<String> {
    let listed = soon(scout.request("tools/list", json!({}))).await;
    let tools = listed["result"]["tools"].as_array().unwrap_or_else(|| panic!("{listed}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

async fn begin(scout: &Arc<Scout>, tool: &str) -> (u64, oneshot::Receiver<Value>) {
    scout.begin("tools/call", json!({"name": tool, "arguments": {"host": "box"}})).await
}

async fn call(scout: &Arc<Scout>, tool: &str) -> Answer {
    Answer { message: soon(begin(scout, tool).await.1).await.unwrap() }
}

#[tokio::test]
async fn a_plugin_that_is_slow_keeps_nobody_waiting_but_who_needs_it() {
    let (mut place, server) = (Place::new(), Server::silent().await);
    let bytes = fresh(Guest::DoesAsSet);
    // Its name comes before that of the other.
    place.configure(&format!("{DISK}{}[plugins.a.settings]\nanswer = \"late\"\n", fetched("a", &server, &bytes)));
    let scout = place.start().await;
    let late = begin(&scout, "do").await.1;
    let disk = call(&scout, "disk").await;
    assert!(!disk.is_error(), "{}", disk.message);
    assert_eq!(tools(&scout).await, ["scout", "disk"]);
    // Neither does it keep a changed configuration from serving, and it is not asked for twice.
    let kept = format!("commands = \"none\"\n{}", place.options.settings);
    place.change(&kept);
    soon(scout.logs(SERVES, 1)).await;
    let refused = soon(scout.command("box", "true")).await;
    assert!(refused.is_error(), "{}", refused.text());
    scout.signal("HUP");
    soon(scout.logs(SERVES, 2)).await;
    assert_eq!((server.requests(), scout.notified(CHANGED)), (1, 0));
    server.answers(200, bytes);
    scout.notifies(CHANGED, 1).await;
    assert_eq!(tools(&scout).await, ["scout", "do", "disk"]);
    assert_eq!(Answer { message: late.await.unwrap() }.text(), "late", "it began before");
    assert_eq!(call(&scout, "do").await.text(), "late");
    assert_eq!(scout.notified(CHANGED), 1);
}

#[tokio::test]
async fn a_handler_that_is_slow_ends_no_other() {
    let (mut place, server) = (Place::new(), Server::silent().await);
    place.configure(&fetched("dir", &server, &fresh(Guest::Good)));
    let scout = place.start().await;
    let hosts = soon(scout.call("hosts")).await;
    assert!(!hosts.is_error(), "{}", hosts.text());
    std::fs::write(place.sshd.dir().join("f"), "text").unwrap();
    let file = soon(scout.call(&format!("box:{}/f", place.sshd.dir().display()))).await;
    assert_eq!(file.structured()["content"], "text", "{}", file.text());
    let (_, waits) = scout.begin("tools/call", json!({"name": "scout", "arguments": {"target": "box:/"}})).await;
    server.answers(404, Vec::new());
    let directory = Answer { message: waits.await.unwrap() };
    assert!(directory.text().contains("plugin `dir`: cannot be fetched"), "{}", directory.text());
}

#[tokio::test]
async fn a_plugin_goes_on_while_its_successor_is_fetched() {
    let (mut place, server, next) = (Place::new(), Server::silent().await, Server::silent().await);
    let (old, new) = (fresh(Guest::DoesAsSet), fresh(Guest::BringsTools));
    server.answers(200, old.clone());
    place.configure(&fetched("mine", &server, &old));
    let scout = place.start().await;
    assert!(!call(&scout, "do").await.is_error());
    assert_eq!(tools(&scout).await, ["scout", "do"]);
    place.change(&fetched("mine", &next, &new));
    soon(scout.logs(SERVES, 1)).await;
    assert!(!call(&scout, "do").await.is_error());
    assert_eq!(tools(&scout).await, ["scout", "do"]);
    next.answers(200, new.clone());
    scout.notifies(CHANGED, 1).await;
    assert_eq!(tools(&scout).await, ["scout", "read_text", "count_lines", "breaks_its_word"]);
    // What cannot be fetched leaves what is there.
    let gone = Server::silent().await;
    place.options.settings = fetched("mine", &next, &new);
    place.change(&fetched("mine", &gone, &fresh(Guest::DoesAsSet)));
    soon(scout.logs(SERVES, 2)).await;
    gone.answers(404, Vec::new());
    scout.logs("a changed plugin cannot be used, the one before goes on", 1).await;
    assert_eq!(tools(&scout).await, ["scout", "read_text", "count_lines", "breaks_its_word"]);
    assert_eq!(scout.notified(CHANGED), 1);
}

#[tokio::test]
async fn a_client_is_told_when_the_list_that_scout_lock_foretold_was_wrong() {
    let (mut place, server) = (Place::new(), Server::silent().await);
    let bytes = fresh(Guest::BringsTools);
    server.answers(200, bytes.clone());
    place.configure(&format!("{}prefix = \"m_\"\n", fetched("m", &server, &bytes)));
    let vetted = place.run(&["plugin", "vet", "m", "--accept"]).await;
    assert!(vetted.contains("locked in"), "{vetted}");
    server.answer.send_replace(None);
    let scout = place.start().await;
    assert_eq!(tools(&scout).await, ["scout", "m_read_text", "m_count_lines", "m_breaks_its_word"]);
    server.answers(404, Vec::new());
    scout.notifies(CHANGED, 1).await;
    assert_eq!(tools(&scout).await, ["scout"]);
    assert_eq!(scout.notified(CHANGED), 1);
}

#[tokio::test]
async fn a_tool_stays_with_the_plugin_that_has_it_when_another_one_comes_in_the_same_look() {
    let mut place = Place::new();
    let table = |name: &str, answer: &str| {
        let source = place.path(&format!("{name}.wasm")).display().to_string();
        format!(
            "[plugins.{name}]\nsource = {source:?}\ngrants = [\"exec\", \"shell\"]\n\
             [plugins.{name}.settings]\ntool = \"disk\"\nanswer = \"{answer}\"\n"
        )
    };
    let (before, after) = (table("mmm", "old"), format!("{}{}", table("aaa", "aaa"), table("mmm", "new")));
    for name in ["aaa", "mmm"] {
        std::fs::write(place.path(&format!("{name}.wasm")), Guest::DoesAsSet.bytes()).unwrap();
    }
    place.configure(&before);
    let scout = place.start().await;
    assert_eq!(call(&scout, "disk").await.text(), "old");
    place.change(&after);
    scout.logs(SERVES, 1).await;
    assert_eq!(call(&scout, "disk").await.text(), "new");
    scout.logs("plugin `aaa`: it has a tool `disk`, and so has plugin `mmm`; set `prefix` in [plugins.aaa]", 1).await;
    assert_eq!(tools(&scout).await, ["scout", "disk"]);
}

#[tokio::test]
async fn requests_that_wait_are_bounded_and_a_cancelled_one_makes_room() {
    /// As the server has it.
    const REQUESTS: usize = 1024;
    const MORE: usize = 7;
    let (mut place, server) = (Place::new(), Server::silent().await);
    place.configure(&format!("command_timeout = \"1h\"\n{}", fetched("mine", &server, &fresh(Guest::DoesAsSet))));
    let scout = place.start().await;
    let mut answers = FuturesUnordered::new();
    let mut ids = HashSet::new();
    for _ in 0..REQUESTS + MORE {
        let (id, answer) = begin(&scout, "do").await;
        ids.insert(id);
        answers.push(async move { (id, answer.await) });
    }
    // They run beside each other: any of them can be one too many.
    for _ in 0..MORE {
        let (id, refused) = soon(answers.next()).await.unwrap();
        let refused = Answer { message: refused.unwrap() };
        assert!(refused.is_error() && refused.text().contains("busy: 1024 of your requests"), "{}", refused.message);
        ids.remove(&id);
    }
    let refused = soon(scout.call("hosts")).await;
    assert!(refused.text().contains("busy"), "{}", refused.text());
    assert!(answers.next().now_or_never().is_none(), "what is under way was answered");
    for id in ids {
        let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        scout.send_line(&cancelled.to_string()).await;
    }
    // Each cancelled call ends by itself: the first one that has ended makes room.
    while soon(scout.call("hosts")).await.text().contains("busy") {}
    assert!(!soon(scout.call("hosts")).await.is_error());
}
