//! A `Git` that remembers what it was asked and answers what it was told to.

use std::sync::Mutex;

use async_trait::async_trait;
use lazaret_core::ports::Git;
use lazaret_core::{
    Error, ExecSpec, GitBranches, GitCommand, GitHistory, GitOutcome, GitProblem, GitStatus, Result,
    SandboxId,
};

/// The fake.
#[derive(Debug, Default)]
pub struct MemoryGit {
    asked: Mutex<Vec<(ExecSpec, GitCommand)>>,
    next: Mutex<Option<Result<GitOutcome, (GitProblem, String)>>>,
}

impl MemoryGit {
    /// What the next command is answered.
    pub fn answer(&self, outcome: GitOutcome) {
        *self.next.lock().expect("no panic under this lock") = Some(Ok(outcome));
    }

    /// How the next command fails.
    pub fn fail(&self, problem: GitProblem, detail: &str) {
        *self.next.lock().expect("no panic under this lock") = Some(Err((problem, detail.to_owned())));
    }

    /// The last command, and where it was to run.
    pub fn last(&self) -> (ExecSpec, GitCommand) {
        self.asked.lock().expect("no panic under this lock").last().expect("a command").clone()
    }

    /// How many commands there were.
    pub fn count(&self) -> usize {
        self.asked.lock().expect("no panic under this lock").len()
    }
}

#[async_trait]
impl Git for MemoryGit {
    async fn run_git(&self, _id: SandboxId, place: &ExecSpec, command: &GitCommand) -> Result<GitOutcome> {
        self.asked.lock().expect("no panic under this lock").push((place.clone(), command.clone()));
        if let Some(next) = self.next.lock().expect("no panic under this lock").take() {
            return next.map_err(|(problem, detail)| Error::Git { problem, detail });
        }
        Ok(match command {
            GitCommand::Status(_) => GitOutcome::Status(GitStatus::default()),
            GitCommand::Branches(_) => {
                GitOutcome::Branches(GitBranches { names: vec!["main".to_owned()], current: None })
            }
            GitCommand::Commit(_) => GitOutcome::Committed("a".repeat(40)),
            GitCommand::History { .. } => {
                GitOutcome::History(GitHistory { commits: Vec::new(), truncated: false })
            }
            GitCommand::Remotes(_) => GitOutcome::Remotes(Vec::new()),
            GitCommand::GetConfig { .. } => GitOutcome::Value(None),
            _ => GitOutcome::Done,
        })
    }
}
