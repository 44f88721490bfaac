//! A client of `scout serve` over stdio: JSON-RPC by hand, so that a test sees every byte.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, Notify, oneshot};
use tokio::task::JoinHandle;

/// The longest that a test waits for any answer. A bound against hanging, far above what is measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// How `scout serve` is started.
#[derive(Clone, Debug)]
pub struct ScoutOptions {
    /// The binary.
    pub binary: PathBuf,
    /// A program with arguments that runs it, as those of a mount namespace do. Empty: none.
    pub launcher: Vec<OsString>,
    /// The text of ssh_config.
    pub ssh_config: String,
    /// The text of known_hosts.
    pub known_hosts: String,
    /// Further lines of scout.toml, before any table.
    pub settings: String,
    /// Environment variables besides those of a bare login.
    pub env: Vec<(String, String)>,
}

impl ScoutOptions {
    /// Scout with these hosts and no further settings.
    pub fn new(binary: impl Into<PathBuf>, ssh_config: impl Into<String>, known_hosts: impl Into<String>) -> Self {
        Self {
            binary: binary.into(),
            launcher: Vec::new(),
            ssh_config: ssh_config.into(),
            known_hosts: known_hosts.into(),
            settings: String::new(),
            env: Vec::new(),
        }
    }

    /// Adds a line to scout.toml.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Has this command run the binary.
    #[must_use]
    pub fn launched_by(mut self, command: &std::process::Command) -> Self {
        self.launcher = [command.get_program()].into_iter().chain(command.get_args()).map(OsStr::to_owned).collect();
        self
    }

    /// Writes the configuration into `dir` and gives the command that runs `scout` with it; subcommand and arguments
    /// are still to be added.
    ///
    /// # Panics
    /// When the directory cannot be written.
    pub fn command(&self, dir: &Path) -> Command {
        let file = |name: &str, text: &str| {
            let path = dir.join(name);
            std::fs::write(&path, text).expect("a file in the temporary directory");
            path.display().to_string()
        };
        let ssh_config = file("ssh_config", &self.ssh_config);
        let known_hosts = file("known_hosts", &self.known_hosts);
        let toml = file(
            "scout.toml",
            &format!(
                "ssh_config = {ssh_config:?}\nknown_hosts = {known_hosts:?}\naudit_log = {:?}\n{}",
                dir.join("audit.jsonl").display().to_string(),
                self.settings
            ),
        );
        let mut command = self.bare_command(dir);
        command.args(["--config", &toml]);
        command
    }

    /// The program in its environment, without arguments.
    pub fn bare_command(&self, dir: &Path) -> Command {
        let mut words = self.launcher.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear();
        for name in ["PATH", "HOME", "USER", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        // Compiled plugins are kept for all tests of one run, as a user's second start finds them.
        command.env("XDG_CACHE_HOME", self.binary.with_file_name("scout-test-cache"));
        command.env("XDG_STATE_HOME", dir.join("state"));
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }
}

type Pending = Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>;

/// A running `scout serve`; killed with this value.
#[derive(Debug)]
pub struct Scout {
    child: AsyncMutex<Child>,
    stdin: AsyncMutex<Option<ChildStdin>>,
    pending: Pending,
    unasked: Arc<Mutex<Vec<Value>>>,
    /// By a request's id, how many messages that nobody waits for came before its answer.
    before: Arc<Mutex<HashMap<u64, usize>>>,
    stderr: Arc<Mutex<String>>,
    /// Ends with the last line of standard error.
    logging: AsyncMutex<JoinHandle<()>>,
    /// Told of each line on both streams.
    heard: Arc<Notify>,
    next_id: AtomicU64,
    pid: u32,
    reader: JoinHandle<()>,
    dir: tempfile::TempDir,
}

/// What the `scout` tool answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole JSON-RPC message.
    pub message: Value,
}

impl Answer {
    /// Whether the tool failed or the request was refused.
    pub fn is_error(&self) -> bool {
        self.message.get("error").is_some() || self.message.pointer("/result/isError") == Some(&Value::Bool(true))
    }

    /// All text of it, parts joined by newlines; of a protocol error, its message.
    pub fn text(&self) -> String {
        if let Some(message) = self.message.pointer("/error/message").and_then(Value::as_str) {
            return message.to_owned();
        }
        let parts = self.message.pointer("/result/content").and_then(Value::as_array).into_iter().flatten();
        parts.filter_map(|part| part.get("text").and_then(Value::as_str)).collect::<Vec<_>>().join("\n")
    }

