//! The verbs that change a sandbox. Each holds the sandbox's lock, and can be called again after any failure.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lazaret_core::SandboxId;
use lazaret_core::ports::{Death, Instance, RuntimeSpec};
use rustix::io::Errno;

use super::NamespacesRuntime;
use super::adopt::{make_private_directory, remove_directory};
use super::entry::{Entry, Living};
use crate::disk;
use crate::error::Error;
use crate::guard::{MountedDisk, Owner};
use crate::layout::{DISK, LOWERS_MAX};
use crate::pack;
use crate::record::{Record, Run};
use crate::spawner::StartTimes;
use crate::spawner::wire::{Answer, LowerOrder, Request, StartOrder, Verb};
use crate::template;

/// How long a killed sandbox may take to be gone. It takes milliseconds; a disk with much to write back takes longer.
const DEATH_PATIENCE: Duration = Duration::from_secs(20);

/// How often a graceful stop looks whether the tenant's processes have ended.
const GRACE_LOOK: Duration = Duration::from_millis(10);

/// How often it is looked whether the disk of a dead sandbox has been unmounted.
const RELEASE_LOOK: Duration = Duration::from_millis(1);

impl NamespacesRuntime {
    pub(super) async fn create_sandbox(&self, spec: &RuntimeSpec) -> Result<(), Error> {
        self.create_with_disk(spec, None).await
    }

    /// Makes a sandbox whose disk is a copy of `disk`, or an empty one.
    pub(super) async fn create_with_disk(
        &self,
        spec: &RuntimeSpec,
        disk: Option<PathBuf>,
    ) -> Result<(), Error> {
        self.check_policy(&spec.network)?;
        if spec.rootfs.lowers.is_empty() || spec.rootfs.lowers.len() > LOWERS_MAX {
            return Err(Error::Unsupported(format!("an image must have from 1 to {LOWERS_MAX} trees")));
        }
        let entry = self.entries.get_or_insert(spec.id);
        let _verb = entry.verbs.lock().await;
        let directory = self.data.sandbox(spec.id);
        if Record::read(&directory)?.is_some() {
            return Ok(());
        }
        self.guard.admit(0)?;
        let made = self.make_directory(&directory, disk, spec.resources.disk_bytes).await;
        if made.is_err()
            && let Err(error) = remove_directory(&directory).await
        {
            // The first failure is the one to answer; a directory without a record is removed at the next adoption.
            tracing::warn!(sandbox.id = %spec.id, %error, "cannot remove what a failed creation left");
        }
        made
    }

