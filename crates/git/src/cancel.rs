//! Giving up half-way, in order: the guest asks with SIGTERM when the host has gone or time is up, and insists with
//! SIGKILL a little later. In between, what was begun is undone as far as it can be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use lazaret_protocol::git::Problem;

use crate::failure::{Failure, Outcome};

static ASKED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// From now on, SIGTERM is a question.
///
/// # Errors
/// Those of sigaction(2).
pub(crate) fn listen() -> std::io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&ASKED)).map(drop)
}

/// Whether to give up.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Goes on, unless it is time to give up.
pub(crate) fn check() -> Outcome<()> {
    if is_asked() { Err(Failure::new(Problem::Cancelled, "cancelled")) } else { Ok(()) }
}
