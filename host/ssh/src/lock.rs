//! Locks for small state that no panic elsewhere takes along.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, whatever became of who held it before. For work on the state alone, never across an await.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
