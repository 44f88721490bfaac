//! `scout serve --http` as a process, and a client that speaks to it as it is told to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::ScoutOptions;

/// How long anything may take until a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `scout serve --http`; killed with this value.
#[derive(Debug)]
pub struct HttpScout {
    child: Child,
    stderr: watch::Receiver<String>,
    place: Place,
    options: ScoutOptions,
    dir: TempDir,
}

/// Where it listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A socket.
    Unix(PathBuf),
}

/// An answer over HTTP.
#[derive(Debug)]
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: String,
}

impl HttpAnswer {
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The messages of a body that is JSON, or events.
    ///
    /// # Panics
    /// When it is neither.
    pub fn messages(&self) -> Vec<Value> {
        if self.body.trim_start().starts_with('{') {
            return vec![self.json()];
        }
        let data = self.body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str(data).expect("an event holds a message")).collect()
    }

    /// What is told in words: of an error, or of a result the text.
    ///
    /// # Panics
    /// When there is no message.
    pub fn words(&self) -> String {
        let message = self.messages().pop().expect("a message");
        let at = |pointer: &str| message.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        at("/error/message").or_else(|| at("/result/content/0/text")).unwrap_or_else(|| panic!("{message}"))
    }
}

impl HttpScout {
    /// Starts it at a free port of this machine. `dir` holds its configuration, its keys among it: [`key`] makes them.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start(options: &ScoutOptions, dir: TempDir) -> Self {
        Self::start_at(options, dir, "127.0.0.1:0", |_| {}).await
    }

    /// Starts it at an address, with what is added to the command.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start_at(
        options: &ScoutOptions,
        dir: TempDir,
        address: &str,
        more: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = options.command(dir.path());
        command.args(["serve", "--http", address]).stdin(Stdio::null());
        more(&mut command);
        Self::run(command, options.clone(), dir).await
    }

    /// Starts it with this as its standard input, from which a launcher takes what the process is to have.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start_with_stdin(options: &ScoutOptions, dir: TempDir, address: &str, stdin: Stdio) -> Self {
        let mut command = options.command(dir.path());
        command.args(["serve", "--http", address]).stdin(stdin);
        Self::run(command, options.clone(), dir).await
    }

    /// Its directory, for another process to go on with.
    pub fn into_dir(self) -> TempDir {
        self.dir
    }

    async fn run(mut command: Command, options: ScoutOptions, dir: TempDir) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let (told, stderr) = watch::channel(String::new());
        tokio::spawn(async move {
            let mut lines = lines;
            while let Ok(Some(line)) = lines.next_line().await {
                told.send_modify(|all| {
                    all.push_str(&line);
                    all.push('\n');
                });
            }
        });
        let mut heard = stderr.clone();
        let told = tokio::time::timeout(PATIENCE, heard.wait_for(|all| place(all).is_some())).await;
        let place = told.ok().and_then(Result::ok).and_then(|all| place(&all));
        let place = place.unwrap_or_else(|| panic!("it does not serve: {}", *stderr.borrow()));
        Self { child, stderr, place, options, dir }
    }

    /// Where it listens.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Its address.
    ///
    /// # Panics
    /// When it listens at a socket.
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(address) => *address,
            Place::Unix(path) => panic!("it listens at {}", path.display()),
        }
    }

    /// The directory of its configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has logged.
    pub fn stderr(&self) -> String {
        self.stderr.borrow().clone()
    }

    /// Waits until it has logged this.
    ///
    /// # Panics
    /// When it does not.
    pub async fn logs(&self, text: &str) {
        let mut stderr = self.stderr.clone();
        let logged = tokio::time::timeout(PATIENCE, stderr.wait_for(|all| all.contains(text))).await;
        assert!(matches!(logged, Ok(Ok(_))), "{text:?} is not in {}", self.stderr());
    }

    /// A command line of the same configuration: what it prints.
    ///
    /// # Panics
    /// When it fails.
    pub async fn scout(&self, arguments: &[&str]) -> String {
        scout(&self.options, self.dir(), arguments).await
    }

    /// Its process.
    ///
    /// # Panics
    /// When it has ended.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Panics
    /// When it has ended.
    pub fn signal(&self, name: &str) {
        let sent = std::process::Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} was sent");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that does not come.
    pub async fn wait(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.unwrap_or_else(|_| panic!("it goes on: {}", self.stderr())).expect("it can be waited for")
    }

    /// A connection to it.
    ///
    /// # Panics
    /// When it takes none.
    pub async fn connect(&self) -> HttpConnection {
        HttpConnection::to(&self.place).await.expect("it takes connections")
    }

    /// One message on a connection of its own, and its answer whole.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post(&self, headers: &[(&str, &str)], message: &Value) -> HttpAnswer {
        self.connect().await.post(headers, message).await
    }
}

