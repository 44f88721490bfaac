//! Places that many want and few can have: a semaphore that serves whoever has least.
//!
//! A queue in the order of arrival belongs to whoever fills it: behind ten thousand calls of one principal the first of another waits
//! for all of them. Here a place that comes back goes to the tenant that holds the fewest, and of its principals to the one that holds
//! the fewest; among equals to who has waited longest since it was served last. So whoever holds nothing waits for one place to come
//! back, however many wait before it, and one principal's own requests are served in their order.
//!
//! Invariants: nothing is kept of a principal that neither holds nor waits. A place is held by nobody who has gone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{Principal, TenantId};

/// A number of places that all who ask share. Cheap to clone; clones share the places.
#[derive(Clone, Debug)]
pub struct FairSemaphore(Arc<Mutex<State>>);

/// Places of somebody. Given back when it is dropped.
#[derive(Debug)]
pub struct FairPermit {
    semaphore: FairSemaphore,
    who: Principal,
    places: usize,
}

/// How much somebody has, and since when they want more: the least is served first.
type Rank = (usize, u64);

#[derive(Debug)]
struct State {
    free: usize,
    /// How many one principal may have.
    each: usize,
    /// Counts waits, each of which has its number.
    clock: u64,
    tenants: HashMap<TenantId, Tenant>,
    waiting: BTreeSet<(Rank, TenantId)>,
}

#[derive(Debug, Default)]
struct Tenant {
    held: usize,
    since: u64,
    principals: HashMap<Principal, Holder>,
    waiting: BTreeSet<(Rank, Principal)>,
}

#[derive(Debug, Default)]
struct Holder {
    held: usize,
    since: u64,
    queue: BTreeMap<u64, Waiter>,
}

#[derive(Debug)]
struct Waiter {
    places: usize,
    served: oneshot::Sender<()>,
}

impl FairSemaphore {
    /// So many places, of which one principal has at most `each`.
    pub fn new(places: usize, each: usize) -> Self {
        let (tenants, waiting) = Default::default();
        Self(Arc::new(Mutex::new(State { free: places, each, clock: 0, tenants, waiting })))
    }

    /// Places that nobody has.
    pub fn free(&self) -> usize {
        self.0.lock().free
    }

    /// Whether it has as many as one principal may.
    pub fn has_its_share(&self, who: &Principal) -> bool {
        let state = self.0.lock();
        state.held(who) >= state.each
    }

    /// Places now, if they are free, within what one principal may have, and nobody waits who could have one.
    pub fn try_acquire(&self, who: &Principal, places: usize) -> Option<FairPermit> {
        let mut state = self.0.lock();
        state.may_take(who, places).then(|| {
            state.change(who, |holder| holder.held += places);
            state.free -= places;
            FairPermit { semaphore: self.clone(), who: who.clone(), places }
        })
    }

    /// No places yet, to be grown.
    pub fn none(&self, who: &Principal) -> FairPermit {
        FairPermit { semaphore: self.clone(), who: who.clone(), places: 0 }
    }

    /// Waits for places. More than one principal may have, or there are, never come.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the queue.
    pub async fn acquire(&self, who: &Principal, places: usize) -> FairPermit {
        if let Some(permit) = self.try_acquire(who, places) {
            return permit;
        }
        let (served, mut told) = oneshot::channel();
        let mut wait = {
            let mut state = self.0.lock();
            state.clock += 1;
            let number = state.clock;
            state.change(who, |holder| {
                if holder.queue.is_empty() {
                    holder.since = number;
                }
                holder.queue.insert(number, Waiter { places, served });
            });
            // What became free between the two looks.
            state.serve();
            Wait { semaphore: self, who, places, number, is_over: false }
        };
        // The sender is kept as long as it waits.
        let is_served = (&mut told).await.is_ok();
        debug_assert!(is_served, "nobody is forgotten");
        wait.is_over = true;
        FairPermit { semaphore: self.clone(), who: who.clone(), places }
    }

    fn give_back(&self, who: &Principal, places: usize) {
        let mut state = self.0.lock();
        state.change(who, |holder| holder.held -= places);
        state.free += places;
        state.serve();
    }
}

