//! Coming up on a host where an earlier server may have been killed at any moment.
//!
//! ```text
//!   sandboxes/<id>/record.json ── run recorded, process lives ──▶ taken over
//!                              ── run recorded, process dead ───▶ cleared; the disk stays
//!                              ── missing ──▶ its creation was interrupted: removed
//!   a cgroup of ours that belongs to none of the living ──▶ killed and removed
//! ```

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use lazaret_core::SandboxId;
use lazaret_core::ports::Adopted;

use super::NamespacesRuntime;
use super::entry::Living;
use crate::error::Error;
use crate::pack;
use crate::record::Record;
use crate::spawner::wire::{Answer, Verb};

impl NamespacesRuntime {
    pub(super) async fn adopt_all(&self) -> Result<Vec<Adopted>, Error> {
        let sandboxes = self.data.sandboxes();
        let unreadable = |error| Error::file("list", &sandboxes)(error);
        let mut directory = tokio::fs::read_dir(&sandboxes).await.map_err(unreadable)?;
        let mut adopted = Vec::new();
        while let Some(found) = directory.next_entry().await.map_err(unreadable)? {
            match found.file_name().to_str().map(str::parse::<SandboxId>) {
                Some(Ok(id)) => adopted.extend(self.adopt_one(id).await?),
                _ => tracing::warn!(path = %found.path().display(), "not a sandbox of ours; left alone"),
            }
        }
        self.client.ask(Verb::Sweep).await?;
        Ok(adopted)
    }

    async fn adopt_one(&self, id: SandboxId) -> Result<Option<Adopted>, Error> {
        let directory = self.data.sandbox(id);
        let entry = self.entries.get_or_insert(id);
        let _verb = entry.verbs.lock().await;
        pack::tidy(&directory).map_err(Error::file("tidy", &directory))?;
        let form = pack::form(&directory).map_err(Error::file("look at", &directory))?;
        let archived = form == pack::Form::Packed;
        let dead = Adopted { id, alive: false, paused: false, archived, addresses: None };
        let record = match Record::read(&directory) {
            Ok(Some(record)) => record,
            Ok(None) => {
                remove_directory(&directory).await?;
                self.entries.remove(id);
                return Ok(None);
            }
            Err(error) => {
                // The disk may still be worth something; whatever runs is swept away with its cgroup.
                tracing::error!(sandbox.id = %id, %error, "the sandbox's record is unreadable; taken for stopped");
                return Ok(Some(dead));
            }
        };
        let Some(run) = record.run.clone() else { return Ok(Some(dead)) };
        if let Some(living) = entry.living() {
            let alive = !living.is_dead().await?;
            let addresses = self.addresses_of(living.network().as_ref()).filter(|_| alive);
            return Ok(Some(Adopted { alive, addresses, ..dead }));
        }
        match self.client.ask(Verb::Adopt { id: id.to_string(), run: run.clone() }).await? {
            (Answer::Found { alive: true, paused }, descriptors) => {
                let pidfd = self.look_after(id, &run, descriptors)?;
                if run.loop_device.is_none() {
                    tracing::warn!(sandbox.id = %id,
                        "an earlier build started it: nothing but its own limit bounds its disk until it is started anew");
                }
                self.ids().mark(run.id_range);
                self.mark_network(run.network.as_ref());
                let addresses = self.addresses_of(run.network.as_ref());
                self.client.remember(id.to_string(), run.clone());
                entry.set_living(Some(Arc::new(Living::new(run, None, pidfd)?)));
                Ok(Some(Adopted { alive: true, paused, addresses, ..dead }))
            }
            _ => {
                self.client.ask(Verb::Clear { id: id.to_string() }).await?;
                record.ended().write(&directory).map_err(Error::file("write the record in", &directory))?;
                Ok(Some(dead))
            }
        }
    }
}

/// Makes a directory that only its owner enters, with its parents.
pub(super) fn make_private_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes a tree; nothing happens if it is not there, or if another call removes it at the same time.
pub(super) async fn remove_directory(path: &Path) -> Result<(), Error> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}
