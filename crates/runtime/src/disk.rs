//! The disk of a sandbox or a volume: an ext4 image in a sparse file, which is where its hard limit of bytes and inodes comes from.
//!
//! ```text
//!   disk.ext4 ──flock──▶ loop device (clears itself) ──▶ detached ext4 mount ──idmap──▶ upper and work of the overlays
//! ```
//!
//! The lock is taken on the file description that the loop device keeps. So it is held for exactly as long as the
//! device is bound, whoever bound it and whether that process still lives: one image is never mounted twice.
//!
//! The device goes through the host's page cache. Going past it would save memory, and would make every start wait for the
//! host's disk: first for the fresh copy to be written, then for each of its blocks to be read back.
//!
//! Not here: making images (`template`), which the server does.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, SeekFrom, flock, open, openat, seek};
use rustix::io::{Errno, pread};
use rustix::mount::MountAttrFlags;

use crate::error::{At, SetupError, Step};
use crate::filesystem::{INERT, MountOption, mount};
use crate::sys::loop_device::{self, LoopDevice};

/// Bytes of a block, of the file system and of the loop device alike.
pub(crate) const BLOCK_BYTES: u32 = 4096;

const STEP: Step = Step::Disk;

/// Bytes that are read ahead: twice what a fresh disk has.
const READ_AHEAD_MAX_BYTES: usize = 256 * 1024;

/// Directory on a disk for the overlay of the lower with this number; it has `upper` and `work` in it.
pub(crate) fn overlay_directory(root: &Path, index: usize) -> PathBuf {
    root.join(index.to_string())
}

/// Opens the directory on a mounted disk that the overlay of the lower with this number writes to.
///
/// # Errors
/// Those of openat(2).
pub(crate) fn upper_directory(top: &OwnedFd, index: usize) -> std::io::Result<OwnedFd> {
    let path = overlay_directory(Path::new(""), index).join("upper");
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(top, &path, flags, Mode::empty())?)
}

/// A disk image as a mounted file system.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Detached: in nobody's tree yet.
    pub(crate) mount: OwnedFd,
    /// Number of the loop device beneath it.
    pub(crate) device: u32,
}

/// How far a program's fsync reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fsync {
    /// To the host's page cache: it holds against every crash but the host's.
    PageCache,
    /// To the host's disk.
    HostDisk,
}

/// Mounts a disk image.
///
/// # Errors
/// `EBUSY` while an earlier mount of the image is not gone yet, else the call that failed.
pub(crate) fn open_disk(image: &Path, fsync: Fsync) -> Result<Disk, SetupError> {
    let file = open_locked(image, OFlags::RDWR)?;
    let device = loop_device::bind(&file, BLOCK_BYTES).at(STEP, "bind a loop device to", image)?;
    read_ahead(&file, &device).at(STEP, "read", image)?;
    Ok(Disk { mount: mount_device(device.number, fsync)?, device: device.number })
}

/// Mounts a disk image so that nothing can write to it, and opens its top directory, on which the mount hangs.
///
/// # Errors
/// As [`open_disk`].
pub(crate) fn open_to_read(image: &Path) -> Result<OwnedFd, SetupError> {
    let file = open_locked(image, OFlags::RDONLY)?;
    // Read-only, as the file is: loop(4).
    let device = loop_device::bind(&file, BLOCK_BYTES).at(STEP, "bind a loop device to", image)?;
    let node = loop_device::node(device.number);
    let options = [MountOption::Pair("source", &node.to_string_lossy()), MountOption::Flag("ro")];
    let attributes = INERT | MountAttrFlags::MOUNT_ATTR_RDONLY;
    top_directory(mount(STEP, "ext4", &options, attributes)?)
}

/// Mounts a disk that is mounted another time: the file system is the same one, with the options that it has.
///
/// # Errors
/// `ESTALE` if the device is not bound to the image, else the call that failed.
pub(crate) fn open_again(image: &Path, device: u32) -> Result<Disk, SetupError> {
    let node = loop_device::node(device);
    let open_device = open(&node, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at(STEP, "open", &node)?;
    let backing = loop_device::backing_file(&open_device).at(STEP, "ask", &node)?;
    let metadata = std::fs::metadata(image).at(STEP, "stat", image)?;
    if backing != (metadata.dev(), metadata.ino()) {
        return Err(Errno::STALE).at(STEP, "find the image on", &node);
    }
    Ok(Disk { mount: mount_device(device, Fsync::PageCache)?, device })
}

fn open_locked(image: &Path, access: OFlags) -> Result<OwnedFd, SetupError> {
    let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = open(image, flags, Mode::empty()).at(STEP, "open", image)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Errno::BUSY),
        other => other,
    }
    .at(STEP, "lock", image)?;
    Ok(file)
}

fn mount_device(device: u32, fsync: Fsync) -> Result<OwnedFd, SetupError> {
    let node = loop_device::node(device);
    let options = [
        MountOption::Pair("source", &node.to_string_lossy()),
        // Inode tables are zeroed when they are used; zeroing them in the background would fill the sparse file.
        MountOption::Flag("noinit_itable"),
        MountOption::Flag(match fsync {
            Fsync::PageCache => "nobarrier",
            Fsync::HostDisk => "barrier",
        }),
    ];
    mount(STEP, "ext4", &options, MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV)
}

/// The top directory of a mounted disk, which keeps it mounted for as long as it is open.
///
/// # Errors
/// That of opening it.
pub(crate) fn top_directory(mount: impl AsFd) -> Result<OwnedFd, SetupError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(mount, ".", flags, Mode::empty()).at(STEP, "open", "the top of the disk")
}

/// Reads the first places of the image that hold data into the device's cache. Mounting reads the same some twenty blocks
/// one after another, and each would wait for the device's worker to be scheduled.
fn read_ahead(file: &OwnedFd, device: &LoopDevice) -> rustix::io::Result<()> {
    let mut buffer = vec![0; READ_AHEAD_MAX_BYTES];
    let mut left = READ_AHEAD_MAX_BYTES;
    let mut at = 0;
    while left > 0 {
        let data = match seek(file, SeekFrom::Data(at)) {
            Ok(data) => data,
            // No data from here to the end.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno),
        };
        at = seek(file, SeekFrom::Hole(data))?;
        let length = usize::try_from(at - data).unwrap_or(left).min(left);
        left -= length;
        // A short read is as good as none: this is for speed, and mounting finds every error by itself.
        pread(&device.device, &mut buffer[..length], data)?;
    }
    Ok(())
}

/// Whether no loop device has the image bound.
///
/// # Errors
/// Those of open(2), `ENOENT` among them, and flock(2).
pub(crate) fn is_free(image: &Path) -> rustix::io::Result<bool> {
    let file = open(image, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}
