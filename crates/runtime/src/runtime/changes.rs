//! What a sandbox that does not run has written, for whoever makes an image of it.
//!
//! Its disk is mounted once more, so that nothing can write to it, and the sandbox's lock is held for as long as somebody
//! reads. The mount hangs on descriptors alone: a server that dies leaves none behind.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use lazaret_core::SandboxId;
use lazaret_core::ports::Changes;

use super::NamespacesRuntime;
use super::lifecycle::await_release;
use crate::disk::upper_directory;
use crate::error::Error;
use crate::layout::{DISK, LOWERS_MAX};
use crate::spawner::wire::{Answer, Verb};
use crate::template;

impl NamespacesRuntime {
    pub(super) async fn read_changes(&self, id: SandboxId) -> Result<Changes, Error> {
        let entry = self.entries.find(id).ok_or(Error::NotFound(id))?;
        let verb = Arc::clone(&entry.verbs).lock_owned().await;
        self.settle(id, &entry).await?;
        if entry.living().is_some() {
            return Err(Error::Unsupported("an image of a sandbox that runs".to_owned()));
        }
        let disk = self.data.sandbox(id).join(DISK);
        await_release(id, &disk).await?;
        template::repair(&disk).await?;
        let (answer, mut descriptors) = self.client.ask(Verb::ShowDisk { id: id.to_string() }).await?;
        let top = match (answer, descriptors.pop()) {
            (Answer::Done, Some(top)) => top,
            (other, _) => return Err(Error::SpawnerGone(format!("unexpected answer {other:?}"))),
        };
        let open = |index| upper_directory(&top, index).map_err(Error::file("open a directory of", &disk));
        let uppers = (0..LOWERS_MAX).map(open).collect::<Result<Vec<OwnedFd>, Error>>()?;
        Ok(Changes { uppers, held: Box::new(verb) })
    }
}
