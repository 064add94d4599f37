//! What is started with a sandbox: a background exec that has the sandbox's own id, so that it is known among the others.
//!
//! It does not keep its sandbox from being idle, as other background execs do: it belongs to it. Its output can be attached to
//! like that of any other.

use super::context::Context;
use super::execs;
use crate::{ExecId, ExecSpec, ImageConfig, Keep, Result, Sandbox, SandboxId};

/// The id of the exec that is started with this sandbox.
pub(super) const fn exec_id(sandbox: SandboxId) -> ExecId {
    ExecId::from_bytes(*sandbox.as_bytes())
}

/// Starts the start command of a sandbox that has just started, if it has one.
///
/// # Errors
/// [`crate::Error::Exec`] if it cannot be started; what the guest reports.
pub(super) async fn run(context: &Context, record: &Sandbox, image: &ImageConfig) -> Result<()> {
    if record.start_command.is_empty() {
        return Ok(());
    }
    let spec = ExecSpec { command: record.start_command.clone(), ..ExecSpec::default() };
    let spec = execs::complete_for(record, image, spec);
    // The session is let go; the process stays.
    context
        .ports
        .guest
        .exec_background(record.id, exec_id(record.id), &spec, &Keep::default())
        .await
        .map(drop)
}
