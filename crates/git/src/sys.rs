//! The one call of git2 that is `unsafe`.
#![expect(unsafe_code, reason = "registering a transport is unsafe in git2")]

use git2::{Error, Remote, transport};

/// Makes `factory` the maker of transports for URLs that begin with `scheme` and a colon.
///
/// To be called before any other use of libgit2, and while this process has one thread that uses it.
///
/// # Errors
/// Those of libgit2, which has memory to find for a list entry.
pub(crate) fn register_transport<F>(scheme: &str, factory: F) -> Result<(), Error>
where
    F: Fn(&Remote<'_>) -> Result<transport::Transport, Error> + Send + Sync + 'static,
{
    // SAFETY: the call must not run at the same time as another that makes or registers a transport. The only other
    // thread of this program waits for signals and never calls libgit2.
    unsafe { transport::register(scheme, factory) }
}
