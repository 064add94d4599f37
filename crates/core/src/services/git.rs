//! Git in sandboxes: checked, bounded in time, and counted as use of the sandbox.
//!
//! Dropping a call gives up: the process ends, and a clone removes what it had made.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use super::execs::complete;
use super::sandboxes::use_sandbox;
use crate::{
    Caller, Error, ExecSpec, GitAccess, GitBranches, GitClone, GitCommand, GitCommit, GitConfigFile,
    GitHistory, GitNewBranch, GitNewRemote, GitOutcome, GitPull, GitPush, GitRemote, GitReset, GitRestore,
    GitStatus, Result, SandboxId, Scope, limits,
};

/// Git in sandboxes of the caller's account.
///
/// Every method fails with [`Error::NotFound`] for a sandbox that is not this account's, [`Error::Refused`] for one that
/// does not run, [`Error::Invalid`] for a field that no repository could take, [`Error::Git`] for what git says, and
/// [`Error::Unsupported`] in a sandbox that an older release has started.
#[derive(Clone)]
pub struct Git {
    pub(super) context: Arc<Context>,
}

impl Git {
    /// Copies a repository.
    pub async fn clone_repository(&self, caller: &Caller, id: SandboxId, clone: GitClone) -> Result<()> {
        text("url", &clone.url, limits::GIT_URL_MAX_BYTES)?;
        path(&clone.path)?;
        optional("branch", clone.branch.as_deref())?;
        optional("commit", clone.commit.as_deref())?;
        if clone.depth == Some(0) {
            return Err(Error::invalid("depth", "must be at least 1"));
        }
        self.act(caller, id, GitCommand::Clone(clone)).await
    }

    /// Makes an empty repository.
    pub async fn init(
        &self,
        caller: &Caller,
        id: SandboxId,
        at: String,
        bare: bool,
        initial_branch: Option<String>,
    ) -> Result<()> {
        path(&at)?;
        optional("initial_branch", initial_branch.as_deref())?;
        self.act(caller, id, GitCommand::Init { path: at, bare, initial_branch }).await
    }

    /// The state of branch and files.
    pub async fn status(&self, caller: &Caller, id: SandboxId, at: String) -> Result<GitStatus> {
        path(&at)?;
        match self.ask(caller, id, GitCommand::Status(at)).await? {
            GitOutcome::Status(status) => Ok(status),
            _ => Err(misplaced()),
        }
    }

    /// The local branches.
    pub async fn branches(&self, caller: &Caller, id: SandboxId, at: String) -> Result<GitBranches> {
        path(&at)?;
        match self.ask(caller, id, GitCommand::Branches(at)).await? {
            GitOutcome::Branches(branches) => Ok(branches),
            _ => Err(misplaced()),
        }
    }

    /// Makes a branch.
    pub async fn create_branch(&self, caller: &Caller, id: SandboxId, branch: GitNewBranch) -> Result<()> {
        path(&branch.path)?;
        text("name", &branch.name, limits::GIT_NAME_MAX_BYTES)?;
        self.act(caller, id, GitCommand::CreateBranch(branch)).await
    }

    /// Deletes a branch, merged or not.
    pub async fn delete_branch(
        &self,
        caller: &Caller,
        id: SandboxId,
        at: String,
        name: String,
    ) -> Result<()> {
        path(&at)?;
        text("name", &name, limits::GIT_NAME_MAX_BYTES)?;
        self.act(caller, id, GitCommand::DeleteBranch { path: at, name }).await
    }

    /// Switches to a branch, here or at a remote, or to a commit.
    pub async fn checkout(&self, caller: &Caller, id: SandboxId, at: String, target: String) -> Result<()> {
        path(&at)?;
        text("target", &target, limits::GIT_NAME_MAX_BYTES)?;
        self.act(caller, id, GitCommand::Checkout { path: at, target }).await
    }

    /// Stages files; `.` is everything.
    pub async fn add(&self, caller: &Caller, id: SandboxId, at: String, files: Vec<String>) -> Result<()> {
        path(&at)?;
        some_files(&files)?;
        self.act(caller, id, GitCommand::Add { path: at, files }).await
    }

