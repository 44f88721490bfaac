//! Who may take how much of what all calls share, instances and memory: neither one plugin nor one principal can leave
//! nothing to the others.
//!
//! A call waits for its instance and for the memory that its plugin needs at least, in one fixed order: first for what
//! nobody else can use, last for what all can. What all can use goes to whoever has least of it ([`FairSemaphore`]), so nobody
//! waits behind another's queue. While a call runs it never waits, it grows or it does not.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use scout_machine::{FairPermit, FairSemaphore, Principal};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// What memory is counted in, in bytes: a page of WebAssembly.
const PAGE: usize = 64 << 10;
/// What the JSON of all answers may take once it is parsed, in bytes.
const PARSED: usize = 128 << 20;
/// What that of one answer may: half of it.
pub(crate) const MAX_PARSED: usize = PARSED / 2;

/// What all calls of a runtime share.
#[derive(Debug)]
pub(crate) struct Shares {
    instances: FairSemaphore,
    all_instances: usize,
    /// Three quarters of the instances each.
    instances_of: PerPrincipal,
    pages: FairSemaphore,
    /// Half of the pages each.
    pages_of: PerPrincipal,
    /// A quarter of the pages: what Scout keeps of plugins leaves the rest to their calls.
    kept: Arc<Semaphore>,
    parsed: FairSemaphore,
    /// Half of it each.
    parsed_of: PerPrincipal,
    /// Whoever takes what nobody has asked for.
    nobody: Principal,
}

/// What all calls of a plugin share.
#[derive(Debug)]
pub(crate) struct PluginShare {
    /// Three quarters of the instances: a plugin whose calls hang leaves room for the others.
    instances: FairSemaphore,
    /// Half of the instances each: neither does it leave a principal without any, nor one principal the plugin.
    instances_of: PerPrincipal,
}

/// A semaphore for each principal that has something, or waits for it.
#[derive(Debug)]
struct PerPrincipal {
    permits: usize,
    of: Mutex<HashMap<Principal, Weak<Semaphore>>>,
}

/// A call's instance. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    _own: [Result<OwnedSemaphorePermit, AcquireError>; 2],
    _shared: [FairPermit; 2],
}

/// Memory that a call has. Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct MemoryReservation {
    /// The share that it is of, if it is of one.
    own: Option<Arc<Semaphore>>,
    /// Its part of the whole.
    shared: Option<FairPermit>,
    pages: usize,
}

impl Shares {
    /// Shares of so many instances and bytes.
    pub(crate) fn new(instances: usize, memory: usize) -> Self {
        let pages = (memory / PAGE).min(Semaphore::MAX_PERMITS);
        let shared = |places| FairSemaphore::new(places, places);
        Self {
            instances: shared(instances),
            all_instances: instances,
            instances_of: PerPrincipal::new((instances * 3).div_ceil(4)),
            pages: shared(pages),
            pages_of: PerPrincipal::new(pages.div_ceil(2)),
            kept: Arc::new(Semaphore::new(pages.div_ceil(4))),
            parsed: shared(PARSED / PAGE),
            parsed_of: PerPrincipal::new(MAX_PARSED / PAGE),
            nobody: Principal::own("plugins"),
        }
    }

    /// Shares of another plugin.
    pub(crate) fn plugin(&self) -> PluginShare {
        let instances = (self.all_instances * 3).div_ceil(4);
        PluginShare {
            instances: FairSemaphore::new(instances, instances),
            instances_of: PerPrincipal::new(self.all_instances.div_ceil(2)),
        }
    }

    /// Waits for an instance of this plugin for this principal, and for so many bytes of memory.
    ///
    /// # Cancel safety
    /// Dropping the future gives everything back.
    pub(crate) async fn take(
        &self,
        plugin: &PluginShare,
        principal: &Principal,
        memory: usize,
    ) -> (Instance, MemoryReservation) {
        let one_of = plugin.instances_of.of(principal).acquire_owned().await;
        let of_principal = self.instances_of.of(principal).acquire_owned().await;
        let mut room = MemoryReservation::none();
        room.wait_for_own(self.pages_of.of(principal), memory.div_ceil(PAGE)).await;
        let of_plugin = plugin.instances.acquire(principal, 1).await;
        let of_all = self.instances.acquire(principal, 1).await;
        room.shared = Some(self.pages.acquire(principal, room.pages).await);
        (Instance { _own: [one_of, of_principal], _shared: [of_plugin, of_all] }, room)
    }

    /// Waits for an instance that is used on nobody's behalf. It begins without memory.
    ///
    /// # Cancel safety
    /// Dropping the future gives everything back.
    pub(crate) async fn take_for_nobody(&self) -> (FairPermit, MemoryReservation) {
        let room = MemoryReservation { own: None, shared: Some(self.pages.none(&self.nobody)), pages: 0 };
        (self.instances.acquire(&self.nobody, 1).await, room)
    }

