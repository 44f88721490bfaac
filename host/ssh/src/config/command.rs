//! The commands of `Match exec`.
//!
//! Owns how long they may take: they run while a host is looked up, and whoever looks it up waits.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// One command; those in use ask for a network's name or for a file.
const LIMIT: Duration = Duration::from_secs(5);
/// All commands of one look-up.
const TOTAL_LIMIT: Duration = Duration::from_secs(10);
/// How often a running command is asked whether it has ended: at first, and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Commands and what came of them; each runs once.
#[derive(Debug, Default)]
pub(super) struct Commands {
    done: HashMap<String, Result<bool, String>>,
    taken: Duration,
}

impl Commands {
    /// Another look-up, with its own time.
    pub(super) fn begin(&mut self) {
        self.taken = Duration::ZERO;
    }

    /// Whether the command exits with 0 in the user's shell. Waits for it, at most five seconds.
    ///
    /// # Errors
    /// If that is not known: it cannot be started, takes too long or dies by a signal.
    pub(super) fn succeeds(&mut self, command: &str) -> Result<bool, String> {
        if let Some(known) = self.done.get(command) {
            return known.clone();
        }
        let begun = Instant::now();
        let outcome = run(command, LIMIT.min(TOTAL_LIMIT.saturating_sub(self.taken)));
        self.taken += begun.elapsed();
        self.done.insert(command.to_owned(), outcome.clone());
        outcome
    }
}

/// The version of this machine's `ssh`, as `Match version` has it (`OpenSSH_10.0p2 Debian-7`), asked for once; empty if
/// there is none.
pub(super) fn ssh_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let output = Command::new("ssh").arg("-V").stdin(Stdio::null()).output();
        let told = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned()).unwrap_or_default();
        told.split([',', '\n']).next().unwrap_or_default().to_owned()
    })
}

/// The user's shell, for a `ProxyCommand`: `SHELL`, unless that is empty.
pub(crate) fn user_shell() -> OsString {
    shell_of(std::env::var_os("SHELL"))
}

fn shell_of(variable: Option<OsString>) -> OsString {
    variable.filter(|shell| !shell.is_empty()).unwrap_or_else(|| OsString::from("/bin/sh"))
}

fn run(command: &str, limit: Duration) -> Result<bool, String> {
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| OsString::from("/bin/sh"));
    let mut child = Command::new(&shell)
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("the shell {} cannot be run: {error}", shell.display()))?;
    match wait(&mut child, limit) {
        Some(status) => status.code().map(|code| code == 0).ok_or_else(|| "the command died by a signal".to_owned()),
        None => {
            stop(&mut child);
            Err(format!("the command did not end within {limit:.1?}"))
        }
    }
}

fn wait(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let deadline = Instant::now() + limit;
    let (mut pause, longest) = POLL;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(longest);
    }
}

/// Kills the shell with all that it has started, and collects it.
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let killed = group.map(|group| kill_process_group(group, Signal::KILL));
    if let Err(error) = child.wait() {
        tracing::debug!(?killed, %error, "a command of Match exec was not collected");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Commands, run, shell_of};

    #[test]
    fn the_users_shell_is_bin_sh_unless_the_environment_names_one() {
        for (variable, shell) in [(None, "/bin/sh"), (Some(""), "/bin/sh"), (Some("/bin/zsh"), "/bin/zsh")] {
            assert_eq!(shell_of(variable.map(Into::into)), shell);
        }
    }

    #[test]
    fn the_exit_status_decides_and_each_command_runs_once() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let count = directory.path().join("count");
        let command = format!("echo x >>{}; exit 0", count.display());
        let mut commands = Commands::default();
        assert_eq!(commands.succeeds(&command), Ok(true));
        assert_eq!(commands.succeeds(&command), Ok(true));
        assert_eq!(commands.succeeds("exit 7"), Ok(false));
        assert_eq!(std::fs::read_to_string(count).expect("the command has run"), "x\n");
    }

    #[test]
    fn a_signal_or_no_end_is_no_answer() {
        assert!(run("kill -TERM $$", Duration::from_secs(5)).is_err());
        let error = run("sleep 1000 & wait", Duration::from_millis(50)).expect_err("it does not end");
        assert!(error.contains("50.0ms"), "{error}");
    }
}
