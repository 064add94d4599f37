//! Packing a disk away and unpacking it; other bounds for a sandbox.

use std::path::Path;

use lazaret_core::{Resources, SandboxId};

use super::NamespacesRuntime;
use super::lifecycle::{await_release, blocking};
use crate::error::Error;
use crate::layout::DISK;
use crate::pack;
use crate::record::Record;
use crate::spawner::wire::{Answer, Verb};
use crate::template;

impl NamespacesRuntime {
    pub(super) async fn pack_away(&self, id: SandboxId) -> Result<(), Error> {
        let entry = self.entries.get_or_insert(id);
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        if entry.living().is_some() {
            return Err(Error::Unsupported("an archive of a sandbox that runs".to_owned()));
        }
        let directory = self.data.sandbox(id);
        Record::read(&directory)?.ok_or(Error::NotFound(id))?;
        let image = directory.join(DISK);
        await_release(id, &image).await?;
        // For a moment there are both.
        let plain_bytes = std::fs::metadata(&image).map_or(0, |image| crate::guard::allocated(&image));
        self.guard.admit(plain_bytes)?;
        blocking(move || pack::pack(&directory).map_err(Error::file("pack the disk in", directory))).await
    }

    /// Unpacks a disk that was packed away. The caller holds the sandbox's lock.
    pub(super) async fn unpack(&self, directory: &Path) -> Result<(), Error> {
        if pack::form(directory).map_err(Error::file("look at", directory))? == pack::Form::Plain {
            return Ok(());
        }
        let directory = directory.to_owned();
        blocking(move || pack::unpack(&directory).map_err(Error::file("unpack the disk in", directory))).await
    }

    pub(super) async fn change_resources(&self, id: SandboxId, resources: &Resources) -> Result<(), Error> {
        let entry = self.entries.get_or_insert(id);
        let _verb = entry.verbs.lock().await;
        self.settle(id, &entry).await?;
        if entry.living().is_some() {
            let Resources { memory_bytes, cpu_millis, pids, disk_bytes: _ } = *resources;
            let verb = Verb::SetLimits { id: id.to_string(), memory_bytes, cpu_millis, pids };
            return match self.client.ask(verb).await? {
                (Answer::Done, _) => Ok(()),
                _ => Err(Error::NotRunning(id)),
            };
        }
        let directory = self.data.sandbox(id);
        Record::read(&directory)?.ok_or(Error::NotFound(id))?;
        let image = directory.join(DISK);
        await_release(id, &image).await?;
        template::grow(&image, resources.disk_bytes).await
    }
}
