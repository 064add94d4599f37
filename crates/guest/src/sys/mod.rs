//! All `unsafe` of the guest: system calls that no safe wrapper offers, one safe function per call.
//!
//! Everything else goes through rustix, whose wrappers are safe and make the raw call, so that a credential changes
//! for one thread and not, as in libc, for all.

pub(crate) mod child;
pub(crate) mod inherited;
pub(crate) mod memory;
pub(crate) mod reap;
pub(crate) mod signals;
