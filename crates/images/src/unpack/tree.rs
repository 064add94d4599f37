//! Writing a directory tree that nothing in it can lead out of.
//!
//! Every operation starts at the root's descriptor and resolves with `openat2(RESOLVE_BENEATH |
//! RESOLVE_NO_SYMLINKS)`, so a symlink that an earlier entry planted is an error and never a way. What an entry
//! replaces is moved to a trash directory beside the root, in one rename, and removed when the whole import ends:
//! no recursive removal runs while entries are still being applied.
//!
//! ```text
//! work/
//!   rootfs/   the tree
//!   trash/    0, 1, 2 ...  what whiteouts and replacements took out of it
//! ```
//!
//! Not here: what an entry means (`layer`), and whether it may be applied at all.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::path::EntryPath;

/// Bytes moved at a time from an archive into a file.
const COPY_BUFFER_BYTES: usize = 128 * 1024;

/// Never follow a symlink, never leave the root, never cross into another mount.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

/// Who owns an entry and who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// Permission bits with setuid, setgid and sticky: `0o7777` at most.
    pub mode: u32,
    /// Owner inside the image.
    pub uid: u32,
    /// Group inside the image.
    pub gid: u32,
    /// Last change; `None` leaves the time of writing.
    pub modified: Option<Timespec>,
    /// Extended attributes, name and value.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Attributes {
    /// Root's, without extended attributes.
    pub fn root(mode: u32) -> Attributes {
        Attributes { mode, uid: 0, gid: 0, modified: None, xattrs: Vec::new() }
    }
}

