//! The pool: one host's connections shared by all who ask for it, parallel hosts, bounded everything.
//!
//! Invariants: two principals never share a connection; the map's lock is held for map work alone; a dial belongs to
//! its slot and survives whoever asked for it; a connection in use is neither evicted nor idled out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use lru::LruCache;
use russh::keys::PublicKey;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use crate::connection::{Connection, bounded};
use crate::dial::{self, place};
use crate::exec;
use crate::sftp::{SftpChannel, SftpError};
use crate::{Attributes, Call, Capture, ErrorKind, ExecOutcome, ExecRequest, HostSpec, Opened, Principal, SshError};

/// Handshakes at once with one address: OpenSSH's `MaxStartups` begins to drop above 10.
const HANDSHAKES_PER_ADDRESS: usize = 10;

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
pub struct Pool {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: PoolConfig,
    slots: Mutex<LruCache<Key, Slot>>,
    /// Handshakes under way, by address.
    startups: Mutex<HashMap<(String, u16), Weak<Semaphore>>>,
    /// A slot has become free or its connection idle.
    room: Notify,
    closed: AtomicBool,
    counters: Counters,
}

/// Whose connection to what: every setting that the dial depends on is part of the host's specification.
type Key = (Principal, Arc<HostSpec>);

type Dialed = Result<Arc<Pooled>, SshError>;

/// One host's place in the pool.
#[derive(Debug)]
enum Slot {
    /// A task dials; becomes Ready, or vanishes when the dial fails.
    Dialing(watch::Receiver<Option<Dialed>>),
    /// Serves leases; vanishes when the connection is lost, evicted or idle for too long.
    Ready(Arc<Pooled>),
}

/// A connection and who uses it.
#[derive(Debug)]
struct Pooled {
    connection: Arc<Connection>,
    users: AtomicUsize,
    idle_since: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct Counters {
    dialing: AtomicU64,
    dials: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    evictions: AtomicU64,
    idle_closed: AtomicU64,
    waiters: AtomicU64,
    in_flight: AtomicU64,
    stalls: Arc<AtomicU64>,
}

/// Counts one more while it lives.
struct Counted<'a>(&'a AtomicU64);

impl<'a> Counted<'a> {
    fn new(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    /// An empty pool. Must be called inside a tokio runtime.
    pub fn new(config: PoolConfig) -> Self {
        let inner = Arc::new(Inner {
            slots: Mutex::new(LruCache::unbounded()),
            startups: Mutex::default(),
            room: Notify::new(),
            closed: AtomicBool::new(false),
            counters: Counters::default(),
            config,
        });
        tokio::spawn(close_idle(Arc::downgrade(&inner), inner.config.idle_timeout));
        Self { inner }
    }

    /// A ready connection to the host, shared with others of the same principal; dials if there is none.
    ///
    /// # Errors
    /// Every kind that a dial can meet.
    /// # Cancel safety
    /// The dial goes on for others who wait for it.
    pub async fn lease(&self, principal: &Principal, spec: &Arc<HostSpec>, call: &Call) -> Result<Lease, SshError> {
        let key = (principal.clone(), Arc::clone(spec));
        let mut missed = false;
        loop {
            let mut dialed = match self.inner.find(&key)? {
                Found::Ready(pooled) => {
                    if !missed {
                        self.inner.counters.hits.fetch_add(1, Ordering::Relaxed);
                    }
                    let user = User { pooled, pool: Arc::clone(&self.inner) };
                    return Ok(Lease { pool: self.clone(), principal: key.0, spec: key.1, user });
                }
                Found::Dialing(dialed) => dialed,
                Found::NoRoom(freed) => {
                    let _waiter = Counted::new(&self.inner.counters.waiters);
                    bounded(call, spec, freed).await?;
                    continue;
                }
            };
            if !missed {
                missed = true;
                self.inner.counters.misses.fetch_add(1, Ordering::Relaxed);
                call.cost.add_dial();
            }
            let _waiter = Counted::new(&self.inner.counters.waiters);
            let ready = bounded(call, spec, dialed.wait_for(Option::is_some)).await?;
            if let Ok(ready) = ready
                && let Some(Err(error)) = &*ready
            {
                return Err(error.clone());
            }
        }
    }

    /// Whether the host answers on its port, and how fast.
    pub async fn probe(&self, principal: &Principal, spec: &HostSpec, timeout: Duration) -> Probe {
        let connected = {
            let slots = self.inner.slots();
            slots.iter().any(|((who, what), slot)| {
                who == principal && **what == *spec && matches!(slot, Slot::Ready(pooled) if pooled.connection.usable())
            })
        };
        let begun = Instant::now();
        let latency = match tokio::time::timeout(timeout, dial::connect(spec)).await {
            Ok(Ok(_)) => Ok(begun.elapsed()),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let message = format!("{} did not accept within {} s", place(spec), timeout.as_secs_f64());
                Err(SshError::new(ErrorKind::Unreachable, message))
            }
        };
        Probe { connected, latency }
    }

