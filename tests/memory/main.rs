//! The memory that Scout takes for work whose size somebody else chooses, as an allocator counts it.
//!
//! A case has this process's own Scout do something that costs, and holds the peak against [`MOST`]. One module for each
//! party that chooses: a plugin, a client, a file. What wasmtime maps for guests and their code is not the allocator's, and
//! is bounded elsewhere.

#![expect(clippy::unwrap_used, reason = "a failed test is a panic")]

mod answers;
mod cassette;
mod client;
mod plugins;
mod weight;

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// What any case may take above what was there before it, in bytes.
const MOST: usize = 256 << 20;

/// One case, alone in this process: the allocator counts for all threads.
struct Case {
    _one: MutexGuard<'static, ()>,
}

impl Case {
    /// Waits until no other case runs. Comes first in every test: what a test prepares is counted for the case that runs.
    fn alone() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        // A case that failed has given back what it took.
        Self { _one: ONE.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    /// The most that the process holds while this runs, above what it holds now, in bytes.
    fn peak<T>(&self, work: impl FnOnce() -> T) -> (usize, T) {
        let idle = HEAP.current_usage();
        HEAP.reset_peak_usage();
        let done = work();
        (HEAP.peak_usage().saturating_sub(idle), done)
    }
}

#[test]
fn the_allocator_counts_what_is_taken_and_given_back() {
    let case = Case::alone();
    let (bytes, ()) = case.peak(|| drop(std::hint::black_box(vec![7_u8; MOST])));
    // What others of this process give back meanwhile is counted too.
    assert!((MOST - (1 << 20)..MOST + (1 << 20)).contains(&bytes), "{bytes}");
    let (bytes, ()) = case.peak(|| ());
    assert!(bytes < 1 << 20, "{bytes}");
}
