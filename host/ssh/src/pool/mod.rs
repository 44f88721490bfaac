//! The pool: one host's connections shared by all who ask for it, parallel hosts, bounded everything.
//!
//! Owns which connection serves whom and when one is closed. Does not know what is done with it ([`crate::lease`]) nor
//! how it is dialled. **A dial belongs to its entry, not to the request that began it**: it goes on when that request
//! goes. Only connections that nobody uses are evicted or idle out. The map's lock is held for map work alone.

mod config;
pub(crate) mod connection;
mod known;
mod probes;
mod seen;
pub(crate) mod slots;

pub use config::{DialConfig, KnownHostsFiles, PoolConfig};

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lru::LruCache;
use parking_lot::Mutex;
use scout_machine::{Call, ErrorKind, FairSemaphore, HostError, Principal, Probe, TenantId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::dial::penalties::Penalties;
use crate::jitter::jittered;
use crate::lease::within;
use crate::pool::connection::Connection;
use crate::pool::known::Stamp;
use crate::pool::probes::Probes;
use crate::quirks::Quirks;
use crate::{HostKey, HostSpec, Lease, dial};

/// Handshakes at once with one address: OpenSSH's `MaxStartups` begins to refuse at 10.
const HANDSHAKES_PER_ADDRESS: usize = 10;
/// How long a host that could not be reached is left alone: doubled with each failure, up to the longest. What is waited
/// is between half of it and all of it, so that hosts that failed together are not tried together.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));
/// How long a host's key that was not accepted is remembered, while known_hosts stays as it is. The host may have got
/// another one meanwhile.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// Logins of which it is remembered that they have succeeded.
const MAX_PROVEN: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// How long a failure is remembered after that.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// Hosts whose ways are remembered; of the others they are found out again.
const REMEMBERED_HOSTS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");
/// The shortest and longest time between two looks for idle connections.
const REAP_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// A pool's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolSnapshot {
    /// Connections ready for use.
    pub ready: u64,
    /// Dials under way.
    pub dialing: u64,
    /// Hosts whose last dial failed, and that are left alone for a while.
    pub backing_off: u64,
    /// Session channels that are open, those ahead of need and for SFTP among them.
    pub channels: u64,
    /// Ready connections whose server allows fewer channels than are usual.
    pub limited: u64,
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
    /// TCP connections made to see whether a host answers.
    pub probes: u64,
}

/// Connections to hosts, as one who dials with a [`DialConfig`] uses them. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
    dial: Arc<DialConfig>,
    _reaper: Arc<tokio_util::sync::DropGuard>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.snapshot()).finish()
    }
}

impl Pool {
    /// An empty pool, to be dialled from with the defaults. Must be called inside a tokio runtime.
    pub fn new(config: PoolConfig) -> Self {
        let reaping = CancellationToken::new();
        let probes = Probes::new(config.seen.clone());
        let inner = Arc::new(Inner {
            room: FairSemaphore::new(config.max_connections.max(1), config.max_connections_of_principal.max(1)),
            config,
            state: Mutex::new(State {
                entries: HashMap::new(),
                idle: LruCache::unbounded(),
                addresses: HashMap::new(),
                quirks: LruCache::new(REMEMBERED_HOSTS),
                wanting_room: HashMap::new(),
                proven: LruCache::new(MAX_PROVEN),
            }),
            penalties: Arc::default(),
            probes,
            stats: Arc::default(),
            next_id: AtomicU64::new(0),
            closed: CancellationToken::new(),
        });
        tokio::spawn(reap(Arc::downgrade(&inner), inner.config.idle_timeout, reaping.clone()));
        Self { inner, dial: Arc::default(), _reaper: Arc::new(reaping.drop_guard()) }
    }

    /// The same pool, with the same bounds, for somebody who dials with this.
    #[must_use]
    pub fn dialling_with(&self, dial: DialConfig) -> Self {
        Self { dial: Arc::new(dial), ..self.clone() }
    }

    /// The hosts of a tenant where commands that only read were found to run in no shell that stays, by alias, and why, behind
    /// "because".
    pub fn hosts_without_shells(&self, tenant: &TenantId) -> Vec<(String, &'static str)> {
        let state = self.inner.state.lock();
        let of_tenant = state.quirks.iter().filter(|((owner, _), _)| owner == tenant);
        of_tenant.filter_map(|((_, spec), quirks)| Some((spec.alias.clone(), quirks.why_no_shell()?))).collect()
    }

