//! Waiting for a condition with a deadline: the only clock and the only pause in the suites.

use std::thread;
use std::time::{Duration, Instant};

/// Pause between two looks at a condition: short against every deadline, long against the cost of a look.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks at `condition` until it gives a value, and returns that.
///
/// # Panics
/// If `limit` passes first; the message names `what` was waited for.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, condition: impl FnMut() -> Option<T>) -> T {
    match within(limit, condition) {
        Some(value) => value,
        None => panic!("waited {} ms in vain for {what}", limit.as_millis()),
    }
}

/// As [`until`], but gives `None` when `limit` passes.
pub fn within<T>(limit: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if now() >= deadline {
            return None;
        }
        // Nobody unparks this thread, so it is a pause; one that returns early costs one look more.
        thread::park_timeout(PAUSE);
    }
}

/// How long `work` takes, with what it returned.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = now();
    let value = work();
    (value, start.elapsed())
}

#[expect(clippy::disallowed_methods, reason = "a deadline in a test of the real system is real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_gives_a_value() {
        let mut looks = 0;
        let value = until("the third look", Duration::from_secs(10), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(value, 3);
    }

    #[test]
    fn a_condition_that_never_holds_ends_at_the_deadline() {
        assert_eq!(within(Duration::from_millis(20), || None::<()>), None);
    }
}
