//! Repeated measurements of one thing.

use std::time::Duration;

use anyhow::{Result, ensure};
use lazaret_tests::wait;

/// Durations in ascending order; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    sorted: Vec<Duration>,
}

/// How often to measure: `rounds` times, or fewer when `budget` is spent.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) rounds: usize,
    pub(crate) budget: Duration,
}

impl Load {
    /// Measures after two unmeasured rounds that fill caches.
    pub(crate) fn collect(self, mut round: impl FnMut() -> Result<Duration>) -> Result<Samples> {
        let mut left = self.budget;
        let mut taken = Vec::with_capacity(self.rounds);
        for number in 0..self.rounds + 2 {
            let (duration, whole) = wait::timed(&mut round);
            let duration = duration?;
            if number >= 2 {
                taken.push(duration);
            }
            left = left.saturating_sub(whole);
            if left.is_zero() && !taken.is_empty() {
                break;
            }
        }
        Samples::new(taken)
    }
}

impl Samples {
    /// # Errors
    /// If there are none.
    pub(crate) fn new(mut samples: Vec<Duration>) -> Result<Samples> {
        ensure!(!samples.is_empty(), "nothing was measured");
        samples.sort();
        Ok(Samples { sorted: samples })
    }

    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest sample that at least `percent` per cent of all do not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100).max(1);
        self.sorted[rank.min(self.sorted.len()) - 1]
    }

    pub(crate) fn p50(&self) -> Duration {
        self.percentile(50)
    }

    pub(crate) fn p99(&self) -> Duration {
        self.percentile(99)
    }
}

/// Milliseconds with fractions, for people and for JSON.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Samples {
        Samples::new(milliseconds.into_iter().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_taken_from_the_sorted_samples() {
        for (samples, p50, p99) in [(of([7]), 7, 7), (of([3, 1, 2]), 2, 3), (of((1..=100).rev()), 50, 99)] {
            assert_eq!(
                (samples.p50(), samples.p99()),
                (Duration::from_millis(p50), Duration::from_millis(p99))
            );
        }
    }

    #[test]
    fn a_load_ends_when_its_budget_is_spent_and_still_has_a_sample() {
        let load = Load { rounds: 1_000_000, budget: Duration::ZERO };
        assert_eq!(load.collect(|| Ok(Duration::from_millis(1))).unwrap().count(), 1);
    }
}