fn place(stderr: &str) -> Option<Place> {
    let line = stderr.lines().find_map(|line| line.strip_prefix("scout serves MCP at "))?;
    let place = line.strip_suffix("/mcp")?.trim();
    match place.strip_prefix("unix:") {
        Some(path) => Some(Place::Unix(path.into())),
        None => place.split_once("://")?.1.parse().ok().map(Place::Tcp),
    }
}

/// What `scout` prints with these arguments.
///
/// # Panics
/// When it fails.
pub async fn scout(options: &ScoutOptions, dir: &Path, arguments: &[&str]) -> String {
    let output = options.command(dir).args(arguments).output().await.expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// A new key of a principal, as a client sends it.
///
/// # Panics
/// When none can be made.
pub async fn key(options: &ScoutOptions, dir: &Path, principal: &str) -> String {
    format!("Bearer {}", scout(options, dir, &["key", "add", "--principal", principal]).await.trim())
}

/// One connection.
#[derive(Debug)]
pub struct HttpConnection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for HttpConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl HttpConnection {
    /// Connects.
    ///
    /// # Errors
    /// What the system says.
    pub async fn to(place: &Place) -> std::io::Result<Self> {
        match place {
            Place::Tcp(address) => Ok(Self::over(TcpStream::connect(address).await?).await),
            Place::Unix(path) => Ok(Self::over(UnixStream::connect(path).await?).await),
        }
    }

    /// Speaks over a stream.
    ///
    /// # Panics
    /// When it cannot be spoken over.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake costs nothing");
        Self { sender, driver: tokio::spawn(async move { drop(connection.await) }) }
    }

    /// Sends a request, and gives its answer once its head is there. Headers are added to those that a client of MCP has; one without a
    /// value is left out.
    ///
    /// # Errors
    /// A connection that ends without an answer.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path);
        let usual = [
            (HOST.as_str(), "localhost"),
            (ACCEPT.as_str(), "application/json, text/event-stream"),
            (CONTENT_TYPE.as_str(), "application/json"),
        ];
        let is_given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
        let all = usual.iter().filter(|(name, _)| !is_given(name)).chain(headers);
        for (name, value) in all.filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        self.sender.ready().await?;
        self.sender.send_request(request).await
    }

    /// Sends a request, and gives its answer whole.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
        let asking = async {
            let answer = self.send(method, path, headers, body.to_owned()).await.expect("an answer");
            whole(answer).await
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("an answer in time")
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a message, and gives the answer whole.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post(&mut self, headers: &[(&str, &str)], message: &Value) -> HttpAnswer {
        self.ask(Method::POST, "/mcp", headers, &message.to_string()).await
    }
}

/// An answer whole.
///
/// # Panics
/// When its body ends early.
pub async fn whole(answer: Response<Incoming>) -> HttpAnswer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    let body = String::from_utf8(body.to_vec()).expect("a body of text");
    HttpAnswer { status: head.status, headers: head.headers, body }
}

/// The header of a key.
pub fn with_key(key: &str) -> [(&'static str, &str); 1] {
    [(AUTHORIZATION.as_str(), key)]
}

/// A call of the tool `scout` of a client of before 2026-07-28.
pub fn call(id: u64, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": "scout", "arguments": arguments}})
}

/// The handshake of before 2026-07-28.
pub fn initialize() -> Value {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
}
