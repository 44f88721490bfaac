//! The hosts a server looks at: their settings, the pool that reaches them, who may do what with them.
//!
//! A host's settings are looked up when they are first asked for: of ten thousand most never are.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use lru::LruCache;
use scout_local::Local;
use scout_machine::{
    Call, CommandLimits, ErrorKind, HostError, Machine as _, Operation, Principal, RemotePath, Within,
};
use scout_ssh::{Host, HostSpec, Pool, SshConfig};
use tokio::sync::Semaphore;

use crate::grants::{Access, HostRules, Target};
use crate::machines::AnyMachine;
use crate::policy::CommandPolicy;

/// Hosts by pattern that are kept.
const MAX_OPENED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// Look-ups at once: each may wait for commands of `Match exec` on a thread that others want too.
static LOOK_UPS: Semaphore = Semaphore::const_new(32);

type ResolvedSpec = Result<Arc<HostSpec>, HostError>;

/// One host of the inventory.
#[derive(Clone, Debug)]
pub struct HostRecord {
    /// Its name, as clients say it.
    pub name: String,
    /// What commands may run there.
    pub commands: CommandPolicy,
    /// What processes of commands may take there.
    pub limits: CommandLimits,
    transport: Transport,
    /// What the operator says of it, if that does not stand under its name.
    rules: Option<Arc<HostRules>>,
}

/// How a host is reached.
#[derive(Clone)]
enum Transport {
    /// Over SSH, with these settings, looked up when they are first asked for.
    Ssh { config: Arc<SshConfig>, found: Arc<OnceLock<ResolvedSpec>> },
    /// It is this machine.
    Local(Local),
    /// Not at all: there is only what was recorded of it.
    Recorded(Result<Location, HostError>),
}

/// Where a host is, and as whom it is used there, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name or number that is dialled; `local` of this machine.
    pub address: String,
    /// The port that is dialled; 0 where none is.
    pub port: u16,
    /// The account.
    pub user: String,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ssh { found, .. } => found.get().fmt(f),
            Self::Local(local) => local.fmt(f),
            Self::Recorded(location) => location.fmt(f),
        }
    }
}

impl HostRecord {
    /// A host over SSH, whose settings `config` has.
    pub fn over_ssh(config: &Arc<SshConfig>, name: &str, commands: CommandPolicy, limits: CommandLimits) -> Self {
        let transport = Transport::Ssh { config: Arc::clone(config), found: Arc::default() };
        Self { name: name.to_owned(), commands, limits, transport, rules: None }
    }

    /// This machine, under a name.
    pub fn local(local: &Local, name: &str, commands: CommandPolicy, limits: CommandLimits) -> Self {
        Self { name: name.to_owned(), commands, limits, transport: Transport::Local(local.clone()), rules: None }
    }

    /// A host of which there is only what was recorded, or why it could not be reached then.
    pub fn recorded(name: &str, location: Result<Location, HostError>, commands: CommandPolicy) -> Self {
        let (transport, limits) = (Transport::Recorded(location), CommandLimits::NONE);
        Self { name: name.to_owned(), commands, limits, transport, rules: None }
    }

    /// With what the operator says of it.
    #[must_use]
    pub fn with_rules(self, rules: HostRules) -> Self {
        Self { rules: Some(Arc::new(rules)), ..self }
    }

    /// Where it is, or why its settings cannot be evaluated. Blocks as [`HostRecord::spec`].
    ///
    /// # Errors
    /// As [`HostRecord::spec`].
    pub fn location(&self) -> Result<Location, HostError> {
        match &self.transport {
            Transport::Ssh { .. } => {
                let spec = self.spec().unwrap_or_else(|| Err(self.not_over_ssh()))?;
                Ok(Location { address: spec.host_name.clone(), port: spec.port, user: spec.user.clone() })
            }
            Transport::Local(local) => {
                let user = local.account().name().to_string_lossy().into_owned();
                Ok(Location { address: "local".to_owned(), port: 0, user })
            }
            Transport::Recorded(location) => location.clone(),
        }
    }

    /// Its settings over SSH, or why they cannot be evaluated; absent: it is reached otherwise. Looked up once; that may run commands
    /// of `Match exec`, and blocks.
    pub fn spec(&self) -> Option<ResolvedSpec> {
        match &self.transport {
            Transport::Ssh { config, found } => {
                Some(found.get_or_init(|| config.resolve(&self.name).map(Arc::new)).clone())
            }
            Transport::Local(_) | Transport::Recorded(_) => None,
        }
    }

