//! Places that are counted by whose they are: so many of each, and no more.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

/// Places, so many for each. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Shares<K> {
    most: usize,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

/// A place. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash> {
    of: K,
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

impl<K: Clone + Eq + Hash> Shares<K> {
    /// So many places for each.
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// One more place of theirs. None: they have as many as they may.
    pub(super) fn take(&self, of: &K) -> Option<Place<K>> {
        let mut taken = self.taken.lock();
        let count = taken.entry(of.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { of: of.clone(), taken: Arc::clone(&self.taken) })
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        let left = taken.get_mut(&self.of).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            taken.remove(&self.of);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test is a panic")]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_places_and_nothing_is_kept_of_who_has_none() {
        let shares = Shares::new(2);
        let places = [shares.take(&"ann").unwrap(), shares.take(&"ann").unwrap()];
        assert!(shares.take(&"ann").is_none());
        let other = shares.take(&"bob").unwrap();
        drop(places);
        assert_eq!(shares.taken.lock().len(), 1);
        assert!(shares.take(&"ann").is_some());
        drop(other);
        assert!(shares.taken.lock().is_empty());
    }
}
