//! Loop devices: a file as a block device.
//!
//! The device is configured to clear itself when its last user is gone, so nothing has to be undone: the file system
//! mounted from it is its last user.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, Result};

use super::check;

/// `LOOP_CTL_GET_FREE` of linux/loop.h.
const LOOP_CTL_GET_FREE: libc::c_ulong = 0x4C82;
/// `LOOP_GET_STATUS64` of linux/loop.h.
const LOOP_GET_STATUS64: libc::c_ulong = 0x4C05;
/// `LOOP_CONFIGURE` of linux/loop.h, since Linux 5.8.
const LOOP_CONFIGURE: libc::c_ulong = 0x4C0A;
/// The device unbinds itself when it is closed and not mounted.
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// Another process may take a free device between our asking for one and binding it; each try asks anew.
const BIND_TRIES: u32 = 64;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// A bound loop device; it lives for as long as this descriptor or a mount of it does.
#[derive(Debug)]
pub(crate) struct LoopDevice {
    /// Keeps the device bound until it is mounted.
    pub(crate) device: OwnedFd,
    /// Its number, which is its as long as it is bound.
    pub(crate) number: u32,
}

/// The node of the device with this number, to mount from.
pub(crate) fn node(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/loop{number}"))
}

/// Binds `file` to a free loop device with blocks of `block_size` bytes.
///
/// The device keeps the open file description of `file`, and so a lock that was taken on it, until it is cleared.
///
/// # Errors
/// Those of opening `/dev/loop-control` and of the ioctls; `EBUSY` if other processes took every device that was free.
pub(crate) fn bind(file: impl AsFd, block_size: u32) -> Result<LoopDevice> {
    let control = open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    for _ in 0..BIND_TRIES {
        // SAFETY: this request takes no argument, and `control` is open.
        let result = unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) };
        let number = u32::try_from(check(result.into())?).map_err(|_| Errno::OVERFLOW)?;
        let device = open(node(number), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        match configure(&device, file.as_fd().as_raw_fd(), block_size) {
            Ok(()) => return Ok(LoopDevice { device, number }),
            Err(Errno::BUSY) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

fn configure(device: &OwnedFd, file: libc::c_int, block_size: u32) -> Result<()> {
    // SAFETY: `LoopConfig` is a plain struct of integers and arrays of them, for which all zeroes is a valid value.
    let mut config: LoopConfig = unsafe { std::mem::zeroed() };
    config.fd = file.cast_unsigned();
    config.block_size = block_size;
    config.info.flags = LO_FLAGS_AUTOCLEAR;
    // SAFETY: the request reads a `struct loop_config`, whose layout `LoopConfig` repeats, through a pointer that is
    // valid for the call; `device` is open.
    let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    check(result.into()).map(drop)
}

/// Device and inode number of the file that a device is bound to.
///
/// # Errors
/// `ENXIO` if it is bound to none.
pub(crate) fn backing_file(device: impl AsFd) -> Result<(u64, u64)> {
    // SAFETY: `LoopInfo` is a plain struct of integers and arrays of them, for which all zeroes is a valid value.
    let mut info: LoopInfo = unsafe { std::mem::zeroed() };
    // SAFETY: the request writes a `struct loop_info64`, whose layout `LoopInfo` repeats, through a pointer that is valid
    // for the call; the descriptor is open for as long as `device` is borrowed.
    let result = unsafe { libc::ioctl(device.as_fd().as_raw_fd(), LOOP_GET_STATUS64, &raw mut info) };
    check(result.into())?;
    Ok((info.device, info.inode))
}

const _: () = {
    assert!(size_of::<LoopInfo>() == 232);
    assert!(size_of::<LoopConfig>() == 304);
};
