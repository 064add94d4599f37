//! Sending a branch to a remote.

use std::cell::RefCell;

use git2::{PushOptions, RemoteCallbacks};
use lazaret_protocol::git::{Problem, Push};

use super::branches;
use super::remotes::find_address;
use super::repository::{need_branch, open};
use crate::cancel;
use crate::failure::{Failure, Outcome};
use crate::transport::Network;

pub(crate) fn run(net: &Network, wanted: &Push) -> Outcome<()> {
    let repo = open(&wanted.path)?;
    let branch = match &wanted.branch {
        Some(branch) => branch.clone(),
        None => need_branch(&repo)?,
    };
    let tip = branches::find(&repo, &branch)?.get().peel_to_commit()?.id();
    let remote_name = wanted.remote.as_deref().unwrap_or("origin");
    let mut remote = find_address(net, &repo, remote_name)?;

    // What the remote said of a branch that it did not take.
    let refused: RefCell<Option<String>> = RefCell::default();
    let mut callbacks = RemoteCallbacks::new();
    callbacks.push_update_reference(|_, status| {
        if let Some(status) = status {
            refused.borrow_mut().get_or_insert_with(|| status.to_owned());
        }
        Ok(())
    });
    callbacks.pack_progress(|_, _, _| {});
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks);
    let refspec = format!("refs/heads/{branch}:refs/heads/{branch}");
    let pushed = remote.push(&[&refspec], Some(&mut options)).map_err(|error| explain(net, error));
    drop(options);
    cancel::check()?;
    if let Some(status) = refused.take() {
        return Err(Failure::new(
            of_status(&status),
            format!("the remote did not take '{branch}': {status}"),
        ));
    }
    pushed?;
    // The remote has it, whatever refspec the repository fetches with.
    repo.reference(&format!("refs/remotes/{remote_name}/{branch}"), tip, true, "push")?;
    if wanted.set_upstream {
        let mut config = repo.config()?;
        config.set_str(&format!("branch.{branch}.remote"), remote_name)?;
        config.set_str(&format!("branch.{branch}.merge"), &format!("refs/heads/{branch}"))?;
    }
    Ok(())
}

fn explain(net: &Network, error: git2::Error) -> Failure {
    let failure = net.explain(error);
    // libgit2's own transport for paths.
    if failure.detail.contains("non-bare") {
        return Failure { problem: Problem::RemoteRejected, ..failure };
    }
    failure
}

/// The words are those of git's receive-pack.
fn of_status(status: &str) -> Problem {
    let is_behind = ["non-fast-forward", "fetch first", "stale info", "needs force"];
    if is_behind.iter().any(|words| status.contains(words)) {
        Problem::PushRejected
    } else {
        Problem::RemoteRejected
    }
}
