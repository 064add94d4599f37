//! Where things are: in the data directory, as the host sees it, and in the spawner's own small tree.
//!
//! ```text
//!   <data dir>/                          the spawner's root (a read-only tmpfs)
//!     spawner.lock         one spawner at a time
//!     templates/ext4-v1-<bytes>.img        host/<absolute path>   the data directory and the roots of lowers
//!     sandboxes/<id>/        mode 0700     lower/0..8  volume/0..8  disk  root  stage   mount points of a start
//!       disk.ext4            the upper, or   empty      what masked directories show
//!       disk.packed          see `pack`      proc  sys  dev
//!       record.json          see `record`
//!       guest.sock           see `connect`
//!     volumes/<id>.ext4    mode 0600, beneath a directory of 0700; its files are in `files`
//! ```

use std::fmt::Display;
use std::path::{Path, PathBuf};

use lazaret_core::SandboxId;
use lazaret_core::limits::VOLUME_MOUNTS_MAX;

/// Lowers that one sandbox may have: an image's tree, the host's `/usr`, and room for what comes.
pub(crate) const LOWERS_MAX: usize = 8;

/// Volumes that one sandbox may have.
pub(crate) const VOLUMES_MAX: usize = VOLUME_MOUNTS_MAX;

/// Directory on a volume's disk that holds its files, so that `lost+found` is none of them.
pub(crate) const VOLUME_FILES: &str = "files";

/// What the name of a volume's image ends with, behind its id.
pub(crate) const VOLUME_EXTENSION: &str = "ext4";

/// File names in a sandbox's directory.
pub(crate) const DISK: &str = "disk.ext4";
/// In place of the disk, once that is packed away.
pub(crate) const PACKED: &str = "disk.packed";
pub(crate) const RECORD: &str = "record.json";
pub(crate) const SOCKET: &str = "guest.sock";

/// The data directory, seen from the host or from the spawner's tree.
#[derive(Debug, Clone)]
pub(crate) struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// As the host sees it.
    pub(crate) fn on_host(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// As the spawner sees it after it has moved to its own tree.
    pub(crate) fn in_spawner(root: &Path) -> Self {
        Self { root: in_spawner(root) }
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Formatted disk images to copy from.
    pub(crate) fn templates(&self) -> PathBuf {
        self.root.join("templates")
    }

    /// What a spawner holds a lock on for as long as it lives.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("spawner.lock")
    }

    /// All sandboxes.
    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    /// The images of all volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    /// The image of the volume with this id.
    pub(crate) fn volume(&self, id: impl Display) -> PathBuf {
        self.volumes().join(format!("{id}.{VOLUME_EXTENSION}"))
    }

    /// One sandbox.
    pub(crate) fn sandbox(&self, id: SandboxId) -> PathBuf {
        self.sandboxes().join(id.to_string())
    }
}

/// Where the spawner's tree has a directory of the host.
pub(crate) fn in_spawner(host: &Path) -> PathBuf {
    Path::new("/host").join(host.strip_prefix("/").unwrap_or(host))
}

/// Mount points in the spawner's tree that a start uses in its own copy of the mount namespace. Their names are all
/// that a sandbox can learn about the host's side of its root, from the options in its `/proc/self/mountinfo`.
pub(crate) mod tree {
    use std::path::PathBuf;

    /// Where the lower of this number is attached.
    pub(crate) fn lower(index: usize) -> PathBuf {
        PathBuf::from(format!("/lower/{index}"))
    }

    /// Where the volume of this number is attached.
    pub(crate) fn volume(index: usize) -> PathBuf {
        PathBuf::from(format!("/volume/{index}"))
    }

    pub(crate) const DISK: &str = "/disk";
    pub(crate) const NEW_ROOT: &str = "/root";
    pub(crate) const STAGE: &str = "/stage";
    pub(crate) const EMPTY: &str = "/empty";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spawner_has_the_data_directory_under_its_host_path() {
        let data = DataDir::in_spawner(Path::new("/var/lib/lazaret"));
        let id = SandboxId::from_bytes([7; 16]);
        assert_eq!(data.sandbox(id), Path::new("/host/var/lib/lazaret/sandboxes").join("07".repeat(16)));
    }
}
