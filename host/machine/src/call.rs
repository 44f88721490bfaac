//! What one request carries down to the wire: who asks, until when, and what it has cost so far.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Whose hosts, plugins, rights and logs a request is about. Two tenants share the process and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// Its name, for logs and the audit trail.
impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TenantId {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TenantId {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// On whose behalf a connection is made: somebody of a tenant. Connections are never shared between two principals, and
/// those of two tenants are two, whatever their names. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Arc<Identity>);

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Identity {
    tenant: TenantId,
    name: Box<str>,
}

impl Principal {
    /// The principal of this tenant with this name.
    pub fn new(tenant: impl Into<TenantId>, name: &str) -> Self {
        Self(Arc::new(Identity { tenant: tenant.into(), name: name.into() }))
    }

    /// Scout itself, at work that nobody has asked for; `doing` names the work. Of no tenant: none has an empty name.
    pub fn own(doing: &str) -> Self {
        Self::new("", doing)
    }

    /// Whose principal it is.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Its name among those of its tenant, for logs and the audit trail.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

/// One request's deadline, cancellation and cost. Cheap to clone; clones share the cost.
#[derive(Clone, Debug)]
pub struct Call {
    /// The one deadline of the request; no layer makes its own.
    pub deadline: Instant,
    /// Fires when the client has lost interest; remote work is then stopped.
    pub cancel: CancellationToken,
    /// What the request has cost so far.
    pub cost: Arc<Cost>,
}

impl Call {
    /// A call with this deadline that nobody cancels.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, cancel: CancellationToken::new(), cost: Arc::default() }
    }
}

/// Counters of one request.
#[derive(Debug, Default)]
pub struct Cost {
    round_trips: AtomicU64,
    remote_bytes: AtomicU64,
    execs: AtomicU64,
    shell_execs: AtomicU64,
    dials: AtomicU64,
}

impl Cost {
    /// Counts `n` waits for an answer of the remote host that follow one upon another.
    pub fn add_round_trips(&self, n: u64) {
        self.round_trips.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts payload bytes that the remote host sent.
    pub fn add_remote_bytes(&self, n: u64) {
        self.remote_bytes.fetch_add(n, Ordering::Relaxed);
    }

    /// Counts a command started on the remote host.
    pub fn add_exec(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one of them that was sent to a shell that stays.
    pub fn add_shell_exec(&self) {
        self.shell_execs.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection that this request had to wait for.
    pub fn add_dial(&self) {
        self.dials.fetch_add(1, Ordering::Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> CostSnapshot {
        CostSnapshot {
            round_trips: self.round_trips.load(Ordering::Relaxed),
            remote_bytes: self.remote_bytes.load(Ordering::Relaxed),
            execs: self.execs.load(Ordering::Relaxed),
            shell_execs: self.shell_execs.load(Ordering::Relaxed),
            dials: self.dials.load(Ordering::Relaxed),
        }
    }
}

/// A request's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CostSnapshot {
    /// Waits for the remote host that followed one upon another. A dial counts as its own round trips.
    pub round_trips: u64,
    /// Payload bytes that the remote host sent.
    pub remote_bytes: u64,
    /// Commands started.
    pub execs: u64,
    /// Those of them that were sent to a shell that stays, and not on a channel of their own.
    pub shell_execs: u64,
    /// Connections that had to be dialled first.
    pub dials: u64,
}