    /// Commits what is staged and returns the hash of the commit.
    pub async fn commit(&self, caller: &Caller, id: SandboxId, commit: GitCommit) -> Result<String> {
        path(&commit.path)?;
        text("message", &commit.message, limits::GIT_MESSAGE_MAX_BYTES)?;
        text("author", &commit.author, limits::GIT_NAME_MAX_BYTES)?;
        text("email", &commit.email, limits::GIT_NAME_MAX_BYTES)?;
        match self.change(caller, id, GitCommand::Commit(commit)).await? {
            GitOutcome::Committed(hash) => Ok(hash),
            _ => Err(misplaced()),
        }
    }

    /// Sends a branch to a remote.
    pub async fn push(&self, caller: &Caller, id: SandboxId, push: GitPush) -> Result<()> {
        path(&push.path)?;
        optional("remote", push.remote.as_deref())?;
        optional("branch", push.branch.as_deref())?;
        self.act(caller, id, GitCommand::Push(push)).await
    }

    /// Fetches a branch and integrates it.
    pub async fn pull(&self, caller: &Caller, id: SandboxId, pull: GitPull) -> Result<()> {
        path(&pull.path)?;
        optional("remote", pull.remote.as_deref())?;
        optional("branch", pull.branch.as_deref())?;
        self.act(caller, id, GitCommand::Pull(pull)).await
    }

    /// At most `limit` commits from the current one back; [`limits::GIT_HISTORY_MAX`] is the most.
    pub async fn history(
        &self,
        caller: &Caller,
        id: SandboxId,
        at: String,
        limit: u32,
    ) -> Result<GitHistory> {
        path(&at)?;
        if !(1..=limits::GIT_HISTORY_MAX).contains(&limit) {
            return Err(Error::invalid("limit", format!("must be from 1 to {}", limits::GIT_HISTORY_MAX)));
        }
        match self.ask(caller, id, GitCommand::History { path: at, limit }).await? {
            GitOutcome::History(history) => Ok(history),
            _ => Err(misplaced()),
        }
    }

    /// The remotes.
    pub async fn remotes(&self, caller: &Caller, id: SandboxId, at: String) -> Result<Vec<GitRemote>> {
        path(&at)?;
        match self.ask(caller, id, GitCommand::Remotes(at)).await? {
            GitOutcome::Remotes(remotes) => Ok(remotes),
            _ => Err(misplaced()),
        }
    }

    /// Names a remote.
    pub async fn add_remote(&self, caller: &Caller, id: SandboxId, remote: GitNewRemote) -> Result<()> {
        path(&remote.path)?;
        text("name", &remote.name, limits::GIT_NAME_MAX_BYTES)?;
        text("url", &remote.url, limits::GIT_URL_MAX_BYTES)?;
        self.act(caller, id, GitCommand::AddRemote(remote)).await
    }

    /// Goes back to a commit.
    pub async fn reset(&self, caller: &Caller, id: SandboxId, reset: GitReset) -> Result<()> {
        path(&reset.path)?;
        optional("target", reset.target.as_deref())?;
        files(&reset.files)?;
        self.act(caller, id, GitCommand::Reset(reset)).await
    }

    /// Brings back files.
    pub async fn restore(&self, caller: &Caller, id: SandboxId, restore: GitRestore) -> Result<()> {
        path(&restore.path)?;
        optional("source", restore.source.as_deref())?;
        some_files(&restore.files)?;
        self.act(caller, id, GitCommand::Restore(restore)).await
    }

    /// A value of the configuration; `None` if it is not set.
    pub async fn config(
        &self,
        caller: &Caller,
        id: SandboxId,
        file: GitConfigFile,
        key: String,
    ) -> Result<Option<String>> {
        config_file(&file)?;
        text("key", &key, limits::GIT_NAME_MAX_BYTES)?;
        match self.ask(caller, id, GitCommand::GetConfig { file, key }).await? {
            GitOutcome::Value(value) => Ok(value),
            _ => Err(misplaced()),
        }
    }

    /// Sets values of the configuration.
    pub async fn set_config(
        &self,
        caller: &Caller,
        id: SandboxId,
        file: GitConfigFile,
        entries: Vec<(String, String)>,
    ) -> Result<()> {
        config_file(&file)?;
        for (key, value) in &entries {
            text("key", key, limits::GIT_NAME_MAX_BYTES)?;
            if value.contains('\0') || value.len() > limits::GIT_URL_MAX_BYTES {
                return Err(Error::invalid("value", "has a NUL byte or is too long"));
            }
        }
        self.act(caller, id, GitCommand::SetConfig { file, entries }).await
    }

