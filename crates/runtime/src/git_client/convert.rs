//! Nouns of the core into messages of the git program, and back.

use lazaret_core::{
    Error, GitBranches, GitChange, GitCommand, GitCommitEntry, GitConfigFile, GitFile, GitHistory,
    GitOutcome, GitProblem, GitRemote, GitResetMode, GitStatus, Timestamp,
};
use lazaret_protocol::git::{
    Add, AddRemote, Answer, Change, Checkout, Clone, CommitStaged, ConfigScope, CreateBranch, Credentials,
    DETAIL_MAX, DeleteBranch, Failed, GetConfig, Init, Log, Operation, Problem, Pull, Push, Request, Reset,
    ResetMode, Restore, SetConfig, Status,
};

/// What the program is asked.
pub(super) fn request(command: &GitCommand) -> Request {
    let access = command.access();
    let credentials = access.and_then(|access| access.credentials.as_ref());
    Request {
        credentials: credentials.map(|credentials| Credentials {
            username: credentials.username.clone(),
            password: credentials.password.expose().to_owned(),
        }),
        insecure_skip_tls: access.is_some_and(|access| access.insecure_skip_tls),
        ..Request::new(operation(command))
    }
}

fn operation(command: &GitCommand) -> Operation {
    match command.clone() {
        GitCommand::Clone(clone) => Operation::Clone(Box::new(Clone {
            url: clone.url,
            path: clone.path,
            branch: clone.branch,
            commit: clone.commit,
            depth: clone.depth,
        })),
        GitCommand::Init { path, bare, initial_branch } => {
            Operation::Init(Init { path, bare, initial_branch })
        }
        GitCommand::Status(path) => Operation::Status(path),
        GitCommand::Branches(path) => Operation::Branches(path),
        GitCommand::CreateBranch(branch) => Operation::CreateBranch(CreateBranch {
            path: branch.path,
            name: branch.name,
            switch: branch.switch,
        }),
        GitCommand::DeleteBranch { path, name } => Operation::DeleteBranch(DeleteBranch { path, name }),
        GitCommand::Checkout { path, target } => Operation::Checkout(Checkout { path, target }),
        GitCommand::Add { path, files } => Operation::Add(Add { path, files }),
        GitCommand::Commit(commit) => Operation::Commit(CommitStaged {
            path: commit.path,
            message: commit.message,
            author: commit.author,
            email: commit.email,
            allow_empty: commit.allow_empty,
        }),
        GitCommand::Push(push) => Operation::Push(Push {
            path: push.path,
            remote: push.remote,
            branch: push.branch,
            set_upstream: push.set_upstream,
        }),
        GitCommand::Pull(pull) => {
            Operation::Pull(Pull { path: pull.path, remote: pull.remote, branch: pull.branch })
        }
        GitCommand::History { path, limit } => Operation::Log(Log { path, limit }),
        GitCommand::Remotes(path) => Operation::Remotes(path),
        GitCommand::AddRemote(remote) => Operation::AddRemote(AddRemote {
            path: remote.path,
            name: remote.name,
            url: remote.url,
            overwrite: remote.overwrite,
            fetch: remote.fetch,
        }),
        GitCommand::Reset(reset) => Operation::Reset(Reset {
            path: reset.path,
            mode: reset_mode(reset.mode),
            target: reset.target,
            files: reset.files,
        }),
        GitCommand::Restore(restore) => Operation::Restore(Restore {
            path: restore.path,
            files: restore.files,
            staged: restore.staged,
            worktree: restore.worktree,
            source: restore.source,
        }),
        GitCommand::GetConfig { file, key } => {
            let (scope, path) = config_file(file);
            Operation::GetConfig(GetConfig { scope, path, key })
        }
        GitCommand::SetConfig { file, entries } => {
            let (scope, path) = config_file(file);
            Operation::SetConfig(SetConfig { scope, path, entries })
        }
    }
}

fn reset_mode(mode: GitResetMode) -> ResetMode {
    match mode {
        GitResetMode::Soft => ResetMode::Soft,
        GitResetMode::Mixed => ResetMode::Mixed,
        GitResetMode::Hard => ResetMode::Hard,
        GitResetMode::Keep => ResetMode::Keep,
    }
}

fn config_file(file: GitConfigFile) -> (ConfigScope, Option<String>) {
    match file {
        GitConfigFile::Global => (ConfigScope::Global, None),
        GitConfigFile::Local(path) => (ConfigScope::Local, Some(path)),
        GitConfigFile::System => (ConfigScope::System, None),
    }
}