    /// Room for what is kept of a plugin as long as it is loaded. It begins without any.
    pub(crate) fn keep(&self) -> MemoryReservation {
        let (own, shared) = (Some(Arc::clone(&self.kept)), Some(self.pages.none(&self.nobody)));
        MemoryReservation { own, shared, pages: 0 }
    }

    /// Waits for room for JSON of a principal's that is to be parsed, [`MAX_PARSED`] bytes at most.
    ///
    /// # Cancel safety
    /// Dropping the future gives up the place in the queue.
    pub(crate) async fn parse(&self, principal: &Principal, bytes: usize) -> MemoryReservation {
        let mut room = MemoryReservation::none();
        room.wait_for_own(self.parsed_of.of(principal), bytes.min(MAX_PARSED).div_ceil(PAGE)).await;
        room.shared = Some(self.parsed.acquire(principal, room.pages).await);
        room
    }
}

impl PerPrincipal {
    fn new(permits: usize) -> Self {
        Self { permits, of: Mutex::default() }
    }

    fn of(&self, principal: &Principal) -> Arc<Semaphore> {
        let mut of = self.of.lock();
        if let Some(semaphore) = of.get(principal).and_then(Weak::upgrade) {
            return semaphore;
        }
        of.retain(|_, semaphore| semaphore.strong_count() > 0);
        let semaphore = Arc::new(Semaphore::new(self.permits));
        of.insert(principal.clone(), Arc::downgrade(&semaphore));
        semaphore
    }
}

impl MemoryReservation {
    /// No room.
    fn none() -> Self {
        Self { own: None, shared: None, pages: 0 }
    }

    /// Waits for so many pages of a share.
    async fn wait_for_own(&mut self, own: Arc<Semaphore>, pages: usize) {
        // What does not fit into 32 bits is more than there is.
        let wanted = u32::try_from(pages).unwrap_or(u32::MAX);
        // It is never closed.
        if own.acquire_many(wanted).await.map(|permits| permits.forget()).is_ok() {
            (self.own, self.pages) = (Some(own), pages);
        }
    }