    /// A ready connection to the host, shared with others of the same principal; dials if there is none.
    ///
    /// # Errors
    /// Every kind that a dial can meet.
    /// # Cancel safety
    /// The dial goes on for others who wait for it.
    pub async fn lease(&self, principal: &Principal, spec: &Arc<HostSpec>, call: &Call) -> Result<Lease, HostError> {
        let key = self.key(principal, spec);
        let (tenant, name) = (principal.tenant(), principal.name());
        let span = tracing::debug_span!("lease", host = %spec.alias, %tenant, principal = %name);
        let connection = self.inner.connect(&key, call).instrument(span).await?;
        Ok(Lease::new(Arc::clone(&self.inner), key, connection))
    }

    /// Whether the host answers on its port, and how fast: no question where a connection is ready, one for all who ask
    /// about an address within half a minute, and none where it could bring the server to lock this machine out.
    ///
    /// # Cancel safety
    /// The question goes on, and whoever asks next has its answer.
    pub async fn probe(&self, principal: &Principal, spec: &Arc<HostSpec>, limit: Duration) -> Probe {
        self.probe_within(principal, spec, limit, Self::FRESH).await
    }

    /// How long what was seen of a host counts.
    pub const FRESH: Duration = Duration::from_secs(30);
    /// How long it counts for whoever asks anew: those who ask at once are answered at once.
    pub const ANEW: Duration = Duration::from_secs(1);

    /// The same, where nothing counts that was seen longer ago than `age`, which is [`Pool::FRESH`] at most.
    ///
    /// # Cancel safety
    /// As [`Pool::probe`].
    pub async fn probe_within(
        &self,
        principal: &Principal,
        spec: &Arc<HostSpec>,
        limit: Duration,
        age: Duration,
    ) -> Probe {
        let (connected, refused) = self.state_of(principal, spec);
        let latency = match connected {
            true => self.latency_while_connected(spec),
            false => self.inner.probes.ask(spec, &self.inner.penalties, limit, age).await,
        };
        Probe { connected, latency, refused }
    }

    /// What is known of whether the host answers, of its connections and of what was seen within [`Pool::FRESH`]. Asks nobody. Absent:
    /// nothing is.
    pub fn known(&self, principal: &Principal, spec: &Arc<HostSpec>) -> Option<Probe> {
        let (connected, refused) = self.state_of(principal, spec);
        let latency = match connected {
            true => self.latency_while_connected(spec),
            false => self.inner.probes.seen(spec)?,
        };
        Some(Probe { connected, latency, refused })
    }

    /// Whether a connection is ready for use, and why there is none, if that is known.
    fn state_of(&self, principal: &Principal, spec: &Arc<HostSpec>) -> (bool, Option<HostError>) {
        match self.inner.state.lock().entries.get(&self.key(principal, spec)) {
            Some(Entry { state: ConnectionState::Ready(connection), .. }) => (connection.is_usable(), None),
            Some(Entry { state: ConnectionState::Backoff { error, .. }, .. }) => (false, Some(error.clone())),
            Some(Entry { state: ConnectionState::Dialing(_), .. }) | None => (false, None),
        }
    }

    fn latency_while_connected(&self, spec: &HostSpec) -> Result<Duration, HostError> {
        let seen = self.inner.probes.seen(spec).filter(Result::is_ok);
        seen.unwrap_or_else(|| Err(probes::not_asked(spec, "it is connected")))
    }

    /// The host's key and what a dial would make of it, without trusting it: a handshake that ends before
    /// authentication. Jump hosts on the way are logged in to. For `scout trust`.
    ///
    /// # Errors
    /// Those of a dial; [`ErrorKind::HostKeyRejected`] for a key that nobody could trust.
    pub async fn host_key(&self, spec: &HostSpec, call: &Call) -> Result<HostKey, HostError> {
        within(&spec.alias, call, dial::host_key(spec, &self.dial, &self.inner.penalties)).await
    }

    /// For the connection that serves everything.
    fn key(&self, principal: &Principal, spec: &Arc<HostSpec>) -> Key {
        let (principal, spec, dial) = (principal.clone(), Arc::clone(spec), Arc::clone(&self.dial));
        Key { principal, spec, dial, role: Role::First }
    }