    /// The host's key, without trusting it: a handshake that ends before authentication. For `scout trust`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unreachable`].
    pub async fn host_key(&self, spec: &Arc<HostSpec>, call: &Call) -> Result<PublicKey, SshError> {
        bounded(call, spec, dial::host_key(spec, &self.inner.config)).await?
    }

    /// The counters now.
    pub fn snapshot(&self) -> PoolSnapshot {
        let ready = self.inner.slots().iter().filter(|(_, slot)| matches!(slot, Slot::Ready(_))).count();
        let counters = &self.inner.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolSnapshot {
            ready: ready as u64,
            dialing: read(&counters.dialing),
            dials: read(&counters.dials),
            hits: read(&counters.hits),
            misses: read(&counters.misses),
            evictions: read(&counters.evictions),
            idle_closed: read(&counters.idle_closed),
            waiters: read(&counters.waiters),
            in_flight: read(&counters.in_flight),
            stalls: read(&counters.stalls),
        }
    }

    /// Closes every connection; later leases fail.
    pub async fn shutdown(&self) {
        self.inner.closed.store(true, Ordering::Release);
        let slots = std::mem::replace(&mut *self.inner.slots(), LruCache::unbounded());
        let ready = slots.iter().filter_map(|(_, slot)| match slot {
            Slot::Ready(pooled) => Some(Arc::clone(&pooled.connection)),
            Slot::Dialing(_) => None,
        });
        let closing: Vec<_> = ready.map(|connection| async move { connection.close().await }).collect();
        futures_util::future::join_all(closing).await;
    }
}

enum Found<F> {
    Ready(Arc<Pooled>),
    Dialing(watch::Receiver<Option<Dialed>>),
    /// Wait for this, then look again.
    NoRoom(F),
}

