#![expect(clippy::print_stdout, reason = "the demo talks to a person")]
//! The demo's conversation: starts Scout over the demo host, asks it a few things and shows the answers.

use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, io};

use parking_lot::Mutex;
use rmcp::ServiceExt;
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use rmcp::service::{Peer, RoleClient};
use rmcp::transport::TokioChildProcess;
use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::{DemoError, DemoHost};

/// Lines of an answer that are shown.
const SHOWN_LINES: usize = 12;
/// Characters of a line that are shown.
const SHOWN_COLUMNS: usize = 110;
/// A question that is not answered by then never will be: Scout's own deadline is 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// The first start compiles the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long the child may take to end after a signal.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of the child's log is kept for a failure.
const MAX_LOG: usize = 16 << 10;
/// Variables that would point the child at something else than the demo host.
const OWN_VARIABLES: &str = "SCOUT_";

/// One thing that the demo asks.
struct Question {
    title: &'static str,
    target: &'static str,
    query: Option<&'static str>,
    /// Whether the answer must be an error.
    refused: bool,
}

const QUESTIONS: [Question; 5] = [
    Question { title: "which hosts are there?", target: "hosts", query: None, refused: false },
    Question { title: "a file", target: "demo:~/etc/app.conf", query: None, refused: false },
    Question { title: "the home directory", target: "demo:~", query: None, refused: false },
    Question {
        title: "a command, run in a directory",
        target: "demo:~/log",
        query: Some("grep -c ERROR app.log"),
        refused: false,
    },
    // Should it ever be run, it harms nothing but the demo: commands have the rights of the person who started it.
    Question { title: "a command that changes something", target: "demo", query: Some("rm -rf notes"), refused: true },
];

/// Shows Scout at work on a host of its own.
///
/// # Errors
/// The host or the server cannot be started, a question that should succeed fails, or the command that should be refused
/// is run. The message holds the end of the server's log.
pub async fn run() -> Result<(), DemoError> {
    let mut signals = Signals::new()?;
    tokio::select! {
        biased;
        () = signals.next() => Err(DemoError::Interrupted),
        result = show() => result,
    }
}

async fn show() -> Result<(), DemoError> {
    let host = DemoHost::start().await?;
    println!("scout demo: an SSH host of its own on {}, showing {}", host.address(), host.dir().display());

    let (transport, stderr) = TokioChildProcess::builder(server(&host)?)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(DemoError::system("start `scout serve`"))?;
    let log = Log::default();
    // Ends with the child.
    let reader = stderr.map(|stderr| tokio::spawn(log.clone().read(stderr)));

    let result = converse(transport).await;
    if let Some(reader) = reader {
        // The child has ended, or is being killed: what it still says comes at once.
        tokio::time::timeout(END_TIMEOUT, reader).await.ok();
    }
    match result {
        Ok(0) => {}
        Ok(failed) => return Err(DemoError::Answers { failed, asked: QUESTIONS.len(), stderr: log.text() }),
        Err((what, message)) => return Err(DemoError::Conversation { what, message, stderr: log.text() }),
    }
    print_configuration()
}

/// Asks everything; how many answers were unexpected. The child has been told to end when this returns.
async fn converse(transport: TokioChildProcess) -> Result<usize, (&'static str, String)> {
    let began = Instant::now();
    let mut client = within(START_TIMEOUT, "start the conversation", ().serve(transport)).await?;
    let result = ask_all(client.peer(), began).await;
    // An error would say that the child's task panicked; the answers are what counts.
    client.close().await.ok();
    result
}

async fn ask_all(peer: &Peer<RoleClient>, began: Instant) -> Result<usize, (&'static str, String)> {
    let tools = within(START_TIMEOUT, "list the tools", peer.list_all_tools()).await?;
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    println!("scout serve: ready after {} ms, tools: {}", began.elapsed().as_millis(), names.join(", "));

    let mut failed = 0;
    for question in &QUESTIONS {
        println!("\n── {}\n   scout {}", question.title, question.arguments_text());
        let params = CallToolRequestParams::new("scout").with_arguments(question.arguments());
        let began = Instant::now();
        let answer = within(ANSWER_TIMEOUT, "ask a question", peer.call_tool(params)).await;
        let took = began.elapsed();
        // A refusal may also come as a protocol error: the demo shows it like the others.
        let (text, refused, trips) = match answer {
            Ok(answer) => (text(&answer), answer.is_error == Some(true), round_trips(&answer)),
            Err((_, message)) => (message, true, None),
        };
        print!("{}", indented(&text));
        let trips = match trips {
            Some(1) => "1 round trip".to_owned(),
            Some(trips) => format!("{trips} round trips"),
            None => "round trips not reported".to_owned(),
        };
        println!("   ({} ms, {trips}{})", took.as_millis(), if refused { ", refused" } else { "" });
        if refused != question.refused {
            failed += 1;
            println!("   !! expected {}", if question.refused { "a refusal" } else { "an answer" });
        }
    }
    Ok(failed)
}

async fn within<T, E: std::fmt::Display>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, (&'static str, String)> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.map_err(|error| (what, error.to_string())),
        Err(_) => Err((what, format!("no answer within {} s", limit.as_secs()))),
    }
}

