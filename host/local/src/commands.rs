//! Commands of this machine: `/bin/sh` in a process group of its own, told to end by its input as over SSH.
//!
//! The shell is handed the same text as a login shell of another machine, so limits, language and the watcher that ends the
//! command when nobody is there any more are the same. A task that no caller can drop runs it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use scout_machine::command::shell::{Prepared, RemoteProcess, Stream, Way};
use scout_machine::{Call, Ending, ErrorKind, ExecOutcome, ExecRequest, FairPermit, HostError, RemoteState};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Account;

/// What a command's last output may take after its end: a background child may hold the streams open for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// Ending a command and asking whether it has ended.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// Read at once.
const CHUNK: usize = 64 * 1024;

/// How a conversation came to its end.
enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
    OutputLimit,
}

/// Runs a command in its place.
pub(crate) async fn run(
    account: &Arc<Account>,
    place: FairPermit,
    request: &ExecRequest,
    call: &Call,
) -> Result<ExecOutcome, HostError> {
    let prepared = Prepared::new(&request.script, &request.limits, Way::Argument)?;
    let (answer, outcome) = oneshot::channel();
    let (account, request, call) = (Arc::clone(account), request.clone(), call.clone());
    call.cost.add_exec();
    tokio::spawn(async move {
        let mut answer = answer;
        let stop = async {
            tokio::select! {
                () = call.cancel.cancelled() => {}
                () = answer.closed() => {}
            }
        };
        let result = converse(&account, &prepared, &request, &call, stop).await;
        drop(place);
        let _ = answer.send(result);
    });
    let lost = || HostError::new(ErrorKind::Remote, "the command was given up; it may have run");
    outcome.await.unwrap_or_else(|_| Err(lost()))
}

async fn converse(
    account: &Account,
    prepared: &Prepared,
    request: &ExecRequest,
    call: &Call,
    stop: impl Future<Output = ()>,
) -> Result<ExecOutcome, HostError> {
    let started = Instant::now();
    let mut child = shell(account, &prepared.exec).process_group(0).spawn().map_err(|error| cannot_start(&error))?;
    // It leads its group, and the shell stays the process that was started.
    let process = child.id().and_then(|pid| RemoteProcess::parse(&format!("0 {pid} {pid}"), &prepared.marker));
    let (input, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(mut input), Some(out), Some(err)) = (input, out, err) else {
        return Err(HostError::new(ErrorKind::Remote, "the shell has no streams"));
    };
    let mut stdout = Stream::stdout(&prepared.marker, request.stdout_cap);
    let mut stderr = Stream::stderr(&prepared.marker, request.stderr_cap);
    let data = prepared.data.clone().unwrap_or_default();
    let until = call.deadline.min(started + request.timeout);
    let end = {
        let (mut out, mut err) = (Reader::new(out), Reader::new(err));
        let sending = async {
            // A shell that ends before it has read says why on its own.
            let _ = input.write_all(&data).await;
        };
        let (mut sending, mut stop) = (std::pin::pin!(sending), std::pin::pin!(stop));
        let (mut is_sent, mut status, mut limit) = (false, None, until);
        loop {
            if stdout.is_over() || stderr.is_over() {
                break End::OutputLimit;
            }
            if let Some(status) = status.filter(|_| out.is_over && err.is_over) {
                break End::Exited(status);
            }
            tokio::select! {
                biased;
                () = &mut stop => break End::Cancelled,
                bytes = out.next(), if !out.is_over => stdout.push(bytes),
                bytes = err.next(), if !err.is_over => stderr.push(bytes),
                () = &mut sending, if !is_sent => is_sent = true,
                ended = child.wait(), if status.is_none() => match ended {
                    Ok(ended) => {
                        status = Some(ended);
                        limit = until.min(Instant::now() + LAST_OUTPUT);
                    }
                    Err(error) => return Err(cannot_start(&error)),
                },
                () = sleep_until(limit) => break status.map_or(End::TimedOut, End::Exited),
            }
        }
    };
    // What watches over the command ends what is left of it.
    drop(input);
    let begun = stdout.head().is_some() || stderr.head().is_some();
    let ending = match end {
        End::Exited(_) if !begun => {
            let said = [stdout.noise(), stderr.noise()].join(" ");
            let message = format!("/bin/sh did not run the command; it said: {}", said.trim());
            return Err(HostError::new(ErrorKind::Unsupported, message));
        }
        End::Exited(status) => ended(status),
        End::TimedOut => Ending::TimedOut(kill(account, process, child).await),
        End::Cancelled => Ending::Cancelled(kill(account, process, child).await),
        End::OutputLimit => Ending::OutputLimit(kill(account, process, child).await),
    };
    let (stdout, stderr) = (stdout.into_capture(), stderr.into_capture());
    call.cost.add_remote_bytes((stdout.data.len() + stderr.data.len()) as u64);
    Ok(ExecOutcome { ending, stdout, stderr, duration: started.elapsed() })
}

