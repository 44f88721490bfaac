//! What a WASI guest finds round it while it is recorded and played: a clock and random numbers that are the same each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// How far a clock goes on with each look at it, in milliseconds: a guest that waits for it to go on does not wait for ever.
const STEP: u64 = 1;
/// Random bytes before they come again.
const RANDOM_BYTES: usize = 64 * 1024;

/// When a guest believes to run, and what it believes to be random.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings {
    /// Seconds since 1970.
    pub(super) clock: u64,
    pub(super) seed: u64,
}

impl Surroundings {
    pub(crate) fn furnish(self, builder: &mut WasiCtxBuilder) {
        let [one, two, three, four] = [1, 2, 3, 4].map(|stream| SplitMix64(self.seed.wrapping_add(stream)));
        builder
            .wall_clock(Clock::new(Duration::from_secs(self.clock)))
            .monotonic_clock(Clock::new(Duration::ZERO))
            .secure_random(Deterministic::new(one.bytes()))
            .insecure_random(Deterministic::new(two.bytes()))
            .insecure_random_seed(u128::from(three.first()) << 64 | u128::from(four.first()));
    }
}

/// The generator of Steele, Lea and Flood (OOPSLA 2014): small, and the same for ever. Nothing here is a secret.
struct SplitMix64(u64);

impl SplitMix64 {
    fn bytes(self) -> Vec<u8> {
        self.take(RANDOM_BYTES / size_of::<u64>()).flat_map(u64::to_le_bytes).collect()
    }

    fn first(mut self) -> u64 {
        self.next().unwrap_or_default()
    }
}

impl Iterator for SplitMix64 {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ (mixed >> 31))
    }
}

struct Clock {
    start: Duration,
    looks: AtomicU64,
}

impl Clock {
    fn new(start: Duration) -> Self {
        Self { start, looks: AtomicU64::new(0) }
    }

    fn look(&self) -> Duration {
        let looks = self.looks.fetch_add(STEP, Ordering::Relaxed);
        self.start.saturating_add(Duration::from_millis(looks))
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(STEP)
    }

    fn now(&self) -> Duration {
        self.look()
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        STEP * 1_000_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.look().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_the_published_generator() {
        // Of the reference implementation, seed 1234567.
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(SplitMix64(1_234_567).take(3).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_clock_begins_where_it_is_told_and_goes_on_with_each_look() {
        let clock = Clock::new(Duration::from_secs(7));
        assert_eq!((clock.look(), clock.look()), (Duration::from_secs(7), Duration::from_millis(7001)));
    }
}
