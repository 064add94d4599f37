//! How much an archive may make of itself, and the account of what it has made so far.

use std::os::fd::OwnedFd;

use lazaret_core::limits::HOST_DISK_RESERVE_BYTES;

use super::tar::Entry;

/// Bounds on one image. There is none on the compression ratio: a file of zeros is honest, and what it can fill is
/// bounded by the bytes that come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Bytes of all layers, uncompressed. The largest images in use (CUDA with a framework) take half of the default.
    pub image_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Entries of all layers, with directories that they imply. Each costs an inode and most a block of the host.
    pub entries: u64,
    /// Bytes of all names and link targets: what the unpacker keeps in memory grows with them.
    pub name_bytes: u64,
    /// Layers; Docker's own storage stops at 127.
    pub layers: usize,
    /// Bytes that stay free on the host's disk, whatever the archive asks for.
    pub disk_reserve_bytes: u64,
}

impl Default for UnpackLimits {
    fn default() -> UnpackLimits {
        const GIB: u64 = 1 << 30;
        UnpackLimits {
            image_bytes: 64 * GIB,
            file_bytes: 32 * GIB,
            entries: 2_000_000,
            name_bytes: GIB / 4,
            layers: 128,
            disk_reserve_bytes: HOST_DISK_RESERVE_BYTES,
        }
    }
}

impl UnpackLimits {
    /// Refuses an image with too many layers before any of them is read.
    ///
    /// # Errors
    /// [`Exceeded::Layers`].
    pub fn check_layers(&self, count: usize) -> Result<(), Exceeded> {
        if count > self.layers { Err(Exceeded::Layers(self.layers)) } else { Ok(()) }
    }
}

/// A bound that an archive ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// See [`UnpackLimits::image_bytes`].
    #[error("the image is larger than {0} bytes")]
    ImageBytes(u64),
    /// See [`UnpackLimits::file_bytes`].
    #[error("a file is larger than {0} bytes")]
    FileBytes(u64),
    /// See [`UnpackLimits::entries`].
    #[error("the image has more than {0} entries")]
    Entries(u64),
    /// See [`UnpackLimits::name_bytes`].
    #[error("the names in the image have more than {0} bytes")]
    NameBytes(u64),
    /// See [`UnpackLimits::layers`].
    #[error("the image has more than {0} layers")]
    Layers(usize),
    /// See [`UnpackLimits::disk_reserve_bytes`].
    #[error("the host's disk would have less than {0} bytes left")]
    Disk(u64),
}

/// What an image has used of its limits.
#[derive(Debug)]
pub struct Budget {
    limits: UnpackLimits,
    /// Any descriptor on the file system that fills.
    disk: OwnedFd,
    bytes: u64,
    entries: u64,
    name_bytes: u64,
}

impl Budget {
    /// Nothing used. `disk` is a file or directory on the file system that the image goes to.
    pub fn new(limits: UnpackLimits, disk: OwnedFd) -> Budget {
        Budget { limits, disk, bytes: 0, entries: 0, name_bytes: 0 }
    }

    /// Entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Accounts for an entry before it is written.
    ///
    /// # Errors
    /// The first limit that the entry does not fit.
    pub fn take_entry(&mut self, entry: &Entry) -> Result<(), Exceeded> {
        if entry.size > self.limits.file_bytes {
            return Err(Exceeded::FileBytes(self.limits.file_bytes));
        }
        self.name_bytes = self.name_bytes.saturating_add((entry.name.len() + entry.link.len()) as u64);
        if self.name_bytes > self.limits.name_bytes {
            return Err(Exceeded::NameBytes(self.limits.name_bytes));
        }
        self.take_entries(1)?;
        self.keep_reserve(entry.size)
    }

    /// Accounts for entries that the archive did not list.
    ///
    /// # Errors
    /// [`Exceeded::Entries`].
    pub fn take_entries(&mut self, count: u64) -> Result<(), Exceeded> {
        self.entries = self.entries.saturating_add(count);
        if self.entries > self.limits.entries { Err(Exceeded::Entries(self.limits.entries)) } else { Ok(()) }
    }

    /// Accounts for bytes that came out of an archive, or are about to.
    ///
    /// # Errors
    /// [`Exceeded::ImageBytes`].
    pub fn take_bytes(&mut self, count: u64) -> Result<(), Exceeded> {
        self.bytes = self.bytes.saturating_add(count);
        if self.bytes > self.limits.image_bytes {
            Err(Exceeded::ImageBytes(self.limits.image_bytes))
        } else {
            Ok(())
        }
    }

    /// Makes sure that the disk keeps its reserve when `about_to_write` more bytes are on it. Where the kernel does
    /// not tell, writing finds out.
    ///
    /// # Errors
    /// [`Exceeded::Disk`].
    pub fn keep_reserve(&self, about_to_write: u64) -> Result<(), Exceeded> {
        let Ok(disk) = rustix::fs::fstatvfs(&self.disk) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let reserve = self.limits.disk_reserve_bytes;
        if free < reserve.saturating_add(about_to_write) { Err(Exceeded::Disk(reserve)) } else { Ok(()) }
    }
}
