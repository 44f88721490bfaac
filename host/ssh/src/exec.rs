//! Commands: one fixed literal that every login shell reads alike, the command as data behind it.
//!
//! The literal starts `/bin/sh`, which watches its standard input as a lifeline: when the channel goes away, it kills
//! its process group. The command travels encoded so that no login shell has anything to interpret: short ones in
//! the exec request itself, which saves the round trip that a server needs to open its window; long ones behind it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::ChannelMsg;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, Session};
use crate::dial::place;
use crate::{Call, Capture, ErrorKind, SshError};

/// The program. `$1` is the command, encoded for `printf %b`; if it is empty, a line of standard input is. `k` is 0
/// if the shell leads its process group, which `kill` then means; else (Dropbear: the group is the server's own) it
/// is the shell alone. The subshell waits for the end of standard input and kills.
const WRAPPER: &str = concat!(
    "exec /bin/sh -c 'c=$1; [ \"$c\" ] || IFS= read -r c || exit 255; k=0; ",
    "[ -r /proc/self/stat ] && read -r g g g g g x </proc/self/stat && [ \"$g\" != $$ ] && k=$$; ",
    "exec 3<&0 </dev/null; ",
    "(trap \"\" HUP INT TERM; while read -r x; do :; done <&3; ",
    "if kill -0 $$; then kill -TERM $k; sleep 0.3; kill -KILL $k; fi; [ $k = 0 ] && kill -KILL 0) >/dev/null 2>&1 & ",
    "exec 3<&-; eval \"$(printf %b \"$c\")\"' scout "
);

/// The longest encoded command that goes into the exec request, in bytes. tcsh and older servers bound a word.
const MAX_INLINE: usize = 900;
/// What a login shell's own files may print before the command begins, in bytes.
const MAX_NOISE: usize = 64 * 1024;
/// How long stopping a command may take, and finding out that it has stopped.
const STOP_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a command that is to be stopped may take to name its process.
const NAME_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes kept of what a stop or kill script prints.
const SCRIPT_CAP: usize = 1024;

/// A command to run.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// What `/bin/sh` evaluates. May hold newlines, never NUL.
    pub script: Vec<u8>,
    /// Bytes of standard output to keep.
    pub stdout_cap: usize,
    /// Bytes of standard error to keep.
    pub stderr_cap: usize,
    /// How long the command may run once it was sent; the call's deadline binds as well.
    pub timeout: Duration,
}

/// Whether a command that was stopped still runs on the remote host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// Its process group is gone: the remote host said so.
    Stopped,
    /// It still runs.
    Running,
    /// Scout could not find out.
    Unknown,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself with this status.
    Exited(u32),
    /// By this signal (a name as `TERM`).
    Signaled(String),
    /// It ran past its timeout.
    TimedOut(RemoteState),
    /// The client cancelled the request.
    Cancelled(RemoteState),
    /// It wrote more than the caps.
    OutputLimit(RemoteState),
    /// The channel closed, or the connection was lost, without a status.
    NoStatus,
}

/// What a command did. A partial output is kept however it ended.
#[derive(Clone, Debug)]
pub struct ExecOutcome {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output.
    pub stdout: Capture,
    /// What it wrote to standard error.
    pub stderr: Capture,
    /// From the moment it was sent.
    pub duration: Duration,
}

