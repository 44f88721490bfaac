//! What is done with bytes of somebody else's choice: a target for each place where Scout reads some.
//!
//! libFuzzer runs a target without end (`run.sh`), a test of the main workspace a few thousand times with the same bytes each
//! time (`seeded.rs`, which has this file as a module). A panic is a crash; so is an input that takes too much memory, and
//! memory that is not given back.

mod client;
mod component;
mod files;
mod schema;
mod ssh;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use peak_alloc::PeakAlloc;

/// Counts what Rust code holds. libFuzzer's own corpus is not among it.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// The most that one input may take, in bytes.
const PEAK: usize = 64 << 20;
/// After so many inputs everything is there that is made once; what is held then is compared each time.
const EVERY: u64 = 1_000;
/// What may be held later that was not held then, in bytes: caches that fill.
const GROWTH: usize = 8 << 20;

/// Does with bytes what Scout does with them. Any answer is fine.
type Target = fn(&[u8]);

/// All targets by their names.
pub const TARGETS: [(&str, Target); 10] = [
    ("cassette", files::cassette),
    ("component", |bytes| _ = component::load_and_call(bytes)),
    ("config", files::config),
    ("identification", ssh::identification),
    ("known_hosts", ssh::known_hosts),
    ("request", client::request),
    ("schema", schema::schema),
    ("sftp_reply", ssh::sftp_reply),
    ("ssh_config", ssh::ssh_config),
    ("uri", schema::uri),
];

#[derive(Clone, Copy, Default)]
struct Seen {
    inputs: u64,
    /// Held after the first [`EVERY`] inputs.
    held: Option<usize>,
}

/// Has the target of this name read an input, alone in this process.
///
/// # Panics
/// When it has no target of this name, and when the target panics, takes too much or keeps too much.
pub fn read(name: &str, input: &[u8]) {
    static SEEN: Mutex<BTreeMap<String, Seen>> = Mutex::new(BTreeMap::new());
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name").1;
    let mut all = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = all.entry(name.to_owned()).or_default();
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    target(input);
    let peak = HEAP.peak_usage().saturating_sub(before);
    assert!(peak <= PEAK, "{name}: {} bytes of input took {peak} bytes of memory", input.len());
    seen.inputs += 1;
    if seen.inputs.is_multiple_of(EVERY) {
        let now = HEAP.current_usage();
        let held = *seen.held.get_or_insert(now);
        assert!(
            now <= held + GROWTH,
            "{name}: {held} bytes were held after {EVERY} inputs, {now} after {}",
            seen.inputs
        );
    }
}
