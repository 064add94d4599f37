//! The twelve actions that agents know: a façade over the other services, with its own defaults, deadlines and sentences.
//!
//! ```text
//!   dialect ──inputs──▶ Actions ──▶ Sandboxes · Execs · Files · Git
//!      ◀── a value, or a Refusal: one sentence ──┘
//! ```
//!
//! A refusal is an answer and not an error: whoever calls an action reads the sentence and goes on. Defects of ours are
//! logged here, since nobody behind this sees more than the sentence.
//!
//! Not here: JSON, schemas, and how an action is reached.

mod files;
mod runs;
mod sandboxes;

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::{Execs, Files, Git, Sandboxes, Templates};
use crate::{Caller, Error, Kind, SandboxId, Verb};

pub use files::{Download, Entry, Upload, Uploaded};
pub use runs::{CodeRun, CommandRun, Ran};
pub use sandboxes::{ListSandboxes, NewSandbox, SandboxPage};

/// How long an action that only looks may take.
const LOOK_DEADLINE: Duration = Duration::from_secs(30);
/// How long any other action may take.
const ACT_DEADLINE: Duration = Duration::from_secs(120);

/// Why an action did not do what was asked: a sentence for whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// What an action came to.
pub type Outcome<T> = Result<T, Refusal>;

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match &error {
            Error::Internal(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an action failed");
            }
            Error::Unavailable { .. } => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an action could not be done for now"
                );
            }
            _ => {}
        }
        Self(match &error {
            Error::AlreadyExists { kind: Kind::Sandbox, id } => {
                format!("Sandbox with name {id} already exists")
            }
            Error::Refused { kind: Kind::Sandbox, verb: Verb::Stop, .. } => NOT_STOPPABLE.to_owned(),
            Error::Refused { kind: Kind::Sandbox, verb: Verb::Start, .. } => {
                "Sandbox is not in valid state".to_owned()
            }
            _ => error.to_string(),
        })
    }
}

const NOT_STOPPABLE: &str = "Sandbox is not in a stoppable state";

/// The actions.
#[derive(Clone)]
pub struct Actions {
    pub(super) context: Arc<Context>,
    pub(super) sandboxes: Sandboxes,
    pub(super) execs: Execs,
    pub(super) files: Files,
    pub(super) git: Git,
    pub(super) templates: Templates,
}

impl Actions {
    /// The sandbox with this id, of which there must be one.
    async fn by_id(&self, caller: &Caller, text: &str) -> Outcome<SandboxId> {
        let text = named(text)?;
        let id = parse_id(text).ok_or_else(|| not_found(text))?;
        match self.sandboxes.get(caller, id).await {
            Ok(_) => Ok(id),
            Err(Error::NotFound { .. }) => Err(not_found(text)),
            Err(error) => Err(error.into()),
        }
    }

    /// The sandbox with this id or, if there is none, the newest with this name.
    async fn by_id_or_name(&self, caller: &Caller, text: &str) -> Outcome<SandboxId> {
        let text = named(text)?;
        if let Some(id) = parse_id(text) {
            match self.sandboxes.get(caller, id).await {
                Ok(_) => return Ok(id),
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let found = self.sandboxes.find_by_name(caller, text)?;
        found.first().copied().ok_or_else(|| not_found(text))
    }
}

fn named(text: &str) -> Outcome<&str> {
    match text.trim() {
        "" => Err(Refusal("Sandbox ID is required.".to_owned())),
        text => Ok(text),
    }
}

/// An id as a UUID or as bare digits, which is how it is shown in every dialect that the actions are used beside.
fn parse_id(text: &str) -> Option<SandboxId> {
    let digits = text.replace('-', "");
    matches!(text.len(), 32 | 36).then(|| digits.parse().ok()).flatten()
}

fn not_found(text: &str) -> Refusal {
    Refusal(format!("Sandbox with ID or name {text} not found"))
}

/// The outcome of `action`, or the sentence for one that takes too long.
async fn within<T>(deadline: Duration, action: impl Future<Output = Outcome<T>>) -> Outcome<T> {
    match tokio::time::timeout(deadline, action).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(Refusal("Request timed out.".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_digits_with_or_without_hyphens_and_anything_else_is_a_name() {
        let id = SandboxId::from_bytes([0xab; 16]);
        let digits = "ab".repeat(16);
        let uuid = "abababab-abab-abab-abab-abababababab";
        assert_eq!((parse_id(&digits), parse_id(uuid)), (Some(id), Some(id)));
        for name in ["", "web", "ab-ab", &digits[1..], "zz".repeat(16).as_str()] {
            assert_eq!(parse_id(name), None, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_action_that_takes_too_long_says_so() {
        let never = std::future::pending::<Outcome<()>>();
        assert_eq!(within(LOOK_DEADLINE, never).await, Err(Refusal("Request timed out.".to_owned())));
    }
}
