//! The one way to wait between attempts: doubling, jittered, bounded.
//!
//! ```text
//!   wait n = between half and all of min(first * 2^n, longest)      n = 0, 1, ... attempts - 2
//! ```
//!
//! The half is a floor, so that an attempt never follows at once; the jitter keeps callers that failed together from
//! coming back together. Not here: the waiting itself, and what is worth another attempt.

use std::time::Duration;

use rand::Rng;

/// The waits of one piece of work.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
    left: u32,
}

impl Backoff {
    /// Waits for work that is tried `attempts` times in all.
    pub const fn new(first: Duration, longest: Duration, attempts: u32) -> Self {
        Self { next: first, longest, left: attempts.saturating_sub(1) }
    }

    /// How long to wait before the next attempt; `None` when there is none left. `asked` is what the other side said to
    /// wait, which is honoured up to the longest wait.
    pub fn next_wait(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let ceiling = self.next.min(self.longest);
        self.next = self.next.saturating_mul(2);
        let jittered = ceiling.mul_f64(rand::rng().random_range(0.5..=1.0));
        Some(asked.map_or(jittered, |asked| jittered.max(asked)).min(self.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_end_with_the_attempts() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 4, 6);
        for ceiling in [1, 2, 4, 4, 4] {
            let wait = backoff.next_wait(None).unwrap();
            assert!(wait >= second * ceiling / 2 && wait <= second * ceiling, "{ceiling}: {wait:?}");
        }
        assert_eq!(backoff.next_wait(None), None);
        assert_eq!(Backoff::new(second, second, 0).next_wait(None), None);
    }

    #[test]
    fn the_other_side_is_heard_as_far_as_is_bearable() {
        let (short, long) = (Duration::from_millis(10), Duration::from_secs(2));
        let mut backoff = Backoff::new(short, long, 4);
        assert_eq!(backoff.next_wait(Some(Duration::from_secs(1))), Some(Duration::from_secs(1)));
        assert_eq!(backoff.next_wait(Some(Duration::from_secs(3600))), Some(long));
        assert!(backoff.next_wait(Some(Duration::ZERO)).unwrap() >= short);
    }
}