/// Why an entry could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A directory on the way is a symlink.
    #[error("the name goes through a symlink")]
    ThroughSymlink,
    /// Something on the way is neither a directory nor a symlink.
    #[error("the name goes through something that is not a directory")]
    ThroughFile,
    /// The entry would replace the image's root.
    #[error("the root of the image can only be a directory")]
    RootReplaced,
    /// The target of a hard link is not in the image.
    #[error("the target of the hard link is not in the image")]
    LinkTargetMissing,
    /// The target of a hard link is a directory.
    #[error("the target of the hard link is a directory")]
    LinkTargetDirectory,
    /// The contents could not be read to their end.
    #[error("cannot read the contents")]
    Read(#[source] io::Error),
    /// The file system does not take an extended attribute of the entry: its name, its size, or any.
    #[error("an extended attribute cannot be set")]
    Attribute(#[source] io::Error),
    /// A system call failed.
    #[error("{call} failed")]
    Call {
        /// The system call.
        call: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Names the system call in the error.
fn call(call: &'static str) -> impl Fn(Errno) -> TreeError {
    move |errno| TreeError::Call { call, source: errno.into() }
}

/// An entry of a directory: its name and what it is.
pub type Listed = (Vec<u8>, FileType);

/// A directory tree being written.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    trash: OwnedFd,
    trashed: u64,
    implied: u64,
    /// The directory of the last entry: archives list a directory's entries together.
    nearest: Option<(EntryPath, Arc<OwnedFd>)>,
}

impl Tree {
    /// An empty tree at `work/rootfs`, with its trash beside it. `work` must exist and be nobody else's.
    ///
    /// # Errors
    /// [`TreeError::Call`] when a directory cannot be made.
    pub fn create(work: &Path) -> Result<Tree, TreeError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let work = rustix::fs::open(work, flags, Mode::empty()).map_err(call("open"))?;
        let make = |name: &str, mode: u32| {
            rustix::fs::mkdirat(&work, name, Mode::from_raw_mode(0o700)).map_err(call("mkdirat"))?;
            rustix::fs::chmodat(&work, name, Mode::from_raw_mode(mode), AtFlags::empty())
                .map_err(call("fchmodat"))?;
            rustix::fs::openat(&work, name, flags, Mode::empty()).map_err(call("openat"))
        };
        Ok(Tree {
            root: make("rootfs", 0o755)?,
            trash: make("trash", 0o700)?,
            trashed: 0,
            implied: 0,
            nearest: None,
        })
    }

    /// Makes a directory, or gives an existing one these attributes. Anything else of that name is replaced.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn put_directory(&mut self, path: &EntryPath, attributes: &Attributes) -> Result<(), TreeError> {
        let Some((parent, name)) = path.split() else {
            let root = self.open_directory(&EntryPath::ROOT)?;
            return apply(root.as_fd(), attributes);
        };
        let parent = self.parent(&parent)?;
        if kind_at(parent.as_fd(), name)? != Some(FileType::Directory) {
            self.clear(parent.as_fd(), name)?;
            rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)).map_err(call("mkdirat"))?;
        }
        let directory = open_at(parent.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY)?;
        apply(directory.as_fd(), attributes)
    }

    /// Writes a file of exactly the bytes that `contents` yields, in place of whatever has that name.
    /// Returns their number.
    ///
    /// # Errors
    /// See [`TreeError`]; after [`TreeError::Read`] the file is there, shorter than it should be.
    pub fn put_file(
        &mut self,
        path: &EntryPath,
        attributes: &Attributes,
        contents: &mut dyn Read,
    ) -> Result<u64, TreeError> {
        let (parent, name) = path.split().ok_or(TreeError::RootReplaced)?;
        let parent = self.vacant(&parent, name)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(
            rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(call("openat"))?,
        );
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        let mut written: u64 = 0;
        let mut hole = false;
        let failed = |call| move |source| TreeError::Call { call, source };
        loop {
            let count = match contents.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(TreeError::Read(error)),
            };
            written += count as u64;
            // Zeros become a hole: a file of a terabyte of them takes no room where it comes from, and none here.
            if buffer[..count].iter().all(|byte| *byte == 0) {
                hole = file.seek(SeekFrom::Start(written)).map(|_| true).map_err(failed("lseek"))?;
            } else {
                hole = file.write_all(&buffer[..count]).map(|()| false).map_err(failed("write"))?;
            }
        }
        if hole {
            file.set_len(written).map_err(failed("ftruncate"))?;
        }
        apply(file.as_fd(), attributes)?;
        Ok(written)
    }

    /// Makes a symlink. Its target is data: nothing here ever follows it.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn put_symlink(
        &mut self,
        path: &EntryPath,
        target: &[u8],
        attributes: &Attributes,
    ) -> Result<(), TreeError> {
        let (parent, name) = path.split().ok_or(TreeError::RootReplaced)?;
        let parent = self.vacant(&parent, name)?;
        rustix::fs::symlinkat(target, &parent, name).map_err(call("symlinkat"))?;
        apply_at(parent.as_fd(), name, attributes)
    }

    /// Makes a FIFO. It connects processes inside one sandbox and nothing else: its reader and its writer are
    /// the tenant's.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn put_fifo(&mut self, path: &EntryPath, attributes: &Attributes) -> Result<(), TreeError> {
        let (parent, name) = path.split().ok_or(TreeError::RootReplaced)?;
        let parent = self.vacant(&parent, name)?;
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&parent, name, FileType::Fifo, mode, 0).map_err(call("mknodat"))?;
        // `fchmodat` follows symlinks, but this name was made exclusively one call ago in a directory that
        // nobody else can reach.
        apply_at(parent.as_fd(), name, attributes)?;
        let mode = Mode::from_raw_mode(attributes.mode);
        rustix::fs::chmodat(&parent, name, mode, AtFlags::empty()).map_err(call("fchmodat"))
    }

    /// Gives the file at `target` a second name. A symlink may be the target; it is linked, not followed.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn put_hard_link(&mut self, path: &EntryPath, target: &EntryPath) -> Result<(), TreeError> {
        let (parent, name) = path.split().ok_or(TreeError::RootReplaced)?;
        let (target_parent, target_name) = target.split().ok_or(TreeError::LinkTargetDirectory)?;
        let target_parent = match self.open_directory(&target_parent) {
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(TreeError::LinkTargetMissing);
            }
            opened => opened?,
        };
        match kind_at(target_parent.as_fd(), target_name)? {
            None => return Err(TreeError::LinkTargetMissing),
            Some(FileType::Directory) => return Err(TreeError::LinkTargetDirectory),
            Some(_) => {}
        }
        // A link to itself would otherwise remove its own target first.
        if path == target {
            return Ok(());
        }
        let parent = self.vacant(&parent, name)?;
        rustix::fs::linkat(&target_parent, target_name, &parent, name, AtFlags::empty())
            .map_err(call("linkat"))
    }

    /// Takes a name out of the tree with everything below it. A name that is not there is no error.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn remove(&mut self, path: &EntryPath) -> Result<(), TreeError> {
        let (parent, name) = path.split().ok_or(TreeError::RootReplaced)?;
        match self.open_directory(&parent) {
            Ok(parent) => self.clear(parent.as_fd(), name),
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Names and types of what is in a directory; `None` when the path is absent or something else.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn list(&self, path: &EntryPath) -> Result<Option<Vec<Listed>>, TreeError> {
        let directory = match self.open_directory(path) {
            Ok(directory) => directory,
            Err(TreeError::ThroughFile) => return Ok(None),
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(call("getdents64"))? {
            let entry = entry.map_err(call("getdents64"))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_at(directory.as_fd(), name)?.unwrap_or(FileType::Unknown),
                kind => kind,
            };
            entries.push((name.to_vec(), kind));
        }
        Ok(Some(entries))
    }

    /// What a name is, without following it; `None` when it is not there.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn kind(&self, path: &EntryPath) -> Result<Option<FileType>, TreeError> {
        let Some((parent, name)) = path.split() else { return Ok(Some(FileType::Directory)) };
        match self.open_directory(&parent) {
            Ok(parent) => kind_at(parent.as_fd(), name),
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many directories were made because an entry below them needed them.
    pub fn implied_directories(&self) -> u64 {
        self.implied
    }

    /// Sets a directory's time of change, once nothing more is written into it. Whatever else has taken the name
    /// since keeps its own time.
    ///
    /// # Errors
    /// See [`TreeError`].
    pub fn set_directory_modified(&self, path: &EntryPath, modified: Timespec) -> Result<(), TreeError> {
        match self.open_directory(path) {
            Ok(directory) => rustix::fs::futimens(&directory, &times(modified)).map_err(call("futimens")),
            Err(TreeError::ThroughSymlink | TreeError::ThroughFile) => Ok(()),
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Flushes the file system that holds the tree, so that a rename which publishes it cannot come first.
    ///
    /// # Errors
    /// [`TreeError::Call`] with the writeback error.
    pub fn sync(&self) -> Result<(), TreeError> {
        let root = self.open_directory(&EntryPath::ROOT)?;
        rustix::fs::syncfs(&root).map_err(call("syncfs"))
    }

    /// The directory that will hold an entry, made with root's ownership and 0755 where the archive left it out.
    fn parent(&mut self, path: &EntryPath) -> Result<Arc<OwnedFd>, TreeError> {
        if let Some((nearest, directory)) = &self.nearest
            && nearest == path
        {
            return Ok(Arc::clone(directory));
        }
        let directory = match self.open_directory(path) {
            Err(TreeError::Call { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.make_directories(path)?;
                self.open_directory(path)?
            }
            opened => opened?,
        };
        let directory = Arc::new(directory);
        self.nearest = Some((path.clone(), Arc::clone(&directory)));
        Ok(directory)
    }

    /// The directory that will hold `name`, with nothing of that name in it.
    fn vacant(&mut self, parent: &EntryPath, name: &[u8]) -> Result<Arc<OwnedFd>, TreeError> {
        let parent = self.parent(parent)?;
        self.clear(parent.as_fd(), name)?;
        Ok(parent)
    }

    /// Opens a directory for reading, from the root, through directories only.
    fn open_directory(&self, path: &EntryPath) -> Result<OwnedFd, TreeError> {
        // `O_NOFOLLOW` would answer a symlink at the end with ENOTDIR, which says less than ELOOP.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, path.as_bytes(), flags, Mode::empty(), BENEATH) {
            Ok(directory) => Ok(directory),
            Err(Errno::LOOP) => Err(TreeError::ThroughSymlink),
            Err(Errno::NOTDIR) => Err(TreeError::ThroughFile),
            Err(errno) => Err(call("openat2")(errno)),
        }
    }

    fn make_directories(&mut self, path: &EntryPath) -> Result<(), TreeError> {
        let mut directory = self.open_directory(&EntryPath::ROOT)?;
        for name in path.components() {
            match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    self.implied += 1;
                    directory = open_at(directory.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY)?;
                    // The server's umask may have narrowed the mode.
                    apply(directory.as_fd(), &Attributes::root(0o755))?;
                }
                Err(Errno::EXIST) => {
                    directory = match kind_at(directory.as_fd(), name)? {
                        Some(FileType::Symlink) => return Err(TreeError::ThroughSymlink),
                        Some(FileType::Directory) => {
                            open_at(directory.as_fd(), name, OFlags::RDONLY | OFlags::DIRECTORY)?
                        }
                        _ => return Err(TreeError::ThroughFile),
                    };
                }
                Err(errno) => return Err(call("mkdirat")(errno)),
            }
        }
        Ok(())
    }

    /// Takes `name` out of `directory`: a directory goes to the trash whole, anything else is unlinked.
    fn clear(&mut self, directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), TreeError> {
        match kind_at(directory, name)? {
            None => Ok(()),
            Some(FileType::Directory) => {
                // The remembered directory may be inside the one that goes.
                self.nearest = None;
                let slot = self.trashed.to_string();
                self.trashed += 1;
                rustix::fs::renameat(directory, name, &self.trash, slot).map_err(call("renameat"))
            }
            Some(_) => rustix::fs::unlinkat(directory, name, AtFlags::empty()).map_err(call("unlinkat")),
        }
    }
}

/// The type of what has this name, without following it.
fn kind_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Option<FileType>, TreeError> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(call("fstatat")(errno)),
    }
}

