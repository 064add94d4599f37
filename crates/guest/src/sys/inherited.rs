//! The descriptors that the host leaves open: the listening socket, and the programs that it gives the sandbox.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::{Errno, FdFlags};

/// Number of the listening socket, by agreement with the host.
const LISTENER: i32 = 3;

/// Number of the git program, which a host may leave out.
const GIT: i32 = 4;

/// What the host has left open for the guest.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// Where the host connects.
    pub(crate) listener: OwnedFd,
    /// The git program.
    pub(crate) git: Option<OwnedFd>,
}

/// Takes them, keeps them from every program the guest will run, and closes whatever else the host has left open above
/// them by mistake: such a descriptor could lead out of the sandbox.
///
/// # Errors
/// `EBADF` when nothing is open at 3, `ENOTSOCK` when it is not a listening socket.
pub(crate) fn take() -> rustix::io::Result<Inherited> {
    let listener = take_number(LISTENER).ok_or(Errno::BADF)?;
    let git = take_number(GIT);
    // SAFETY: takes integers only. This runs first in `main`, so no value of this process owns a number above these.
    if unsafe { libc::syscall(libc::SYS_close_range, GIT + 1, u32::MAX, 0) } != 0 {
        return Err(super::signals::last_error());
    }
    for descriptor in std::iter::once(&listener).chain(&git) {
        rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
    }
    if !rustix::net::sockopt::socket_acceptconn(&listener)? {
        return Err(Errno::NOTSOCK);
    }
    Ok(Inherited { listener, git })
}

/// The descriptor of that number, if it is open.
fn take_number(number: i32) -> Option<OwnedFd> {
    // SAFETY: `fcntl(F_GETFD)` takes integers only; it tells whether the number is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the number is open, as just checked, nothing else in this process knows it, and [`take`] runs once, as the
    // first thing in `main`, and asks for each number once, so the descriptor gets exactly one owner.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