    /// A command that changes something and has no more to say.
    async fn act(&self, caller: &Caller, id: SandboxId, command: GitCommand) -> Result<()> {
        match self.change(caller, id, command).await? {
            GitOutcome::Done => Ok(()),
            _ => Err(misplaced()),
        }
    }

    async fn change(&self, caller: &Caller, id: SandboxId, command: GitCommand) -> Result<GitOutcome> {
        caller.need(Scope::SandboxesWrite)?;
        self.run(caller, id, command).await
    }

    async fn ask(&self, caller: &Caller, id: SandboxId, command: GitCommand) -> Result<GitOutcome> {
        caller.need(Scope::SandboxesRead)?;
        self.run(caller, id, command).await
    }

    async fn run(&self, caller: &Caller, id: SandboxId, command: GitCommand) -> Result<GitOutcome> {
        let timeout = match command.access() {
            Some(access) => {
                check_access(access)?;
                limits::GIT_REMOTE_TIMEOUT
            }
            None => limits::GIT_LOCAL_TIMEOUT,
        };
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let place = complete(&entry, ExecSpec { timeout: Some(timeout), ..ExecSpec::default() });
        let run = self.context.ports.git.run_git(id, &place, &command);
        // The guest keeps the time; a guest that does not is left to itself a little later.
        let done = tokio::time::timeout(timeout + GUEST_GRACE, run).await;
        let done = done.unwrap_or_else(|_| {
            Err(Error::Unavailable { retry_after: None, source: "git did not end in its time".into() })
        });
        guard.counted(done).await
    }
}

/// What a guest may take beyond a timeout to end a process and say so.
const GUEST_GRACE: Duration = Duration::from_secs(30);

/// An answer to another question: the sandbox's processes have meddled.
fn misplaced() -> Error {
    Error::Unavailable { retry_after: None, source: "git gave an answer that has no place".into() }
}

fn path(text: &str) -> Result<()> {
    self::text("path", text, limits::PATH_MAX_BYTES)
}

fn text(field: &'static str, text: &str, max_bytes: usize) -> Result<()> {
    let reason = if text.is_empty() {
        "is empty".to_owned()
    } else if text.contains('\0') {
        "has a NUL byte".to_owned()
    } else if text.len() > max_bytes {
        format!("is longer than {max_bytes} bytes")
    } else {
        return Ok(());
    };
    Err(Error::invalid(field, reason))
}

fn optional(field: &'static str, text: Option<&str>) -> Result<()> {
    text.map_or(Ok(()), |text| self::text(field, text, limits::GIT_NAME_MAX_BYTES))
}

fn some_files(files: &[String]) -> Result<()> {
    if files.is_empty() {
        return Err(Error::invalid("files", "is empty"));
    }
    self::files(files)
}

fn files(files: &[String]) -> Result<()> {
    for file in files {
        text("files", file, limits::PATH_MAX_BYTES)?;
    }
    let bytes: usize = files.iter().map(String::len).sum();
    if files.len() > limits::GIT_FILES_MAX || bytes > limits::GIT_FILES_MAX_BYTES {
        let most = (limits::GIT_FILES_MAX, limits::GIT_FILES_MAX_BYTES);
        return Err(Error::invalid("files", format!("has more than {} entries or {} bytes", most.0, most.1)));
    }
    Ok(())
}

fn config_file(file: &GitConfigFile) -> Result<()> {
    match file {
        GitConfigFile::Local(at) => path(at),
        GitConfigFile::Global | GitConfigFile::System => Ok(()),
    }
}

fn check_access(access: &GitAccess) -> Result<()> {
    let Some(credentials) = &access.credentials else { return Ok(()) };
    // The field is named, and what is in it is not told.
    for (field, text) in [("username", &*credentials.username), ("password", credentials.password.expose())] {
        if text.chars().any(char::is_control) || text.len() > limits::GIT_CREDENTIAL_MAX_BYTES {
            return Err(Error::invalid(field, "has a control character or is too long"));
        }
    }
    Ok(())
}