    /// The same, looked up on a thread that may block.
    ///
    /// # Cancel safety
    /// The look-up goes on, and whoever asks next has what it found.
    pub async fn looked_up(&self) -> Option<ResolvedSpec> {
        match &self.transport {
            Transport::Ssh { found, .. } => {
                if let Some(looked) = found.get() {
                    return Some(looked.clone());
                }
            }
            Transport::Local(_) | Transport::Recorded(_) => return None,
        }
        let given_up =
            || Err(HostError::new(ErrorKind::Config, format!("{}: its settings were not looked up", self.name)));
        let Ok(place) = LOOK_UPS.acquire().await else { return Some(given_up()) };
        let host = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            host.spec()
        });
        looked.await.unwrap_or_else(|_| Some(given_up()))
    }

    fn not_over_ssh(&self) -> HostError {
        HostError::new(ErrorKind::Unsupported, format!("{}: it is not reached over SSH", self.name))
    }

    /// The host as [`crate::grants::decide`] sees it.
    pub fn target<'a>(&'a self, access: &'a Access) -> Target<'a> {
        let rules = self.rules.as_deref().unwrap_or_else(|| access.host(&self.name));
        Target { name: &self.name, commands: self.commands, rules, secrets: &access.secrets }
    }
}

/// Makes a host of a name that no `Host` line spells out, if the operator has opened it.
pub type Opener = Box<dyn Fn(&str) -> Option<HostRecord> + Send + Sync>;

/// What there is beside the hosts that are listed.
struct Unlisted {
    config: Arc<SshConfig>,
    opener: Opener,
    opened: Mutex<LruCache<String, HostRecord>>,
}

/// All hosts. Immutable; a changed configuration makes a new one.
pub struct Fleet {
    hosts: Vec<HostRecord>,
    by_name: HashMap<String, usize>,
    unlisted: Option<Unlisted>,
    pool: Pool,
    access: Access,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("hosts", &self.hosts).field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Fleet {
    /// A fleet with these hosts, in this order, whose access nothing limits. A name that comes twice: the first wins.
    pub fn new(hosts: Vec<HostRecord>, pool: Pool) -> Self {
        let mut by_name = HashMap::with_capacity(hosts.len());
        for (at, host) in hosts.iter().enumerate() {
            by_name.entry(host.name.clone()).or_insert(at);
        }
        Self { hosts, by_name, unlisted: None, pool, access: Access::default() }
    }

    /// With what the operator has said of who may do what.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// With the names that only patterns of a configuration cover, as far as `opener` makes hosts of them.
    #[must_use]
    pub fn with_unlisted(mut self, config: Arc<SshConfig>, opener: Opener) -> Self {
        self.unlisted = Some(Unlisted { config, opener, opened: Mutex::new(LruCache::new(MAX_OPENED)) });
        self
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// All hosts that are listed, in order.
    pub fn hosts(&self) -> &[HostRecord] {
        &self.hosts
    }

    /// The host with this name: one that is listed, or one that the operator has opened.
    pub fn get(&self, name: &str) -> Option<HostRecord> {
        if let Some(host) = self.by_name.get(name).and_then(|at| self.hosts.get(*at)) {
            return Some(host.clone());
        }
        let Unlisted { opener, opened, .. } = self.unlisted.as_ref()?;
        let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = opened.get(name) {
            return Some(host.clone());
        }
        let host = opener(name)?;
        opened.put(name.to_owned(), host.clone());
        Some(host)
    }

    /// The pattern on a `Host` line that covers a name.
    pub fn pattern_of(&self, name: &str) -> Option<&str> {
        self.unlisted.as_ref().and_then(|unlisted| unlisted.config.pattern_of(name))
    }

    /// Looks at the home directory of a host, as a real request would: logs in where that is needed.
    ///
    /// # Errors
    /// Those of [`Machine::perform`](scout_machine::Machine::perform), and settings that cannot be evaluated.
    pub async fn look_at_home(&self, host: &HostRecord, principal: &Principal, call: &Call) -> Result<(), HostError> {
        let machine = self.machine(host, principal).await?;
        let home = Operation::Stat { path: RemotePath::home() };
        machine.perform(&home, &Within::default(), call, std::future::ready(Ok(()))).await.map(drop)
    }

    /// The machine that is a host, for a principal, once the host's settings are looked up.
    pub(crate) async fn machine(&self, host: &HostRecord, principal: &Principal) -> Result<AnyMachine, HostError> {
        if let Transport::Local(local) = &host.transport {
            return Ok(AnyMachine::Local(local.clone()));
        }
        match host.looked_up().await {
            Some(spec) => {
                Ok(AnyMachine::Ssh(Host { pool: self.pool.clone(), principal: principal.clone(), spec: spec? }))
            }
            None => Ok(AnyMachine::Absent),
        }
    }

    /// The pool that reaches them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