    /// The counters now, of all who use it.
    pub fn snapshot(&self) -> PoolSnapshot {
        let mut snapshot = PoolSnapshot::default();
        for entry in self.inner.state.lock().entries.values() {
            match &entry.state {
                ConnectionState::Dialing(_) => snapshot.dialing += 1,
                ConnectionState::Backoff { .. } => snapshot.backing_off += 1,
                ConnectionState::Ready(connection) => {
                    snapshot.ready += 1;
                    snapshot.channels += connection.open_channels() as u64;
                    snapshot.limited += u64::from(connection.is_limited());
                }
            }
        }
        let stats = &self.inner.stats;
        PoolSnapshot {
            dials: stats.dials.get(),
            hits: stats.hits.get(),
            misses: stats.misses.get(),
            evictions: stats.evictions.get(),
            idle_closed: stats.idle_closed.get(),
            waiters: stats.waiters.get(),
            in_flight: stats.in_flight.get(),
            round_trips: stats.round_trips.get(),
            stalls: stats.stalls.get(),
            probes: self.inner.probes.asked(),
            ..snapshot
        }
    }

    /// Closes every connection, whoever uses it; later leases fail.
    pub async fn shutdown(&self) {
        self.inner.closed.cancel();
        let connections: Vec<_> = {
            let mut state = self.inner.state.lock();
            state.idle.clear();
            let ready = |entry: Entry| match entry.state {
                ConnectionState::Ready(connection) => Some(connection),
                ConnectionState::Dialing(_) | ConnectionState::Backoff { .. } => None,
            };
            std::mem::take(&mut state.entries).into_values().filter_map(ready).collect()
        };
        futures_util::future::join_all(connections.iter().map(|connection| connection.say_goodbye())).await;
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add(&self) {
        self.add_all(1);
    }

    /// `n` more.
    pub(crate) fn add_all(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn sub(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A pool's counters.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    dials: Counter,
    hits: Counter,
    misses: Counter,
    evictions: Counter,
    idle_closed: Counter,
    waiters: Counter,
    pub(crate) in_flight: Counter,
    pub(crate) round_trips: Counter,
    pub(crate) stalls: Counter,
}

/// How many requests wait for one host, and how many may.
pub(crate) struct Gauge {
    waiting: AtomicU64,
    limit: u64,
    stats: Arc<Stats>,
}

/// A request that waits; ends when dropped.
pub(crate) struct Waiting<'a>(&'a Gauge);

impl Gauge {
    /// Joins those who wait.
    ///
    /// # Errors
    /// [`ErrorKind::Exhausted`] if there are too many.
    pub(crate) fn enter(&self, alias: &str) -> Result<Waiting<'_>, HostError> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= self.limit {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            let message = format!("{alias}: {} requests wait for this host already", self.limit);
            return Err(HostError::new(ErrorKind::Exhausted, message).with_hint("ask again later"));
        }
        self.stats.waiters.add();
        Ok(Waiting(self))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
        self.0.stats.waiters.sub();
    }
}

/// What two requests must have in common to share a connection: who asks, and all that decides who logs in where and
/// whom that trusts. The alias is among it: what goes wrong is told with the name that was asked for.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    principal: Principal,
    spec: Arc<HostSpec>,
    dial: Arc<DialConfig>,
    role: Role,
}

impl Key {
    /// The host's settings.
    pub(crate) fn spec(&self) -> &Arc<HostSpec> {
        &self.spec
    }

    /// The same host's connection for something else.
    fn with(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }
}

/// What one of a host's connections is for. All but the first are made only where there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Everything.
    First,
    /// Commands, when all places of the first are taken.
    Second,
    /// Large files.
    Bulk,
}

/// What a dial came to. The connection stays in use as long as anybody may still look at this.
type DialResult = Result<Arc<InUse>, HostError>;

enum ConnectionState {
    /// A task dials; becomes Ready or Backoff, or vanishes if nobody waits any more or a retry may help at once.
    Dialing(Arc<watch::Sender<Option<DialResult>>>),
    /// Connected; vanishes when found dead or worn, evicted or idled out.
    Ready(Arc<Connection>),
    /// The dial failed; becomes Dialing when somebody asks later than `until`, or when known_hosts is no longer what the
    /// failure came of; vanishes a while after `until`.
    Backoff { error: HostError, until: Instant, came_of: Option<Arc<Stamp>> },
}

struct Entry {
    state: ConnectionState,
    queue: Arc<Gauge>,
    /// Dials that failed since one succeeded.
    failures: u32,
}

