//! The one descriptor that the host leaves open.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::{Errno, FdFlags};

/// Number of the listening socket, by agreement with the host.
const LISTENER: i32 = 3;

/// Takes the listening socket, keeps it from every program the guest will run, and closes whatever else the host has
/// left open above it by mistake: such a descriptor could lead out of the sandbox.
///
/// # Errors
/// `EBADF` when nothing is open at 3, `ENOTSOCK` when it is not a listening socket.
pub(crate) fn take_listener() -> rustix::io::Result<OwnedFd> {
    // SAFETY: `fcntl(F_GETFD)` takes integers only; it tells whether the number is open.
    if unsafe { libc::fcntl(LISTENER, libc::F_GETFD) } < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is open, as just checked, nothing else in this process knows it, and this function runs once,
    // as the first thing in `main`, so the descriptor gets exactly one owner.
    let listener = unsafe { OwnedFd::from_raw_fd(LISTENER) };
    // SAFETY: takes integers only. This runs first in `main`, so no value of this process owns a number above 3 yet.
    if unsafe { libc::syscall(libc::SYS_close_range, LISTENER + 1, u32::MAX, 0) } != 0 {
        return Err(super::signals::last_error());
    }
    rustix::io::fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
    if !rustix::net::sockopt::socket_acceptconn(&listener)? {
        return Err(Errno::NOTSOCK);
    }
    Ok(listener)
}
