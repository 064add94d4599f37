//! Making repositories: by copying another, or empty.

use std::fs;
use std::path::Path;

use git2::{Oid, Repository, RepositoryInitOptions};
use lazaret_protocol::git::{Clone, Init, Problem};

use super::branches::checked;
use super::repository::commit_of;
use crate::cancel::{self, Begun};
use crate::failure::{Failure, Outcome};
use crate::transport::{Address, Advertised, Network};

/// The name that a clone gives to where it came from.
const ORIGIN: &str = "origin";

pub(crate) fn init(wanted: &Init) -> Outcome<()> {
    let mut options = RepositoryInitOptions::new();
    options.bare(wanted.bare).mkpath(true).external_template(false);
    if let Some(name) = &wanted.initial_branch {
        options.initial_head(checked(name)?);
    }
    Repository::init_opts(&wanted.path, &options)?;
    Ok(())
}

pub(crate) fn run(net: &Network, wanted: &Clone) -> Outcome<()> {
    if let Some(branch) = &wanted.branch {
        checked(branch)?;
    }
    if wanted.depth == Some(0) {
        return Err(Failure::new(Problem::InvalidName, "a depth of 0 has no commit"));
    }
    let address = net.address(&wanted.url)?;
    let place = Path::new(&wanted.path);
    let was_there = take_place(place)?;
    cancel::begin(Begun { path: place.to_owned(), was_there });
    let copied = copy(net, wanted, &address, place);
    match &copied {
        Ok(()) => cancel::complete(),
        Err(_) => cancel::undo(),
    }
    copied
}

/// Makes sure that nothing is in the way. Whether there is an empty directory.
fn take_place(place: &Path) -> Outcome<bool> {
    let taken =
        || Failure::new(Problem::TargetExists, format!("{} exists and is not empty", place.display()));
    match fs::read_dir(place) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                Err(taken())
            } else {
                Ok(true)
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

fn copy(net: &Network, wanted: &Clone, address: &Address, place: &Path) -> Outcome<()> {
    let mut options = RepositoryInitOptions::new();
    options.mkpath(true).external_template(false);
    let repo = Repository::init_opts(place, &options)?;
    let mut remote = repo.remote_anonymous(address.as_str())?;
    let advertised = net.advertised(&mut remote)?;
    drop(remote);
    match Tip::of(wanted, &advertised)? {
        Some(tip) => copy_tip(net, &repo, wanted, address, &tip),
        None => {
            repo.remote(ORIGIN, address.as_str())?;
            if let Some(head) = &advertised.head {
                repo.set_head(head)?;
            }
            match &wanted.commit {
                Some(commit) => Err(no_commit(commit)),
                None => Ok(()),
            }
        }
    }
}

/// What is checked out of a remote.
#[derive(Debug, PartialEq, Eq)]
enum Tip {
    Branch(String),
    Tag(String, Oid),
}

impl Tip {
    /// What was asked for, else the default branch, else any; `None` for an empty repository.
    fn of(wanted: &Clone, advertised: &Advertised) -> Outcome<Option<Self>> {
        let branch_of = |reference: &str| reference.strip_prefix("refs/heads/").map(str::to_owned);
        if let Some(name) = &wanted.branch {
            if advertised.find(&format!("refs/heads/{name}")).is_some() {
                return Ok(Some(Self::Branch(name.clone())));
            }
            let tag = advertised.find(&format!("refs/tags/{name}"));
            let none = || Failure::new(Problem::BranchNotFound, format!("the remote has no branch '{name}'"));
            return tag.map(|oid| Some(Self::Tag(name.clone(), oid))).ok_or_else(none);
        }
        let default = advertised.head.as_deref().filter(|head| advertised.find(head).is_some());
        let any = || advertised.references.iter().map(|(name, _)| name.as_str()).find_map(branch_of);
        Ok(default.and_then(branch_of).or_else(any).map(Self::Branch))
    }
}

fn copy_tip(net: &Network, repo: &Repository, wanted: &Clone, address: &Address, tip: &Tip) -> Outcome<()> {
    let refspec = match tip {
        Tip::Branch(name) => format!("+refs/heads/{name}:refs/remotes/{ORIGIN}/{name}"),
        Tip::Tag(name, _) => format!("+refs/tags/{name}:refs/tags/{name}"),
    };
    let mut remote = repo.remote_with_fetch(ORIGIN, address.as_str(), &refspec)?;
    net.fetch(repo, &mut remote, std::slice::from_ref(&refspec), wanted.depth)?;
    let mut head = None;
    let mut commit = match tip {
        Tip::Branch(name) => {
            let tracking = format!("refs/remotes/{ORIGIN}/{name}");
            let commit = repo.find_reference(&tracking)?.peel_to_commit()?;
            repo.reference(&format!("refs/heads/{name}"), commit.id(), true, "clone")?;
            repo.reference_symbolic(&format!("refs/remotes/{ORIGIN}/HEAD"), &tracking, true, "clone")?;
            head = Some(format!("refs/heads/{name}"));
            repo.find_branch(name, git2::BranchType::Local)?
                .set_upstream(Some(&format!("{ORIGIN}/{name}")))?;
            commit
        }
        Tip::Tag(_, oid) => repo.find_object(*oid, None)?.peel_to_commit()?,
    };
    if let Some(revision) = &wanted.commit {
        commit = find_commit(net, repo, &mut remote, revision, wanted.depth)?;
        head = None;
    }
    // Before the files, so that they are compared with nothing that is not there.
    match &head {
        Some(reference) => repo.set_head(reference)?,
        None => repo.set_head_detached(commit.id())?,
    }
    let mut checkout = git2::build::CheckoutBuilder::new();
    checkout.force();
    super::repository::cancellable(&mut checkout);
    Ok(repo.checkout_tree(commit.as_object(), Some(&mut checkout))?)
}

/// A commit that need not be on the branch: it is then asked for by its hash, and at last looked for on all branches.
fn find_commit<'a>(
    net: &Network,
    repo: &'a Repository,
    remote: &mut git2::Remote<'_>,
    revision: &str,
    depth: Option<u32>,
) -> Outcome<git2::Commit<'a>> {
    if let Ok(commit) = commit_of(repo, revision) {
        return Ok(commit);
    }
    if Oid::from_str(revision).is_ok_and(|_| revision.len() == 40)
        && net.fetch(repo, remote, &[revision.to_owned()], depth).is_ok()
        && let Ok(commit) = commit_of(repo, revision)
    {
        return Ok(commit);
    }
    let all = format!("+refs/heads/*:refs/remotes/{ORIGIN}/*");
    net.fetch(repo, remote, &[all], None)?;
    commit_of(repo, revision).map_err(|_| no_commit(revision))
}

fn no_commit(revision: &str) -> Failure {
    Failure::new(Problem::RevisionNotFound, format!("the remote has no commit '{revision}'"))
}
