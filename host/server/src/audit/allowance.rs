//! How many lines may tell of what was not sent, or not looked at: an agent that asks for it without end fills no disk.

use std::time::{Duration, Instant};

/// Lines at once; what a person could still read.
const BURST: u32 = 100;
/// After this there is one more: 8,640 a day, 2 MB of usual ones and 60 MB if every character has to be escaped.
const PERIOD: Duration = Duration::from_secs(10);

/// What may still be written.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u32,
    counted: Instant,
}

impl Allowance {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let periods = now.saturating_duration_since(self.counted).as_millis() / PERIOD.as_millis();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        self.counted += PERIOD.saturating_mul(periods);
        self.left = self.left.saturating_add(periods).min(BURST);
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_there_is_one_in_each_period_and_never_more_than_a_burst() {
        let begun = Instant::now();
        let mut allowance = Allowance::new(begun);
        let mut taken = |at: Duration| (0..1000).filter(|_| allowance.take(begun + at)).count();
        assert_eq!(taken(Duration::ZERO), 100);
        assert_eq!(taken(PERIOD / 2), 0);
        assert_eq!(taken(PERIOD), 1);
        assert_eq!(taken(PERIOD * 7 / 2), 2);
        assert_eq!(taken(PERIOD * 4), 1);
        assert_eq!(taken(Duration::from_secs(86_400)), 100);
    }
}
