//! The hosts a server looks at: their settings, the pool that reaches them, who may do what with them.
//!
//! Of a host that nobody has asked for there is its name alone: of a hundred thousand most are never asked for. What was found
//! out about those that were is kept of so many at once.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use scout_local::Local;
use scout_machine::{
    Call, CommandLimits, ErrorKind, HostError, Machine as _, Operation, Principal, Probe, RemotePath, Within,
};
use scout_ssh::{Host, HostNames, HostSpec, Pool, SshConfig};
use tokio::sync::Semaphore;

use crate::grants::{Access, Argv, HostRules, Limit, Target};
use crate::machines::AnyMachine;
use crate::policy::{CommandPolicy, sudo};

/// Hosts of which settings that were looked up are kept, those asked for last: some 2.5 KiB each, 40 MiB at most. Another one is
/// looked up again, which takes some microseconds.
const KEPT: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Look-ups at once: each may wait for commands of `Match exec` on a thread that others want too.
static LOOK_UPS: Semaphore = Semaphore::const_new(32);

type ResolvedSpec = Result<Arc<HostSpec>, HostError>;

/// One host of the inventory.
#[derive(Clone, Debug)]
pub struct HostRecord {
    /// Its name, as clients say it.
    pub name: Arc<str>,
    /// What commands may run there.
    pub commands: CommandPolicy,
    /// What processes of commands may take there.
    pub limits: CommandLimits,
    transport: Transport,
    rules: Arc<HostRules>,
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
    pub fn over_ssh(
        config: &Arc<SshConfig>,
        name: impl Into<Arc<str>>,
        commands: CommandPolicy,
        limits: CommandLimits,
    ) -> Self {
        let transport = Transport::Ssh { config: Arc::clone(config), found: Arc::default() };
        Self { name: name.into(), commands, limits, transport, rules: Arc::default() }
    }

    /// This machine, under a name.
    pub fn local(local: &Local, name: impl Into<Arc<str>>, commands: CommandPolicy, limits: CommandLimits) -> Self {
        let transport = Transport::Local(local.clone());
        Self { name: name.into(), commands, limits, transport, rules: Arc::default() }
    }

    /// A host of which there is only what was recorded, or why it could not be reached then.
    pub fn recorded(name: &str, location: Result<Location, HostError>, commands: CommandPolicy) -> Self {
        let (transport, limits) = (Transport::Recorded(location), CommandLimits::NONE);
        Self { name: name.into(), commands, limits, transport, rules: Arc::default() }
    }

    /// With what the operator says of it.
    #[must_use]
    pub fn with_rules(self, rules: Arc<HostRules>) -> Self {
        Self { rules, ..self }
    }

    /// What may be run on it as root; absent: nothing.
    pub fn as_root(&self) -> Option<&Limit<Argv>> {
        self.rules.sudo.as_ref()
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
        Target { name: &self.name, commands: self.commands, rules: &self.rules, secrets: &access.secrets }
    }
}

/// Whether a host answers, as far as it is known, in the order in which they are listed by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    Connected,
    Reachable,
    #[default]
    Unknown,
    Unreachable,
    Misconfigured,
}

impl Status {
    const ALL: [Self; 5] = [Self::Connected, Self::Reachable, Self::Unknown, Self::Unreachable, Self::Misconfigured];

    /// As the contract calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Reachable => "reachable",
            Self::Unknown => "unknown",
            Self::Unreachable => "unreachable",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// The names of all of them, for people.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// What is known of a host without asking it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) status: Status,
    pub(crate) latency: Option<Duration>,
    /// Why it is unreachable or misconfigured.
    pub(crate) failure: Option<HostError>,
}

/// What makes hosts of names.
pub trait HostSource: Send + Sync {
    /// The host with this name: of those that are listed, or one that the operator has opened. Looks no settings up.
    fn host(&self, name: &Arc<str>, is_listed: bool) -> Option<HostRecord>;

