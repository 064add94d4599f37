//! Giving a mounted file system's unused blocks back to the device beneath it.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Result;

use super::check;

/// `FITRIM` of linux/fs.h: `_IOWR('X', 121, struct fstrim_range)`.
const FITRIM: libc::c_ulong = 0xC018_5879;

/// `struct fstrim_range` of linux/fs.h.
#[repr(C)]
struct TrimRange {
    start: u64,
    length: u64,
    min_length: u64,
}

/// Discards every unused stretch of at least `min_bytes`, and gives how many bytes that were.
///
/// # Errors
/// `EOPNOTSUPP` if the device cannot discard, `EPERM` without `CAP_SYS_ADMIN` on the host.
pub(crate) fn trim(directory: impl AsFd, min_bytes: u64) -> Result<u64> {
    let mut range = TrimRange { start: 0, length: u64::MAX, min_length: min_bytes };
    // SAFETY: the request reads and writes a `struct fstrim_range`, whose layout `TrimRange` repeats, through a pointer
    // that is valid for the call; the descriptor is open for as long as `directory` is borrowed.
    let result = unsafe { libc::ioctl(directory.as_fd().as_raw_fd(), FITRIM, &raw mut range) };
    check(result.into())?;
    Ok(range.length)
}

const _: () = assert!(size_of::<TrimRange>() == 24);
