//! A full disk, on a small tmpfs. Needs root to mount it.

use std::fs;
use std::path::Path;

use futures_util::{StreamExt, stream};
use lazaret_core::ports::{Blobs, Store};
use lazaret_core::{Error, Limit, body_from_bytes};
use lazaret_store::{BlobFiles, Sqlite};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::{files_in, nouns};

const DISK_BYTES: usize = 8 * 1024 * 1024;

/// A file system of [`DISK_BYTES`], unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None`, loudly, for a user who may not mount.
    fn mount() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: only root can mount a small disk");
            return None;
        }
        let directory = TempDir::new().unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let size = std::ffi::CString::new(format!("size={DISK_BYTES}")).unwrap();
        mount("tmpfs", directory.path(), "tmpfs", flags, Some(size.as_c_str())).unwrap();
        Some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
    }
}

#[tokio::test]
async fn a_blob_that_does_not_fit_leaves_nothing_and_a_smaller_one_is_taken() {
    let Some(disk) = SmallDisk::mount() else { return };
    let blobs = BlobFiles::open(disk.path()).unwrap();
    let endless = stream::repeat_with(|| Ok(vec![1; 100_000].into())).boxed();
    let refused = blobs.put(endless, u64::MAX).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::HostDisk))), "{refused:?}");
    assert_eq!(files_in(&disk.path().join("tmp")), 0);
    assert_eq!(blobs.list().await.unwrap(), []);

    let stat = blobs.put(body_from_bytes(vec![1; DISK_BYTES / 2]), u64::MAX).await.unwrap();
    assert_eq!(blobs.list().await.unwrap(), [stat.digest]);
}

#[tokio::test]
async fn a_blob_that_would_use_up_the_reserve_is_refused_before_it_does() {
    let Some(disk) = SmallDisk::mount() else { return };
    let reserve = DISK_BYTES as u64 / 2;
    let blobs = BlobFiles::open(disk.path()).unwrap().keeping_free(reserve);
    let endless = stream::repeat_with(|| Ok(vec![1; 100_000].into())).boxed();
    let refused = blobs.put(endless, u64::MAX).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::HostDisk))), "{refused:?}");
    assert_eq!(files_in(&disk.path().join("tmp")), 0);
    blobs.put(body_from_bytes(vec![1; DISK_BYTES / 4]), u64::MAX).await.unwrap();
}

#[tokio::test]
async fn a_database_on_a_full_disk_refuses_writes_keeps_what_it_has_and_recovers() {
    let Some(disk) = SmallDisk::mount() else { return };
    let store = Sqlite::open(&disk.path().join("lazaret.db")).unwrap();
    let account = nouns::stored_account(&store, 1).await;
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![0; DISK_BYTES / 2]).unwrap();

    let mut created = Vec::new();
    let refused = loop {
        let mut sandbox = nouns::full_sandbox(created.len() as u64, account);
        match store.create_sandbox(&sandbox).await {
            Ok(sequence) => sandbox.sequence = sequence,
            Err(error) => break error,
        }
        created.push(sandbox);
        assert!(created.len() * 1024 < DISK_BYTES, "a disk of this size was full long ago");
    };
    assert!(matches!(refused, Error::LimitReached(Limit::HostDisk)), "{refused:?}");
    let refused = store.create_upload(&nouns::upload(1, account, 10), 10).await;
    assert!(matches!(refused, Err(Error::LimitReached(Limit::HostDisk))), "{refused:?}");
    assert_eq!(store.list_sandboxes().await.unwrap(), created);

    fs::remove_file(&filler).unwrap();
    let mut sandbox = nouns::full_sandbox(created.len() as u64, account);
    sandbox.sequence = store.create_sandbox(&sandbox).await.unwrap();
    created.push(sandbox);
    assert_eq!(store.list_sandboxes().await.unwrap(), created);
    // The refused upload spent nothing.
    store.create_upload(&nouns::upload(1, account, 10), 10).await.unwrap();
}
