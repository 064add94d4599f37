//! Waiting for a descriptor in tokio's reactor.

use std::io::Result;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor, to be told when it is readable.
///
/// # Errors
/// Those of epoll_ctl(2). Panics outside of a tokio runtime.
pub(crate) fn watch(descriptor: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open until it is dropped and always gives the same number, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
        .map_err(|error| error.into_parts().1)
}
