//! A tenant: all that the requests of its people are answered with, and nothing of anybody else's.
//!
//! Owns the revision that serves them, their connections and what those are dialled with (known_hosts, the command that tells
//! secrets), the audit trail, the numbers of their calls, what each of its people has used of what they may, and the key of their cursors. Knows no protocol: who asks is told by a transport.
//!
//! Invariant: a request reaches what it needs through the tenant of its [`Caller`](crate::router::Caller), and through nothing
//! that belongs to the process.

use std::sync::Arc;

use scout_machine::{Principal, TenantId};
use scout_runtime::CursorKey;
use scout_ssh::Pool;

use crate::audit::Audit;
use crate::baselines::KeptBaselines;
use crate::config::{Config, ConfigError};
use crate::cursor_key;
use crate::live::Live;
use crate::quotas::Quotas;
use crate::revision::Revision;
use crate::tally::Tally;

/// The name of the one tenant of stdio and of the command line, and of its principal: whoever has started the process.
pub(crate) const LOCAL: &str = "local";

/// One tenant.
pub struct Tenant {
    id: TenantId,
    live: Arc<Live>,
    pool: Pool,
    audit: Arc<Audit>,
    tally: Tally,
    cursors: Arc<CursorKey>,
    baselines: Arc<KeptBaselines>,
    quotas: Arc<Quotas>,
}

impl Tenant {
    /// The tenant that a configuration describes. Its plugins begin to load. Its connections are its own, within the bounds of
    /// the pool. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What cannot be read or makes no sense, and an audit log that cannot be written.
    pub fn open(id: TenantId, config: &Config, pool: &Pool) -> Result<Arc<Self>, ConfigError> {
        let audit = Audit::open(&config.audit_log, config.audit).map_err(ConfigError::new)?;
        let pool = pool.dialling_with(config.dial.clone());
        let live = Live::new(Revision::first(config, pool.clone())?);
        let (live, audit, cursors) =
            (Arc::new(live), Arc::new(audit), Arc::new(cursor_key::kept_in(&config.state_dir)));
        let baselines = Arc::new(KeptBaselines::below(&config.state_dir));
        let quotas = Arc::new(Quotas::below(&config.state_dir));
        Ok(Arc::new(Self { id, live, pool, audit, tally: Tally::default(), cursors, baselines, quotas }))
    }

    /// The tenant of stdio and of the command line, over a pool of its own.
    ///
    /// # Errors
    /// As [`Tenant::open`].
    pub fn local(config: &Config) -> Result<Arc<Self>, ConfigError> {
        Self::open(LOCAL.into(), config, &Pool::new(config.pool.clone()))
    }

    /// Its principal of this name.
    pub(crate) fn principal(&self, name: &str) -> Principal {
        Principal::new(self.id.clone(), name)
    }

    /// Which tenant it is.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// What serves, and how that changes.
    pub fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// What serves a call that begins now.
    pub fn revision(&self) -> Arc<Revision> {
        self.live.revision()
    }

    /// Its connections.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Where is written what its people ask for.
    pub(crate) fn audit(&self) -> &Arc<Audit> {
        &self.audit
    }

    /// What its plugins keep of hosts.
    pub(crate) fn baselines(&self) -> &Arc<KeptBaselines> {
        &self.baselines
    }

    /// What its principals have used of what they may.
    pub(crate) fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
    }

    /// What seals the cursors that its people are told.
    pub(crate) fn cursors(&self) -> &Arc<CursorKey> {
        &self.cursors
    }

    /// What has become of its calls.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Whoever has started the process.
pub(crate) fn local_principal() -> Principal {
    Principal::new(LOCAL, LOCAL)
}
