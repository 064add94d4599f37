//! Changing a sandbox that is there, and packing it away.

use std::time::Duration;

use super::driver;
use super::sandboxes::{Sandboxes, find_current};
use crate::sandbox::check_labels;
use crate::{Caller, Error, Result, Sandbox, SandboxChanges, SandboxId, Scope, Verb};

impl Sandboxes {
    /// Changes what is named, all of it or nothing. Bounds hold at once, for processes that run as well; a disk grows while
    /// the sandbox is stopped. Does not count as use.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`crate::State::judge`], of [`Verb::Resize`] if bounds are named and of
    /// [`Verb::Update`] otherwise; [`Error::Invalid`] for a value out of its range or the tier's, for a disk that shrinks,
    /// and for less memory or another disk of a sandbox that runs.
    pub async fn update(&self, caller: &Caller, id: SandboxId, changes: SandboxChanges) -> Result<Sandbox> {
        caller.need(Scope::SandboxesWrite)?;
        if let Some(labels) = &changes.labels {
            check_labels(labels)?;
        }
        let entry = find_current(&self.context, caller, id).await?;
        let record = entry.record();
        let wanted = changes.resources.over(record.resources).check()?;
        if wanted != record.resources {
            self.context.settings.tier(&caller.tier).allow(&wanted)?;
        }
        driver::send(&entry, driver::Task::Update(changes)).await
    }

    /// Packs the disk of a stopped sandbox away, so that it takes less of the host. A start unpacks it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] by [`crate::State::judge`]; [`Error::Unsupported`] by the runtime; what it
    /// reports, in which case the sandbox is stopped as it was.
    pub async fn archive(&self, caller: &Caller, id: SandboxId) -> Result<Sandbox> {
        if !self.context.ports.runtime.capabilities().archive {
            return Err(Error::Unsupported { what: "an archive, by this runtime".to_owned() });
        }
        self.apply(caller, id, Verb::Archive, Duration::ZERO).await
    }
}
