//! A sandbox whose disk begins as a copy of another's.
//!
//! The copy shares blocks where the host's file system can (XFS, Btrfs), and is sparse elsewhere. The other sandbox's lock is
//! held meanwhile, so that it neither starts nor goes.

use lazaret_core::SandboxId;
use lazaret_core::ports::RuntimeSpec;

use super::NamespacesRuntime;
use super::lifecycle::await_release;
use crate::error::Error;
use crate::layout::DISK;
use crate::template;

impl NamespacesRuntime {
    pub(super) async fn fork_sandbox(&self, spec: &RuntimeSpec, origin: SandboxId) -> Result<(), Error> {
        let entry = self.entries.find(origin).ok_or(Error::NotFound(origin))?;
        let _origins_verb = entry.verbs.lock().await;
        self.settle(origin, &entry).await?;
        if entry.living().is_some() {
            return Err(Error::Unsupported("a fork of a sandbox that runs".to_owned()));
        }
        let disk = self.data.sandbox(origin).join(DISK);
        await_release(origin, &disk).await?;
        // A host that crashed is the one reason for a disk that was not unmounted.
        template::repair(&disk).await?;
        self.create_with_disk(spec, Some(disk)).await
    }
}
