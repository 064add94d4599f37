//! What is known about each sandbox in memory.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lazaret_core::SandboxId;
use lazaret_core::ports::Death;
use tokio::io::unix::AsyncFd;

use crate::error::Error;
use crate::record::{NetworkRun, Run};
use crate::spawner::StartTimes;
use crate::sys;

/// A guest that runs, or has died and not been cleared away.
#[derive(Debug)]
pub(super) struct Living {
    pub(super) run: Run,
    /// `None` for a sandbox that an earlier server started.
    pub(super) times: Option<StartTimes>,
    pidfd: AsyncFd<OwnedFd>,
    /// In place of the run's, once its policy was changed.
    network: Mutex<Option<NetworkRun>>,
    /// Why it came to its end, once that is known.
    death: OnceLock<Death>,
}

impl Living {
    pub(super) fn new(run: Run, times: Option<StartTimes>, pidfd: OwnedFd) -> Result<Self, Error> {
        let pidfd = sys::readiness::watch(pidfd).map_err(Error::file("watch", "a pidfd"))?;
        let network = Mutex::new(run.network.clone());
        Ok(Self { run, times, pidfd, network, death: OnceLock::new() })
    }

    /// Its network now.
    pub(super) fn network(&self) -> Option<NetworkRun> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_network(&self, network: NetworkRun) {
        *self.network.lock().unwrap_or_else(PoisonError::into_inner) = Some(network);
    }

    /// Notes why it comes to its end; what was noted first holds.
    pub(super) fn note_death(&self, death: Death) {
        self.death.get_or_init(|| death);
    }

    /// Why it came to its end, as far as that is known.
    pub(super) fn why_dead(&self) -> Death {
        self.death.get().copied().unwrap_or(Death::Ended)
    }

    /// Returns when the process is dead.
    pub(super) async fn death(&self) -> Result<(), Error> {
        // A pidfd stays readable once its process is dead, so the readiness is never cleared.
        self.pidfd
            .readable()
            .await
            .map(|mut guard| guard.retain_ready())
            .map_err(Error::file("watch", "a pidfd"))
    }

    /// Whether it is dead now.
    pub(super) async fn is_dead(&self) -> Result<bool, Error> {
        match tokio::time::timeout(Duration::ZERO, self.death()).await {
            Ok(result) => result.map(|()| true),
            Err(_elapsed) => Ok(false),
        }
    }
}

/// One sandbox.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Held by the verb that is at work.
    pub(super) verbs: Arc<tokio::sync::Mutex<()>>,
    living: Mutex<Option<Arc<Living>>>,
}

impl Entry {
    pub(super) fn living(&self) -> Option<Arc<Living>> {
        self.living.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_living(&self, living: Option<Arc<Living>>) {
        *self.living.lock().unwrap_or_else(PoisonError::into_inner) = living;
    }
}

/// All sandboxes that a verb was called for and that are not deleted.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Mutex<HashMap<SandboxId, Arc<Entry>>>,
}

impl Entries {
    pub(super) fn find(&self, id: SandboxId) -> Option<Arc<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    pub(super) fn get_or_insert(&self, id: SandboxId) -> Arc<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    pub(super) fn remove(&self, id: SandboxId) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}
