//! Fetching a branch and integrating it into the current one.
//!
//! ```text
//!   fetched is behind or the same ─▶ nothing to do
//!   ours is behind                ─▶ forward to it
//!   both have commits             ─▶ a merge, made in memory: conflicts leave files and branch as they were
//! ```

use git2::{Commit, Repository};
use lazaret_protocol::git::{Problem, Pull};

use super::branches::checked;
use super::remotes::{find, find_address};
use super::repository::{head_commit, move_files, need_branch, open};
use crate::failure::{Failure, Outcome};
use crate::transport::Network;

pub(crate) fn run(net: &Network, wanted: &Pull) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let current = need_branch(&repo)?;
    let upstream = Upstream::of(&repo, &current, wanted)?;
    let Upstream { remote: remote_name, branch } = &upstream;
    find(&repo, remote_name)?;
    let mut remote = find_address(net, &repo, remote_name)?;
    let advertised = net.advertised(&mut remote)?;
    let source = format!("refs/heads/{branch}");
    if advertised.find(&source).is_none() {
        let sentence = format!("the remote '{remote_name}' has no branch '{branch}'");
        return Err(Failure::new(Problem::BranchNotFound, sentence));
    }
    let tracking = format!("refs/remotes/{remote_name}/{branch}");
    // libgit2 keeps an ended connection's state: a fetch begins with a remote of its own.
    drop(remote);
    let mut remote = find_address(net, &repo, remote_name)?;
    net.fetch(&repo, &mut remote, &[format!("+{source}:{tracking}")], None)?;
    let theirs = repo.find_reference(&tracking)?.peel_to_commit()?;
    integrate(&repo, &current, &theirs, &upstream)
}

/// Which branch of which remote.
struct Upstream {
    remote: String,
    branch: String,
}

impl Upstream {
    /// What was asked for, else what the configuration says of the current branch, else `origin` and the same name.
    fn of(repo: &Repository, current: &str, wanted: &Pull) -> Outcome<Self> {
        let reference = format!("refs/heads/{current}");
        let text = |name: Result<git2::Buf, git2::Error>| name.ok()?.as_str().ok().map(str::to_owned);
        let own_remote = text(repo.branch_upstream_remote(&reference));
        let remote = wanted.remote.clone().or(own_remote.clone()).unwrap_or_else(|| "origin".to_owned());
        let own_branch =
            text(repo.branch_upstream_merge(&reference)).filter(|_| own_remote.as_ref() == Some(&remote));
        let own_branch = own_branch.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned));
        let branch = wanted.branch.clone().or(own_branch).unwrap_or_else(|| current.to_owned());
        checked(&branch)?;
        Ok(Self { remote, branch })
    }
}

fn integrate(repo: &Repository, current: &str, theirs: &Commit<'_>, upstream: &Upstream) -> Outcome<()> {
    let reference = format!("refs/heads/{current}");
    let ours = match head_commit(repo) {
        Ok(ours) => ours,
        Err(failure) if failure.problem == Problem::NoCommits => {
            move_files(repo, theirs)?;
            repo.reference(&reference, theirs.id(), false, "pull: first commits")?;
            return Ok(());
        }
        Err(failure) => return Err(failure),
    };
    if ours.id() == theirs.id() || repo.graph_descendant_of(ours.id(), theirs.id())? {
        return Ok(());
    }
    if repo.graph_descendant_of(theirs.id(), ours.id())? {
        move_files(repo, theirs)?;
        repo.reference(&reference, theirs.id(), true, "pull: fast-forward")?;
        return Ok(());
    }
    merge(repo, &reference, &ours, theirs, upstream)
}

fn merge(
    repo: &Repository,
    reference: &str,
    ours: &Commit<'_>,
    theirs: &Commit<'_>,
    upstream: &Upstream,
) -> Outcome<()> {
    let signature = repo.signature().map_err(|_| {
        Failure::new(Problem::NoIdentity, "a merge needs user.name and user.email in the configuration")
    })?;
    let mut merged = repo.merge_commits(ours, theirs, None)?;
    if merged.has_conflicts() {
        let sentence =
            format!("{}/{} and the branch changed the same lines", upstream.remote, upstream.branch);
        return Err(Failure::new(Problem::MergeConflict, sentence));
    }
    let tree = repo.find_tree(merged.write_tree_to(repo)?)?;
    let message = format!("Merge branch '{}' of {}", upstream.branch, upstream.remote);
    // The commit first, without a branch: files move to it, and only then the branch does.
    let commit = repo.commit(None, &signature, &signature, &message, &tree, &[ours, theirs])?;
    move_files(repo, &repo.find_commit(commit)?)?;
    repo.reference(reference, commit, true, "pull: merge")?;
    Ok(())
}
