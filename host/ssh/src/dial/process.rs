//! Local processes that speak for the user's configuration: each in a process group of its own that ends with its guard.
//!
//! Owns how such a process is started and ended. Does not know what it says.

use std::process::Stdio;

use tokio::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process_group};

/// A running process that leads its own group. Dropped: the whole group is killed, and the runtime reaps the process.
///
/// The process is not waited for before its group is killed: until then its id cannot belong to anybody else.
pub(crate) struct Group {
    pub(crate) child: Child,
}

impl Group {
    /// Starts the command with all three streams as configured; stdin is empty unless it was set.
    ///
    /// # Errors
    /// That the program cannot be started.
    pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        Ok(Self { child })
    }

    /// Kills the group, as long as its leader was not waited for.
    pub(crate) fn kill(&self) {
        let leader = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // Fails only if nobody of the group is left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Pipes for everything, so that nothing reaches or reads Scout's own streams.
pub(crate) fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}
