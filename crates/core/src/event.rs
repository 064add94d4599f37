//! What happened, for people and programs that watch.

use crate::{AccountId, Reason, SandboxId, State, Timestamp};

/// One fact in the server's event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Position in the log; strictly rising, and the cursor of a reader. Zero until the store has numbered it.
    pub sequence: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Whose it is.
    pub account: AccountId,
    /// The sandbox concerned, if one is.
    pub sandbox: Option<SandboxId>,
    /// What happened.
    pub kind: EventKind,
}

/// The closed set of facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A sandbox entered a state.
    StateChanged {
        /// The state entered.
        state: State,
        /// Why, if there is more to say than the verb.
        reason: Option<Reason>,
    },
    /// A request was refused in a way that an operator should be able to find later.
    AccessDenied {
        /// What was tried; never a secret.
        what: String,
    },
}