impl Inner {
    fn slots(&self) -> MutexGuard<'_, LruCache<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The slot's connection, its dial, or a new dial; the connection is counted as used before the lock is given up.
    fn find<'a>(self: &'a Arc<Self>, key: &Key) -> Result<Found<impl Future<Output = ()> + 'a>, SshError> {
        let mut slots = self.slots();
        if self.closed.load(Ordering::Acquire) {
            return Err(SshError::new(ErrorKind::Cancelled, "Scout is shutting down"));
        }
        match slots.get(key) {
            Some(Slot::Ready(pooled)) if pooled.connection.usable() => {
                pooled.users.fetch_add(1, Ordering::AcqRel);
                return Ok(Found::Ready(Arc::clone(pooled)));
            }
            Some(Slot::Dialing(dialed)) => return Ok(Found::Dialing(dialed.clone())),
            Some(Slot::Ready(_)) => drop(slots.pop(key)),
            None => {}
        }
        if slots.len() >= self.config.max_connections {
            // The least recently used comes last.
            let idle = slots.iter().rev().find_map(|(key, slot)| match slot {
                Slot::Ready(pooled) if pooled.users.load(Ordering::Acquire) == 0 => Some(key.clone()),
                Slot::Ready(_) | Slot::Dialing(_) => None,
            });
            let Some(idle) = idle else {
                // Created under the lock: a slot that is freed from now on is not missed.
                let mut freed = Box::pin(self.room.notified());
                freed.as_mut().enable();
                return Ok(Found::NoRoom(freed));
            };
            if let Some(Slot::Ready(evicted)) = slots.pop(&idle) {
                self.counters.evictions.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move { evicted.connection.close().await });
            }
        }
        let (sender, dialed) = watch::channel(None);
        slots.put(key.clone(), Slot::Dialing(dialed.clone()));
        tokio::spawn(Arc::clone(self).dial(key.clone(), sender));
        Ok(Found::Dialing(dialed))
    }

    /// Dials for a slot, fills or frees it, and tells all who wait.
    async fn dial(self: Arc<Self>, key: Key, waiters: watch::Sender<Option<Dialed>>) {
        self.counters.dials.fetch_add(1, Ordering::Relaxed);
        let dialing = Counted::new(&self.counters.dialing);
        let startup = self.startup(&key.1);
        let permit = startup.acquire().await;
        let dialed = dial::dial(&key.1, &self.config).await;
        drop(permit);
        drop(dialing);
        let pooled = dialed.map(|handle| {
            let stalls = Arc::clone(&self.counters.stalls);
            let connection = Connection::new(handle, Arc::clone(&key.1), self.config.max_waiters_per_host, stalls);
            Arc::new(Pooled { connection, users: AtomicUsize::new(0), idle_since: Mutex::new(Instant::now()) })
        });
        {
            let mut slots = self.slots();
            match &pooled {
                // A pool that was shut down meanwhile has no slot for it; the connection ends with its last user.
                Ok(pooled) if !self.closed.load(Ordering::Acquire) => {
                    slots.put(key, Slot::Ready(Arc::clone(pooled)));
                }
                Ok(_) | Err(_) => drop(slots.pop(&key)),
            }
        }
        self.room.notify_waiters();
        waiters.send_replace(Some(pooled));
    }

    fn startup(&self, spec: &HostSpec) -> Arc<Semaphore> {
        let mut startups = self.startups.lock().unwrap_or_else(PoisonError::into_inner);
        startups.retain(|_, startup| startup.strong_count() > 0);
        let address = (spec.host_name.clone(), spec.port);
        if let Some(startup) = startups.get(&address).and_then(Weak::upgrade) {
            return startup;
        }
        let startup = Arc::new(Semaphore::new(HANDSHAKES_PER_ADDRESS));
        startups.insert(address, Arc::downgrade(&startup));
        startup
    }
}

/// Closes connections that nobody has used for `timeout`, until the pool is gone.
async fn close_idle(pool: Weak<Inner>, timeout: Duration) {
    /// How late it may notice, as a part of the timeout.
    const LATENESS: u32 = 4;
    let mut tick = tokio::time::interval((timeout / LATENESS).max(Duration::from_millis(10)));
    loop {
        tick.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        let idle: Vec<Arc<Pooled>> = {
            let mut slots = pool.slots();
            let unused = |pooled: &Pooled| {
                let since = *pooled.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
                pooled.users.load(Ordering::Acquire) == 0 && (since.elapsed() >= timeout || !pooled.connection.usable())
            };
            let keys: Vec<Key> = slots
                .iter()
                .filter(|(_, slot)| matches!(slot, Slot::Ready(pooled) if unused(pooled)))
                .map(|(key, _)| key.clone())
                .collect();
            let taken = keys.iter().filter_map(|key| match slots.pop(key) {
                Some(Slot::Ready(pooled)) => Some(pooled),
                Some(Slot::Dialing(_)) | None => None,
            });
            taken.collect()
        };
        for pooled in idle {
            pool.counters.idle_closed.fetch_add(1, Ordering::Relaxed);
            pooled.connection.close().await;
            pool.room.notify_waiters();
        }
    }
}

/// A use of a connection; was counted when it was found.
#[derive(Debug)]
struct User {
    pooled: Arc<Pooled>,
    pool: Arc<Inner>,
}

impl Drop for User {
    fn drop(&mut self) {
        *self.pooled.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.pooled.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.pool.room.notify_waiters();
        }
    }
}

/// The right to use one host's connections. Dropping it ends the use.
#[derive(Debug)]
pub struct Lease {
    pool: Pool,
    principal: Principal,
    spec: Arc<HostSpec>,
    user: User,
}

