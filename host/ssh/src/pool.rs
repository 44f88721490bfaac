//! The pool: one host's connections shared by all who ask for it, parallel hosts, bounded everything.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::PublicKey;

use crate::{Attributes, Call, Capture, ExecOutcome, ExecRequest, HostSpec, Opened, Principal, SshError};

/// Bounds of a pool.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// TCP connect, handshake and authentication together, unless the host's `ConnectTimeout` says less.
    pub connect_timeout: Duration,
    /// An unused connection is closed after this.
    pub idle_timeout: Duration,
    /// Connections at once, over all hosts.
    pub max_connections: usize,
    /// known_hosts files that replace those of `ssh_config`, if set (`SCOUT_KNOWN_HOSTS`).
    pub known_hosts: Option<Vec<std::path::PathBuf>>,
    /// Requests that may wait for one host.
    pub max_waiters_per_host: usize,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_connections: 100,
            known_hosts: None,
            max_waiters_per_host: 4096,
        }
    }
}

/// A pool's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// Connections ready for use.
    pub ready: u64,
    /// Dials under way.
    pub dialing: u64,
    /// Dials ever begun.
    pub dials: u64,
    /// Leases served by a ready connection.
    pub hits: u64,
    /// Leases that had to wait for a dial.
    pub misses: u64,
    /// Connections closed to make room.
    pub evictions: u64,
    /// Connections closed because nobody used them.
    pub idle_closed: u64,
    /// Requests waiting for a channel or a connection.
    pub waiters: u64,
    /// Requests on the wire.
    pub in_flight: u64,
    /// Waits for a remote answer that followed one upon another.
    pub round_trips: u64,
    /// SFTP channels given up because a request hung.
    pub stalls: u64,
}

/// What a TCP probe saw.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Whether the pool holds a ready connection for this principal and host.
    pub connected: bool,
    /// How long the TCP connect took, or why it failed.
    pub latency: Result<Duration, SshError>,
}

/// Connections to hosts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {}

impl Pool {
    /// An empty pool. Must be called inside a tokio runtime.
    pub fn new(_config: PoolConfig) -> Self {
        todo!()
    }

    /// A ready connection to the host, shared with others of the same principal; dials if there is none.
    ///
    /// # Errors
    /// Every kind that a dial can meet.
    /// # Cancel safety
    /// The dial goes on for others who wait for it.
    pub async fn lease(&self, _principal: &Principal, _spec: &Arc<HostSpec>, _call: &Call) -> Result<Lease, SshError> {
        todo!()
    }

    /// Whether the host answers on its port, and how fast.
    pub async fn probe(&self, _principal: &Principal, _spec: &HostSpec, _timeout: Duration) -> Probe {
        todo!()
    }

    /// The host's key, without trusting it: a handshake that ends before authentication. For `scout trust`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unreachable`].
    pub async fn host_key(&self, _spec: &HostSpec, _call: &Call) -> Result<PublicKey, SshError> {
        todo!()
    }

    /// The counters now.
    pub fn snapshot(&self) -> PoolSnapshot {
        todo!()
    }

    /// Closes every connection; later leases fail.
    pub async fn shutdown(&self) {
        todo!()
    }
}

/// The right to use one host's connections. Dropping it ends the use.
#[derive(Debug)]
pub struct Lease {}

impl Lease {
    /// Looks at a path in one round trip: attributes, and a file's first `cap` bytes or a directory's first
    /// `max_entries` entries. `~`, `~/x` and relative paths are below the home directory.
    ///
    /// # Errors
    /// NotFound, Permission, NotReadable, Timeout, Cancelled, Unsupported, Unreachable, Remote, Invalid.
    pub async fn open(&self, _path: &[u8], _cap: usize, _max_entries: usize, _call: &Call) -> Result<Opened, SshError> {
        todo!()
    }

    /// Bytes of a regular file from `offset` on, at most `length`.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn read(
        &self,
        _path: &[u8],
        _offset: u64,
        _length: usize,
        _call: &Call,
    ) -> Result<(Attributes, Capture), SshError> {
        todo!()
    }

    /// A path's attributes, following links.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn stat(&self, _path: &[u8], _call: &Call) -> Result<Attributes, SshError> {
        todo!()
    }

    /// Runs a command.
    ///
    /// # Errors
    /// Only if it provably did not run; otherwise the outcome tells how it ended.
    pub async fn exec(&self, _request: &ExecRequest, _call: &Call) -> Result<ExecOutcome, SshError> {
        todo!()
    }
}