impl ExecOutcome {
    fn stopped(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

/// Runs a command in a task of its own, so that its channel is always closed and what it started is always stopped.
///
/// # Cancel safety
/// Dropping the future stops the command.
pub(crate) async fn exec(
    connection: &Arc<Connection>,
    request: &ExecRequest,
    call: &Call,
) -> Result<ExecOutcome, SshError> {
    if request.script.contains(&0) {
        return Err(SshError::new(ErrorKind::Invalid, "a command cannot hold a NUL byte"));
    }
    let (session, was_spare) = connection.session(call).await?;
    call.cost.add_round_trips(if was_spare { 1 } else { 2 });
    call.cost.add_exec();
    let cancel = call.cancel.child_token();
    let _stop_when_dropped = cancel.clone().drop_guard();
    let limits = Limits {
        until: call.deadline.min(Instant::now() + request.timeout),
        cancel,
        stdout: request.stdout_cap,
        stderr: request.stderr_cap,
    };
    let (script, connection) = (request.script.clone(), Arc::clone(connection));
    let running = tokio::spawn(async move {
        let mut run = Run::new(&connection, session, limits);
        let ended = run.drive(&script).await;
        run.finish(ended).await
    });
    let outcome = running.await.unwrap_or_else(|_| {
        Err(SshError::new(ErrorKind::ConnectionLost, "running the command failed inside Scout; it may have run"))
    });
    if let Ok(outcome) = &outcome {
        let seen = |capture: &Capture| capture.total.unwrap_or(capture.data.len() as u64);
        call.cost.add_remote_bytes(seen(&outcome.stdout) + seen(&outcome.stderr));
    }
    outcome
}

/// Kills the SFTP server processes beside this connection's commands. Says whether there was one.
pub(crate) async fn kill_sftp_server(connection: &Arc<Connection>) -> bool {
    /// The parent of this shell is the connection's own server process, and so is that of its SFTP server.
    const SCRIPT: &str = r#"p=$PPID; for d in /proc/[0-9]*; do
{ read -r l <$d/stat; } 2>/dev/null || continue
case $l in *"(sftp-server)"*) ;; *) continue ;; esac
set -- ${l##*) }; [ "$2" = "$p" ] && kill -KILL ${l%% *} && echo killed
done; [ -r /proc/self/stat ] || { pkill -KILL -P "$p" -x sftp-server && echo killed; }"#;
    script(connection, SCRIPT).await.is_some_and(|printed| printed.starts_with(b"killed"))
}

/// Runs a script of Scout's own and gives what it printed.
async fn script(connection: &Arc<Connection>, script: &str) -> Option<Bytes> {
    let call = Call::until(Instant::now() + STOP_TIMEOUT);
    let (session, _) = connection.session(&call).await.ok()?;
    let limits =
        Limits { until: call.deadline, cancel: CancellationToken::new(), stdout: SCRIPT_CAP, stderr: SCRIPT_CAP };
    let mut run = Run::new(connection, session, limits);
    let ended = run.drive(script.as_bytes()).await;
    let printed = run.stdout.take().data;
    run.give_back();
    matches!(ended, Ended::Exited(_)).then_some(printed)
}

struct Limits {
    until: Instant,
    cancel: CancellationToken,
    stdout: usize,
    stderr: usize,
}

/// Why a run is over.
enum Ended {
    Exited(u32),
    Signaled(String),
    NoStatus,
    TimedOut,
    Cancelled,
    OutputLimit,
    /// The server would not run anything.
    Refused,
    /// Sending failed before anything was sent.
    NotSent,
}

/// One command on its channel.
struct Run<'a> {
    connection: &'a Arc<Connection>,
    session: Option<Session>,
    limits: Limits,
    marker: Marker,
    stdout: Stream,
    stderr: Stream,
    begun: Instant,
}

impl<'a> Run<'a> {
    fn new(connection: &'a Arc<Connection>, session: Session, limits: Limits) -> Self {
        let marker = Marker::random();
        Self {
            stdout: Stream::new(limits.stdout),
            stderr: Stream::new(limits.stderr),
            connection,
            session: Some(session),
            limits,
            marker,
            begun: Instant::now(),
        }
    }