    /// The record comes last: a directory without one is the rest of an interrupted creation.
    async fn make_directory(
        &self,
        directory: &Path,
        disk: Option<PathBuf>,
        disk_bytes: u64,
    ) -> Result<(), Error> {
        let template = match disk {
            Some(disk) => disk,
            None => template::ensure(&self.data, disk_bytes).await?,
        };
        let directory = directory.to_owned();
        blocking(move || {
            // What an interrupted creation left is not to be relied on.
            match std::fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::file("remove", directory)(error));
                }
                _ => {}
            }
            make_private_directory(&directory).map_err(Error::file("make", &directory))?;
            let image = directory.join(DISK);
            template::copy(&template, &image).map_err(Error::file("copy a disk to", image))?;
            Record::new().write(&directory).map_err(Error::file("write the record in", directory))
        })
        .await
    }

    pub(super) async fn start_sandbox(&self, spec: &RuntimeSpec) -> Result<Instance, Error> {
        let id = spec.id;
        let entry = self.entries.get_or_insert(id);
        let _verb = entry.verbs.lock().await;
        let directory = self.data.sandbox(id);
        self.settle(id, &entry).await?;
        if let Some(living) = entry.living() {
            return Ok(self.instance(&living));
        }
        let record = Record::read(&directory)?.ok_or(Error::NotFound(id))?;
        let packed_bytes = pack::unpacked_bytes(&directory).map_err(Error::file("look at", &directory))?;
        self.guard.admit(packed_bytes)?;
        self.unpack(&directory).await?;
        let image = directory.join(DISK);
        await_release(id, &image).await?;
        template::repair(&image).await?;

        let volumes = self.ready_volumes(&spec.volumes).await?;
        let network = self.take_network(&spec.network)?;
        let id_range = match self.ids().take() {
            Ok(id_range) => id_range,
            Err(error) => {
                self.free_network(network.as_ref());
                return Err(error);
            }
        };
        let order = StartOrder {
            id: id.to_string(),
            lowers: spec
                .rootfs
                .lowers
                .iter()
                .map(|lower| LowerOrder { at: lower.at.clone(), source: lower.source.clone() })
                .collect(),
            volumes: volumes.orders.clone(),
            mounts: volumes.mounts.clone(),
            hostname: spec.hostname.clone(),
            id_range,
            memory_bytes: spec.resources.memory_bytes,
            cpu_millis: spec.resources.cpu_millis,
            pids: spec.resources.pids,
            write_etc: !record.started_before,
            network: network.clone(),
            resolver: self.resolver(),
        };
        let started = self.start_as_ordered(id, order, &directory).await;
        match started {
            Ok(living) => {
                let living = Arc::new(living);
                self.client.remember(id.to_string(), living.run.clone());
                entry.set_living(Some(living.clone()));
                Ok(self.instance(&living))
            }
            Err(error) => {
                self.ids().free(id_range);
                self.free_network(network.as_ref());
                Err(error)
            }
        }
    }

    async fn start_as_ordered(
        &self,
        id: SandboxId,
        order: StartOrder,
        directory: &Path,
    ) -> Result<Living, Error> {
        let started = match self.client.ask(Request::Start(Box::new(order))).await {
            Ok((Answer::Started { times, .. }, descriptors)) => {
                tracing::debug!(sandbox.id = %id, ?times, "the guest runs");
                self.take_over(id, directory, times, descriptors)
            }
            Ok((other, _)) => Err(Error::SpawnerGone(format!("unexpected answer {other:?}"))),
            // The spawner has undone what it did.
            Err(error @ Error::Setup { .. }) => return Err(error),
            Err(error) => Err(error),
        };
        if started.is_err() {
            // Nobody knows how far it got, or it is of no use, so whatever is there is ended.
            self.guard.forget(id);
            self.client.ask(Verb::Clear { id: id.to_string() }).await?;
        }
        started
    }

    fn take_over(
        &self,
        id: SandboxId,
        directory: &Path,
        times: StartTimes,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Living, Error> {
        let run = Record::read(directory)?.and_then(|record| record.run).ok_or(Error::NotFound(id))?;
        let pidfd = self.look_after(id, &run, descriptors)?;
        Living::new(run, Some(times), pidfd)
    }

    /// Looks after the disks of a guest that runs, of which `descriptors` has the pidfd and the tops of its disks. Gives the
    /// pidfd.
    pub(super) fn look_after(
        &self,
        id: SandboxId,
        run: &Run,
        descriptors: Vec<OwnedFd>,
    ) -> Result<OwnedFd, Error> {
        let own =
            run.loop_device.map(|device| (Owner::Sandbox(id), self.data.sandbox(id).join(DISK), device));
        let mut disks: Vec<_> = own.into_iter().collect();
        for volume in &run.volumes {
            let of = volume.id.parse().map_err(|_| Error::SpawnerGone("a record without ids".to_owned()))?;
            disks.push((Owner::Volume(of), self.data.volume(of), volume.loop_device));
        }
        if descriptors.len() != disks.len() + 1 {
            return Err(Error::SpawnerGone(format!("{} descriptors of a guest", descriptors.len())));
        }
        let mut descriptors = descriptors.into_iter();
        let pidfd = descriptors.next().ok_or_else(|| Error::SpawnerGone("no pidfd of a guest".to_owned()))?;
        for ((owner, image, device), top) in disks.into_iter().zip(descriptors) {
            self.guard.watch(owner, id, run.pid, MountedDisk::new(top, device, image))?;
        }
        Ok(pidfd)
    }

    pub(super) async fn stop_sandbox(&self, id: SandboxId, grace: Duration) -> Result<(), Error> {
        let Some(entry) = self.entries.find(id) else { return Ok(()) };
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        let Some(living) = entry.living() else { return Ok(()) };
        if !grace.is_zero() {
            self.end_politely(id, &living, grace).await?;
        }
        self.end(id, &entry, &living).await
    }

    /// SIGTERM to everything but the guest, and some time to obey.
    async fn end_politely(&self, id: SandboxId, living: &Living, grace: Duration) -> Result<(), Error> {
        let name = id.to_string();
        self.client.ask(Verb::Thaw { id: name.clone() }).await?;
        self.client.ask(Verb::Terminate { id: name.clone() }).await?;
        let all_ended = async {
            let mut look = tokio::time::interval(GRACE_LOOK);
            loop {
                look.tick().await;
                match self.client.ask(Verb::Measure { id: name.clone() }).await? {
                    (Answer::Usage(usage), _) if usage.processes > 1 => {}
                    _ => return Ok(()),
                }
            }
        };
        tokio::select! {
            result = tokio::time::timeout(grace, all_ended) => result.unwrap_or(Ok(())),
            result = living.death() => result,
        }
    }

    /// SIGKILL, and the wait for its effect.
    async fn end(&self, id: SandboxId, entry: &Entry, living: &Living) -> Result<(), Error> {
        self.client.ask(Verb::Kill { id: id.to_string() }).await?;
        tokio::time::timeout(DEATH_PATIENCE, living.death())
            .await
            .map_err(|_elapsed| Error::WillNotDie { id, waited: DEATH_PATIENCE })??;
        self.settle(id, entry).await
    }

    pub(super) async fn while_running(&self, id: SandboxId, verb: Verb) -> Result<(), Error> {
        let entry = self.entries.find(id).ok_or(Error::NotRunning(id))?;
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        match self.client.ask(verb).await? {
            (Answer::Done, _) => Ok(()),
            _ => Err(Error::NotRunning(id)),
        }
    }

    pub(super) async fn delete_sandbox(&self, id: SandboxId) -> Result<(), Error> {
        let entry = self.entries.get_or_insert(id);
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        if let Some(living) = entry.living() {
            self.end(id, &entry, &living).await?;
        } else {
            // Also what a start left that was interrupted with its server.
            self.client.ask(Verb::Clear { id: id.to_string() }).await?;
        }
        let directory = self.data.sandbox(id);
        await_release(id, &directory.join(DISK)).await?;
        remove_directory(&directory).await?;
        self.entries.remove(id);
        Ok(())
    }

    pub(super) async fn wait_for_death(&self, id: SandboxId) -> Result<Death, Error> {
        let Some(entry) = self.entries.find(id) else { return Ok(Death::Ended) };
        let Some(living) = entry.living() else { return Ok(Death::Ended) };
        living.death().await?;
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        Ok(living.why_dead())
    }

    /// Clears away what a dead guest left. The caller holds the sandbox's lock.
    pub(super) async fn settle(&self, id: SandboxId, entry: &Entry) -> Result<(), Error> {
        let Some(living) = entry.living() else { return Ok(()) };
        if !living.is_dead().await? {
            return Ok(());
        }
        self.client.forget(&id.to_string());
        self.guard.forget(id);
        if let (Answer::Cleared { oom_kills: 1.. }, _) =
            self.client.ask(Verb::Clear { id: id.to_string() }).await?
        {
            living.note_death(Death::OutOfMemory);
        }
        let directory = self.data.sandbox(id);
        if let Some(record) = Record::read(&directory)? {
            record.ended().write(&directory).map_err(Error::file("write the record in", &directory))?;
        }
        self.ids().free(living.run.id_range);
        self.free_network(living.network().as_ref());
        entry.set_living(None);
        Ok(())
    }

    fn instance(&self, living: &Living) -> Instance {
        Instance {
            pid: living.run.pid.unsigned_abs(),
            addresses: self.addresses_of(living.network().as_ref()),
        }
    }
}

/// Waits until nothing has the disk mounted any more; one that is not there is free.
pub(super) async fn await_release(id: SandboxId, image: &Path) -> Result<(), Error> {
    if is_released(image).await? {
        return Ok(());
    }
    Err(Error::WillNotDie { id, waited: DEATH_PATIENCE })
}

/// Whether nothing has the disk mounted any more, or will not soon; one that is not there is free.
pub(super) async fn is_released(image: &Path) -> Result<bool, Error> {
    let released = async {
        let mut look = tokio::time::interval(RELEASE_LOOK);
        loop {
            look.tick().await;
            match disk::is_free(image) {
                Ok(true) | Err(Errno::NOENT) => return Ok(true),
                Ok(false) => {}
                Err(errno) => return Err(Error::file("lock", image)(errno.into())),
            }
        }
    };
    tokio::time::timeout(DEATH_PATIENCE, released).await.unwrap_or(Ok(false))
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::HostUnfit(format!("a file operation panicked: {error}"))),
    }
}
