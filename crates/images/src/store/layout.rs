//! Paths of the store, and the few ways in which a file or a tree gets to one of them.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lazaret_core::{Digest, Timestamp};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::error::ImagesError;

/// The directories of a store and the lock on it.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// Held, never read: the lock goes when the descriptor is closed, however the server ends.
    _lock: File,
}

impl Layout {
    /// Makes what is missing, takes the lock and empties the work directory.
    ///
    /// # Errors
    /// [`ImagesError::Busy`] when another server has the lock; [`ImagesError::Disk`].
    pub(crate) fn open(root: &Path) -> Result<Layout, ImagesError> {
        make_directory(root)?;
        let lock_path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(ImagesError::disk("open", &lock_path))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(ImagesError::Busy(root.to_owned())),
            Err(errno) => return Err(ImagesError::disk("lock", lock_path)(errno.into())),
        }
        let layout = Layout { root: root.to_owned(), _lock: lock };
        let work = layout.work();
        match fs::remove_dir_all(&work) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(ImagesError::disk("empty", work)(error));
            }
            _ => {}
        }
        for directory in ["blobs", "rootfs", "records", "names", "steps", "work"] {
            make_directory(&root.join(directory))?;
        }
        Ok(layout)
    }

    /// Where a tree is, or will be.
    pub(crate) fn rootfs(&self, tree: &Digest) -> PathBuf {
        self.root.join("rootfs").join(tree.hex())
    }

    /// Where a manifest or a configuration is, or will be.
    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    /// Where an image's record is, or will be.
    pub(crate) fn record(&self, image: &Digest) -> PathBuf {
        self.root.join("records").join(format!("{}.json", image.hex()))
    }

    /// Sets the time of change of an image's record, which is when the image was last used.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn set_record_time(&self, image: &Digest, at: Timestamp) -> Result<(), ImagesError> {
        let path = self.record(image);
        let micros = u64::try_from(at.unix_micros()).unwrap_or(0);
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
        let set = || File::options().write(true).open(&path)?.set_modified(time);
        set().map_err(ImagesError::disk("touch", &path))
    }

    /// When an image was last used; `None` where that cannot be read.
    pub(crate) fn record_time(&self, image: &Digest) -> Option<Timestamp> {
        let time = fs::metadata(self.record(image)).ok()?.modified().ok()?;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Timestamp::from_unix_micros(i64::try_from(since.as_micros()).ok()?))
    }

    /// Points a name at an image that has a record.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn set_name(&self, name: &str, image: &Digest) -> Result<(), ImagesError> {
        self.write(&self.name(name), format!("{image}\n").as_bytes())
    }

    /// Takes a name away.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn remove_name(&self, name: &str) -> Result<(), ImagesError> {
        self.remove_file(&self.name(name))
    }

    fn name(&self, name: &str) -> PathBuf {
        self.root.join("names").join(file_of_name(name))
    }

    /// Where the result of a build step is told, or will be.
    pub(crate) fn step(&self, key: &Digest) -> PathBuf {
        self.root.join("steps").join(key.hex())
    }

    /// A directory of the store's own, by its name in the picture above.
    pub(crate) fn directory(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A fresh directory for something half-made; it goes when the value is dropped, or at the next start.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn workspace(&self) -> Result<TempDir, ImagesError> {
        TempDir::with_prefix_in("", self.work())
            .map_err(ImagesError::disk("make a directory in", self.work()))
    }

    /// Writes a file so that it is either absent or whole, also after a power loss.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), ImagesError> {
        let mut file = tempfile::NamedTempFile::new_in(self.work())
            .map_err(ImagesError::disk("make a file in", self.work()))?;
        file.write_all(contents).map_err(ImagesError::disk("write", path))?;
        file.as_file().sync_all().map_err(ImagesError::disk("flush", path))?;
        file.persist(path).map_err(|error| ImagesError::disk("rename to", path)(error.error))?;
        sync_directory_of(path)
    }

    /// Moves a finished tree from its workspace to its place. A tree of that digest that is there already stays:
    /// it is the same.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn publish_rootfs(&self, made: &Path, tree: &Digest) -> Result<(), ImagesError> {
        let place = self.rootfs(tree);
        match fs::rename(made, &place) {
            Ok(()) => sync_directory_of(&place),
            Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                Ok(())
            }
            Err(error) => Err(ImagesError::disk("rename to", place)(error)),
        }
    }

    /// Moves a tree out of its place, in one step, into a directory that is removed with what is returned.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn take_out_rootfs(&self, tree: &Digest) -> Result<TempDir, ImagesError> {
        let workspace = self.workspace()?;
        match fs::rename(self.rootfs(tree), workspace.path().join("removed")) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ImagesError::disk("remove", self.rootfs(tree))(error))
            }
            _ => Ok(workspace),
        }
    }

    /// Removes a tree: out of its place in one step, then entry by entry.
    ///
    /// # Errors
    /// [`ImagesError::Disk`]; what is left then goes at the next start.
    pub(crate) fn remove_rootfs(&self, tree: &Digest) -> Result<(), ImagesError> {
        remove_directory(self.take_out_rootfs(tree)?)
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// [`ImagesError::Disk`].
    pub(crate) fn remove_file(&self, path: &Path) -> Result<(), ImagesError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(ImagesError::disk("remove", path)(error))
            }
            _ => sync_directory_of(path),
        }
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }
}

/// Removes a directory of the store's work and everything in it.
///
/// # Errors
/// [`ImagesError::Disk`]; what is left then goes at the next start.
pub(crate) fn remove_directory(directory: TempDir) -> Result<(), ImagesError> {
    let path = directory.path().to_owned();
    directory.close().map_err(ImagesError::disk("remove", path))
}

/// Makes a directory that only the server may enter, or closes an existing one: trees in it hold setuid programs with
/// root's ownership.
fn make_directory(path: &Path) -> Result<(), ImagesError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(ImagesError::disk("make", path))
}

fn sync_directory_of(path: &Path) -> Result<(), ImagesError> {
    let Some(directory) = path.parent() else { return Ok(()) };
    let sync = || -> io::Result<()> { File::open(directory)?.sync_all() };
    sync().map_err(ImagesError::disk("flush", directory))
}

/// A name as a file name: `/` and `%` are written as `%` and two hex digits.
fn file_of_name(name: &str) -> String {
    name.replace('%', "%25").replace('/', "%2F")
}

/// The name that a file of `names/` stands for; `None` for a file that no name makes.
pub(crate) fn name_of_file(file_name: &str) -> Option<String> {
    let name = file_name.replace("%2F", "/").replace("%25", "%");
    (file_of_name(&name) == file_name).then_some(name)
}
