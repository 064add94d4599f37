//! Git in a sandbox, whether or not its image has one: as the sandbox's user, on its files, through its network.
//!
//! Each command has a time limit of its own ([`lazaret_core::limits`]), and a client that hangs up ends it.

mod convert;
pub(super) mod wire;

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{GitCommit, GitNewBranch};

use super::error::ErrorBody;
use super::target::Target;
use crate::extract::Json;
use crate::failure::{Failure, Part};
use crate::settings::App;

/// Commits of a history whose asker names no number.
const HISTORY_DEFAULT: u32 = 100;

/// Copy a repository into the sandbox.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/clone", operation_id = "clone_repository", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::CloneRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn clone(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::CloneRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.clone_repository(&target.caller, target.id, request.try_into()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make an empty repository.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/init", operation_id = "init_repository", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::InitRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn init(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::InitRequest>,
) -> Result<StatusCode, Failure> {
    let wire::InitRequest { path, bare, initial_branch } = request;
    app.core.git.init(&target.caller, target.id, path, bare, initial_branch).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// State of branch and files.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/git/status", operation_id = "get_git_status", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::RepositoryQuery),
    responses((status = 200, body = wire::GitStatus), (status = "default", body = ErrorBody)))]
pub(crate) async fn status(
    State(app): State<App>,
    target: Target<wire::RepositoryQuery>,
) -> Result<Json<wire::GitStatus>, Failure> {
    let status = app.core.git.status(&target.caller, target.id, target.query.path).await?;
    Ok(Json(status.into()))
}

/// Local branches.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/git/branches", operation_id = "list_branches", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::RepositoryQuery),
    responses((status = 200, body = wire::Branches), (status = "default", body = ErrorBody)))]
pub(crate) async fn branches(
    State(app): State<App>,
    target: Target<wire::RepositoryQuery>,
) -> Result<Json<wire::Branches>, Failure> {
    let branches = app.core.git.branches(&target.caller, target.id, target.query.path).await?;
    Ok(Json(branches.into()))
}

/// Make a branch at the current commit.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/branches", operation_id = "create_branch", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::NewBranch,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn create_branch(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::NewBranch>,
) -> Result<StatusCode, Failure> {
    let wire::NewBranch { path, name, switch } = request;
    app.core.git.create_branch(&target.caller, target.id, GitNewBranch { path, name, switch }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Delete a branch, merged or not.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/git/branches", operation_id = "delete_branch", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::BranchQuery),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete_branch(
    State(app): State<App>,
    target: Target<wire::BranchQuery>,
) -> Result<StatusCode, Failure> {
    let wire::BranchQuery { path, name } = target.query;
    app.core.git.delete_branch(&target.caller, target.id, path, name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Switch to a branch, here or at a remote, or to a commit.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/checkout", operation_id = "checkout", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::CheckoutRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn checkout(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::CheckoutRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.checkout(&target.caller, target.id, request.path, request.target).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stage files, deletions included.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/add", operation_id = "stage_files", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::AddRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn add(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::AddRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.add(&target.caller, target.id, request.path, request.files).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Commit what is staged.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/commit", operation_id = "commit", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::CommitRequest,
    responses((status = 201, body = wire::Committed), (status = "default", body = ErrorBody)))]
pub(crate) async fn commit(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::CommitRequest>,
) -> Result<(StatusCode, Json<wire::Committed>), Failure> {
    let wire::CommitRequest { path, message, author, email, allow_empty } = request;
    let commit = GitCommit { path, message, author, email, allow_empty };
    let hash = app.core.git.commit(&target.caller, target.id, commit).await?;
    Ok((StatusCode::CREATED, Json(wire::Committed { hash })))
}

/// Send a branch to a remote.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/push", operation_id = "push", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::PushRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn push(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::PushRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.push(&target.caller, target.id, request.try_into()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fetch a branch and integrate it into the current one.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/pull", operation_id = "pull", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::PullRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn pull(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::PullRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.pull(&target.caller, target.id, request.try_into()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Commits from the current one back.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/git/history", operation_id = "list_commits", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::HistoryQuery),
    responses((status = 200, body = wire::History), (status = "default", body = ErrorBody)))]
pub(crate) async fn history(
    State(app): State<App>,
    target: Target<wire::HistoryQuery>,
) -> Result<Json<wire::History>, Failure> {
    let wire::HistoryQuery { path, limit } = target.query;
    let limit = limit.unwrap_or(HISTORY_DEFAULT);
    let history = app.core.git.history(&target.caller, target.id, path, limit).await?;
    Ok(Json(history.into()))
}

/// Remotes.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/git/remotes", operation_id = "list_remotes", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::RepositoryQuery),
    responses((status = 200, body = wire::Remotes), (status = "default", body = ErrorBody)))]
pub(crate) async fn remotes(
    State(app): State<App>,
    target: Target<wire::RepositoryQuery>,
) -> Result<Json<wire::Remotes>, Failure> {
    let remotes = app.core.git.remotes(&target.caller, target.id, target.query.path).await?;
    Ok(Json(remotes.into()))
}

/// Name a remote.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/remotes", operation_id = "add_remote", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::NewRemote,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn add_remote(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::NewRemote>,
) -> Result<StatusCode, Failure> {
    app.core.git.add_remote(&target.caller, target.id, request.try_into()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Go back to a commit.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/reset", operation_id = "reset", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::ResetRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn reset(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::ResetRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.reset(&target.caller, target.id, request.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Bring back files.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/git/restore", operation_id = "restore_files", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::RestoreRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn restore(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::RestoreRequest>,
) -> Result<StatusCode, Failure> {
    app.core.git.restore(&target.caller, target.id, request.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A value of git's configuration.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/git/config", operation_id = "get_git_config", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name"), wire::ConfigQuery),
    responses((status = 200, body = wire::ConfigValue), (status = "default", body = ErrorBody)))]
pub(crate) async fn config(
    State(app): State<App>,
    target: Target<wire::ConfigQuery>,
) -> Result<Json<wire::ConfigValue>, Failure> {
    let wire::ConfigQuery { key, scope, path } = target.query;
    let file = convert::config_file(Part::Query, scope.unwrap_or_default(), path)?;
    let value = app.core.git.config(&target.caller, target.id, file, key).await?;
    Ok(Json(wire::ConfigValue { value }))
}

/// Set values of git's configuration.
#[utoipa::path(put, path = "/lazaret/v1/sandboxes/{id}/git/config", operation_id = "set_git_config", tag = "git",
    params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::ConfigRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn set_config(
    State(app): State<App>,
    target: Target,
    Json(request): Json<wire::ConfigRequest>,
) -> Result<StatusCode, Failure> {
    let wire::ConfigRequest { values, scope, path } = request;
    let file = convert::config_file(Part::Body, scope, path)?;
    app.core.git.set_config(&target.caller, target.id, file, values.into_iter().collect()).await?;
    Ok(StatusCode::NO_CONTENT)
}