    /// Makes room for so many bytes in all, without waiting. False: there is none.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.div_ceil(PAGE).saturating_sub(self.pages);
        let Ok(permits) = u32::try_from(more) else { return false };
        let Ok(own) = self.own.as_ref().map(|own| own.try_acquire_many(permits)).transpose() else { return false };
        if !self.shared.as_mut().is_none_or(|shared| shared.grow(more)) {
            return false;
        }
        if let Some(own) = own {
            own.forget();
        }
        self.pages += more;
        true
    }

    /// Room for so many bytes more, to be given back apart.
    pub(crate) fn beside(&self, bytes: usize) -> Option<Self> {
        let mut room =
            Self { own: self.own.clone(), shared: self.shared.as_ref().map(FairPermit::none_beside), pages: 0 };
        room.grow_to(bytes).then_some(room)
    }

    /// Room without an end.
    #[cfg(test)]
    pub(crate) fn endless() -> Self {
        Self::none()
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        if let Some(own) = &self.own {
            own.add_permits(self.pages);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const ALL: usize = 64;
    const MEMORY: usize = 100 * PAGE;

    /// Takes until it would have to wait.
    fn take_all(
        shares: &Shares,
        plugin: &PluginShare,
        principal: &str,
        memory: usize,
    ) -> Vec<(Instance, MemoryReservation)> {
        let principal = Principal::new("test", principal);
        std::iter::from_fn(|| shares.take(plugin, &principal, memory).now_or_never()).collect()
    }

    #[test]
    fn one_principals_calls_of_one_plugin_leave_both_to_others() {
        let shares = Shares::new(ALL, MEMORY);
        let (hangs, other) = (shares.plugin(), shares.plugin());
        let mallorys = take_all(&shares, &hangs, "mallory", 0);
        assert_eq!(mallorys.len(), 32);
        assert_eq!(take_all(&shares, &other, "mallory", 0).len(), 16, "the same principal, another plugin");
        assert_eq!(take_all(&shares, &hangs, "alice", 0).len(), 16, "another principal, the same plugin");
        drop(mallorys);
        assert_eq!(take_all(&shares, &hangs, "mallory", 0).len(), 32);
    }

    #[test]
    fn one_principal_never_has_all_instances_whatever_plugins_it_calls() {
        let shares = Shares::new(ALL, MEMORY);
        let plugins: Vec<_> = (0..ALL).map(|_| shares.plugin()).collect();
        let taken: Vec<_> = plugins.iter().flat_map(|plugin| take_all(&shares, plugin, "mallory", 0)).collect();
        assert_eq!(taken.len(), 48);
        assert_eq!(take_all(&shares, &shares.plugin(), "alice", 0).len(), 16);
    }

    #[test]
    fn memory_is_waited_for_and_half_of_it_is_never_one_principals() {
        let shares = Shares::new(ALL, MEMORY);
        let plugin = shares.plugin();
        let mallorys = take_all(&shares, &plugin, "mallory", 20 * PAGE);
        assert_eq!(mallorys.len(), 2);
        let mut alices = take_all(&shares, &plugin, "alice", 20 * PAGE);
        assert_eq!(alices.len(), 2);
        let (_, room) = alices.first_mut().unwrap();
        assert!(room.grow_to(30 * PAGE) && !room.grow_to(30 * PAGE + 1), "her share");
        assert!(room.beside(1).is_none());
        let (_, mut described) = shares.take_for_nobody().now_or_never().unwrap();
        assert!(described.grow_to(10 * PAGE) && !described.grow_to(11 * PAGE), "what is left of all");
        drop((mallorys, alices, described));
        assert_eq!(shares.pages.free(), 100);
    }

    #[test]
    fn principals_of_two_tenants_have_a_share_each_whatever_their_names() {
        let shares = Shares::new(ALL, MEMORY);
        let plugin = shares.plugin();
        let [red, blue] = ["red", "blue"].map(|tenant| Principal::new(tenant, "admin"));
        let take = |principal, memory| -> Vec<_> {
            std::iter::from_fn(|| shares.take(&plugin, principal, memory).now_or_never()).collect()
        };
        let reds = take(&red, 0);
        assert_eq!((reds.len(), take(&blue, 0).len()), (32, 16), "of the instances");
        drop(reds);
        let reds = take(&red, 20 * PAGE);
        assert_eq!((reds.len(), take(&blue, 20 * PAGE).len()), (2, 2), "of the memory");
        let parsed = |principal| shares.parse(principal, MAX_PARSED).now_or_never();
        let reds = parsed(&red);
        assert!(reds.is_some() && parsed(&red).is_none() && parsed(&blue).is_some(), "of what answers take");
    }

    #[test]
    fn room_beside_is_given_back_apart() {
        let shares = Shares::new(ALL, MEMORY);
        let (_, room) = shares.take_for_nobody().now_or_never().unwrap();
        let beside = room.beside(99 * PAGE + 1).unwrap();
        assert!(room.beside(1).is_none());
        drop(beside);
        assert!(room.beside(1).is_some());
    }

    #[test]
    fn what_is_kept_of_plugins_leaves_three_quarters_to_their_calls() {
        let shares = Shares::new(ALL, MEMORY);
        let (mut one, mut other) = (shares.keep(), shares.keep());
        assert!(one.grow_to(20 * PAGE) && !other.grow_to(6 * PAGE) && other.grow_to(5 * PAGE));
        assert_eq!(shares.pages.free(), 75);
        drop((one, other));
        assert!(shares.keep().grow_to(25 * PAGE) && shares.pages.free() == 100);
    }

    #[test]
    fn two_large_answers_are_parsed_at_once_and_never_both_of_one_principal() {
        let shares = Shares::new(ALL, MEMORY);
        let large = |of: &str| shares.parse(&Principal::new("test", of), MAX_PARSED).now_or_never();
        let alice = large("alice");
        assert!(alice.is_some() && large("alice").is_none());
        // Whoever waits for their own share is in nobody's way.
        let bob = large("bob");
        assert!(bob.is_some() && large("carol").is_none());
        drop(alice);
        assert!(large("carol").is_some());
    }

    #[test]
    fn behind_the_queues_of_others_a_principal_waits_for_one_instance() {
        let shares = Shares::new(ALL, MEMORY);
        let plugins = [shares.plugin(), shares.plugin(), shares.plugin()];
        let mut held: Vec<_> = plugins.iter().flat_map(|plugin| take_all(&shares, plugin, "mallory", 0)).collect();
        held.extend(take_all(&shares, &plugins[0], "mary", 0));
        assert_eq!(shares.instances.free(), 0);
        let [mary, alice] = ["mary", "alice"].map(|name| Principal::new("test", name));
        let mut queued: Vec<_> = (0..16).map(|_| Box::pin(shares.take(&plugins[0], &mary, 0))).collect();
        assert!(queued.iter_mut().all(|call| call.now_or_never().is_none()));
        let mut alices = Box::pin(shares.take(&plugins[1], &alice, 0));
        assert!((&mut alices).now_or_never().is_none());
        drop(held.pop());
        assert!((&mut alices).now_or_never().is_some());
    }

    #[test]
    fn nothing_is_kept_of_principals_that_have_nothing() {
        let shares = Shares::new(ALL, MEMORY);
        let plugin = shares.plugin();
        for n in 0..1000 {
            drop(shares.take(&plugin, &Principal::new("test", &format!("tenant-{n}")), PAGE).now_or_never().unwrap());
        }
        for per_principal in [&plugin.instances_of, &shares.instances_of, &shares.pages_of] {
            assert!(per_principal.of.lock().len() <= 1);
        }
    }
}
