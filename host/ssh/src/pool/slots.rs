//! Places for channels: a FIFO semaphore whose limit can be lowered while permits are out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of places. Whoever waits longest is served first.
pub(crate) struct Slots {
    semaphore: Arc<Semaphore>,
    limit: Mutex<Limit>,
    open: AtomicUsize,
}

struct Limit {
    places: usize,
    /// Permits that vanish when they come back.
    debt: usize,
}

/// A place; free again when dropped.
pub(crate) struct Slot {
    permit: Option<OwnedSemaphorePermit>,
    slots: Arc<Slots>,
    is_open: bool,
}

impl Slot {
    /// The place holds an open channel now.
    pub(crate) fn mark_open(&mut self) {
        if !self.is_open {
            self.is_open = true;
            self.slots.open.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Slots {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let limit = Mutex::new(Limit { places, debt: 0 });
        Arc::new(Self { semaphore: Arc::new(Semaphore::new(places)), limit, open: AtomicUsize::new(0) })
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.limit.lock().places
    }

    /// How many places hold an open channel.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Waits for a place. Dropping the future leaves the queue.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.semaphore).acquire_owned().await.ok()?;
        Some(Slot { permit: Some(permit), slots: Arc::clone(self), is_open: false })
    }

    /// A place if one is free and nobody waits.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.semaphore).try_acquire_owned().ok()?;
        Some(Slot { permit: Some(permit), slots: Arc::clone(self), is_open: false })
    }

    /// Lowers the number of places to `places`; those above it vanish as they become free.
    pub(crate) fn lower_to(&self, places: usize) {
        let mut limit = self.limit.lock();
        if places >= limit.places {
            return;
        }
        limit.debt += limit.places - places;
        limit.places = places;
        limit.debt -= self.semaphore.forget_permits(limit.debt);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.is_open {
            self.slots.open.fetch_sub(1, Ordering::AcqRel);
        }
        let Some(permit) = self.permit.take() else { return };
        let mut limit = self.slots.limit.lock();
        if limit.debt > 0 {
            limit.debt -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lowered_limit_takes_back_places_as_they_become_free() {
        let slots = Slots::new(3);
        let held = [slots.try_acquire(), slots.try_acquire()];
        slots.lower_to(1);
        assert!(slots.try_acquire().is_none());
        drop(held);
        let one = slots.acquire().await;
        assert!(one.is_some());
        assert!(slots.try_acquire().is_none());
        assert_eq!(slots.places(), 1);
    }
}
