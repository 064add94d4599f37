//! The monotonic clock, as the time since some fixed moment.
//!
//! A plain [`Duration`] so that everything that decides by time takes it as an argument and can be tested without
//! waiting. It stands still while the host sleeps, but not while the sandbox is paused.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Now.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    // The kernel counts from boot, so neither part is ever negative.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}