    /// Sends the command and takes what comes back, until it is over or must be.
    async fn drive(&mut self, script: &[u8]) -> Ended {
        let Some(session) = self.session.as_mut() else { return Ended::NotSent };
        let encoded = encode(&self.marker.wrap(script));
        let (inline, line) = if encoded.len() <= MAX_INLINE { (encoded, None) } else { (String::new(), Some(encoded)) };
        if session.channel.exec(true, format!("{WRAPPER}'{inline}'")).await.is_err() {
            return Ended::NotSent;
        }
        if let Some(mut line) = line {
            line.push('\n');
            // Bounded by the deadline: a server that opens no window is waited for like one that says nothing.
            let sent = tokio::time::timeout_at(self.limits.until, session.channel.data_bytes(line)).await;
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Ended::NoStatus,
                Err(_) => return Ended::TimedOut,
            }
        }
        let mut ended = None;
        loop {
            let message = tokio::select! {
                message = session.channel.wait() => message,
                () = tokio::time::sleep_until(self.limits.until) => return Ended::TimedOut,
                () = self.limits.cancel.cancelled() => return Ended::Cancelled,
            };
            match message {
                Some(ChannelMsg::Data { data }) => self.stdout.take_in(&data, &mut self.marker),
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) => self.stderr.take_in(&data, &mut self.marker),
                Some(ChannelMsg::ExitStatus { exit_status }) => ended = Some(Ended::Exited(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => ended = Some(Ended::Signaled(signal(&signal_name))),
                Some(ChannelMsg::Failure) => return Ended::Refused,
                Some(ChannelMsg::Close) | None => return ended.unwrap_or(Ended::NoStatus),
                Some(_) => {}
            }
            if self.stdout.over() || self.stderr.over() {
                return Ended::OutputLimit;
            }
        }
    }

    /// Stops what still runs, gives the session back and says what happened.
    async fn finish(mut self, ended: Ended) -> Result<ExecOutcome, SshError> {
        let duration = self.begun.elapsed();
        let state = match ended {
            Ended::TimedOut | Ended::Cancelled | Ended::OutputLimit => self.stop().await,
            Ended::Exited(_) | Ended::Signaled(_) | Ended::NoStatus | Ended::Refused | Ended::NotSent => {
                self.give_back();
                RemoteState::Stopped
            }
        };
        let host = place(self.connection.spec());
        let began = self.marker.seen;
        let ending = match ended {
            Ended::Refused => {
                return Err(SshError::new(ErrorKind::Unsupported, format!("{host} refuses to run commands")));
            }
            Ended::NotSent => return Err(self.connection.lost()),
            // The login shell ended before it came to the command: a restricted account, a missing /bin/sh.
            Ended::Exited(_) | Ended::Signaled(_) if !began => {
                let said = [self.stdout.noise(), self.stderr.noise()].concat();
                let said = String::from_utf8_lossy(&said).trim().chars().take(200).collect::<String>();
                let message = format!("the login shell of {host} ran no command; it said: {said:?}");
                return Err(SshError::new(ErrorKind::Unsupported, message));
            }
            Ended::NoStatus if !began && self.connection.is_closed() => {
                let message = format!("the connection to {host} was lost before the command answered; it may have run");
                return Err(SshError::new(ErrorKind::ConnectionLost, message));
            }
            Ended::Exited(status) => Ending::Exited(status),
            Ended::Signaled(name) => Ending::Signaled(name),
            Ended::NoStatus => Ending::NoStatus,
            Ended::TimedOut => Ending::TimedOut(state),
            Ended::Cancelled => Ending::Cancelled(state),
            Ended::OutputLimit => Ending::OutputLimit(state),
        };
        let outcome =
            ExecOutcome { ending: Ending::NoStatus, stdout: self.stdout.take(), stderr: self.stderr.take(), duration };
        Ok(outcome.stopped(ending))
    }

    fn give_back(&mut self) {
        if let Some(session) = self.session.take() {
            self.connection.retire(session);
        }
    }

    /// Waits a moment for the line that names the process: without it nobody could say whether it was stopped.
    async fn await_process(&mut self) {
        let Some(session) = self.session.as_mut() else { return };
        let naming = async {
            while self.marker.process.is_none() {
                match session.channel.wait().await {
                    Some(ChannelMsg::Data { data }) => self.stdout.take_in(&data, &mut self.marker),
                    Some(ChannelMsg::Close) | None => return,
                    Some(_) => {}
                }
            }
        };
        drop(tokio::time::timeout(NAME_TIMEOUT, naming).await);
    }

