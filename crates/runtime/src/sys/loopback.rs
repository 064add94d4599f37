//! Bringing the loopback interface of the caller's network namespace up.

use std::os::fd::AsRawFd;

use rustix::io::Result;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::check;

/// Brings `lo` up; the kernel gives it 127.0.0.1 and ::1 by itself.
///
/// # Errors
/// Those of socket(2) and of the `SIOCSIFFLAGS` ioctl.
pub(crate) fn up() -> Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: `ifreq` is a plain struct of integers and unions of them, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = INTERFACE_UP;
    // SAFETY: the request reads a `struct ifreq` whose name is NUL-terminated and whose flags are set, through a
    // pointer that is valid for the call; `socket` is open.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    check(result.into()).map(drop)
}

/// `IFF_UP` in the width of the field.
const INTERFACE_UP: libc::c_short = 1;
const _: () = assert!(INTERFACE_UP as libc::c_int == libc::IFF_UP);
