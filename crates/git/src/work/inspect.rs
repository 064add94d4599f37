//! Looking: the state of branch and files, and the commits behind it.

use git2::{Delta, Repository, Sort, StatusOptions};
use lazaret_protocol::git::{
    Change, Commit, FileStatus, HISTORY_COMMITS_MAX, History, Log, Problem, STATUS_FILES_MAX, Status,
};

use super::repository::{current_branch, head_commit, open};
use crate::cancel;
use crate::failure::Outcome;
use crate::text::{Budget, lossy};

pub(crate) fn status(path: &str) -> Outcome<Status> {
    let repo = open(path)?;
    let mut status = Status { branch: current_branch(&repo)?, ..Status::default() };
    status.head = match head_commit(&repo) {
        Ok(commit) => Some(commit.id().to_string()),
        Err(failure) if failure.problem == Problem::NoCommits => None,
        Err(failure) => return Err(failure),
    };
    if let Some(branch) = status.branch.clone() {
        compare_with_upstream(&repo, &branch, &mut status)?;
    }
    list_files(&repo, &mut status)?;
    Ok(status)
}

fn compare_with_upstream(repo: &Repository, branch: &str, status: &mut Status) -> Outcome<()> {
    let local = format!("refs/heads/{branch}");
    let upstream = repo.branch_upstream_name(&local).ok();
    let upstream = upstream.and_then(|name| name.as_str().ok().map(str::to_owned));
    if let Some(upstream) = upstream {
        let short = upstream.strip_prefix("refs/remotes/").or_else(|| upstream.strip_prefix("refs/heads/"));
        status.upstream = Some(short.unwrap_or(&upstream).to_owned());
        if let (Ok(ours), Ok(theirs)) = (repo.refname_to_id(&local), repo.refname_to_id(&upstream)) {
            let (ahead, behind) = repo.graph_ahead_behind(ours, theirs)?;
            status.ahead = u64::try_from(ahead).unwrap_or(u64::MAX);
            status.behind = u64::try_from(behind).unwrap_or(u64::MAX);
            status.published = true;
        }
    }
    let remotes = repo.remotes()?;
    let mut remotes = remotes.iter().flatten().flatten();
    status.published |=
        remotes.any(|remote| repo.find_reference(&format!("refs/remotes/{remote}/{branch}")).is_ok());
    Ok(())
}

fn list_files(repo: &Repository, status: &mut Status) -> Outcome<()> {
    if repo.is_bare() {
        return Ok(());
    }
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).renames_head_to_index(true);
    let mut budget = Budget::default();
    for entry in repo.statuses(Some(&mut options))?.iter() {
        let bits = entry.status();
        if bits.is_ignored() || bits.is_empty() {
            continue;
        }
        let old_path = entry.head_to_index().filter(|delta| delta.status() == Delta::Renamed);
        let old_path = old_path.and_then(|delta| delta.old_file().path_bytes().map(lossy));
        // Of a renamed file, the entry's own path is the old one.
        let new_path = entry.head_to_index().filter(|_| old_path.is_some());
        let new_path = new_path.and_then(|delta| delta.new_file().path_bytes().map(lossy));
        let path = new_path.unwrap_or_else(|| lossy(entry.path_bytes()));
        let (staged, worktree) = changes(bits);
        if status.files.len() == STATUS_FILES_MAX || !budget.take(&[&path, old_path.as_deref().unwrap_or("")])
        {
            status.truncated = true;
            break;
        }
        status.files.push(FileStatus { path, old_path, staged, worktree });
    }
    Ok(())
}

/// Index and working tree. Of a file that git does not know, both are untracked.
fn changes(bits: git2::Status) -> (Change, Change) {
    use git2::Status as Bit;
    if bits.contains(Bit::CONFLICTED) {
        return (Change::Unmerged, Change::Unmerged);
    }
    let first = |pairs: &[(Bit, Change)]| {
        pairs.iter().find(|(bit, _)| bits.intersects(*bit)).map_or(Change::Unmodified, |(_, change)| *change)
    };
    let staged = first(&[
        (Bit::INDEX_NEW, Change::Added),
        (Bit::INDEX_RENAMED, Change::Renamed),
        (Bit::INDEX_DELETED, Change::Deleted),
        (Bit::INDEX_MODIFIED | Bit::INDEX_TYPECHANGE, Change::Modified),
    ]);
    let worktree = first(&[
        (Bit::WT_NEW, Change::Untracked),
        (Bit::WT_RENAMED, Change::Renamed),
        (Bit::WT_DELETED, Change::Deleted),
        (Bit::WT_MODIFIED | Bit::WT_TYPECHANGE, Change::Modified),
    ]);
    match (staged, worktree) {
        (Change::Unmodified, Change::Untracked) => (Change::Untracked, Change::Untracked),
        both => both,
    }
}

pub(crate) fn history(wanted: &Log) -> Outcome<History> {
    let repo = open(&wanted.path)?;
    let mut history = History { commits: Vec::new(), truncated: false };
    let head = match head_commit(&repo) {
        Ok(commit) => commit.id(),
        Err(failure) if failure.problem == Problem::NoCommits => return Ok(history),
        Err(failure) => return Err(failure),
    };
    let limit = usize::try_from(wanted.limit.min(HISTORY_COMMITS_MAX)).unwrap_or(usize::MAX);
    let mut walk = repo.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME)?;
    walk.push(head)?;
    let mut budget = Budget::default();
    for oid in walk {
        cancel::check()?;
        let commit = repo.find_commit(oid?)?;
        let author = commit.author();
        let entry = Commit {
            hash: commit.id().to_string(),
            author: lossy(author.name_bytes()),
            email: lossy(author.email_bytes()),
            message: lossy(commit.message_bytes()),
            time_s: author.when().seconds(),
        };
        let texts = [entry.hash.as_str(), &entry.author, &entry.email, &entry.message];
        if history.commits.len() == limit || !budget.take(&texts) {
            history.truncated = true;
            break;
        }
        history.commits.push(entry);
    }
    Ok(history)
}
