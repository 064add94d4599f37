//! The one place where this module waits: for a condition of the kernel's, within a bound.

use std::time::Duration;

use super::Error;

/// First pause between two looks. Freezing and dying usually take less than this.
const PAUSE_FIRST: Duration = Duration::from_micros(50);

/// Longest pause between two looks: late by at most this much, at two hundred wake-ups a second.
const PAUSE_MAX: Duration = Duration::from_millis(5);

/// Looks at `condition` until it holds, `true`, or `patience` is over, `false`. It is looked at once even if there
/// is no patience at all, and once more after the time is up.
#[expect(
    clippy::disallowed_methods,
    reason = "the kernel announces neither v1 freezing nor the end of a busy directory; the bound is real time, \
              and the caller a process without a clock to ask"
)]
pub(super) fn until(
    patience: Duration,
    mut condition: impl FnMut() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let start = std::time::Instant::now();
    let mut pause = PAUSE_FIRST;
    while !condition()? {
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return condition();
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(true)
}
