//! The data directory: where it is, who may read it, and that only one server uses it.
//!
//! ```text
//! <data dir>/  0700    lazaret.db  the store          blobs/  uploaded files     sandboxes/  disks and records
//!                      images/     content store      api-key the first key      listen      where the server answers
//!                      lock        held by the running server            sealing-key  of secrets in the store
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use lazaret_core::Secret;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// An open data directory, locked for this process.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory if it is missing, closes it to other users, and takes its lock.
    ///
    /// # Errors
    /// If another server holds the lock, or the directory cannot be made private.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| format!("making the data directory {}", path.display()))?;
        let path = path.canonicalize().with_context(|| format!("resolving {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("making {} private", path.display()))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("opening {}", lock_path.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(Errno::WOULDBLOCK) => {
                bail!("another lazaret serves {}: stop it, or choose another --data-dir", path.display())
            }
            Err(errno) => Err(errno).with_context(|| format!("locking {}", lock_path.display())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("lazaret.db")
    }

    /// The name of the control group above this directory's sandboxes, another one for every directory: a server removes
    /// what it finds there and does not know, which must not be another server's. It stays the same until the host boots
    /// anew, and no control group lives longer.
    ///
    /// # Errors
    /// If the directory is gone.
    pub(crate) fn cgroup_name(&self) -> anyhow::Result<String> {
        let metadata =
            fs::metadata(&self.path).with_context(|| format!("looking at {}", self.path.display()))?;
        Ok(format!("lazaret-{:x}-{:x}", metadata.dev(), metadata.ino()))
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.path.join("api-key")
    }

    /// Keeps the first key for the operator and for the local command line.
    pub(crate) fn write_key(&self, secret: &Secret) -> anyhow::Result<()> {
        self.replace("api-key", secret.expose())
    }

    /// Tells the local command line where the server answers.
    pub(crate) fn write_listen(&self, address: SocketAddr) -> anyhow::Result<()> {
        self.replace("listen", &address.to_string())
    }

    /// Whole or not at all, readable by its owner alone, and on disk when this returns.
    fn replace(&self, name: &str, content: &str) -> anyhow::Result<()> {
        let (target, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let write = || {
            let mut file =
                OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
            writeln!(file, "{content}")?;
            file.sync_all()?;
            fs::rename(&new, &target)?;
            File::open(&self.path)?.sync_all()
        };
        write().with_context(|| format!("writing {}", target.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_on_the_same_directory_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).map(drop).unwrap_err();
        assert!(error.to_string().contains("another lazaret"), "{error:#}");
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn the_key_file_is_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(parent.path()).unwrap();
        data.write_key(&Secret::new("lzr_x")).unwrap();
        let mode = fs::metadata(data.key_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_to_string(data.key_file()).unwrap(), "lzr_x\n");
    }
}