/// A connection, or the dial that makes it.
enum Begun {
    Ready(Arc<InUse>),
    Dialing(watch::Receiver<Option<DialResult>>, Arc<Gauge>),
}

struct State {
    entries: HashMap<Key, Entry>,
    /// By connection id: those that nobody uses, and since when. The least recently used first.
    idle: LruCache<u64, (Key, Arc<Connection>, Instant)>,
    addresses: HashMap<(String, u16), Arc<FairSemaphore>>,
    /// What was found out of a host, for one tenant: what a host does to one is no other's business.
    quirks: LruCache<(TenantId, Arc<HostSpec>), Arc<Quirks>>,
    /// Dials that wait for another connection to go.
    wanting_room: HashMap<Principal, usize>,
    /// Who has logged in where.
    proven: LruCache<(Principal, Arc<HostSpec>), ()>,
}

/// What all clones of a pool share.
pub(crate) struct Inner {
    config: PoolConfig,
    state: Mutex<State>,
    stats: Arc<Stats>,
    room: FairSemaphore,
    penalties: Arc<Penalties>,
    probes: Probes,
    next_id: AtomicU64,
    closed: CancellationToken,
}

impl Inner {
    /// The pool's counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A connection for this key; dials if there is none, or joins the dial that is under way.
    ///
    /// # Errors
    /// Those of the dial; of the last one, while the host is left alone after a failure.
    /// # Cancel safety
    /// The dial goes on for others who wait for it.
    pub(crate) async fn connect(self: &Arc<Self>, key: &Key, call: &Call) -> Result<Arc<InUse>, HostError> {
        let alias = &key.spec.alias;
        self.forget_what_changed(key).await;
        let (dial, queue) = match self.begin(key)? {
            Begun::Ready(connection) => {
                self.stats.hits.add();
                return Ok(connection);
            }
            Begun::Dialing(dial, queue) => (dial, queue),
        };
        self.stats.misses.add();
        let _waiting = queue.enter(alias)?;
        call.cost.add_dial();
        within(alias, call, async {
            let connection = dialled(dial, alias).await?;
            call.cost.add_round_trips(connection.dial_round_trips);
            Ok(connection)
        })
        .await
    }

    /// A key that was not accepted is looked at again once known_hosts has changed.
    async fn forget_what_changed(&self, key: &Key) {
        let came_of = match self.state.lock().entries.get(key) {
            Some(Entry { state: ConnectionState::Backoff { came_of: Some(came_of), .. }, .. }) => Arc::clone(came_of),
            _ => return,
        };
        if came_of.is_current().await {
            return;
        }
        let mut state = self.state.lock();
        let is_same = matches!(
            state.entries.get(key),
            Some(Entry { state: ConnectionState::Backoff { came_of: Some(own), .. }, .. }) if Arc::ptr_eq(own, &came_of)
        );
        if is_same {
            state.entries.remove(key);
        }
    }

    /// A connection besides the first, if there may be one. Counts nothing: nobody depends on it.
    pub(crate) async fn extra(self: &Arc<Self>, key: &Key, role: Role) -> Option<Arc<InUse>> {
        let key = key.with(role);
        self.forget_what_changed(&key).await;
        match self.begin(&key).ok()? {
            Begun::Ready(connection) => Some(connection),
            Begun::Dialing(dial, _) => dialled(dial, &key.spec.alias).await.ok(),
        }
    }

