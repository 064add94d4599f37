//! What changes a repository: checkout, add, commit, push, pull, reset, restore.

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{GitCommit, GitPull, GitPush, GitReset, GitRestore};

use super::super::error::ErrorBody;
use super::super::target::Target;
use super::place;
use super::wire::{
    AddRequest, CheckoutRequest, CommitRequest, Committed, ExchangeRequest, ResetRequest, RestoreRequest,
    access, reset_mode, some,
};
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// Checks a branch or commit out.
#[utoipa::path(post, path = "/git/checkout", operation_id = "CheckoutBranch", tag = "git",
    request_body = CheckoutRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn checkout(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CheckoutRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    app.core.git.checkout(&target.caller, target.id, path, request.branch).await?;
    Ok(StatusCode::OK)
}

/// Stages files.
#[utoipa::path(post, path = "/git/add", operation_id = "AddFiles", tag = "git",
    request_body = AddRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn add(
    State(app): State<App>,
    target: Target,
    Json(request): Json<AddRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    app.core.git.add(&target.caller, target.id, path, request.files).await?;
    Ok(StatusCode::OK)
}

/// Commits what is staged.
#[utoipa::path(post, path = "/git/commit", operation_id = "CommitChanges", tag = "git",
    request_body = CommitRequest,
    responses((status = 200, body = Committed), (status = "default", body = ErrorBody)))]
pub(super) async fn commit(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CommitRequest>,
) -> Result<Json<Committed>, Failure> {
    let commit = GitCommit {
        path: place(&app, &target, request.path).await?,
        message: request.message,
        author: request.author,
        email: request.email,
        allow_empty: request.allow_empty.unwrap_or(false),
    };
    let hash = app.core.git.commit(&target.caller, target.id, commit).await?;
    Ok(Json(Committed { hash }))
}

/// Pushes a branch.
#[utoipa::path(post, path = "/git/push", operation_id = "PushChanges", tag = "git",
    request_body = ExchangeRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn push(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ExchangeRequest>,
) -> Result<StatusCode, Failure> {
    let push = GitPush {
        path: place(&app, &target, request.path).await?,
        remote: some(request.remote),
        branch: some(request.branch),
        set_upstream: request.set_upstream.unwrap_or(false),
        access: access(request.username, request.password, None),
    };
    app.core.git.push(&target.caller, target.id, push).await?;
    Ok(StatusCode::OK)
}

/// Pulls a branch.
#[utoipa::path(post, path = "/git/pull", operation_id = "PullChanges", tag = "git",
    request_body = ExchangeRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn pull(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ExchangeRequest>,
) -> Result<StatusCode, Failure> {
    let pull = GitPull {
        path: place(&app, &target, request.path).await?,
        remote: some(request.remote),
        branch: some(request.branch),
        access: access(request.username, request.password, None),
    };
    app.core.git.pull(&target.caller, target.id, pull).await?;
    Ok(StatusCode::OK)
}

/// Goes back to a commit, or unstages files.
#[utoipa::path(post, path = "/git/reset", operation_id = "ResetChanges", tag = "git",
    request_body = ResetRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn reset(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode, Failure> {
    let reset = GitReset {
        path: place(&app, &target, request.path).await?,
        mode: reset_mode(request.mode)?,
        target: some(request.target),
        files: request.files.unwrap_or_default(),
    };
    app.core.git.reset(&target.caller, target.id, reset).await?;
    Ok(StatusCode::OK)
}

/// Restores files.
#[utoipa::path(post, path = "/git/restore", operation_id = "RestoreFiles", tag = "git",
    request_body = RestoreRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn restore(
    State(app): State<App>,
    target: Target,
    Json(request): Json<RestoreRequest>,
) -> Result<StatusCode, Failure> {
    let restore = GitRestore {
        path: place(&app, &target, request.path).await?,
        files: request.files,
        staged: request.staged.unwrap_or(false),
        worktree: request.worktree.unwrap_or(false),
        source: some(request.source),
    };
    app.core.git.restore(&target.caller, target.id, restore).await?;
    Ok(StatusCode::OK)
}
