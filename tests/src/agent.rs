//! A real ssh-agent for one test.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long an agent may take to listen.
const STARTING: Duration = Duration::from_secs(20);

/// A running ssh-agent; ends with this value.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    /// An agent at this socket that holds these keys, and the certificates beside them.
    ///
    /// # Panics
    /// When ssh-agent or ssh-add is missing, or fails.
    pub fn start(socket: &Path, keys: &[&Path]) -> Self {
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn();
        let child = child.expect("ssh-agent is missing: sudo apt-get install openssh-client");
        let agent = Self { child, socket: socket.to_path_buf() };
        let begun = Instant::now();
        while UnixStream::connect(socket).is_err() {
            assert!(begun.elapsed() < STARTING, "ssh-agent does not listen at {}", socket.display());
            std::thread::sleep(Duration::from_millis(2));
        }
        for key in keys {
            let added = Command::new("ssh-add").arg(key).env("SSH_AUTH_SOCK", socket).output().expect("ssh-add runs");
            assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        }
        agent
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
