//! The event log: written through to the store, and sent to those who watch.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::context::Context;
use crate::{AccountId, Caller, Event, EventKind, Result, SandboxId, Scope, limits};

/// Where the other services put events.
pub(super) struct EventLog {
    live: broadcast::Sender<Event>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { live: broadcast::channel(limits::EVENTS_BUFFER).0 }
    }
}

impl EventLog {
    /// Records what happened. A store that fails is logged: an event must not undo what it tells of.
    pub(super) async fn publish(
        &self,
        context: &Context,
        account: AccountId,
        sandbox: Option<SandboxId>,
        kind: EventKind,
    ) {
        let mut event = Event { sequence: 0, at: context.now(), account, sandbox, kind };
        match context.ports.store.append_event(&event).await {
            Ok(sequence) => {
                event.sequence = sequence;
                // Nobody may be listening.
                let _ = self.live.send(event);
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an event could not be recorded");
            }
        }
    }
}

/// The events of the caller's account.
#[derive(Clone)]
pub struct Events {
    pub(super) context: Arc<Context>,
}

impl Events {
    /// Events behind `after`, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub async fn list(&self, caller: &Caller, after: u64, limit: usize) -> Result<Vec<Event>> {
        caller.need(Scope::SandboxesRead)?;
        self.context.ports.store.list_events(caller.account, after, limit).await
    }

    /// Every later event of any account, as it happens; the reader filters by [`Event::account`]. A reader that falls
    /// [`limits::EVENTS_BUFFER`] behind is told so and should list from its last sequence.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] without [`Scope::SandboxesRead`].
    pub fn subscribe(&self, caller: &Caller) -> Result<broadcast::Receiver<Event>> {
        caller.need(Scope::SandboxesRead)?;
        Ok(self.context.events.live.subscribe())
    }
}
