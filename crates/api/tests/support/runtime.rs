//! A runtime that only remembers what it was told.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use lazaret_core::ports::{
    Adopted, Changes, Death, GuestStream, Instance, Runtime, RuntimeCapabilities, RuntimeSpec,
    SandboxAddresses, Usage,
};
use lazaret_core::{EgressPolicy, Error, Resources, Result, SandboxId, VolumeId};
use tokio::sync::watch;

use super::guest::MemoryGuest;

/// Sandboxes as the runtime knows them.
pub struct MemoryRuntime {
    guest: Arc<MemoryGuest>,
    /// Whether the guest of each created sandbox lives.
    alive: Mutex<HashMap<SandboxId, watch::Sender<bool>>>,
    failure: Mutex<Option<Error>>,
    archive_failure: Mutex<Option<Error>>,
    archived: Mutex<BTreeSet<SandboxId>>,
    /// What it was last told of the bounds of a sandbox that was there.
    resources: Mutex<HashMap<SandboxId, Resources>>,
    volumes: Mutex<BTreeSet<VolumeId>>,
    volume_failure: Mutex<Option<Error>>,
}

impl MemoryRuntime {
    pub(super) fn new(guest: Arc<MemoryGuest>) -> Self {
        Self {
            guest,
            alive: Mutex::default(),
            failure: Mutex::default(),
            archive_failure: Mutex::default(),
            archived: Mutex::default(),
            resources: Mutex::default(),
            volumes: Mutex::default(),
            volume_failure: Mutex::default(),
        }
    }

    fn alive(&self) -> MutexGuard<'_, HashMap<SandboxId, watch::Sender<bool>>> {
        self.alive.lock().expect("no panic under this lock")
    }

    fn set_alive(&self, id: SandboxId, alive: bool) -> Result<()> {
        let map = self.alive();
        let sender = map.get(&id).ok_or_else(|| Error::internal("the runtime has no such sandbox"))?;
        sender.send_replace(alive);
        Ok(())
    }

    /// The next start fails with `error`.
    pub fn fail_next_start(&self, error: Error) {
        *self.failure.lock().expect("no panic under this lock") = Some(error);
    }

    /// The next packing fails with `error`.
    pub fn fail_next_archive(&self, error: Error) {
        *self.archive_failure.lock().expect("no panic under this lock") = Some(error);
    }

    /// Whether the disk of a sandbox is packed away.
    pub fn is_archived(&self, id: SandboxId) -> bool {
        self.archived.lock().expect("no panic under this lock").contains(&id)
    }

    /// The bounds that a sandbox was last given while it was there.
    pub fn resources_of(&self, id: SandboxId) -> Option<Resources> {
        self.resources.lock().expect("no panic under this lock").get(&id).copied()
    }

    /// Kills a guest, as the kernel would.
    pub fn kill(&self, id: SandboxId) {
        self.set_alive(id, false).expect("a created sandbox");
    }

    /// The next removal of a volume fails with `error`.
    pub fn fail_next_volume_removal(&self, error: Error) {
        *self.volume_failure.lock().expect("no panic under this lock") = Some(error);
    }

    /// How many volumes it holds.
    pub fn volumes(&self) -> usize {
        self.volumes.lock().expect("no panic under this lock").len()
    }

    /// How many sandboxes it holds.
    pub fn count(&self) -> usize {
        self.alive().len()
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    fn capabilities(&self) -> RuntimeCapabilities {
        RuntimeCapabilities { name: "memory", pause: true, keeps_disk: true, archive: true, egress: false }
    }

    async fn adopt(&self) -> Result<Vec<Adopted>> {
        Ok(Vec::new())
    }

    async fn create(&self, spec: &RuntimeSpec) -> Result<()> {
        self.alive().insert(spec.id, watch::Sender::new(false));
        Ok(())
    }

    async fn create_from(&self, spec: &RuntimeSpec, _origin: SandboxId) -> Result<()> {
        self.create(spec).await
    }

    async fn archive(&self, id: SandboxId) -> Result<()> {
        if let Some(error) = self.archive_failure.lock().expect("no panic under this lock").take() {
            return Err(error);
        }
        self.archived.lock().expect("no panic under this lock").insert(id);
        Ok(())
    }

    async fn set_resources(&self, id: SandboxId, resources: &Resources) -> Result<()> {
        self.resources.lock().expect("no panic under this lock").insert(id, *resources);
        Ok(())
    }

    /// Nothing, since nothing here has a disk.
    async fn changes(&self, _id: SandboxId) -> Result<Changes> {
        Ok(Changes { uppers: Vec::new(), held: Box::new(()) })
    }

    async fn start(&self, spec: &RuntimeSpec) -> Result<Instance> {
        if let Some(error) = self.failure.lock().expect("no panic under this lock").take() {
            return Err(error);
        }
        self.archived.lock().expect("no panic under this lock").remove(&spec.id);
        self.set_alive(spec.id, true)?;
        Ok(Instance { pid: 1, addresses: None })
    }

    async fn stop(&self, id: SandboxId, _grace: Duration) -> Result<()> {
        self.set_alive(id, false)
    }

    async fn pause(&self, _id: SandboxId) -> Result<()> {
        Ok(())
    }

    async fn resume(&self, _id: SandboxId) -> Result<()> {
        Ok(())
    }

    async fn set_network(&self, _id: SandboxId, _policy: &EgressPolicy) -> Result<Option<SandboxAddresses>> {
        Ok(None)
    }

    async fn create_volume(&self, id: VolumeId, _size_bytes: u64) -> Result<()> {
        self.volumes.lock().expect("no panic under this lock").insert(id);
        Ok(())
    }

    async fn delete_volume(&self, id: VolumeId) -> Result<()> {
        if let Some(error) = self.volume_failure.lock().expect("no panic under this lock").take() {
            return Err(error);
        }
        self.volumes.lock().expect("no panic under this lock").remove(&id);
        Ok(())
    }

    async fn delete(&self, id: SandboxId) -> Result<()> {
        self.alive().remove(&id);
        self.guest.forget(id);
        Ok(())
    }

    async fn wait(&self, id: SandboxId) -> Result<Death> {
        let Some(mut alive) = self.alive().get(&id).map(watch::Sender::subscribe) else {
            return Ok(Death::Ended);
        };
        // A sender that is gone is a sandbox that is gone.
        let _ = alive.wait_for(|alive| !alive).await;
        Ok(Death::Ended)
    }

    async fn connect(&self, _id: SandboxId) -> Result<GuestStream> {
        Err(Error::internal("the guest in memory needs no stream"))
    }

    async fn usage(&self, _id: SandboxId) -> Result<Usage> {
        Ok(Usage {
            memory_bytes: 1_048_576,
            memory_peak_bytes: 2_097_152,
            cpu_micros: 1500,
            pids: 2,
            oom_kills: 0,
            disk_bytes: 65_536,
        })
    }
}