impl Question {
    fn arguments(&self) -> JsonObject {
        let mut arguments = JsonObject::new();
        arguments.insert("target".to_owned(), self.target.into());
        if let Some(query) = self.query {
            arguments.insert("query".to_owned(), query.into());
        }
        arguments
    }

    /// By hand: a map would sort the query before the target.
    fn arguments_text(&self) -> String {
        let target = format!("target: {}", serde_json::Value::from(self.target));
        match self.query {
            Some(query) => format!("{{ {target}, query: {} }}", serde_json::Value::from(query)),
            None => format!("{{ {target} }}"),
        }
    }
}

fn text(answer: &CallToolResult) -> String {
    let parts: Vec<&str> = answer.content.iter().filter_map(|part| part.as_text()).map(|t| t.text.as_str()).collect();
    parts.join("\n")
}

/// What the receipt counted.
fn round_trips(answer: &CallToolResult) -> Option<u64> {
    let meta = answer.meta.as_ref()?;
    let (_, receipt) = meta.0.iter().find(|(key, _)| key.ends_with("receipt"))?;
    receipt.get("round_trips")?.as_u64()
}

/// The first lines, cut and set in, each with a line feed.
fn indented(text: &str) -> String {
    let mut shown = String::new();
    for line in text.lines().take(SHOWN_LINES) {
        // A remote host's control characters do not belong in a person's terminal.
        let line: String = line.chars().filter(|c| !c.is_control()).take(SHOWN_COLUMNS).collect();
        shown.push_str("   │ ");
        shown.push_str(&line);
        shown.push('\n');
    }
    let rest = text.lines().count().saturating_sub(SHOWN_LINES);
    if rest > 0 {
        shown.push_str(&format!("   │ … {rest} more lines\n"));
    }
    shown
}

fn print_configuration() -> Result<(), DemoError> {
    let program = env::current_exe().map_err(DemoError::system("find its own program"))?;
    let program = serde_json::Value::from(program.display().to_string());
    // By hand: a map would sort the arguments before the command.
    let entry = |args: &str| {
        format!("{{\n  \"mcpServers\": {{\n    \"scout\": {{ \"command\": {program}, \"args\": {args} }}\n  }}\n}}")
    };
    println!("\nTo ask such a demo host from your own MCP client, paste into its configuration:\n");
    println!("{}", entry(r#"["demo", "--serve"]"#));
    println!("\nand for the hosts of your ~/.ssh/config:\n");
    println!("{}", entry(r#"["serve"]"#));
    Ok(())
}

/// An MCP server on this process's standard input and output, over a demo host that lives as long as it does.
///
/// # Errors
/// The host or the server cannot be started. Otherwise the server's own exit code; 128 and its number for a signal.
pub async fn serve() -> Result<ExitCode, DemoError> {
    let mut signals = Signals::new()?;
    let host = DemoHost::start().await?;
    let mut child = server(&host)?.spawn().map_err(DemoError::system("start `scout serve`"))?;
    let status = tokio::select! {
        status = child.wait() => status,
        () = signals.next() => end(&mut child).await,
    };
    status.map(exit_code).map_err(DemoError::system("wait for `scout serve`"))
}

/// `scout serve` over the demo host. Its streams are this process's own.
fn server(host: &DemoHost) -> Result<Command, DemoError> {
    let program = env::current_exe().map_err(DemoError::system("find its own program"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(host.config_path()).arg("serve").kill_on_drop(true);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with(OWN_VARIABLES) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// Asks the child to end, and ends it if it does not.
async fn end(child: &mut Child) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Not reaped yet, so the number is its own; an error means that it is ending already.
        rustix::process::kill_process(pid, Signal::TERM).ok();
    }
    if let Ok(status) = tokio::time::timeout(END_TIMEOUT, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// The signals that ask this process to end.
struct Signals {
    terminate: Listener,
    interrupt: Listener,
    hangup: Listener,
}

impl Signals {
    fn new() -> Result<Self, DemoError> {
        let listen = |kind| signal(kind).map_err(DemoError::system("listen for signals"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// # Cancel safety
    /// Nothing is lost.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// The end of what the child logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    async fn read(self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = Vec::with_capacity(MAX_LOG / 4);
        while let Ok(1..) = stream.read_buf(&mut chunk).await {
            let mut kept = self.0.lock();
            kept.append(&mut chunk);
            let excess = kept.len().saturating_sub(MAX_LOG);
            kept.drain(..excess);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_is_cut() {
        let shown = indented(&"line\n".repeat(20));
        assert_eq!(shown.lines().count(), SHOWN_LINES + 1);
        assert!(shown.ends_with("… 8 more lines\n"), "{shown}");
    }

    #[test]
    fn control_characters_are_not_shown() {
        assert_eq!(indented("a\x1b[31mb"), "   │ a[31mb\n");
    }

    #[test]
    fn round_trips_are_taken_from_the_receipt() {
        let answer: CallToolResult = serde_json::from_value(serde_json::json!({
            "content": [], "_meta": { "scout.example/receipt": { "round_trips": 3 } }
        }))
        .expect("a result");
        assert_eq!(round_trips(&answer), Some(3));
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_log_is_kept() {
        let log = Log::default();
        let mut said = vec![b'a'; MAX_LOG];
        said.extend_from_slice(b"the end");
        log.clone().read(said.as_slice()).await;
        assert_eq!(log.text().len(), MAX_LOG);
        assert!(log.text().ends_with("the end"));
    }
}
