//! Waiting for descriptors up to a moment.

use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll as poll_for};

use crate::clock;

/// Returns when a descriptor is ready or `wake_at` has come; also, rarely, before. `None` is for ever.
pub(crate) fn poll(fds: &mut [PollFd<'_>], wake_at: Option<Duration>) {
    let timeout = wake_at.map(|wake_at| {
        let left = wake_at.saturating_sub(clock::now());
        // A wait too long for the kernel's type is as good as one of centuries.
        Timespec::try_from(left).unwrap_or(Timespec { tv_sec: i64::from(u32::MAX), tv_nsec: 0 })
    });
    // EINTR and a shortage of memory are among the rare early returns: the caller looks again.
    let _ = poll_for(fds, timeout.as_ref());
}
