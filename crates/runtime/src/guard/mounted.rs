//! One mounted disk, from the host's side: how much of it is used, how much more of it may be, and what is not used any
//! more.
//!
//! How much more is a number in the kernel: ext4 keeps `reserved_clusters` of a file system back from everybody, and takes
//! another number at any time. A write that would need one of them gets `ENOSPC` when it is made, while its data is
//! still its program's. So the host decides how far a disk may grow, and what a disk was granted, it can keep.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::fstatvfs;

use super::budget::Holding;
use crate::disk::BLOCK_BYTES;
use crate::sys::trim::trim;

/// Bytes in a block of `st_blocks`, whatever the file system's own blocks are (stat(3type)).
const STAT_BLOCK_BYTES: u64 = 512;

/// Unused stretches that are given back: shorter ones cost more than they bring.
const TRIM_MIN_BYTES: u64 = 64 * 1024;

/// What the kernel keeps back by itself, for blocks that a promise needs later: a fiftieth, and at most this many.
const RESERVED_SHARE: u64 = 50;
const RESERVED_MAX_BLOCKS: u64 = 4096;

/// A disk, of a sandbox or of a volume, that is mounted for as long as this lives.
#[derive(Debug)]
pub(crate) struct MountedDisk {
    root: OwnedFd,
    device: u32,
    /// The file that it is in.
    image: PathBuf,
}

impl MountedDisk {
    /// `root` is the top directory of the disk, `device` the number of its loop device.
    pub(crate) fn new(root: OwnedFd, device: u32, image: PathBuf) -> Self {
        Self { root, device, image }
    }

    /// Another descriptor of the top directory.
    ///
    /// # Errors
    /// That of duplicating it.
    pub(crate) fn top(&self) -> io::Result<OwnedFd> {
        self.root.try_clone()
    }

    /// Number of the loop device beneath it.
    pub(crate) fn device(&self) -> u32 {
        self.device
    }

    /// The disk's own figures.
    ///
    /// # Errors
    /// Those of the calls and files that tell them.
    pub(crate) fn measure(&self) -> io::Result<Holding> {
        let inside = fstatvfs(&self.root)?;
        let image = std::fs::metadata(&self.image)?;
        let delayed = std::fs::read_to_string(self.attribute("delayed_allocation_blocks"))?;
        let delayed_blocks: u64 = delayed.trim().parse().map_err(io::Error::other)?;
        Ok(Holding {
            size_bytes: image.len(),
            allocated_bytes: allocated(&image),
            used_bytes: inside.f_blocks.saturating_sub(inside.f_bfree) * inside.f_frsize,
            free_bytes: inside.f_bfree * inside.f_frsize,
            delayed_bytes: delayed_blocks * u64::from(BLOCK_BYTES),
        })
    }

    /// Lets the disk take `bytes` more of what it says is free, and no more.
    ///
    /// # Errors
    /// Those of writing the kernel's file.
    pub(crate) fn grant(&self, holding: &Holding, bytes: u64) -> io::Result<()> {
        let block = u64::from(BLOCK_BYTES);
        let all = holding.size_bytes / block;
        let least = (all / RESERVED_SHARE).min(RESERVED_MAX_BLOCKS);
        let kept = holding.free_bytes.saturating_sub(bytes).div_ceil(block);
        // The kernel takes any number below that of all blocks.
        let reserved = kept.max(least).min(all.saturating_sub(1));
        std::fs::write(self.attribute("reserved_clusters"), reserved.to_string())
    }

    /// Lets a disk that was just mounted take `bytes` and no more, if it could take more at all.
    ///
    /// # Errors
    /// As [`MountedDisk::measure`] and [`MountedDisk::grant`].
    pub(crate) fn grant_first(&self, bytes: u64) -> io::Result<()> {
        if bytes >= std::fs::metadata(&self.image)?.len() {
            return Ok(());
        }
        self.grant(&self.measure()?, bytes)
    }

    /// The file that it is in.
    pub(crate) fn image(&self) -> &Path {
        &self.image
    }

    /// Gives the space of deleted files back to the host.
    ///
    /// # Errors
    /// Those of the ioctl.
    pub(crate) fn trim(&self) -> io::Result<()> {
        trim(&self.root, TRIM_MIN_BYTES)?;
        Ok(())
    }

    fn attribute(&self, name: &str) -> PathBuf {
        Path::new("/sys/fs/ext4").join(format!("loop{}", self.device)).join(name)
    }
}

/// Bytes of the host that a file takes.
pub(crate) fn allocated(file: &std::fs::Metadata) -> u64 {
    file.blocks() * STAT_BLOCK_BYTES
}
