//! Remotes of a repository.

use git2::{ErrorCode, Repository};
use lazaret_protocol::git::{AddRemote, NAMES_MAX, Problem, Remote, Remotes};

use super::repository::open;
use crate::failure::{Failure, Outcome};
use crate::text::{Budget, lossy};
use crate::transport::Network;

pub(crate) fn list(path: &str) -> Outcome<Remotes> {
    let repo = open(path)?;
    let mut budget = Budget::default();
    let mut remotes = Vec::new();
    for name in repo.remotes()?.iter().flatten().flatten() {
        let url = repo.find_remote(name).map(|remote| lossy(remote.url_bytes())).unwrap_or_default();
        if remotes.len() == NAMES_MAX || !budget.take(&[name, &url]) {
            break;
        }
        remotes.push(Remote { name: name.to_owned(), url });
    }
    remotes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(Remotes { remotes })
}

pub(crate) fn add(net: &Network, wanted: &AddRemote) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let name = wanted.name.as_str();
    if !git2::Remote::is_valid_name(name) {
        return Err(Failure::new(Problem::InvalidName, format!("'{name}' is no name for a remote")));
    }
    let address = net.address(&wanted.url)?;
    match repo.find_remote(name) {
        Ok(_) if wanted.overwrite => repo.remote_set_url(name, address.as_str())?,
        Ok(_) => {
            return Err(Failure::new(Problem::RemoteExists, format!("there is a remote '{name}' already")));
        }
        Err(_) => drop(repo.remote(name, address.as_str())?),
    }
    if wanted.fetch {
        net.fetch(&repo, &mut find(&repo, name)?, &[format!("+refs/heads/*:refs/remotes/{name}/*")], None)?;
    }
    Ok(())
}

/// The remote of that name.
pub(super) fn find<'a>(repo: &'a Repository, name: &str) -> Outcome<git2::Remote<'a>> {
    repo.find_remote(name).map_err(|error| match error.code() {
        ErrorCode::NotFound | ErrorCode::InvalidSpec => {
            Failure::new(Problem::RemoteNotFound, format!("there is no remote '{name}'"))
        }
        _ => error.into(),
    })
}

/// The same with a URL that holds no credentials: those that the configuration has are used as if they had been given.
pub(super) fn find_address<'a>(net: &Network, repo: &'a Repository, name: &str) -> Outcome<git2::Remote<'a>> {
    let remote = find(repo, name)?;
    let url = remote.url()?;
    let address = net.address(url)?;
    if address.as_str() == url {
        return Ok(remote);
    }
    Ok(repo.remote_anonymous(address.as_str())?)
}