impl FairPermit {
    /// Takes so many more, if [`FairSemaphore::try_acquire`] would.
    pub fn grow(&mut self, more: usize) -> bool {
        match self.semaphore.try_acquire(&self.who, more) {
            Some(mut permit) => {
                self.places += std::mem::take(&mut permit.places);
                true
            }
            None => false,
        }
    }

    /// None yet, of the same places and for the same principal, to be grown and given back apart.
    pub fn none_beside(&self) -> Self {
        self.semaphore.none(&self.who)
    }
}

impl Drop for FairPermit {
    fn drop(&mut self) {
        if self.places > 0 {
            self.semaphore.give_back(&self.who, self.places);
        }
    }
}

/// Somebody's place in the queue.
struct Wait<'a> {
    semaphore: &'a FairSemaphore,
    who: &'a Principal,
    places: usize,
    number: u64,
    is_over: bool,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let waited = {
            let mut state = self.semaphore.0.lock();
            let waited = state.change(self.who, |holder| holder.queue.remove(&self.number).is_some());
            if waited {
                // It may have stood before others that need less.
                state.serve();
            }
            waited
        };
        if !waited {
            // Served and gone at once.
            self.semaphore.give_back(self.who, self.places);
        }
    }
}

impl State {
    fn held(&self, who: &Principal) -> usize {
        self.tenants.get(who.tenant()).and_then(|tenant| tenant.principals.get(who)).map_or(0, |holder| holder.held)
    }

    /// Whether this may be taken without waiting.
    fn may_take(&self, who: &Principal, places: usize) -> bool {
        self.waiting.is_empty() && places <= self.free && self.held(who) + places <= self.each
    }

    /// Changes what one holds or waits for, and with it where it stands among the others.
    fn change<R>(&mut self, who: &Principal, change: impl FnOnce(&mut Holder) -> R) -> R {
        let Self { each, tenants, waiting, .. } = self;
        let tenant = tenants.entry(who.tenant().clone()).or_default();
        if let Some(rank) = tenant.rank() {
            waiting.remove(&(rank, who.tenant().clone()));
        }
        let holder = tenant.principals.entry(who.clone()).or_default();
        if let Some(rank) = holder.rank(*each) {
            tenant.waiting.remove(&(rank, who.clone()));
        }
        let before = holder.held;
        let changed = change(holder);
        let held = holder.held;
        match holder.rank(*each) {
            Some(rank) => {
                tenant.waiting.insert((rank, who.clone()));
                if tenant.waiting.len() == 1 {
                    tenant.since = tenant.since.max(holder.since);
                }
            }
            None if held == 0 && holder.queue.is_empty() => drop(tenant.principals.remove(who)),
            None => {}
        }
        tenant.held = tenant.held - before + held;
        match tenant.rank() {
            Some(rank) => drop(waiting.insert((rank, who.tenant().clone()))),
            None if tenant.principals.is_empty() => drop(tenants.remove(who.tenant())),
            None => {}
        }
        changed
    }

    /// Gives what is free to those who are to have it.
    fn serve(&mut self) {
        while let Some((_, tenant)) = self.waiting.first()
            && let Some(tenant) = self.tenants.get(tenant)
            && let Some((_, who)) = tenant.waiting.first()
            && let Some(holder) = tenant.principals.get(who)
            && let Some((&number, waiter)) = holder.queue.first_key_value()
            && waiter.places <= self.free
        {
            let who = who.clone();
            self.clock += 1;
            let now = self.clock;
            let waiter = self.change(&who, |holder| {
                let waiter = holder.queue.remove(&number)?;
                holder.held += waiter.places;
                holder.since = now;
                Some(waiter)
            });
            if let Some(tenant) = self.tenants.get_mut(who.tenant()) {
                let rank = tenant.rank();
                tenant.since = now;
                if let (Some(before), Some(after)) = (rank, tenant.rank()) {
                    self.waiting.remove(&(before, who.tenant().clone()));
                    self.waiting.insert((after, who.tenant().clone()));
                }
            }
            let Some(waiter) = waiter else { continue };
            self.free -= waiter.places;
            // Whoever has gone gives it back.
            let _has_gone = waiter.served.send(());
        }
    }
}