    /// Closes the channel, at which the wrapper kills the group; then makes sure of it.
    async fn stop(&mut self) -> RemoteState {
        self.await_process().await;
        self.give_back();
        let Some(Process { pid, leads_group }) = self.marker.process else { return RemoteState::Unknown };
        let target = if leads_group { format!("-{pid}") } else { pid.to_string() };
        // A zombie is no running process, though `kill -0` finds it: where there is /proc, it tells them apart.
        let text = format!(
            r#"alive() {{ if [ -r /proc/self/stat ]; then for d in /proc/[0-9]*; do
{{ read -r l <$d/stat; }} 2>/dev/null || continue
set -- ${{l##*) }}; case $1 in Z|X) continue ;; esac
[ "$3" = {pid} ] && return 0; [ "${{l%% *}}" = {pid} ] && return 0; done; return 1
else kill -0 -- {target} 2>/dev/null; fi; }}
i=0; kill -TERM -- {target} 2>/dev/null
while alive; do i=$((i+1)); [ $i = 6 ] && kill -KILL -- {target} 2>/dev/null; [ $i = 20 ] && {{ echo running; exit; }}; sleep 0.1; done; echo gone"#
        );
        match script(self.connection, &text).await {
            Some(printed) if printed.starts_with(b"gone") && leads_group => RemoteState::Stopped,
            Some(printed) if printed.starts_with(b"running") => RemoteState::Running,
            // Children may be left where the shell did not lead its group.
            Some(_) | None => RemoteState::Unknown,
        }
    }
}

/// A signal's name as RFC 4254 §6.10 writes it.
fn signal(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.chars().filter(char::is_ascii_alphanumeric).take(32).collect(),
        known => format!("{known:?}"),
    }
}

#[derive(Clone, Copy)]
struct Process {
    pid: u32,
    leads_group: bool,
}

/// What both streams print when the command begins. Everything before it is the login shell's own.
struct Marker {
    text: String,
    seen: bool,
    process: Option<Process>,
}

impl Marker {
    fn random() -> Self {
        let mut random = [0; 12];
        // Without randomness the marker is still not a thing that rc files print.
        if getrandom::fill(&mut random).is_err() {
            tracing::debug!("no randomness for a marker");
        }
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self { text: format!("scout-{hex}"), seen: false, process: None }
    }

    /// The script behind commands that print the marker, on standard output with the shell's process id.
    fn wrap(&self, script: &[u8]) -> Vec<u8> {
        let text = &self.text;
        [format!("echo {text} $$ $k; echo {text} >&2\n").as_bytes(), script].concat()
    }
}

/// One stream of a command: noise until the marker, then a capped capture.
struct Stream {
    cap: usize,
    begun: bool,
    noise: BytesMut,
    kept: BytesMut,
    total: u64,
}

impl Stream {
    fn new(cap: usize) -> Self {
        Self { cap, begun: false, noise: BytesMut::new(), kept: BytesMut::new(), total: 0 }
    }

    fn take_in(&mut self, data: &[u8], marker: &mut Marker) {
        if self.begun {
            return self.keep(data);
        }
        self.noise.extend_from_slice(data);
        let text = marker.text.as_bytes();
        let found = self.noise.windows(text.len()).position(|window| window == text);
        let line = found.and_then(|start| {
            let end = self.noise.iter().skip(start).position(|byte| *byte == b'\n')?;
            Some((start, start + end))
        });
        let Some((start, end)) = line else {
            // Only the end of the noise can still hold the beginning of the marker's line.
            if self.noise.len() > MAX_NOISE {
                let excess = self.noise.len() - MAX_NOISE / 2;
                drop(self.noise.split_to(excess));
            }
            return;
        };
        let rest = self.noise.split_off(end + 1);
        let line = String::from_utf8_lossy(self.noise.get(start..end).unwrap_or_default()).into_owned();
        let mut fields = line.split(' ').skip(1);
        if let (Some(Ok(pid)), Some(group)) = (fields.next().map(str::parse), fields.next()) {
            marker.process = Some(Process { pid, leads_group: group.trim() == "0" });
        }
        marker.seen = true;
        self.begun = true;
        self.noise = BytesMut::new();
        self.keep(&rest);
    }