    /// Takes a ready connection into use, or sees to it that one is dialled.
    fn begin(self: &Arc<Self>, key: &Key) -> Result<Begun, HostError> {
        let mut state = self.state.lock();
        if self.closed.is_cancelled() {
            return Err(shut_down(&key.spec.alias));
        }
        let (queue, failures) = match state.entries.get(key) {
            Some(Entry { state: ConnectionState::Ready(connection), .. }) if connection.is_usable() => {
                let connection = Arc::clone(connection);
                return Ok(Begun::Ready(Arc::new(self.new_use(&mut state, key, connection))));
            }
            Some(Entry { state: ConnectionState::Dialing(dial), queue, .. }) => {
                return Ok(Begun::Dialing(dial.subscribe(), Arc::clone(queue)));
            }
            Some(Entry { state: ConnectionState::Backoff { error, until, came_of }, queue, failures }) => {
                let left = until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    let when = match came_of {
                        None => {
                            format!("; tried a moment ago, and again in {:.1} s at the earliest", left.as_secs_f32())
                        }
                        Some(_) => "; so it was a while ago, and known_hosts has not changed since".to_owned(),
                    };
                    return Err(error.clone().with_addition(&when));
                }
                (Arc::clone(queue), *failures)
            }
            Some(entry) => (Arc::clone(&entry.queue), 0),
            None => {
                let limit = self.config.max_waiters_per_host as u64;
                (Arc::new(Gauge { waiting: AtomicU64::new(0), limit, stats: Arc::clone(&self.stats) }), 0)
            }
        };
        let (sender, receiver) = watch::channel(None);
        let sender = Arc::new(sender);
        let entry = Entry { state: ConnectionState::Dialing(Arc::clone(&sender)), queue: Arc::clone(&queue), failures };
        if let Some(Entry { state: ConnectionState::Ready(dead), .. }) = state.entries.insert(key.clone(), entry) {
            self.forget(&mut state, &dead);
        }
        let (tenant, name) = (key.principal.tenant(), key.principal.name());
        let span = tracing::debug_span!("dial", host = %key.spec.alias, %tenant, principal = %name);
        tokio::spawn(Arc::clone(self).run_dial(key.clone(), sender, Arc::clone(&queue)).instrument(span));
        Ok(Begun::Dialing(receiver, queue))
    }

    /// The dial's task.
    async fn run_dial(self: Arc<Self>, key: Key, sender: Arc<watch::Sender<Option<DialResult>>>, queue: Arc<Gauge>) {
        // Before the files are read: what changes meanwhile is looked at again.
        let stamp = Stamp::of(&key.spec, &key.dial).await;
        let result = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(shut_down(&key.spec.alias)),
            result = self.dial(&key, &sender, &queue) => match result {
                Some(result) => result,
                None => return,
            }
        };
        let result = {
            let mut state = self.state.lock();
            let failures = match state.entries.get(&key) {
                Some(Entry { state: ConnectionState::Dialing(dial), failures, .. }) if Arc::ptr_eq(dial, &sender) => {
                    Some(*failures)
                }
                _ => None,
            };
            match (result, failures) {
                (Ok((connection, round_trips)), Some(_)) => {
                    state.proven.put((key.principal.clone(), Arc::clone(&key.spec)), ());
                    let entry = Entry { state: ConnectionState::Ready(Arc::clone(&connection)), queue, failures: 0 };
                    state.entries.insert(key.clone(), entry);
                    let mut in_use = self.new_use(&mut state, &key, connection);
                    in_use.dial_round_trips = round_trips;
                    Ok(Arc::new(in_use))
                }
                (Ok((connection, _)), None) => {
                    connection.close();
                    Err(shut_down(&key.spec.alias))
                }
                (Err(error), None) => Err(error),
                (Err(error), Some(failures)) => {
                    if error.kind() == ErrorKind::Auth {
                        state.proven.pop(&(key.principal.clone(), Arc::clone(&key.spec)));
                    }
                    let is_of_key = matches!(error.kind(), ErrorKind::UnknownHostKey | ErrorKind::HostKeyRejected);
                    if is_lasting(&error) || is_of_key {
                        let failures = failures.saturating_add(1);
                        let (pause, came_of) = match is_of_key {
                            true => (REMEMBERED, Some(Arc::new(stamp))),
                            // Twice as long each time, as what cannot be reached.
                            false => {
                                let least = error.pause().saturating_mul(1 << failures.saturating_sub(1).min(3));
                                (backoff(failures).max(least), None)
                            }
                        };
                        let failed =
                            ConnectionState::Backoff { error: error.clone(), until: Instant::now() + pause, came_of };
                        state.entries.insert(key, Entry { state: failed, queue, failures });
                    } else {
                        state.entries.remove(&key);
                    }
                    Err(error)
                }
            }
        };
        // Dropped outside the lock, should nobody be left.
        drop(sender.send_replace(Some(result)));
    }

    /// Dials. `None`: nobody waits any more, and the entry is gone.
    async fn dial(
        self: &Arc<Self>,
        key: &Key,
        sender: &Arc<watch::Sender<Option<DialResult>>>,
        queue: &Arc<Gauge>,
    ) -> Option<Result<(Arc<Connection>, u64), HostError>> {
        let spec = &key.spec;
        let who = &key.principal;
        let has_no_room = || key.role != Role::First && (self.room.free() == 0 || self.room.has_its_share(who));
        if has_no_room() {
            return Some(Err(no_room(&spec.alias)));
        }
        let handshakes = self.handshakes(spec);
        let (_handshake, room) = loop {
            // First of all, so that dials to an address that does not answer take no other host's place in the pool.
            let handshake = self.while_wanted(key, sender, handshakes.acquire(who, 1)).await?;
            if has_no_room() {
                return Some(Err(no_room(&spec.alias)));
            }
            if let Some(room) = self.room.try_acquire(who, 1) {
                break (handshake, room);
            }
            // Neither does whoever waits for room keep others from the address.
            drop(handshake);
            let _wanting = self.want_room(who);
            self.evict_one(who);
            let room = self.while_wanted(key, sender, self.room.acquire(who, 1)).await?;
            if let Some(handshake) = handshakes.try_acquire(who, 1) {
                break (handshake, room);
            }
        };
        self.stats.dials.add();
        let is_proven = self.state.lock().proven.contains(&(key.principal.clone(), Arc::clone(spec)));
        Some(dial::dial(spec, &key.dial, &self.penalties, (&key.principal, is_proven)).await.map(|dialled| {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            let round_trips = dialled.round_trips;
            self.stats.round_trips.add_all(round_trips);
            let shared = (Arc::clone(&self.stats), Arc::clone(queue), self.quirks(key));
            (Connection::new(id, &spec.alias, dialled, &self.config, shared, room), round_trips)
        }))
    }

    /// Waits as long as anybody waits for the dial. `None`: nobody does, and its entry is gone.
    async fn while_wanted<T>(
        &self,
        key: &Key,
        sender: &Arc<watch::Sender<Option<DialResult>>>,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                () = sender.closed() => {
                    let mut state = self.state.lock();
                    if sender.receiver_count() == 0 {
                        state.entries.remove(key);
                        return None;
                    }
                }
            }
        }
    }

    /// The handshakes that may be under way at once with the host's address.
    fn handshakes(&self, spec: &HostSpec) -> Arc<FairSemaphore> {
        let mut state = self.state.lock();
        state.addresses.retain(|_, handshakes| Arc::strong_count(handshakes) > 1);
        let address = dial::first_contact(spec);
        let handshakes = || Arc::new(FairSemaphore::new(HANDSHAKES_PER_ADDRESS, HANDSHAKES_PER_ADDRESS));
        Arc::clone(state.addresses.entry(address).or_insert_with(handshakes))
    }

    /// What is remembered of a host.
    fn quirks(&self, key: &Key) -> Arc<Quirks> {
        let whose = (key.principal.tenant().clone(), Arc::clone(&key.spec));
        Arc::clone(self.state.lock().quirks.get_or_insert(whose, Arc::default))
    }

    fn want_room(self: &Arc<Self>, who: &Principal) -> WantingRoom {
        *self.state.lock().wanting_room.entry(who.clone()).or_default() += 1;
        WantingRoom(Arc::clone(self), who.clone())
    }

    /// Whether a dial waits that could have the place of a connection of this principal.
    fn is_wanted(&self, state: &State, of: &Principal) -> bool {
        state.wanting_room.keys().any(|who| who == of || !self.room.has_its_share(who))
    }

    /// Closes the connection that nobody has used for longest, so that a principal can have one more: of its own, if it has all that it
    /// may.
    fn evict_one(&self, who: &Principal) {
        let has_its_share = self.room.has_its_share(who);
        let mut state = self.state.lock();
        let mut idle = state.idle.iter().rev();
        let id = idle.find(|(_, (key, ..))| !has_its_share || key.principal == *who).map(|(id, _)| *id);
        if let Some((key, connection, _)) = id.and_then(|id| state.idle.pop(&id)) {
            self.remove(&mut state, &key, &connection);
            self.stats.evictions.add();
        }
    }

    fn new_use(self: &Arc<Self>, state: &mut State, key: &Key, connection: Arc<Connection>) -> InUse {
        state.idle.pop(&connection.id);
        connection.users.add();
        InUse { connection, key: key.clone(), pool: Arc::clone(self), dial_round_trips: 0 }
    }

    /// Ends a use; the last one leaves the connection idle, or closes it if it serves nobody any more.
    fn end_use(&self, key: &Key, connection: &Arc<Connection>) {
        let mut state = self.state.lock();
        connection.users.sub();
        if connection.users.get() > 0 {
            return;
        }
        let current = matches!(state.entries.get(key), Some(Entry { state: ConnectionState::Ready(own), .. }) if Arc::ptr_eq(own, connection));
        if !current || !connection.is_usable() {
            self.remove(&mut state, key, connection);
        } else if self.is_wanted(&state, &key.principal) {
            self.remove(&mut state, key, connection);
            self.stats.evictions.add();
        } else {
            state.idle.push(connection.id, (key.clone(), Arc::clone(connection), Instant::now()));
        }
    }

    /// A connection found dead: its users will see to themselves.
    fn forget(&self, state: &mut State, dead: &Arc<Connection>) {
        state.idle.pop(&dead.id);
        if dead.users.get() == 0 || !dead.is_alive() {
            dead.close();
        }
    }

    fn remove(&self, state: &mut State, key: &Key, connection: &Arc<Connection>) {
        if matches!(state.entries.get(key), Some(Entry { state: ConnectionState::Ready(own), .. }) if Arc::ptr_eq(own, connection))
        {
            state.entries.remove(key);
        }
        connection.close();
    }

    /// Closes what nobody has used for `idle_timeout`, and what died meanwhile.
    fn reap(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let over: Vec<_> = state
            .idle
            .iter()
            .filter(|(_, (_, connection, since))| {
                !connection.is_alive() || now.duration_since(*since) >= self.config.idle_timeout
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over {
            if let Some((key, connection, _)) = state.idle.pop(&id) {
                self.remove(&mut state, &key, &connection);
                self.stats.idle_closed.add();
            }
        }
        state.entries.retain(|_, entry| match &entry.state {
            ConnectionState::Backoff { until, .. } => now.saturating_duration_since(*until) < FORGET_AFTER,
            ConnectionState::Dialing(_) | ConnectionState::Ready(_) => true,
        });
    }
}

fn shut_down(alias: &str) -> HostError {
    HostError::new(ErrorKind::Cancelled, format!("{alias}: the pool is shut down"))
}

fn no_room(alias: &str) -> HostError {
    HostError::new(ErrorKind::Exhausted, format!("{alias}: there is no room for another connection"))
}

/// What a dial came to, once it has.
async fn dialled(mut dial: watch::Receiver<Option<DialResult>>, alias: &str) -> DialResult {
    let result = dial.wait_for(Option::is_some).await.ok().and_then(|seen| seen.clone());
    let given_up = || Err(HostError::new(ErrorKind::Unreachable, format!("{alias}: the dial was given up")));
    result.unwrap_or_else(given_up)
}

/// Whether another try at once would meet the same. What the operator settles meanwhile (configuration) is tried again at
/// once; a key that was not accepted, once known_hosts has changed.
fn is_lasting(error: &HostError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unreachable | ErrorKind::Timeout | ErrorKind::Auth | ErrorKind::Exhausted | ErrorKind::Remote
    )
}

