//! The only unsafe code of the runtime: one safe wrapper per system call that rustix does not have.
//!
//! Everything here returns `rustix::io::Result`, so that a caller sees one kind of errno, and says nothing about
//! sandboxes: what the calls are for is told where they are used.

#![expect(
    unsafe_code,
    reason = "system calls that rustix does not wrap; nothing else in this crate is unsafe"
)]

pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod loop_device;
pub(crate) mod loopback;
pub(crate) mod mount;
pub(crate) mod namespace_holder;
pub(crate) mod readiness;
pub(crate) mod seccomp;
pub(crate) mod session;
pub(crate) mod trim;

use rustix::io::{Errno, Result};

/// Turns the result of a raw system call into a number or an errno.
fn check(result: libc::c_long) -> Result<u64> {
    u64::try_from(result).map_err(|_| {
        std::io::Error::last_os_error().raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error)
    })
}
