//! The commands of `Match exec`.
//!
//! Owns how long they may take: they run while a host is looked up, and whoever looks it up waits.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process_group};

/// One command; those in use ask for a network's name or for a file.
const LIMIT: Duration = Duration::from_secs(5);
/// All commands of one look-up.
const TOTAL_LIMIT: Duration = Duration::from_secs(10);
/// How often a running command is asked whether it has ended: at first, and at last.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Outcomes that are kept: a command with `%h` in it is another one for each host.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// What came of a command; locked while it runs.
type Outcome = Arc<Mutex<Option<Result<bool, String>>>>;

/// What came of the commands of a configuration. Each runs once, and look-ups that run others do not wait for it.
#[derive(Debug)]
pub(super) struct Outcomes(Mutex<LruCache<String, Outcome>>);

impl Default for Outcomes {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(KEPT)))
    }
}

/// The commands of one look-up, with the time that they have taken.
#[derive(Debug)]
pub(super) struct Commands<'a> {
    outcomes: &'a Outcomes,
    taken: Duration,
}

impl<'a> Commands<'a> {
    /// Those of a look-up that begins.
    pub(super) fn new(outcomes: &'a Outcomes) -> Self {
        Self { outcomes, taken: Duration::ZERO }
    }

    /// Whether the command exits with 0 in the user's shell. Waits for it, at most five seconds, also if another look-up has begun it.
    ///
    /// # Errors
    /// If that is not known: it cannot be started, takes too long or dies by a signal.
    pub(super) fn succeeds(&mut self, command: &str) -> Result<bool, String> {
        let outcome = {
            let mut outcomes = self.outcomes.0.lock();
            Arc::clone(outcomes.get_or_insert(command.to_owned(), Outcome::default))
        };
        let begun = Instant::now();
        let limit = LIMIT.min(TOTAL_LIMIT.saturating_sub(self.taken));
        let told = match outcome.try_lock_for(limit) {
            Some(mut known) => known.clone().unwrap_or_else(|| {
                let told = run(command, limit);
                // One that had less time than others would have may end for them.
                if told.is_ok() || limit == LIMIT {
                    *known = Some(told.clone());
                }
                told
            }),
            None => Err(late(limit)),
        };
        self.taken += begun.elapsed();
        told
    }
}

fn late(limit: Duration) -> String {
    format!("the command did not end within {limit:.1?}")
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
            Err(late(limit))
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

    use super::{Commands, Outcomes, run, shell_of};

    #[test]
    fn a_look_up_waits_for_no_command_of_another() {
        let outcomes = Outcomes::default();
        let dir = tempfile::tempdir().expect("a directory");
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a FIFO");
        let hangs = format!("read x <{0}", fifo.display());
        std::thread::scope(|scope| {
            let one = scope.spawn(|| Commands::new(&outcomes).succeeds(&hangs));
            // Ends the other, which it would wait for.
            let released = Commands::new(&outcomes).succeeds(&format!("echo >{}", fifo.display()));
            assert_eq!((released, one.join().expect("no panic")), (Ok(true), Ok(true)));
        });
    }

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
        let outcomes = Outcomes::default();
        let mut commands = Commands::new(&outcomes);
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
