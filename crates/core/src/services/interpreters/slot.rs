//! What a sandbox holds of interpreters: the warm one of now, and its contexts.
//!
//! ```text
//!   none ──first use──▶ warm ──files changed, died, idle──▶ none
//!     └──no interpreter that can be warm──▶ unusable, until the sandbox ends its run
//! ```
//!
//! A warm interpreter that was replaced lives on for as long as it has contexts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::context::Held;
use super::frame::Order;
use super::warm::{Begun, Child, Warm};
use crate::ports::Guest;
use crate::{ContextId, ExecSpec, Result, SandboxId, limits};

/// The interpreters of one sandbox.
#[derive(Debug, Default)]
pub(in crate::services) struct Slot {
    /// Held while an interpreter starts, so that one is started and not several.
    warm: tokio::sync::Mutex<Now>,
    contexts: Mutex<BTreeMap<ContextId, Arc<Held>>>,
    /// Held while the default context is looked for and made.
    pub(super) default: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Now {
    warm: Option<Arc<Warm>>,
    /// The image has no interpreter that can be warm; not asked again.
    is_unusable: bool,
    /// When it was last asked for a child, on the monotonic clock.
    last_used: Duration,
}

/// What came of asking for a child.
pub(super) enum Forked {
    /// It runs.
    Child(Child),
    /// The kernel inside refused, with this errno by the driver's claim.
    Declined(i32),
    /// There is no interpreter that can be warm.
    NoInterpreter,
}

impl Slot {
    /// Forks a child off the warm interpreter, starting one first where there is none.
    ///
    /// # Errors
    /// Those of [`Warm::begin`].
    pub(super) async fn begin(
        &self,
        guest: &dyn Guest,
        sandbox: SandboxId,
        base: &ExecSpec,
        order: Order,
        fields: &[u8],
    ) -> Result<Forked> {
        /// The one there is, and a fresh one.
        const ATTEMPTS: usize = 2;
        for _ in 0..ATTEMPTS {
            let Some(warm) = self.warm(guest, sandbox, base).await else { return Ok(Forked::NoInterpreter) };
            match warm.begin(order, fields).await? {
                Begun::Started(child) => return Ok(Forked::Child(child)),
                Begun::Declined(errno) => return Ok(Forked::Declined(errno)),
                Begun::Stale => {
                    let mut now = self.warm.lock().await;
                    now.warm.take_if(|current| Arc::ptr_eq(current, &warm));
                }
            }
        }
        // Files that change faster than an interpreter starts.
        Ok(Forked::NoInterpreter)
    }

    async fn warm(&self, guest: &dyn Guest, sandbox: SandboxId, base: &ExecSpec) -> Option<Arc<Warm>> {
        let mut now = self.warm.lock().await;
        now.warm.take_if(|warm| warm.is_over());
        if now.warm.is_none() && !now.is_unusable {
            now.warm = Warm::start(guest, sandbox, base.clone()).await;
            now.is_unusable = now.warm.is_none();
        }
        now.warm.clone()
    }

    /// Notes a use, for [`Slot::retire`].
    pub(super) async fn touch(&self, now: Duration) {
        self.warm.lock().await.last_used = now;
    }

    /// Ends an interpreter that nobody has used for [`limits::INTERPRETER_IDLE`], and contexts of which the same is true
    /// for [`limits::CONTEXT_IDLE`].
    pub(in crate::services) fn retire(&self, now: Duration) {
        self.contexts().retain(|_, held| now.saturating_sub(held.last_used()) < limits::CONTEXT_IDLE);
        // One that is just being asked is not idle.
        if let Ok(mut slot) = self.warm.try_lock() {
            let is_due = now.saturating_sub(slot.last_used) >= limits::INTERPRETER_IDLE;
            slot.warm.take_if(|warm| is_due && warm.is_idle());
        }
    }

    /// The sandbox's run has ended, and with it every interpreter.
    pub(in crate::services) async fn forget(&self) {
        self.contexts().clear();
        *self.warm.lock().await = Now::default();
    }

    /// The contexts, by id.
    pub(super) fn contexts(&self) -> MutexGuard<'_, BTreeMap<ContextId, Arc<Held>>> {
        self.contexts.lock().expect("no panic under this lock")
    }
}