/// What an answer means; whether it belongs to the command is the core's to see.
pub(super) fn outcome(answer: Answer) -> GitOutcome {
    match answer {
        // Failures are errors and come another way.
        Answer::Done | Answer::Failed(_) => GitOutcome::Done,
        Answer::Status(status) => GitOutcome::Status(self::status(status)),
        Answer::Branches(branches) => {
            GitOutcome::Branches(GitBranches { names: branches.names, current: branches.current })
        }
        Answer::Committed(hash) => GitOutcome::Committed(hash),
        Answer::History(history) => GitOutcome::History(GitHistory {
            commits: history
                .commits
                .into_iter()
                .map(|commit| GitCommitEntry {
                    hash: commit.hash,
                    author: commit.author,
                    email: commit.email,
                    message: commit.message,
                    at: Timestamp::from_unix_micros(commit.time_s.saturating_mul(1_000_000)),
                })
                .collect(),
            truncated: history.truncated,
        }),
        Answer::Remotes(remotes) => GitOutcome::Remotes(
            remotes
                .remotes
                .into_iter()
                .map(|remote| GitRemote { name: remote.name, url: remote.url })
                .collect(),
        ),
        Answer::Value(value) => GitOutcome::Value(value),
    }
}

fn status(status: Status) -> GitStatus {
    let change = |change| match change {
        Change::Unmodified => GitChange::Unmodified,
        Change::Untracked => GitChange::Untracked,
        Change::Modified => GitChange::Modified,
        Change::Added => GitChange::Added,
        Change::Deleted => GitChange::Deleted,
        Change::Renamed => GitChange::Renamed,
        Change::Unmerged => GitChange::Unmerged,
    };
    GitStatus {
        branch: status.branch,
        head: status.head,
        upstream: status.upstream,
        published: status.published,
        ahead: status.ahead,
        behind: status.behind,
        files: status
            .files
            .into_iter()
            .map(|file| GitFile {
                path: file.path,
                old_path: file.old_path,
                staged: change(file.staged),
                worktree: change(file.worktree),
            })
            .collect(),
        truncated: status.truncated,
    }
}

/// The core's error: the sandbox's own sentence, bounded, printable, and without the password.
pub(super) fn failure(failed: &Failed, command: &GitCommand) -> Error {
    if failed.problem == Problem::Unsupported {
        let what = "the sandbox was started by an older release; stop and start it".to_owned();
        return Error::Unsupported { what };
    }
    let password = command.access().and_then(|access| access.credentials.as_ref());
    let password = password.map(|credentials| credentials.password.expose()).filter(|text| !text.is_empty());
    let detail = match password {
        Some(password) => failed.detail.replace(password, "***"),
        None => failed.detail.clone(),
    };
    let detail: String = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = detail.floor_char_boundary(DETAIL_MAX);
    let detail = detail.get(..end).unwrap_or_default().trim().to_owned();
    Error::Git { problem: problem(failed.problem), detail }
}

fn problem(problem: Problem) -> GitProblem {
    match problem {
        Problem::AuthFailed => GitProblem::AuthFailed,
        Problem::AccessDenied => GitProblem::AccessDenied,
        Problem::RepoNotFound => GitProblem::RepoNotFound,
        Problem::BranchNotFound => GitProblem::BranchNotFound,
        Problem::RevisionNotFound => GitProblem::RevisionNotFound,
        Problem::RemoteNotFound => GitProblem::RemoteNotFound,
        Problem::PathNotFound => GitProblem::PathNotFound,
        Problem::BranchExists => GitProblem::BranchExists,
        Problem::RemoteExists => GitProblem::RemoteExists,
        Problem::TargetExists => GitProblem::TargetExists,
        Problem::BranchInUse => GitProblem::BranchInUse,
        Problem::NotOnBranch => GitProblem::NotOnBranch,
        Problem::NoCommits => GitProblem::NoCommits,
        Problem::DirtyWorktree => GitProblem::DirtyWorktree,
        Problem::MergeConflict => GitProblem::MergeConflict,
        Problem::NothingToCommit => GitProblem::NothingToCommit,
        Problem::NoIdentity => GitProblem::NoIdentity,
        Problem::PushRejected => GitProblem::PushRejected,
        Problem::RemoteRejected => GitProblem::RemoteRejected,
        Problem::TransportFailed => GitProblem::TransportFailed,
        Problem::UnsupportedUrl => GitProblem::UnsupportedUrl,
        Problem::InvalidName => GitProblem::InvalidName,
        Problem::PermissionDenied => GitProblem::PermissionDenied,
        Problem::NoSpace => GitProblem::NoSpace,
        // Nobody is left to read the second; a tenant may claim it all the same.
        Problem::Cancelled => GitProblem::Killed,
        Problem::Unsupported | Problem::Other => GitProblem::Other,
    }
}
