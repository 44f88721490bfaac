//! One command of the demo host: `/bin/sh -c` in a process group of its own.
//!
//! Owns the process from start to reaping. Nothing of its group outlives the channel: the group is killed when the
//! client closes the channel, when the connection is lost, and also after the command ended by itself (sshd would let a
//! background child live; the demo leaves nothing behind). A process that calls setsid escapes.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;

use bytes::{Bytes, BytesMut};
use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use super::backlog::{Input, Receiver};

/// sshd's own default for accounts without a login shell's profile, and where NixOS keeps the same programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin";

/// One packet of output.
const CHUNK: usize = 32 << 10;

/// SSH_EXTENDED_DATA_STDERR (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// The status of a command that could not be started, as shells give.
const NOT_STARTED: u32 = 127;

/// The channel that a command talks to.
pub(super) struct Conversation {
    /// Where output goes.
    pub(super) write: ChannelWriteHalf<Msg>,
    /// The session, for what the channel cannot say.
    pub(super) session: Handle,
    /// What the client sends.
    pub(super) input: Receiver,
    /// Fires when the channel is gone.
    pub(super) closed: CancellationToken,
}

/// Runs the command until it ended or the channel is gone, then closes the channel.
pub(super) async fn run(command: &[u8], home: &Path, conversation: Conversation) {
    let Conversation { write, session, input, closed } = conversation;
    match Running::start(command, home) {
        Ok(mut running) => {
            tokio::select! {
                biased;
                () = closed.cancelled() => {}
                // An error here is a lost connection: nobody is left to tell.
                _ = running.converse(&write, &session, input) => {}
            }
            running.kill().await;
        }
        Err(error) => {
            let message = format!("demo host: /bin/sh did not start: {error}\n");
            write.extended_data_bytes(STDERR, message.into_bytes()).await.ok();
            write.exit_status(NOT_STARTED).await.ok();
        }
    }
    write.close().await.ok();
}

/// A started command. Dropping it kills its process group.
struct Running {
    // Before `child`: the group is killed while the child is not reaped, so its number cannot belong to anybody else.
    group: Group,
    child: Child,
}

/// A process group that is killed on drop.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // ESRCH and EPERM (macOS, if only the unreaped leader is left) both mean that nothing runs.
        rustix::process::kill_process_group(self.0, Signal::KILL).ok();
    }
}

impl Running {
    fn start(command: &[u8], home: &Path) -> io::Result<Self> {
        let child = Command::new("/bin/sh")
            .arg("-c")
            .arg(OsStr::from_bytes(command))
            .current_dir(home)
            .env_clear()
            .env("HOME", home)
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("it has no process id"))?;
        Ok(Self { group: Group(pid), child })
    }

    /// Feeds the command, passes its output on and reports how it ended, then waits for the end of its output.
    async fn converse(
        &mut self,
        write: &ChannelWriteHalf<Msg>,
        session: &Handle,
        input: Receiver,
    ) -> Result<(), russh::Error> {
        let (stdin, stdout, stderr) = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let pid = self.group.0;
        let ending = async {
            tokio::select! {
                status = ended(pid) => report(status, write, session).await,
                // Polled beside it: the standard input is closed when the command has ended, as sshd does.
                () = feed(stdin, input) => Ok(()),
            }
        };
        tokio::try_join!(ending, pass_on(stdout, None, write), pass_on(stderr, Some(STDERR), write))?;
        write.eof().await
    }

    /// Kills what is left of the group and reaps the command.
    async fn kill(self) {
        let Self { group, mut child } = self;
        drop(group);
        if let Err(error) = child.wait().await {
            tracing::warn!(%error, "demo host: a command could not be reaped");
        }
    }
}

/// Waits for the end of a process without reaping it: its number stays taken until its group was killed.
async fn ended(pid: Pid) -> Option<WaitIdStatus> {
    let wait = move || {
        loop {
            match rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) => {}
                result => return result.ok().flatten(),
            }
        }
    };
    // The thread is held until the process ends, which the kill on every path makes certain.
    tokio::task::spawn_blocking(wait).await.ok().flatten()
}

async fn report(
    status: Option<WaitIdStatus>,
    write: &ChannelWriteHalf<Msg>,
    session: &Handle,
) -> Result<(), russh::Error> {
    let Some(status) = status else { return Ok(()) };
    if let Some(signal) = status.terminating_signal() {
        session
            .exit_signal_request(write.id(), signal_name(signal), false, String::new(), String::new())
            .await
            .map_err(|()| russh::Error::SendError)
    } else {
        let code = status.exit_status().and_then(|code| u32::try_from(code).ok()).unwrap_or_default();
        write.exit_status(code).await
    }
}

/// The names of RFC 4254 §6.10; others as a local extension.
fn signal_name(raw: i32) -> Sig {
    const NAMES: [(Signal, Sig); 12] = [
        (Signal::ABORT, Sig::ABRT),
        (Signal::ALARM, Sig::ALRM),
        (Signal::FPE, Sig::FPE),
        (Signal::HUP, Sig::HUP),
        (Signal::ILL, Sig::ILL),
        (Signal::INT, Sig::INT),
        (Signal::KILL, Sig::KILL),
        (Signal::PIPE, Sig::PIPE),
        (Signal::QUIT, Sig::QUIT),
        (Signal::SEGV, Sig::SEGV),
        (Signal::TERM, Sig::TERM),
        (Signal::USR1, Sig::USR1),
    ];
    NAMES
        .into_iter()
        .find(|(signal, _)| signal.as_raw() == raw)
        .map_or_else(|| Sig::Custom(format!("SIG{raw}@scout.demo")), |(_, name)| name)
}

/// Writes the client's input to the command. Never returns before the channel is gone, so that a command that reads
/// nothing does not look like one that ended.
async fn feed(mut stdin: Option<ChildStdin>, mut input: Receiver) {
    while let Some(next) = input.recv().await {
        match (next, &mut stdin) {
            (Input::Data(data), Some(pipe)) => {
                if pipe.write_all(&data).await.is_err() {
                    stdin = None;
                }
            }
            (Input::Data(_), None) => {}
            (Input::Eof, _) => stdin = None,
        }
    }
}

/// Passes one stream on until its end. Waits for the channel's window, so russh never queues more than that.
async fn pass_on(
    stream: Option<impl AsyncRead + Unpin>,
    extended: Option<u32>,
    write: &ChannelWriteHalf<Msg>,
) -> Result<(), russh::Error> {
    let Some(mut stream) = stream else { return Ok(()) };
    let mut buffer = BytesMut::with_capacity(CHUNK);
    // A read that fails ends the stream like its end does: the status tells the rest.
    while let Ok(1..) = stream.read_buf(&mut buffer).await {
        let data: Bytes = buffer.split().freeze();
        match extended {
            None => write.data_bytes(data).await?,
            Some(kind) => write.extended_data_bytes(kind, data).await?,
        }
        buffer.reserve(CHUNK);
    }
    Ok(())
}
