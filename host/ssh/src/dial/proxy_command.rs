//! `ProxyCommand`: a local command whose standard streams are the connection.
//!
//! Owns the process: one task reads what it complains about and ends it, with its group, when the stream is dropped.
//! Does not know what is spoken through it.

use std::ffi::OsStr;
use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use scout_machine::line;
use tokio::io::{AsyncReadExt as _, Join};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::dial::process::{Group, piped};

/// Kept of what the command writes to its standard error.
const COMPLAINT_BYTES: usize = 2048;
/// How long a command that is no longer wanted may take to say why it ended.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a killed process takes at most; one that hangs in the kernel is left to the runtime's reaper.
const REAPED: Duration = Duration::from_secs(5);

/// The command's standard streams.
pub(crate) type Streams = Join<ChildStdout, ChildStdin>;

/// Why a command ended, as far as it is known; shared with its task.
#[derive(Clone)]
pub(crate) struct ProxyDiagnostics {
    stderr: Arc<Mutex<Vec<u8>>>,
    status: watch::Receiver<Option<Result<ExitStatus, ()>>>,
}

impl ProxyDiagnostics {
    /// What the command has written to its standard error so far, on one line; empty if nothing.
    pub(crate) fn so_far(&self) -> String {
        let stderr = self.stderr.lock();
        let lines: Vec<String> = stderr
            .split(|byte| *byte == b'\n')
            .map(|said| line(said, COMPLAINT_BYTES))
            .filter(|l| !l.is_empty())
            .collect();
        lines.join("; ")
    }

    /// How a command ended whose stream has been dropped, and what it said.
    pub(crate) async fn last(mut self) -> String {
        let status = match timeout(LAST_WORDS * 2, self.status.wait_for(Option::is_some)).await {
            Ok(Ok(status)) => status.and_then(Result::ok),
            _ => None,
        };
        let said = self.so_far();
        let colon = if said.is_empty() { "" } else { ": " };
        match status {
            // Without a code it was killed, by us.
            Some(status) if status.code().is_some() => format!("the proxy command ended with {status}{colon}{said}"),
            _ if said.is_empty() => "the proxy command said nothing".to_owned(),
            _ => format!("the proxy command said{colon}{said}"),
        }
    }
}

/// Starts a command in this shell. It ends when the guard is dropped.
///
/// # Errors
/// That the shell cannot be started.
pub(crate) fn spawn(shell: &OsStr, text: &str) -> io::Result<(Streams, DropGuard, ProxyDiagnostics)> {
    let mut command = Command::new(shell);
    // As OpenSSH: no shell stays between the command and its end.
    command.arg("-c").arg(format!("exec {text}"));
    let mut group = Group::spawn(piped(&mut command))?;
    let missing = || io::Error::other("a pipe is missing");
    let stdin = group.child.stdin.take().ok_or_else(missing)?;
    let stdout = group.child.stdout.take().ok_or_else(missing)?;
    let stderr = group.child.stderr.take().ok_or_else(missing)?;
    let (ended, status) = watch::channel(None);
    let diagnostics = ProxyDiagnostics { stderr: Arc::default(), status };
    let unwanted = CancellationToken::new();
    let said = Arc::clone(&diagnostics.stderr);
    tokio::spawn(keep(group, stderr, said, unwanted.clone(), ended));
    Ok((tokio::io::join(stdout, stdin), unwanted.drop_guard(), diagnostics))
}

/// The command's task.
async fn keep(
    mut group: Group,
    mut stderr: ChildStderr,
    said: Arc<Mutex<Vec<u8>>>,
    unwanted: CancellationToken,
    ended: watch::Sender<Option<Result<ExitStatus, ()>>>,
) {
    let listening = async {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            let mut said = said.lock();
            said.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let excess = said.len().saturating_sub(COMPLAINT_BYTES);
            said.drain(..excess);
        }
    };
    tokio::pin!(listening);
    let is_silent = tokio::select! {
        () = &mut listening => true,
        () = unwanted.cancelled() => false,
    };
    if is_silent {
        unwanted.cancelled().await;
    } else {
        // The end of its input ends most commands by themselves.
        let _ = timeout(LAST_WORDS, &mut listening).await;
    }
    group.kill();
    let status = timeout(REAPED, group.child.wait()).await;
    ended.send_replace(Some(status.map_err(|_| ()).and_then(|status| status.map_err(|_| ()))));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_given_shell_runs_the_command_in_its_own_place() {
        let directory = tempfile::tempdir().unwrap();
        let (shell, log) = (directory.path().join("shell"), directory.path().join("log"));
        let text = format!("#!/bin/sh\nprintf '%s|' \"$@\" > '{}'\nexec /bin/sh \"$@\"\n", log.display());
        std::fs::write(&shell, text).unwrap();
        std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o700)).unwrap();
        let (mut streams, _guard, _complaint) = spawn(shell.as_os_str(), "echo 'a  b'").unwrap();
        let mut said = String::new();
        streams.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "a  b\n");
        assert_eq!(std::fs::read_to_string(log).unwrap(), "-c|exec echo 'a  b'|");
    }
}