/// `/bin/sh` with this text, as the account, with nothing of Scout's own environment but what is safe.
fn shell(account: &Account, text: &[u8]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(OsStr::from_bytes(text)).env_clear().envs(account.environment());
    command.current_dir(account.home()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Ends what is left of a command, and tells what is true of it.
async fn kill(account: &Account, process: Option<RemoteProcess>, mut child: Child) -> RemoteState {
    let killing = async {
        let Some(process) = process else { return RemoteState::Unknown };
        let output = shell(account, &process.kill_script()).kill_on_drop(true).output().await;
        match output.map(|output| output.stdout.trim_ascii() == b"stopped") {
            Ok(true) => RemoteState::Stopped,
            Ok(false) => RemoteState::Running,
            Err(_) => RemoteState::Unknown,
        }
    };
    let state = timeout(KILL_LIMIT, killing).await.unwrap_or(RemoteState::Unknown);
    // Collects the shell; of one that cannot be killed the kernel says so.
    let _ = child.start_kill();
    let _ = timeout(LAST_OUTPUT, child.wait()).await;
    state
}

fn ended(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(u32::from_ne_bytes(code.to_ne_bytes())),
        (None, Some(signal)) => Ending::Signaled(signal_name(signal)),
        (None, None) => Ending::NoStatus,
    }
}

/// As SSH names signals (RFC 4254 section 6.10), and others by their number.
fn signal_name(signal: i32) -> String {
    use rustix::process::Signal;
    let named = [
        (Signal::ABORT, "ABRT"),
        (Signal::ALARM, "ALRM"),
        (Signal::FPE, "FPE"),
        (Signal::HUP, "HUP"),
        (Signal::ILL, "ILL"),
        (Signal::INT, "INT"),
        (Signal::KILL, "KILL"),
        (Signal::PIPE, "PIPE"),
        (Signal::QUIT, "QUIT"),
        (Signal::SEGV, "SEGV"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    let known = named.iter().find(|(known, _)| known.as_raw() == signal);
    known.map_or_else(|| signal.to_string(), |(_, name)| (*name).to_owned())
}

fn cannot_start(error: &std::io::Error) -> HostError {
    HostError::new(ErrorKind::Remote, format!("/bin/sh cannot be run here: {error}"))
}

/// One stream of a command.
struct Reader<R> {
    stream: R,
    buffer: Vec<u8>,
    is_over: bool,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    fn new(stream: R) -> Self {
        Self { stream, buffer: vec![0; CHUNK], is_over: false }
    }

    /// What came next; nothing at its end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    async fn next(&mut self) -> &[u8] {
        let read = self.stream.read(&mut self.buffer).await.unwrap_or(0);
        self.is_over = read == 0;
        self.buffer.get(..read).unwrap_or_default()
    }
}
