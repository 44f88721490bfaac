//! Times, and what is said of them.

use std::time::Duration;

/// Times of one thing, done often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, taken: Duration) {
        self.0.push(taken);
    }

    /// The middle one; of an even number, the mean of the two in the middle. Zero if there is none.
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { at(middle) } else { (at(middle.saturating_sub(1)) + at(middle)) / 2 }
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The time that so many of a hundred do not exceed. Zero if there is none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The shortest. Zero if there is none.
    pub(crate) fn minimum(&self) -> Duration {
        self.0.iter().min().copied().unwrap_or_default()
    }
}

/// Milliseconds with as many digits as mean something.
pub(crate) fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms >= 10.0 { format!("{ms:.0} ms") } else { format!("{ms:.2} ms") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ms: &[u64]) -> Samples {
        Samples(ms.iter().copied().map(Duration::from_millis).collect())
    }

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both_middles() {
        assert_eq!(samples(&[9, 1, 2]).median(), Duration::from_millis(2));
        assert_eq!(samples(&[9, 1, 2, 4]).median(), Duration::from_millis(3));
        assert_eq!(samples(&[]).median(), Duration::ZERO);
    }

    #[test]
    fn a_percentile_is_not_exceeded_by_so_many_of_a_hundred() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(samples(&hundred).percentile(99), Duration::from_millis(99));
        assert_eq!(samples(&[7]).percentile(99), Duration::from_millis(7));
        assert_eq!(samples(&[]).percentile(99), Duration::ZERO);
    }

    #[test]
    fn the_minimum_is_the_shortest() {
        assert_eq!(samples(&[9, 1, 2]).minimum(), Duration::from_millis(1));
    }
}