    /// What commands may run on a host that is listed, and what the operator says of it, as its record has them.
    fn rules(&self, name: &str) -> (CommandPolicy, Arc<HostRules>);

    /// The pattern on a `Host` line that covers a name.
    fn pattern_of(&self, name: &str) -> Option<&str>;
}

/// Hosts that are made already.
struct Made(HashMap<Arc<str>, HostRecord>);

impl HostSource for Made {
    fn host(&self, name: &Arc<str>, _is_listed: bool) -> Option<HostRecord> {
        self.0.get(name).cloned()
    }

    fn rules(&self, name: &str) -> (CommandPolicy, Arc<HostRules>) {
        self.0.get(name).map(|host| (host.commands, Arc::clone(&host.rules))).unwrap_or_default()
    }

    fn pattern_of(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// All hosts. What they are never changes; a changed configuration makes a new one.
pub struct Fleet {
    listed: HostNames,
    source: Box<dyn HostSource>,
    kept: Mutex<LruCache<Arc<str>, HostRecord>>,
    /// The names of those that are listed in the order of their letters, once somebody asks by how they begin.
    sorted: OnceLock<Vec<Arc<str>>>,
    pool: Pool,
    access: Access,
    /// The machine that Scout runs on, as transfers see it.
    exchange: Option<HostRecord>,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("listed", &self.listed).field("pool", &self.pool).finish_non_exhaustive()
    }
}

impl Fleet {
    /// A fleet with these hosts, in this order, whose access nothing limits. A name that comes twice: the first wins.
    pub fn new(hosts: Vec<HostRecord>, pool: Pool) -> Self {
        let (mut listed, mut made) = (HostNames::default(), HashMap::with_capacity(hosts.len()));
        for host in hosts {
            if listed.add(&host.name) {
                made.insert(Arc::clone(&host.name), host);
            }
        }
        Self::of_names(listed, Box::new(Made(made)), pool)
    }

    /// A fleet with the hosts of these names, in this order, and those besides that `source` makes of other names. Nothing limits
    /// access.
    pub fn of_names(listed: HostNames, source: Box<dyn HostSource>, pool: Pool) -> Self {
        let (kept, sorted) = (Mutex::new(LruCache::new(KEPT)), OnceLock::new());
        Self { listed, source, kept, sorted, pool, access: Access::default(), exchange: None }
    }

    /// With what the operator has said of who may do what.
    #[must_use]
    pub fn with_access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// With the machine that Scout runs on, as transfers see it: its rules say which directories are open to them. It is none of the hosts.
    #[must_use]
    pub fn with_exchange(mut self, exchange: Option<HostRecord>) -> Self {
        self.exchange = exchange;
        self
    }

    /// The machine that Scout runs on, as transfers see it; absent: nothing of it is open to them.
    pub fn exchange(&self) -> Option<&HostRecord> {
        self.exchange.as_ref()
    }

    /// Who may do what.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The names of all hosts that are listed, in order.
    pub fn names(&self) -> &HostNames {
        &self.listed
    }

    /// The names of hosts that are listed and begin so, in the order of their letters. The first time all are put in that order.
    pub fn beginning_with<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        let sorted = self.sorted.get_or_init(|| {
            let mut names: Vec<Arc<str>> = self.listed.iter().cloned().collect();
            names.sort_unstable();
            names
        });
        let first = sorted.partition_point(|name| **name < *beginning);
        sorted.iter().skip(first).take_while(move |name| name.starts_with(beginning))
    }

    /// All hosts that are listed, in order, each made when it is its turn.
    pub fn hosts(&self) -> impl Iterator<Item = HostRecord> {
        self.listed.iter().filter_map(|name| self.get(name))
    }

