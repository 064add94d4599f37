//! `seccomp(2)`: installing a filter for the calling thread.

use std::ffi::c_uint;

use rustix::io::{Errno, Result};

use super::check;

/// Installs `program` as the calling thread's newest filter, inherited by everything it makes from then on.
///
/// A filter cannot be taken off again. The thread must have no_new_privs set, or hold `CAP_SYS_ADMIN` in its user
/// namespace. Makes one system call, and neither allocates nor locks.
///
/// # Errors
/// `EACCES` when no_new_privs is missing; `EINVAL` when the kernel rejects the program or has no filter mode.
pub(crate) fn install(program: &[libc::sock_filter]) -> Result<()> {
    /// No flags: threads are not synchronised, because a fresh child has one, and speculation mitigations stay
    /// what the administrator chose.
    const FLAGS: c_uint = 0;
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::INVAL) };
    let fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `fprog` lives until the call returns and describes exactly the `len` instructions of `program`. The
    // kernel copies them and writes to neither, so the shared borrow is kept although the field is a `*mut`.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, FLAGS, &raw const fprog) };
    check(result).map(drop)
}

/// Makes a call that the kernel is expected to refuse: `Err` is its errno, `Ok` what it returned.
#[cfg(test)]
pub(crate) fn probe(number: u32, args: [u64; 6]) -> Result<u64> {
    let [a, b, c, d, e, f] = args;
    // SAFETY: tests pass numbers that are refused before they do anything, or arguments of all ones, which are no
    // valid pointer, descriptor, length or flag of any call that they are passed to.
    check(unsafe { libc::syscall(libc::c_long::from(number), a, b, c, d, e, f) })
}