fn open_at(directory: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, TreeError> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty()).map_err(call("openat"))
}

/// Gives an open file or directory its attributes. The order matters: changing the owner clears setuid bits, and
/// everything else changes the time.
fn apply(file: BorrowedFd<'_>, attributes: &Attributes) -> Result<(), TreeError> {
    rustix::fs::fchown(file, Some(owner(attributes.uid)), Some(group(attributes.gid)))
        .map_err(call("fchown"))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(attributes.mode)).map_err(call("fchmod"))?;
    for (name, value) in &attributes.xattrs {
        rustix::fs::fsetxattr(file, &name[..], value, XattrFlags::empty())
            .map_err(|errno| TreeError::Attribute(errno.into()))?;
    }
    if let Some(modified) = attributes.modified {
        rustix::fs::futimens(file, &times(modified)).map_err(call("futimens"))?;
    }
    Ok(())
}

/// Gives owner and time to an entry that cannot be opened: a symlink or a FIFO.
fn apply_at(directory: BorrowedFd<'_>, name: &[u8], attributes: &Attributes) -> Result<(), TreeError> {
    let (uid, gid) = (owner(attributes.uid), group(attributes.gid));
    rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(call("fchownat"))?;
    if let Some(modified) = attributes.modified {
        rustix::fs::utimensat(directory, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(call("utimensat"))?;
    }
    Ok(())
}

fn times(modified: Timespec) -> Timestamps {
    Timestamps { last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, last_modification: modified }
}

fn owner(uid: u32) -> Uid {
    Uid::from_raw(uid)
}

fn group(gid: u32) -> Gid {
    Gid::from_raw(gid)
}