/// How long a host is left alone after so many failures.
fn backoff(failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    jittered(first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(longest))
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        for entry in state.entries.values() {
            if let ConnectionState::Ready(connection) = &entry.state {
                connection.close();
            }
        }
    }
}

/// Counts a dial among those that wait for another connection to go.
struct WantingRoom(Arc<Inner>, Principal);

impl Drop for WantingRoom {
    fn drop(&mut self) {
        let Self(pool, who) = self;
        let mut state = pool.state.lock();
        if let Some(wanting) = state.wanting_room.get_mut(who) {
            *wanting -= 1;
            if *wanting == 0 {
                state.wanting_room.remove(who);
            }
        }
    }
}

/// A connection in use: it is neither evicted nor idled out while this lives.
pub(crate) struct InUse {
    connection: Arc<Connection>,
    key: Key,
    pool: Arc<Inner>,
    /// What the dial took, for those who waited for it.
    dial_round_trips: u64,
}

impl InUse {
    /// Whose connection it is.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }
}

impl Deref for InUse {
    type Target = Arc<Connection>;

    fn deref(&self) -> &Arc<Connection> {
        &self.connection
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.pool.end_use(&self.key, &self.connection);
    }
}

async fn reap(pool: Weak<Inner>, idle_timeout: Duration, stop: CancellationToken) {
    let (shortest, longest) = REAP_EVERY;
    let every = (idle_timeout / 4).clamp(shortest, longest);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(Instant::now() + every) => {}
        }
        let Some(pool) = pool.upgrade() else { return };
        pool.reap();
    }
}
