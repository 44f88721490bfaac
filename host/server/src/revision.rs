//! A revision: everything of the configuration that can change while Scout serves. A call takes one at its start and keeps
//! it until its end, whatever changes meanwhile; a revision goes with the last call that has it.
//!
//! What a revision does not hold needs a restart: the pool of connections, the audit log, the engine.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use scout_runtime::{Fleet, Limits, LoadError};
use scout_ssh::{Pool, SshConfig};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, ConfigError, Hosts};
use crate::plugins::{Plugins, Reading};

/// One configuration at work. Immutable.
pub struct Revision {
    /// Counted from 1.
    pub number: u64,
    /// The hosts and what may be done there.
    pub fleet: Arc<Fleet>,
    /// Bounds of a call.
    pub limits: Arc<Limits>,
    /// The longest that a call may take.
    pub call_timeout: Duration,
    /// The plugins.
    pub plugins: Plugins,
    config: Config,
    ssh: Arc<SshConfig>,
    /// Whether there is a host that runs whatever it is asked for.
    runs_anything: bool,
    /// Whether something may be copied somewhere.
    copies: bool,
    fingerprint: Fingerprint,
    had_ssh_config: bool,
}

/// A changed configuration, read but not at work.
pub(crate) struct Draft {
    config: Config,
    ssh: Arc<SshConfig>,
    reading: Reading,
    fingerprint: Fingerprint,
}

impl Draft {
    /// Reads everything that this configuration refers to. Blocks.
    ///
    /// # Errors
    /// What cannot be read or makes no sense by itself.
    pub(crate) fn read(config: Config) -> Result<Self, ConfigError> {
        let (ssh, reading) = (Arc::new(config.ssh()?), Reading::new(&config)?);
        let fingerprint = Fingerprint::of(&reading);
        Ok(Self { config, ssh, reading, fingerprint })
    }

    /// Its hosts.
    ///
    /// # Errors
    /// What makes no sense beside its ssh_config.
    pub(crate) fn hosts(&self) -> Result<Hosts, ConfigError> {
        self.config.hosts_in(&self.ssh)
    }

    /// As [`Revision::included`].
    pub(crate) fn included(&self) -> &[PathBuf] {
        self.ssh.included()
    }
}

impl Revision {
    /// The first one, over these connections. Its plugins begin to load. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// What cannot be read or makes no sense.
    pub fn first(config: &Config, pool: Pool) -> Result<Self, ConfigError> {
        let (reading, hosts) = (Reading::strict(config)?, config.hosts()?);
        let fingerprint = Fingerprint::of(&reading);
        let ssh = Arc::clone(hosts.ssh());
        let runs_anything = hosts.runs_anything;
        let fleet = Arc::new(hosts.into_fleet(pool));
        Ok(Self {
            number: 1,
            fleet,
            runs_anything,
            copies: config.transfers_are_open(),
            ssh,
            limits: Arc::new(config.limits.clone()),
            call_timeout: config.call_timeout(),
            plugins: Plugins::start(config, reading),
            had_ssh_config: config.ssh_config.exists(),
            config: config.clone(),
            fingerprint,
        })
    }

    /// What it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The paths that its ssh_config includes, as [`SshConfig::included`] has them.
    pub(crate) fn included(&self) -> &[PathBuf] {
        self.ssh.included()
    }

    /// Whether there is a host that runs whatever it is asked for.
    pub(crate) fn runs_anything(&self) -> bool {
        self.runs_anything
    }

    /// Whether transfers may write anywhere.
    pub(crate) fn copies(&self) -> bool {
        self.copies
    }

    /// Whether clients see the same tools in both now.
    pub(crate) fn lists_the_same(&self, other: &Self) -> bool {
        self.runs_anything() == other.runs_anything()
            && self.copies() == other.copies()
            && self.plugins.listed() == other.plugins.listed()
    }

    /// Whether a draft asks for what this revision was made of. Takes time by the size of the files.
    pub(crate) fn is_of(&self, draft: &Draft) -> bool {
        self.fingerprint.find(&self.config, &self.ssh) == draft.fingerprint.find(&draft.config, &draft.ssh)
    }

    /// What of a changed configuration cannot be meant: a file that is gone could say anything, or nothing.
    ///
    /// # Errors
    /// Which file is gone.
    pub(crate) fn check(&self, config: &Config) -> Result<(), ConfigError> {
        let gone = match &self.config.file {
            Some(file) if config.file.is_none() => Some(file),
            Some(_) | None => (self.had_ssh_config && !config.ssh_config.exists()).then_some(&config.ssh_config),
        };
        gone.map_or(Ok(()), |file| {
            let message = format!("{} is gone; to serve without it, restart Scout", file.display());
            Err(ConfigError::new(message))
        })
    }

    /// The revision after this one, of a draft and its hosts, once all its plugins are loaded that need not be fetched, and the plugins that cannot be
    /// used. While one is fetched, the one before goes on, also in the revision that is given here.
    pub(crate) async fn next(&self, draft: Draft, hosts: Hosts) -> (Self, Vec<LoadError>) {
        let Draft { mut config, ssh, reading, fingerprint } = draft;
        // Of what was asked for, before any of it is left as it was.
        fingerprint.find(&config, &ssh);
        let left_alone = self.config.needs_restart(&config);
        if !left_alone.is_empty() {
            tracing::warn!(keys = left_alone.join(", "), "changed, but these need a restart");
        }
        let plugins = self.plugins.follow(reading);
        let errors = plugins.at_hand().await;
        // What needs a restart stays as it was, also for the next comparison.
        config.pool = self.config.pool.clone();
        config.dial = self.config.dial.clone();
        config.plugin_memory = self.config.plugin_memory;
        config.audit_log.clone_from(&self.config.audit_log);
        config.audit = self.config.audit;
        let next = Self {
            number: self.number + 1,
            runs_anything: hosts.runs_anything,
            copies: config.transfers_are_open(),
            ssh,
            fleet: Arc::new(hosts.into_fleet(self.fleet.pool().clone())),
            limits: Arc::new(config.limits.clone()),
            call_timeout: config.call_timeout(),
            plugins,
            had_ssh_config: config.ssh_config.exists(),
            config,
            fingerprint,
        };
        (next, errors)
    }
}

/// A digest of all that a configuration asks for, the content of files included. Found when it is asked for: no start waits for
/// it.
struct Fingerprint {
    plugins: Vec<String>,
    found: OnceLock<[u8; 32]>,
}

impl Fingerprint {
    fn of(reading: &Reading) -> Self {
        Self { plugins: reading.digests().map(|digest| format!("{digest:?}")).collect(), found: OnceLock::new() }
    }

    /// `config` and `ssh`: those that it is of.
    fn find(&self, config: &Config, ssh: &SshConfig) -> &[u8; 32] {
        self.found.get_or_init(|| {
            let mut hasher = Hashing(Sha256::new());
            // Hashing cannot fail.
            write!(hasher, "{config:?}{:?}{}", ssh.digest(), self.plugins.concat()).ok();
            hasher.0.finalize().into()
        })
    }
}

struct Hashing(Sha256);

impl std::fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text);
        Ok(())
    }
}
