//! `ssh_config` as OpenSSH reads it: the first value wins.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::SshError;

/// `StrictHostKeyChecking`. `ask` without a terminal is `Yes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StrictHostKeyChecking {
    /// Unknown keys are refused.
    Yes,
    /// Unknown keys are learned, changed ones refused.
    AcceptNew,
    /// As `AcceptNew`, and changed keys are accepted with password authentication off.
    No,
}

/// Where the agent listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AgentSocket {
    /// `SSH_AUTH_SOCK`.
    Environment,
    /// This path.
    Path(PathBuf),
    /// No agent.
    None,
}

/// A file and a line in it, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Counted from 1.
    pub line: u32,
}

/// One host's resolved settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostSpec {
    /// The name on the `Host` line.
    pub alias: String,
    /// What is dialled.
    pub host_name: String,
    /// 1 to 65535.
    pub port: u16,
    /// The remote account.
    pub user: String,
    /// In order; the defaults of OpenSSH if none is configured.
    pub identity_files: Vec<PathBuf>,
    /// Whether `identity_files` are the defaults (then a missing one is no trouble).
    pub identity_files_are_default: bool,
    /// Only configured identities are offered, though the agent may hold their keys.
    pub identities_only: bool,
    /// Where the agent listens.
    pub agent: AgentSocket,
    /// In order.
    pub user_known_hosts_files: Vec<PathBuf>,
    /// In order.
    pub global_known_hosts_files: Vec<PathBuf>,
    /// What happens to an unknown key.
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `ServerAliveInterval`; absent if not configured (zero switches keepalive off).
    pub server_alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub server_alive_count_max: u32,
}

/// The user's and the system's `ssh_config`, parsed.
#[derive(Debug, Default)]
pub struct SshConfig {}

impl SshConfig {
    /// Reads the user's file and then the system's. A file that is absent is empty.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] when a file cannot be read or parsed at all.
    pub fn load(_user: &Path, _system: Option<&Path>, _home: &Path) -> Result<Self, SshError> {
        todo!()
    }

    /// The literal names on `Host` lines, in order, without patterns, each once.
    pub fn hosts(&self) -> Vec<String> {
        todo!()
    }

    /// One host's settings.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Config`] with file:line for what is not evaluated for this host.
    pub fn resolve(&self, _alias: &str) -> Result<HostSpec, SshError> {
        todo!()
    }
}
