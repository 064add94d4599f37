//! Git in a sandbox, as clients of the toolbox know it, over the core's.
//!
//! | File | Subject |
//! | --- | --- |
//! | `repositories.rs` | clone, init, status, history, branches, remotes, configuration |
//! | `changes.rs` | checkout, add, commit, push, pull, reset, restore |
//! | `wire.rs` | the shapes |
//!
//! Oddities that stay here: a commit that is checked out is the branch `HEAD`; credentials count as a pair and are used for
//! the one call, so `POST /git/credentials`, which would write them down, is refused with a 501, and so is `reset` with the mode
//! `merge`.

mod changes;
mod repositories;
mod wire;

use axum::http::Method;
use lazaret_core::Error;
use utoipa::OpenApi;

use super::error::Toolbox;
use super::target::Target;
use crate::routing::Routes;
use crate::settings::App;

/// The routes. Each has the core's own limit on its time.
pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    const GET: Method = Method::GET;
    const POST: Method = Method::POST;
    routes
        .stream(POST, "/git/clone", repositories::clone)
        .stream(POST, "/git/init", repositories::init)
        .stream(GET, "/git/status", repositories::status)
        .stream(GET, "/git/history", repositories::history)
        .stream(GET, "/git/branches", repositories::branches)
        .stream(POST, "/git/branches", repositories::create_branch)
        .stream(Method::DELETE, "/git/branches", repositories::delete_branch)
        .stream(GET, "/git/remotes", repositories::remotes)
        .stream(POST, "/git/remotes", repositories::add_remote)
        .stream(GET, "/git/config", repositories::config)
        .stream(POST, "/git/config", repositories::set_config)
        .stream(POST, "/git/config/user", repositories::set_user)
        .stream(POST, "/git/credentials", repositories::credentials)
        .stream(POST, "/git/checkout", changes::checkout)
        .stream(POST, "/git/add", changes::add)
        .stream(POST, "/git/commit", changes::commit)
        .stream(POST, "/git/push", changes::push)
        .stream(POST, "/git/pull", changes::pull)
        .stream(POST, "/git/reset", changes::reset)
        .stream(POST, "/git/restore", changes::restore)
}

/// Their part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(paths(
    repositories::clone,
    repositories::init,
    repositories::status,
    repositories::history,
    repositories::branches,
    repositories::create_branch,
    repositories::delete_branch,
    repositories::remotes,
    repositories::add_remote,
    repositories::config,
    repositories::set_config,
    repositories::set_user,
    repositories::credentials,
    changes::checkout,
    changes::add,
    changes::commit,
    changes::push,
    changes::pull,
    changes::reset,
    changes::restore
))]
pub(super) struct Document;

/// The repository's directory, from the working directory of the toolbox.
async fn place<Q>(app: &App, target: &Target<Q>, given: String) -> Result<String, Error> {
    if given.starts_with('/') || given.is_empty() {
        return Ok(given);
    }
    let directory = target.work_dir(app).await?;
    Ok(match given.as_str() {
        "." => directory,
        given => format!("{}/{given}", directory.trim_end_matches('/')),
    })
}