    /// The structured answer; null if there is none.
    pub fn structured(&self) -> Value {
        self.message.pointer("/result/structuredContent").cloned().unwrap_or(Value::Null)
    }

    /// What the call cost.
    pub fn receipt(&self) -> Value {
        let meta = self.message.pointer("/result/_meta").and_then(Value::as_object);
        meta.and_then(|meta| meta.iter().find(|(key, _)| key.ends_with("receipt")))
            .map_or(Value::Null, |(_, value)| value.clone())
    }
}

impl Scout {
    /// Starts `scout serve` without a handshake.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn spawn(options: &ScoutOptions) -> Arc<Self> {
        Self::spawn_with(|dir| options.command(dir))
    }

    /// The same with a configuration that is there already.
    ///
    /// # Panics
    /// When the binary cannot be started.
    pub fn spawn_at(options: &ScoutOptions, config: &Path) -> Arc<Self> {
        Self::spawn_with(|dir| {
            let mut command = options.bare_command(dir);
            command.arg("--config").arg(config);
            command
        })
    }

    fn spawn_with(command: impl FnOnce(&Path) -> Command) -> Arc<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut child = command(dir.path())
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("scout starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut errors = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let pending = Pending::default();
        let unasked = Arc::new(Mutex::new(Vec::new()));
        let stderr = Arc::new(Mutex::new(String::new()));
        let heard = Arc::new(Notify::new());
        let (kept, told) = (Arc::clone(&stderr), Arc::clone(&heard));
        let logging = tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
                told.notify_waiters();
            }
        });
        let (answers, others, told) = (Arc::clone(&pending), Arc::clone(&unasked), Arc::clone(&heard));
        let before = Arc::new(Mutex::new(HashMap::new()));
        let counted = Arc::clone(&before);
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(message) = serde_json::from_str::<Value>(&line) else {
                    panic!("not JSON on scout's stdout: {line}");
                };
                let waiting = message
                    .get("id")
                    .and_then(Value::as_u64)
                    .and_then(|id| Some((id, answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id)?)));
                match waiting {
                    Some((id, waiting)) => {
                        let count = others.lock().unwrap_or_else(PoisonError::into_inner).len();
                        counted.lock().unwrap_or_else(PoisonError::into_inner).insert(id, count);
                        drop(waiting.send(message));
                    }
                    None => {
                        others.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                        told.notify_waiters();
                    }
                }
            }
            // The end of stdout ends every wait: a test then fails at once instead of after its patience.
            answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Arc::new(Self {
            pid: child.id().unwrap_or(0),
            stdin: AsyncMutex::new(child.stdin.take()),
            child: AsyncMutex::new(child),
            pending,
            unasked,
            before,
            stderr,
            logging: AsyncMutex::new(logging),
            heard,
            next_id: AtomicU64::new(1),
            reader,
            dir,
        })
    }

    /// Starts `scout serve` and shakes hands as a client of 2025-06-18.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn start(options: &ScoutOptions) -> Arc<Self> {
        let scout = Self::spawn(options);
        scout.initialize().await;
        scout
    }

    /// The same with a configuration that is there already.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn start_at(options: &ScoutOptions, config: &Path) -> Arc<Self> {
        let scout = Self::spawn_at(options, config);
        scout.initialize().await;
        scout
    }

    /// Shakes hands as a client of 2025-06-18.
    ///
    /// # Panics
    /// When the handshake fails.
    pub async fn initialize(&self) {
        let hello = self
            .request(
                "initialize",
                json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "scout-tests", "version": "0"}}),
            )
            .await;
        assert!(hello.get("result").is_some(), "the handshake failed: {hello}\n{}", self.stderr());
        self.send_line(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
    }

    /// Sends a line as it is.
    ///
    /// # Panics
    /// When stdin is closed.
    pub async fn send_line(&self, line: &str) {
        let mut stdin = self.stdin.lock().await;
        let stdin = stdin.as_mut().expect("stdin is open");
        let mut bytes = Vec::with_capacity(line.len() + 1);
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        stdin.write_all(&bytes).await.unwrap_or_else(|error| panic!("scout's stdin: {error}\n{}", self.stderr()));
        stdin.flush().await.expect("scout's stdin");
    }

    /// Sends a request and gives its id and the answer to wait for.
    pub async fn begin(&self, method: &str, params: Value) -> (u64, oneshot::Receiver<Value>) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        self.send_line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()).await;
        (id, receiver)
    }

    /// Sends a request and waits for the whole answer.
    ///
    /// # Panics
    /// When no answer comes.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        let (_, receiver) = self.begin(method, params).await;
        match tokio::time::timeout(PATIENCE, receiver).await {
            Ok(Ok(message)) => message,
            Ok(Err(_)) => panic!("scout ended without answering {method}\n{}", self.stderr()),
            Err(_) => panic!("scout did not answer {method} in {PATIENCE:?}\n{}", self.stderr()),
        }
    }

    /// Calls the `scout` tool with these arguments.
    pub async fn call_with(&self, arguments: Value) -> Answer {
        Answer { message: self.request("tools/call", json!({"name": "scout", "arguments": arguments})).await }
    }

    /// Calls the `scout` tool for a target.
    pub async fn call(&self, target: &str) -> Answer {
        self.call_with(json!({"target": target})).await
    }

    /// Calls the `scout` tool with a command.
    pub async fn command(&self, target: &str, query: &str) -> Answer {
        self.call_with(json!({"target": target, "query": query})).await
    }

    /// Messages that no request waits for: notifications, answers with an id that is null.
    pub fn unasked(&self) -> Vec<Value> {
        self.unasked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of them came before the answer to this request, which has come.
    pub fn unasked_before(&self, id: u64) -> Option<usize> {
        self.before.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// What it logged so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has logged `text` as often as this.
    ///
    /// # Panics
    /// When it does not.
    pub async fn logs(&self, text: &str, times: usize) {
        self.until(&format!("log {text:?} {times} times"), || self.stderr().matches(text).count() >= times).await;
    }

    /// Waits until so many notifications of this method have come.
    ///
    /// # Panics
    /// When they do not.
    pub async fn notifies(&self, method: &str, times: usize) {
        self.until(&format!("send {method} {times} times"), || self.notified(method) >= times).await;
    }

    /// Waits until so many messages that no request waits for have come.
    ///
    /// # Panics
    /// When they do not.
    pub async fn answers_unasked(&self, times: usize) {
        self.until(&format!("answer {times} times"), || self.unasked().len() >= times).await;
    }

    /// How many notifications of this method have come.
    pub fn notified(&self, method: &str) -> usize {
        self.unasked().iter().filter(|message| message.get("method").is_some_and(|name| name == method)).count()
    }

    /// Waits until something holds that a line of one of its streams can change.
    async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let heard = self.heard.notified();
                tokio::pin!(heard);
                // From here on, so that no line is missed between the look and the wait.
                heard.as_mut().enable();
                if holds() {
                    return;
                }
                heard.await;
            }
        });
        assert!(waited.await.is_ok(), "scout did not {what} in {PATIENCE:?}\n{}", self.stderr());
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where its configuration and its audit log (`audit.jsonl`) are.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Reads nothing more of what it writes: its stdout is closed.
    pub fn hang_up(&self) {
        self.reader.abort();
    }

    /// Closes its stdin and waits until it ends.
    pub async fn close(&self) -> ExitStatus {
        drop(self.stdin.lock().await.take());
        self.wait().await
    }

    /// Waits until it has ended and all that it logged is here.
    ///
    /// # Panics
    /// When it does not.
    pub async fn wait(&self) -> ExitStatus {
        let (mut child, mut logging) = (self.child.lock().await, self.logging.lock().await);
        let ended = async {
            let status = child.wait().await;
            if !logging.is_finished() {
                drop((&mut *logging).await);
            }
            status
        };
        match tokio::time::timeout(PATIENCE, ended).await {
            Ok(status) => status.expect("scout can be waited for"),
            Err(_) => panic!("scout did not end in {PATIENCE:?}\n{}", self.stderr()),
        }
    }

    /// Sends it a signal by its name.
    ///
    /// # Panics
    /// When `kill` is missing.
    pub fn signal(&self, name: &str) {
        let status = std::process::Command::new("kill").args([&format!("-{name}"), &self.pid.to_string()]).status();
        assert!(status.expect("`kill` runs").success(), "no process {}", self.pid);
    }
}

impl Drop for Scout {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
