//! Volumes on the host: made, removed, and readied for a start.
//!
//! ```text
//!   volumes/<id>.ext4 ── loop device, one file system ── a mount in each sandbox that has it, shown with its ids
//! ```
//!
//! The kernel counts the users: a volume is mounted when its first sandbox starts and unmounted when its last one ends,
//! whoever ends it, because nothing but the sandboxes' mounts, and descriptors of the server and the spawner, keeps it
//! mounted. So a crash leaves nothing to clean up. One lock a volume orders those who would mount it first, or remove it.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lazaret_core::{MountPath, Subpath, VolumeId, VolumeMount};
use tokio::sync::OwnedMutexGuard;

use super::NamespacesRuntime;
use super::adopt::{make_private_directory, remove_directory};
use super::lifecycle::is_released;
use crate::error::Error;
use crate::guard::Held;
use crate::layout::VOLUME_EXTENSION;
use crate::spawner::wire::{MountOrder, VolumeOrder};
use crate::template::{self, UNFINISHED};

/// A lock for each volume that was used.
#[derive(Debug, Default)]
pub(super) struct VolumeLocks {
    locks: Mutex<HashMap<VolumeId, Arc<tokio::sync::Mutex<()>>>>,
}

impl VolumeLocks {
    async fn lock(&self, id: VolumeId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(id).or_default())
        };
        lock.lock_owned().await
    }

    /// Forgets the lock of a volume that is gone.
    fn forget(&self, id: VolumeId) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// What a start is told of the sandbox's volumes. Until this is dropped, none of them is mounted or removed by others.
#[derive(Debug, Default)]
pub(super) struct ReadyVolumes {
    pub(super) orders: Vec<VolumeOrder>,
    pub(super) mounts: Vec<MountOrder>,
    /// Keeps those mounted that are.
    held: Vec<Held>,
    locks: Vec<OwnedMutexGuard<()>>,
}

impl NamespacesRuntime {
    pub(super) async fn make_volume(&self, id: VolumeId, size_bytes: u64) -> Result<(), Error> {
        let _lock = self.volume_locks.lock(id).await;
        self.guard.admit(0)?;
        template::make_volume(&self.data.volume(id), size_bytes).await
    }

    pub(super) async fn remove_volume(&self, id: VolumeId) -> Result<(), Error> {
        let _lock = self.volume_locks.lock(id).await;
        if self.guard.hold(id).is_some() {
            return Err(Error::VolumeMounted(id));
        }
        let image = self.data.volume(id);
        if !is_released(&image).await? {
            return Err(Error::VolumeMounted(id));
        }
        match tokio::fs::remove_file(&image).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", image)(error)),
            _ => {
                self.volume_locks.forget(id);
                Ok(())
            }
        }
    }

    pub(super) async fn found_volumes(&self) -> Result<Vec<VolumeId>, Error> {
        let directory = self.data.volumes();
        let unreadable = |error| Error::file("list", &directory)(error);
        let mut entries = tokio::fs::read_dir(&directory).await.map_err(unreadable)?;
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(unreadable)? {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                remove_directory(&path).await?;
            } else if let Some(id) = id_of(&path) {
                found.push(id);
            } else {
                tracing::warn!(path = %path.display(), "not a volume of ours; left alone");
            }
        }
        Ok(found)
    }

    /// Readies the volumes of a sandbox for its start: each is mounted and stays so, or is free and sound.
    pub(super) async fn ready_volumes(&self, wanted: &[VolumeMount]) -> Result<ReadyVolumes, Error> {
        if wanted.is_empty() {
            return Ok(ReadyVolumes::default());
        }
        let mut ready = ReadyVolumes::default();
        // In the order of their ids, so that no two starts wait for each other.
        let ids: BTreeSet<VolumeId> = wanted.iter().map(|mount| mount.volume).collect();
        for id in &ids {
            ready.locks.push(self.volume_locks.lock(*id).await);
            let held = self.guard.hold(*id);
            let device = held.as_ref().map(Held::device);
            ready.held.extend(held);
            if device.is_none() {
                let image = self.data.volume(id);
                if !tokio::fs::try_exists(&image).await.map_err(Error::file("look for", &image))? {
                    return Err(Error::NoVolume(*id));
                }
                // Its last sandbox may be about to be gone.
                if !is_released(&image).await? {
                    return Err(Error::VolumeMounted(*id));
                }
                template::repair(&image).await?;
            }
            ready.orders.push(VolumeOrder { id: id.to_string(), device });
        }
        let place = |id: &VolumeId| ids.iter().position(|known| known == id).unwrap_or_default();
        let mut mounts: Vec<&VolumeMount> = wanted.iter().collect();
        mounts.sort_by_key(|mount| mount.path.as_str());
        ready.mounts = mounts
            .into_iter()
            .map(|mount| order(place(&mount.volume), &mount.path, &mount.subpath))
            .collect();
        Ok(ready)
    }
}

fn order(volume: usize, path: &MountPath, subpath: &Option<Subpath>) -> MountOrder {
    let subpath = subpath.as_ref().map(|subpath| PathBuf::from(subpath.as_str())).unwrap_or_default();
    MountOrder { volume, at: PathBuf::from(path.as_str()), subpath }
}

/// The volume whose image this is.
fn id_of(image: &Path) -> Option<VolumeId> {
    let is_image = image.extension().is_some_and(|extension| extension == VOLUME_EXTENSION);
    image.file_stem().filter(|_| is_image)?.to_str()?.parse().ok()
}

/// Makes the directory of all volumes.
pub(super) fn make_directory(volumes: &Path) -> Result<(), Error> {
    make_private_directory(volumes).map_err(Error::file("make", volumes))
}
