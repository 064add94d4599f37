//! Git inside a sandbox, whether or not its image has one.

use async_trait::async_trait;

use crate::{ExecSpec, GitCommand, GitOutcome, Result, SandboxId};

/// Carries out git commands as a process of the sandbox: as its user, on its files, through its network.
#[async_trait]
pub trait Git: Send + Sync {
    /// Carries out `command`. `place` says as whom, where, in which environment and for how long; it names no program.
    /// Dropping the future ends the process.
    ///
    /// The answer is checked for its form and its size; what it says is the tenant's claim.
    async fn run_git(&self, id: SandboxId, place: &ExecSpec, command: &GitCommand) -> Result<GitOutcome>;
}