    /// The host with this name: one that is listed, or one that the operator has opened.
    pub fn get(&self, name: &str) -> Option<HostRecord> {
        let mut kept = self.kept.lock();
        if let Some(host) = kept.get(name) {
            return Some(host.clone());
        }
        let host = match self.listed.find(name) {
            Some(name) => self.source.host(name, true)?,
            None => self.source.host(&name.into(), false)?,
        };
        kept.put(Arc::clone(&host.name), host.clone());
        Some(host)
    }

    /// What is known of whether a host answers a principal. Asks nobody, and looks no settings up: of whom none were looked up nothing
    /// is known.
    pub(crate) fn known(&self, principal: &Principal, name: &str) -> Known {
        let Some(transport) = self.kept.lock().peek(name).map(|host| host.transport.clone()) else {
            return Known::default();
        };
        let failed = |status, failure: &HostError| Known { status, latency: None, failure: Some(failure.clone()) };
        let found = match &transport {
            Transport::Ssh { found, .. } => found.get(),
            Transport::Local(_) => {
                return Known { status: Status::Connected, latency: Some(Duration::ZERO), failure: None };
            }
            Transport::Recorded(_) => None,
        };
        let spec = match found {
            Some(Ok(spec)) => spec,
            Some(Err(error)) => return failed(Status::Misconfigured, error),
            None => return Known::default(),
        };
        match self.pool.known(principal, spec) {
            Some(Probe { connected: true, latency, .. }) => {
                Known { status: Status::Connected, latency: latency.ok(), failure: None }
            }
            Some(Probe { latency: Ok(latency), refused, .. }) => {
                Known { status: Status::Reachable, latency: Some(latency), failure: refused }
            }
            Some(Probe { latency: Err(error), .. }) => failed(Status::Unreachable, &error),
            None => Known::default(),
        }
    }

    /// Asks what of a host that is listed rights are judged by, without making it.
    pub(crate) fn with_target<T>(&self, name: &str, ask: impl FnOnce(Target<'_>) -> T) -> T {
        let (commands, rules) = self.source.rules(name);
        ask(Target { name, commands, rules: &rules, secrets: &self.access.secrets })
    }

    /// Whether a principal may name a host, if there is one of this name.
    pub fn shows(&self, principal: &Principal, name: &str) -> bool {
        self.access.shows(principal, name, || self.source.rules(name).1)
    }

    /// The pattern on a `Host` line that covers a name.
    pub fn pattern_of(&self, name: &str) -> Option<&str> {
        self.source.pattern_of(name)
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

    /// Where a program lies that sudo would run by its name, if it is there: what is asked is what files there are.
    ///
    /// # Errors
    /// Those of [`Fleet::look_at_home`].
    pub async fn find_program(
        &self,
        host: &HostRecord,
        principal: &Principal,
        call: &Call,
        name: &str,
    ) -> Result<Option<String>, HostError> {
        let machine = self.machine(host, principal).await?;
        for place in sudo::PLACES {
            let path = format!("{place}/{name}");
            let asked = RemotePath::parse(&path).map_err(|_| {
                HostError::new(ErrorKind::Invalid, format!("{}: no program has such a name", host.name))
            })?;
            let asked = Operation::Stat { path: asked };
            match machine.perform(&asked, &Within::default(), call, std::future::ready(Ok(()))).await {
                Ok(_) => return Ok(Some(path)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The machine that is a host, for a principal, once the host's settings are looked up.
    pub(crate) async fn machine(&self, host: &HostRecord, principal: &Principal) -> Result<AnyMachine, HostError> {
        if let Transport::Local(local) = &host.transport {
            return Ok(AnyMachine::Local(local.on_behalf_of(principal)));
        }
        match host.looked_up().await {
            Some(spec) => {
                let (pool, principal, spec) = (self.pool.clone(), principal.clone(), spec?);
                Ok(AnyMachine::Ssh(Host { pool, principal, spec, own_sessions: host.rules.own_sessions }))
            }
            None => Ok(AnyMachine::Absent),
        }
    }

    /// The pool that reaches them.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