impl Tenant {
    /// Where it stands; absent: none of its principals can be served.
    fn rank(&self) -> Option<Rank> {
        (!self.waiting.is_empty()).then_some((self.held, self.since))
    }
}

impl Holder {
    /// Where it stands; absent: it wants nothing, or nothing that it may have.
    fn rank(&self, each: usize) -> Option<Rank> {
        let next = self.queue.first_key_value()?.1;
        (self.held + next.places <= each).then_some((self.held, self.since))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failed test is a panic")]
mod tests {
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn who(tenant: &str, name: &str) -> Principal {
        Principal::new(tenant, name)
    }

    type Waiting<'a> = Pin<Box<dyn Future<Output = FairPermit> + 'a>>;

    /// Asks, and is still waiting.
    fn waits<'a>(semaphore: &'a FairSemaphore, who: &'a Principal, places: usize) -> Waiting<'a> {
        let mut waiting: Waiting<'a> = Box::pin(semaphore.acquire(who, places));
        assert!(poll(&mut waiting).is_none(), "{who:?} has to wait");
        waiting
    }

    fn poll(waiting: &mut Waiting<'_>) -> Option<FairPermit> {
        match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn behind_ten_thousand_of_one_another_waits_for_one_place() {
        for (mallory, alice) in
            [(who("red", "mallory"), who("blue", "alice")), (who("red", "mallory"), who("red", "alice"))]
        {
            let semaphore = FairSemaphore::new(4, 4);
            let mut held: Vec<_> = (0..4).map(|_| semaphore.try_acquire(&mallory, 1).unwrap()).collect();
            let mut queued: Vec<_> = (0..10_000).map(|_| waits(&semaphore, &mallory, 1)).collect();
            let mut alices = waits(&semaphore, &alice, 1);
            drop(held.pop());
            assert!(poll(&mut alices).is_some(), "the first place that came back is hers");
            // What she gave back is the next one's, in the order in which they came.
            let [first, second, ..] = queued.as_mut_slice() else { panic!("they wait") };
            let first = poll(first);
            assert!(first.is_some() && poll(second).is_none());
        }
    }

    #[test]
    fn a_tenant_gets_no_more_by_having_many_principals() {
        let semaphore = FairSemaphore::new(1, 1);
        let reds: Vec<_> = (0..100).map(|n| who("red", &format!("r{n}"))).collect();
        let blue = who("blue", "b");
        let mut held = semaphore.try_acquire(&reds[0], 1);
        let mut red_waits: Vec<_> = reds.iter().map(|red| Some(waits(&semaphore, red, 1))).collect();
        let mut order = Vec::new();
        for _ in 0..6 {
            let mut blues = waits(&semaphore, &blue, 1);
            // One place comes back, and then another.
            for _ in 0..2 {
                drop(held.take());
                let red = red_waits.iter_mut().find_map(|waiting| {
                    let permit = poll(waiting.as_mut()?)?;
                    *waiting = None;
                    Some(permit)
                });
                let got = red.or_else(|| poll(&mut blues)).unwrap();
                order.push(got.who.tenant().to_string());
                held = Some(got);
            }
        }
        assert_eq!(order.iter().filter(|tenant| *tenant == "blue").count(), 6, "{order:?}");
    }

    #[test]
    fn whoever_waits_is_served_however_often_others_come_back() {
        let semaphore = FairSemaphore::new(1, 1);
        let [patient, one, other] = ["patient", "one", "other"].map(|name| who("t", name));
        let mut held = semaphore.try_acquire(&one, 1);
        let mut patients = waits(&semaphore, &patient, 1);
        // Each of the two asks anew while the other has the place.
        let mut others = waits(&semaphore, &other, 1);
        drop(held.take());
        held = poll(&mut patients);
        assert!(held.is_some() && poll(&mut others).is_none());
        // Who has just had it stands behind those who have not.
        let mut again = waits(&semaphore, &patient, 1);
        let mut ones = waits(&semaphore, &one, 1);
        for next in [&mut others, &mut again, &mut ones] {
            drop(held.take());
            held = poll(next);
            assert!(held.is_some());
        }
    }

    #[test]
    fn nobody_has_more_than_one_may_and_that_keeps_nobody_waiting() {
        let semaphore = FairSemaphore::new(4, 3);
        let (mallory, alice) = (who("t", "mallory"), who("t", "alice"));
        let mut held: Vec<_> = (0..3).map(|_| semaphore.try_acquire(&mallory, 1).unwrap()).collect();
        let mut fourth = waits(&semaphore, &mallory, 1);
        let alices = semaphore.try_acquire(&alice, 1);
        assert!(alices.is_some() && poll(&mut fourth).is_none());
        drop(alices);
        assert!(poll(&mut fourth).is_none(), "a place is free, and not hers");
        drop(held.pop());
        assert!(poll(&mut fourth).is_some());
    }

    #[test]
    fn many_places_are_waited_for_and_few_do_not_overtake_them() {
        let semaphore = FairSemaphore::new(10, 10);
        let (large, small) = (who("t", "large"), who("t", "small"));
        let held = semaphore.try_acquire(&small, 4).unwrap();
        let mut all = waits(&semaphore, &large, 8);
        assert!(semaphore.try_acquire(&small, 1).is_none());
        let mut one = waits(&semaphore, &small, 1);
        drop(held);
        let all = poll(&mut all).unwrap();
        assert!(poll(&mut one).is_some());
        let mut grows = all;
        assert!(grows.grow(2) && !grows.grow(1) && !grows.none_beside().grow(1));
        drop(grows);
        assert_eq!(semaphore.free(), 10);
    }

    #[test]
    fn whoever_goes_leaves_nothing_behind_and_lets_others_on() {
        let semaphore = FairSemaphore::new(2, 2);
        let (one, other) = (who("t", "one"), who("u", "other"));
        let held = semaphore.try_acquire(&one, 1).unwrap();
        let large = waits(&semaphore, &one, 2);
        let mut small = waits(&semaphore, &other, 2);
        drop(large);
        assert!(poll(&mut small).is_none());
        drop(held);
        // Served, and gone before it looked.
        drop(small);
        assert_eq!(semaphore.free(), 2);
        let state = semaphore.0.lock();
        assert!(state.tenants.is_empty() && state.waiting.is_empty());
    }

    /// Any order of asking, giving back and going: what is held and what is free are all places, and nobody waits who could be served.
    #[test]
    fn places_are_neither_lost_nor_made() {
        let names: Vec<_> = (0..6).map(|n| who(["a", "b", "c"][n % 3], &n.to_string())).collect();
        let semaphore = FairSemaphore::new(5, 3);
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        for _ in 0..20_000 {
            match random(3) {
                0 if waiting.len() < 50 => {
                    let mut asks: Waiting<'_> = Box::pin(semaphore.acquire(&names[random(6)], 1 + random(3)));
                    match poll(&mut asks) {
                        Some(permit) => held.push(permit),
                        None => waiting.push(asks),
                    }
                }
                1 if !held.is_empty() => drop(held.swap_remove(random(held.len()))),
                _ if !waiting.is_empty() => drop(waiting.swap_remove(random(waiting.len()))),
                _ => {}
            }
            waiting.retain_mut(|asks| poll(asks).map(|permit| held.push(permit)).is_none());
            let taken: usize = held.iter().map(|permit| permit.places).sum();
            assert_eq!(taken + semaphore.free(), 5);
            let state = semaphore.0.lock();
            for (_, tenant) in &state.waiting {
                let tenant = &state.tenants[tenant];
                assert_eq!(tenant.held, tenant.principals.values().map(|holder| holder.held).sum::<usize>());
            }
        }
        drop((held, waiting));
        assert!(semaphore.0.lock().tenants.is_empty() && semaphore.free() == 5);
    }

    #[tokio::test]
    async fn a_place_that_comes_back_wakes_whoever_waits() {
        let semaphore = FairSemaphore::new(1, 1);
        let (one, other) = (who("t", "one"), who("t", "other"));
        let held = semaphore.acquire(&one, 1).await;
        let mut waiting = pin!(semaphore.acquire(&other, 1));
        let (permit, ()) = tokio::join!(&mut waiting, async { drop(held) });
        assert_eq!(permit.who, other);
    }
}