impl Lease {
    /// Looks at a path in one round trip: attributes, and a file's first `cap` bytes or a directory's first
    /// `max_entries` entries. `~`, `~/x` and relative paths are below the home directory.
    ///
    /// # Errors
    /// NotFound, Permission, NotReadable, Timeout, Cancelled, Unsupported, Unreachable, Remote, Invalid.
    pub async fn open(&self, path: &[u8], cap: usize, max_entries: usize, call: &Call) -> Result<Opened, SshError> {
        let _flight = self.flight();
        let mut tries = Tries::new(self, call);
        loop {
            let sftp = tries.next().await?;
            match sftp.open(path, cap, max_entries, call).await {
                Ok(opened) => return Ok(opened),
                Err(error) => tries.judge(&sftp, error, path).await?,
            }
        }
    }

    /// Bytes of a regular file from `offset` on, at most `length`.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn read(
        &self,
        path: &[u8],
        offset: u64,
        length: usize,
        call: &Call,
    ) -> Result<(Attributes, Capture), SshError> {
        let _flight = self.flight();
        let mut tries = Tries::new(self, call);
        loop {
            let sftp = tries.next().await?;
            match sftp.read(path, offset, length, call).await {
                Ok(read) => return Ok(read),
                Err(error) => tries.judge(&sftp, error, path).await?,
            }
        }
    }

    /// A path's attributes, following links.
    ///
    /// # Errors
    /// As [`Lease::open`].
    pub async fn stat(&self, path: &[u8], call: &Call) -> Result<Attributes, SshError> {
        let _flight = self.flight();
        let mut tries = Tries::new(self, call);
        loop {
            let sftp = tries.next().await?;
            match sftp.stat(path, call).await {
                Ok(attributes) => return Ok(attributes),
                Err(error) => tries.judge(&sftp, error, path).await?,
            }
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// Only if it provably did not run; otherwise the outcome tells how it ended.
    pub async fn exec(&self, request: &ExecRequest, call: &Call) -> Result<ExecOutcome, SshError> {
        let _flight = self.flight();
        exec::exec(&self.user.pooled.connection, request, call).await
    }

    fn flight(&self) -> Counted<'_> {
        Counted::new(&self.pool.inner.counters.in_flight)
    }
}

/// An operation over SFTP and its repetitions: it only reads, so what was lost on the way is done once more.
struct Tries<'a> {
    lease: &'a Lease,
    call: &'a Call,
    left: u32,
    connection: Arc<Connection>,
    /// Keeps a connection that replaces a lost one in use.
    replacement: Option<Box<Lease>>,
}

impl<'a> Tries<'a> {
    /// First, after a neighbour's stall, after a lost connection.
    const MAX: u32 = 3;

    fn new(lease: &'a Lease, call: &'a Call) -> Self {
        let connection = Arc::clone(&lease.user.pooled.connection);
        Self { lease, call, left: Self::MAX, connection, replacement: None }
    }

    /// A channel to try on.
    async fn next(&mut self) -> Result<SftpChannel, SshError> {
        if self.left == 0 {
            return Err(self.connection.lost());
        }
        self.left -= 1;
        if self.connection.is_closed() {
            let Lease { pool, principal, spec, .. } = self.lease;
            let lease = pool.lease(principal, spec, self.call).await?;
            self.connection = Arc::clone(&lease.user.pooled.connection);
            self.replacement = Some(Box::new(lease));
        }
        self.connection.sftp(self.call).await
    }

    /// Whether another try makes sense after this.
    async fn judge(&self, sftp: &SftpChannel, error: SftpError, path: &[u8]) -> Result<(), SshError> {
        match error {
            SftpError::Ssh(error) => Err(error),
            SftpError::Closed => Ok(()),
            SftpError::Stalled { culprit } => {
                let killed = self.connection.give_up(sftp).await;
                if culprit { Err(hangs(&self.lease.spec, path, killed)) } else { Ok(()) }
            }
        }
    }
}

fn hangs(spec: &HostSpec, path: &[u8], killed: bool) -> SshError {
    let shown: String = String::from_utf8_lossy(path).chars().flat_map(char::escape_debug).take(256).collect();
    let left = if killed { "" } else { "; a process that waits for it may remain on the host" };
    SshError::new(
        ErrorKind::NotReadable,
        format!("`{shown}` on {}: not a regular file, or its file system hangs{left}", place(spec)),
    )
}
