//! One command on one channel, and what is done to end it.
//!
//! Owns the conversation on a session channel: request, drain, status. A task that no caller can drop runs it, so a
//! command whose caller has gone is ended on the remote host all the same. Both streams are drained whether or not
//! anybody wants them: one unread channel would stall the whole connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf, Sig};
use scout_machine::command::shell::{Prepared, RemoteProcess, Stream, Way};
use scout_machine::{Call, CommandLimits, Ending, ErrorKind, ExecOutcome, ExecRequest, HostError, RemoteState, line};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::Instrument as _;

use super::turns::Place;
use crate::lease::within;
use crate::pool::InUse;
use crate::pool::connection::Connection;

/// What a command's last output may take after its status, and after the host was heard behind that: a background child may hold the
/// streams open for ever, and a status may come before what was written before it.
pub(super) const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// Between a status and asking whether the host is heard: the end of the channel mostly follows at once.
const LAST_WORD: Duration = Duration::from_millis(50);
/// How long the host may take to be heard then.
const HEARD: Duration = Duration::from_secs(5);
/// Ending a command and asking whether it has ended: TERM, a third of a second, KILL, a second of looking, on a host that may be busy.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// What a command of our own may print.
const CONTROL_CAP: usize = 4096;
/// How long a command that is given up may take to say which process it is.
pub(super) const FIRST_LINE: Duration = Duration::from_secs(5);
/// Between the end of a command's output and asking what watches over it whether the command has ended, at first and at most: there
/// are servers (Twisted Conch) that tell how a command ended only when nobody has its input any more.
const NUDGE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Kept of a signal's name that is none of the protocol's.
const SIGNAL_BYTES: usize = 64;
/// Sending a close never takes long; a connection that hangs must not hold us.
pub(super) const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Kills the SFTP servers of the connection that this script runs on, and prints `killed` if there was one.
const KILL_SFTP_SERVERS: &[u8] = br#"p=$PPID; r=no
pkill -KILL -P $p -x sftp-server >/dev/null 2>&1 && r=killed
[ $r = killed ] || for f in /proc/[0-9]*; do
  IFS= read -r s <"$f/stat" || continue
  case $s in *"(sftp-server) "*) ;; *) continue ;; esac
  s=${s##*")" }
  set -- $s
  q=$2
  if [ "$q" != $p ]; then
    IFS= read -r s <"/proc/$q/stat" || continue
    s=${s##*")" }
    set -- $s
    [ "$2" = $p ] || continue
  fi
  kill -KILL "${f#/proc/}" && r=killed
done 2>/dev/null
echo $r"#;

/// Why a command has no outcome.
pub(crate) enum RunError {
    /// It provably was not begun and the connection or channel was stale: try again.
    NotSent,
    /// It was not begun, or may have been and the message says so.
    Failed(HostError),
    /// Nothing of it was heard, from its first line on: the login shell ran something else, or hides what a command prints. Sent in
    /// another way it may be heard.
    Garbled(HostError),
    /// It cannot be run in a shell that stays; it may have been, and may be again, for it only reads.
    NoShell,
}

/// How a conversation came to its end.
enum End {
    Exited(u32),
    Signaled(String),
    /// The channel closed without a status; whether the server had taken the request.
    Closed {
        taken: bool,
    },
    /// The server takes no commands.
    Refused,
    TimedOut,
    Cancelled,
    OutputLimit,
}

/// All that was said on a channel.
struct Conversation {
    end: End,
    /// Whether the request may have left. If not, the command provably was not begun.
    is_asked: bool,
    /// Whether the channel was heard to its end.
    is_whole: bool,
    stdout: Stream,
    stderr: Stream,
}

impl Conversation {
    /// Whether the command may be running still.
    fn is_cut_short(&self) -> bool {
        matches!(self.end, End::TimedOut | End::Cancelled | End::OutputLimit)
    }
}

/// Runs a command on the connection, in its place there. Also whether it was heard to begin.
pub(crate) async fn run(
    connection: &Arc<InUse>,
    place: Place,
    prepared: &Prepared,
    request: &ExecRequest,
    call: &Call,
) -> Result<(ExecOutcome, bool), RunError> {
    let session = channel(connection, call, connection.session(call)).await?;
    let Some((channel, slot)) = session.into_parts() else { return Err(not_sent(connection)) };
    let mut prepared = prepared.clone();
    prepared.environment.clone_from(&connection.key().spec().set_env);
    call.cost.add_exec();
    // Data behind the request waits for the window that the server grants with it.
    call.cost.add_round_trips(if prepared.data.is_some() { 2 } else { 1 });
    let (answer, outcome) = oneshot::channel();
    let (request, call, connection) = (request.clone(), call.clone(), Arc::clone(connection));
    let way = prepared.way;
    let span = tracing::debug_span!("exec", host = %connection.alias);
    let conversation = async move {
        let mut answer = answer;
        let started = Instant::now();
        let until = call.deadline.min(started + request.timeout);
        let caps = (request.stdout_cap, request.stderr_cap);
        let (mut read, write) = channel.split();
        let stop = async {
            tokio::select! {
                () = call.cancel.cancelled() => {}
                () = answer.closed() => {}
            }
        };
        let talk = converse(&connection, &mut read, &write, &prepared, caps, until, stop, || connection.refill()).await;
        drop(read);
        let closing = async {
            let _ = timeout(CLOSE_LIMIT, write.close()).await;
        };
        let left = match talk.stdout.process() {
            Some(process) if talk.is_cut_short() => kill(&connection, &process, way, closing).await,
            _ => {
                closing.await;
                RemoteState::Unknown
            }
        };
        let result = conclude(&connection, talk, left, started);
        drop((slot, place));
        connection.refill();
        let _ = answer.send(result);
    };
    tokio::spawn(conversation.instrument(span));
    outcome.await.unwrap_or_else(|_| {
        Err(RunError::Failed(HostError::new(ErrorKind::ConnectionLost, "the command was given up; it may have run")))
    })
}

/// What `session` gives.
pub(super) async fn channel<T>(
    connection: &Arc<InUse>,
    call: &Call,
    session: impl Future<Output = Result<T, HostError>>,
) -> Result<T, RunError> {
    within(&connection.alias, call, session).await.map_err(|error: HostError| match error.kind() {
        ErrorKind::ConnectionLost => RunError::NotSent,
        _ => RunError::Failed(error),
    })
}

/// That the command may be tried on another connection, unless this one was ended for its host's key.
fn not_sent(connection: &Connection) -> RunError {
    connection.refused().map_or(RunError::NotSent, RunError::Failed)
}

/// Kills the SFTP servers of this connection; whether there was one.
pub(crate) async fn kill_sftp_servers(connection: &Arc<Connection>) -> bool {
    control(connection, KILL_SFTP_SERVERS, connection.quirks.way(), || ())
        .await
        .is_some_and(|answer| answer == "killed")
}

#[expect(clippy::too_many_arguments, reason = "a conversation has two sides, a limit and two ways to be cut short")]
async fn converse(
    connection: &Connection,
    read: &mut russh::ChannelReadHalf,
    write: &ChannelWriteHalf<Msg>,
    prepared: &Prepared,
    (stdout_cap, stderr_cap): (usize, usize),
    until: Instant,
    stop: impl Future<Output = ()>,
    sent: impl FnOnce(),
) -> Conversation {
    let mut stdout = Stream::stdout(&prepared.marker, stdout_cap);
    let mut stderr = Stream::stderr(&prepared.marker, stderr_cap);
    let mut status = None;
    let mut taken = false;
    let is_asked = AtomicBool::new(false);
    let sending = async {
        // Without an answer, as OpenSSH asks: servers refuse most names.
        for (name, value) in &prepared.environment {
            write.set_env(false, name, value).await?;
        }
        write.exec(true, prepared.exec.clone()).await?;
        is_asked.store(true, Ordering::Relaxed);
        sent();
        match &prepared.data {
            Some(data) => write.data_bytes(data.clone()).await,
            None => Ok(()),
        }
    };
    let mut sending = std::pin::pin!(sending);
    let mut stop = std::pin::pin!(stop);
    let mut is_sent = false;
    let mut limit = until;
    let mut nudge: Option<(Instant, Duration)> = None;
    let (mut heard_behind, mut is_whole) = (false, false);
    let behind = async {
        sleep(LAST_WORD).await;
        // There are servers that answer no such question.
        let _ = timeout(HEARD, connection.round_trip()).await;
    };
    let mut behind = std::pin::pin!(behind);
    let end = loop {
        let message = tokio::select! {
            biased;
            () = &mut stop => break End::Cancelled,
            message = read.wait() => message,
            result = &mut sending, if !is_sent => {
                is_sent = true;
                match result {
                    Ok(()) => continue,
                    Err(_) => break End::Closed { taken },
                }
            }
            () = nudged(nudge), if is_sent && status.is_none() => {
                nudge = nudge.map(|(_, pause)| (Instant::now() + pause, (pause * 2).min(NUDGE.1)));
                // Whether it was sent, the channel's end tells.
                let _ = timeout(CLOSE_LIMIT, write.data_bytes(Bytes::from_static(b"\n"))).await;
                continue;
            }
            () = &mut behind, if status.is_some() && !heard_behind => {
                heard_behind = true;
                limit = until.min(Instant::now() + LAST_OUTPUT);
                continue;
            }
            () = sleep_until(limit) => match status.take() {
                // A background child holds the streams; the command itself has ended.
                Some(status) => break status,
                None => break End::TimedOut,
            },
        };
        match message {
            Some(ChannelMsg::Success) => taken = true,
            Some(ChannelMsg::Eof) => nudge = nudge.or(Some((Instant::now() + NUDGE.0, NUDGE.0))),
            Some(ChannelMsg::Failure) => break End::Refused,
            Some(ChannelMsg::ExitStatus { exit_status }) => status = Some(End::Exited(exit_status)),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                status = Some(End::Signaled(signal_name_text(signal_name)));
            }
            Some(ChannelMsg::Close) => {
                is_whole = true;
                break status.unwrap_or(End::Closed { taken });
            }
            None => break status.unwrap_or(End::Closed { taken }),
            Some(other) => take(other, &mut stdout, &mut stderr),
        }
        if stdout.is_over() || stderr.is_over() {
            break End::OutputLimit;
        }
        if heard_behind {
            limit = until.min(Instant::now() + LAST_OUTPUT);
        }
    };
    let is_asked = is_asked.load(Ordering::Relaxed);
    if is_asked && stdout.head().is_none() && matches!(end, End::TimedOut | End::Cancelled) {
        // Without its first line nobody knows which process to end.
        let _ = timeout(FIRST_LINE, async {
            while stdout.head().is_none() {
                match read.wait().await {
                    Some(ChannelMsg::Close) | None => return,
                    Some(other) => take(other, &mut stdout, &mut stderr),
                }
            }
        })
        .await;
    }
    Conversation { end, is_asked, is_whole, stdout, stderr }
}

/// Takes what a command has written.
fn take(message: ChannelMsg, stdout: &mut Stream, stderr: &mut Stream) {
    match message {
        ChannelMsg::Data { data } => stdout.push(&data),
        ChannelMsg::ExtendedData { data, ext: 1 } => stderr.push(&data),
        _ => {}
    }
}

async fn nudged(nudge: Option<(Instant, Duration)>) {
    match nudge {
        Some((at, _)) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Turns a conversation into an outcome, and whether the command was heard to begin. `left`: what is true of a command that was ended.
fn conclude(
    connection: &Connection,
    talk: Conversation,
    left: RemoteState,
    started: Instant,
) -> Result<(ExecOutcome, bool), RunError> {
    let begun = talk.stdout.head().is_some() || talk.stderr.head().is_some();
    let not_begun = |kind, what: &str| {
        let message = format!("{}: {what} before the command was sent", connection.alias);
        Err(RunError::Failed(HostError::new(kind, message)))
    };
    let ending = match talk.end {
        End::Cancelled if !talk.is_asked => return not_begun(ErrorKind::Cancelled, "the request was cancelled"),
        End::TimedOut if !talk.is_asked => return not_begun(ErrorKind::Timeout, "the deadline passed"),
        End::Closed { .. } if !talk.is_asked => return Err(not_sent(connection)),
        End::Refused => {
            let message = format!("{}: the server runs no commands", connection.alias);
            return Err(RunError::Failed(HostError::new(ErrorKind::Unsupported, message)));
        }
        End::Closed { .. } if let Some(error) = connection.refused() => {
            return Err(RunError::Failed(error.with_addition("; the command may have run")));
        }
        End::Closed { taken: false } if connection.is_alive() && !begun => return Err(RunError::NotSent),
        End::Exited(_) | End::Signaled(_) if !begun && !talk.is_whole => {
            let message = format!("{}: what the command printed did not arrive; it may have run", connection.alias);
            return Err(RunError::Failed(HostError::new(ErrorKind::Remote, message)));
        }
        End::Exited(_) | End::Signaled(_) if !begun => {
            let said = [talk.stdout.noise(), talk.stderr.noise()].join(" ");
            let message = format!(
                "{}: the login shell did not run the command, or hides what it prints; it said: {}",
                connection.alias,
                said.trim()
            );
            return Err(RunError::Garbled(HostError::new(ErrorKind::Unsupported, message)));
        }
        End::Exited(status) => Ending::Exited(status),
        End::Signaled(signal) => Ending::Signaled(signal),
        End::Closed { .. } => Ending::NoStatus,
        End::TimedOut => Ending::TimedOut(left),
        End::Cancelled => Ending::Cancelled(left),
        End::OutputLimit => Ending::OutputLimit(left),
    };
    let outcome = ExecOutcome {
        ending,
        stdout: talk.stdout.into_capture(),
        stderr: talk.stderr.into_capture(),
        duration: started.elapsed(),
    };
    Ok((outcome, begun))
}

/// Ends the command's processes and closes its channel, and tells what is true of them. `way`: how the command was sent.
///
/// What ends them is sent first: without its channel a command ends by itself, and there are servers (Dropbear) that close every channel
/// on which nothing runs yet when any command ends, and die of a command that they are asked for there meanwhile.
pub(super) async fn kill(
    connection: &Arc<Connection>,
    process: &RemoteProcess,
    way: Way,
    closing: impl Future<Output = ()>,
) -> RemoteState {
    let (begun, heard) = (Instant::now(), connection.bytes_heard());
    let (untried, is_tried) = oneshot::channel::<()>();
    let mut untried = Some(untried);
    let script = process.kill_script();
    let asking = control(connection, &script, way, move || drop(untried.take()));
    let closing = async {
        // Where there is one channel, nothing is sent beside it.
        if !connection.quirks.opens_one() {
            let _ = timeout(CLOSE_LIMIT, is_tried).await;
        }
        closing.await;
    };
    let (answer, ()) = tokio::join!(asking, closing);
    match answer.as_deref() {
        Some("stopped") => RemoteState::Stopped,
        Some("running") => RemoteState::Running,
        // Nothing else can be asked on it, and its end is what the lifeline waits for. This command still has its place.
        None if connection.quirks.opens_one() && connection.open_channels() <= 1 => {
            connection.close();
            RemoteState::Unknown
        }
        answer => {
            // To refuse is an answer.
            if answer.is_none() && begun.elapsed() >= KILL_LIMIT {
                connection.unanswered(heard);
            }
            RemoteState::Unknown
        }
    }
}

/// Runs a script of our own beside the budget; what it printed. `tried` is called when it was sent, or the server had no place for it.
async fn control(connection: &Arc<Connection>, script: &[u8], way: Way, mut tried: impl FnMut()) -> Option<String> {
    let until = Instant::now() + KILL_LIMIT;
    let caps = (CONTROL_CAP, CONTROL_CAP);
    loop {
        // Anew each time: there are servers that begin what they have closed the channel of, and what watches over that ends all that
        // has its marker.
        let prepared = Prepared::new(script, &CommandLimits::NONE, way).ok()?;
        let (channel, slot) = connection.control_session(until, &mut tried).await?.into_parts()?;
        let (mut read, write) = channel.split();
        let never = std::future::pending();
        let talk = converse(connection, &mut read, &write, &prepared, caps, until, never, &mut tried).await;
        let _ = timeout(CLOSE_LIMIT, write.close()).await;
        drop(slot);
        match talk.end {
            End::Exited(0) if talk.stdout.head().is_some() => {
                return Some(String::from_utf8_lossy(&talk.stdout.into_capture().data).trim().to_owned());
            }
            // A channel that was opened ahead may have ended meanwhile.
            End::Closed { taken: false } if connection.is_alive() && Instant::now() < until => {}
            _ => return None,
        }
    }
}

fn signal_name_text(signal: Sig) -> String {
    match signal {
        Sig::Custom(name) => line(name.as_bytes(), SIGNAL_BYTES),
        known => format!("{known:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_signal_is_short_and_steers_nothing() {
        let name = |name: &str| signal_name_text(Sig::Custom(name.to_owned()));
        assert_eq!(signal_name_text(Sig::KILL), "KILL");
        assert_eq!(name("x@example.com\u{1b}[2J\r\n\u{202e}"), "x@example.com␛[2J␍␊<U+202E>");
        assert_eq!(name(&"x".repeat(100)), format!("{}…", "x".repeat(SIGNAL_BYTES)));
    }
}