    fn keep(&mut self, data: &[u8]) {
        self.total += data.len() as u64;
        let room = self.cap.saturating_sub(self.kept.len()).min(data.len());
        self.kept.extend_from_slice(data.get(..room).unwrap_or_default());
    }

    fn over(&self) -> bool {
        self.total > self.cap as u64
    }

    fn noise(&self) -> &[u8] {
        &self.noise
    }

    fn take(&mut self) -> Capture {
        let data = std::mem::take(&mut self.kept).freeze();
        Capture { truncated: self.total > data.len() as u64, data, total: Some(self.total) }
    }
}

/// Encodes bytes for `printf %b` in characters that every shell leaves alone between single quotes.
fn encode(script: &[u8]) -> String {
    let mut encoded = String::with_capacity(script.len() * 2);
    for byte in script {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(*byte)),
            b' ' | b'.' | b'/' | b'_' | b'-' | b'=' | b',' | b':' | b'+' | b'@' => encoded.push(char::from(*byte)),
            other => encoded.push_str(&format!("\\0{other:03o}")),
        }
    }
    encoded
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Runs a script as a login shell would that an SSH server gives the exec string to.
    fn through(shell: &str, script: &[u8]) -> Vec<u8> {
        let mut child = Command::new(shell)
            .args(["-c", &format!("{WRAPPER}'{}'", encode(script))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Open until the end: the lifeline.
        let lifeline = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(lifeline);
        output.stdout
    }

    #[test]
    fn login_shells_hand_the_script_on_unread() {
        let script = "printf '%s|' \"a  b\" '$HOME' '`id`' '!!' 'd\ne' '\\' 'ü%' \"it's\"";
        for shell in ["/bin/sh", "/bin/bash"] {
            let printed = through(shell, script.as_bytes());
            assert_eq!(String::from_utf8_lossy(&printed), "a  b|$HOME|`id`|!!|d\ne|\\|ü%|it's|", "{shell}");
        }
    }

    #[test]
    fn nothing_that_a_shell_reads_is_left_in_an_encoded_script() {
        let all: Vec<u8> = (1..=255).collect();
        let harmless = |c: char| c.is_ascii_alphanumeric() || " ./_-=,:+@\\".contains(c);
        assert!(encode(&all).chars().all(harmless));
    }

    #[test]
    fn noise_before_the_marker_is_dropped_wherever_the_chunks_end() {
        let mut marker = Marker::random();
        let text = format!("Welcome!\n{} 4711 0\nout", marker.text);
        for size in 1..text.len() {
            let mut stream = Stream::new(100);
            for chunk in text.as_bytes().chunks(size) {
                stream.take_in(chunk, &mut marker);
            }
            assert_eq!(&stream.take().data[..], b"out", "chunks of {size}");
        }
        assert!(marker.process.is_some_and(|process| process.pid == 4711 && process.leads_group));
    }

    #[test]
    fn endless_noise_is_bounded() {
        let mut stream = Stream::new(100);
        for _ in 0..100 {
            stream.take_in(&[b'x'; 4096], &mut Marker::random());
        }
        assert!(stream.noise().len() <= MAX_NOISE);
    }

    #[test]
    fn a_stream_keeps_its_first_bytes_and_counts_the_rest() {
        let mut marker = Marker::random();
        let mut stream = Stream::new(3);
        stream.take_in(format!("{}\n", marker.text).as_bytes(), &mut marker);
        stream.take_in(b"ab", &mut marker);
        assert!(!stream.over());
        stream.take_in(b"cd", &mut marker);
        assert!(stream.over());
        let capture = stream.take();
        assert_eq!((&capture.data[..], capture.truncated, capture.total), (&b"abc"[..], true, Some(4)));
    }
}
