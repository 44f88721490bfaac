//! What a pool may do, and what those who use it dial with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::HostSpec;
use crate::dial::authority::Authority;

/// Bounds of a pool, whoever uses it.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// An unused connection is closed after this.
    pub idle_timeout: Duration,
    /// Connections at once, over all hosts.
    pub max_connections: usize,
    /// Those of one principal: with fewer than all, a principal that keeps its connections busy leaves some to the others at once.
    pub max_connections_of_principal: usize,
    /// A directory in which processes of this account share what they have seen of addresses: one that has just been asked
    /// whether it answers is not asked again by another process. Absent: they do not.
    pub seen: Option<PathBuf>,
    /// A connection that leaves the opening of a channel unanswered for so long serves no new request; one that says
    /// nothing at all meanwhile is lost. Keepalive mostly notices before.
    pub answer_timeout: Duration,
    /// A connection is replaced after this many channels: each that we close first leaves about 3 KiB in the session.
    pub channels_per_connection: u64,
    /// Requests that may wait for one host.
    pub max_waiters_per_host: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            max_connections: 100,
            max_connections_of_principal: 100,
            answer_timeout: Duration::from_secs(20),
            channels_per_connection: 4096,
            seen: None,
            max_waiters_per_host: 4096,
        }
    }
}

/// What somebody dials with beside `ssh_config`: whom they trust, who tells them secrets, how long they wait. Each handle of a
/// [`Pool`](crate::Pool) has its own, and nobody uses a connection that was dialled with another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialConfig {
    /// TCP connect, handshake and authentication together, for a host without a `ConnectTimeout` of its own.
    pub connect_timeout: Duration,
    /// known_hosts files that replace those of `ssh_config`, if set (`SCOUT_KNOWN_HOSTS`).
    pub known_hosts: Option<Vec<PathBuf>>,
    /// A program that tells secrets: passphrases of key files, passwords, answers to a server's prompts. Without it none
    /// is ever used. What `SSH_ASKPASS` names fits.
    ///
    /// It is run with one argument, the prompt (`Enter passphrase for key '/path'`, `user@host's password:` or, in the
    /// server's words, `(user@host) …`), and in its environment `SCOUT_SECRET_KIND` (`passphrase`, `password` or
    /// `prompt`), `SCOUT_SECRET_HOST` (the host's alias) and `SCOUT_SECRET_USER`. Its standard output, without the end of
    /// the line, is the secret: at most 1024 bytes of UTF-8, within the dial's limit. Any exit status but 0: no secret.
    pub secret_command: Option<PathBuf>,
    /// What certifies whoever asks, in the place of the keys that ssh_config names; absent: those log in.
    pub authority: Option<Authority>,
}

impl Default for DialConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), known_hosts: None, secret_command: None, authority: None }
    }
}

/// A dial ends after this, whatever `ConnectTimeout` says: one that hangs must make room for the next.
const LONGEST_DIAL: Duration = Duration::from_secs(10 * 60);

impl DialConfig {
    /// How long a dial to a host may take, with all that it takes to get there: as its `ConnectTimeout` says, ten minutes
    /// at most, else [`Self::connect_timeout`]. Whoever waits for the dial does so no longer than the own deadline.
    pub fn connect_limit(&self, spec: &HostSpec) -> Duration {
        spec.connect_timeout.map_or(self.connect_timeout, |own| own.min(LONGEST_DIAL))
    }

    /// The known_hosts files that count for a host: its own, unless [`Self::known_hosts`] replaces them.
    pub fn known_hosts_of<'a>(&'a self, spec: &'a HostSpec) -> KnownHostsFiles<'a> {
        match &self.known_hosts {
            Some(files) => KnownHostsFiles { user: files, global: &[] },
            None => KnownHostsFiles { user: &spec.user_known_hosts_files, global: &spec.global_known_hosts_files },
        }
    }
}

/// The known_hosts files that count for one host.
#[derive(Clone, Copy, Debug)]
pub struct KnownHostsFiles<'a> {
    user: &'a [PathBuf],
    global: &'a [PathBuf],
}

impl<'a> KnownHostsFiles<'a> {
    /// All that are read, in order.
    pub fn all(self) -> impl Iterator<Item = &'a Path> {
        self.user.iter().chain(self.global).map(PathBuf::as_path)
    }

    /// The one that new keys are added to; absent: none is learned.
    pub fn learn_into(self) -> Option<&'a Path> {
        self.user.first().map(PathBuf::as_path)
    }
}
