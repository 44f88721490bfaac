//! Chance in waiting: those who failed together do not try again together.

use std::time::Duration;

/// Between half of `whole` and all of it.
pub(crate) fn jittered(whole: Duration) -> Duration {
    // Without random numbers the whole time is as good.
    let share = getrandom::u32().map_or(1.0, |random| f64::from(random) / f64::from(u32::MAX));
    whole.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jittered_time_is_between_half_and_all_of_it() {
        let whole = Duration::from_secs(8);
        assert!((0..1000).map(|_| jittered(whole)).all(|time| whole / 2 <= time && time <= whole));
    }
}
