//! What changes a repository: checkout, add, commit, push, pull, reset, restore.

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{GitCommit, GitPull, GitPush, GitReset, GitRestore};

use super::super::target::Target;
use super::place;
use super::wire::{
    AddRequest, CheckoutRequest, CommitRequest, Committed, ExchangeRequest, ResetRequest, RestoreRequest,
    access, reset_mode, some,
};
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

pub(super) async fn checkout(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CheckoutRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    app.core.git.checkout(&target.caller, target.id, path, request.branch).await?;
    Ok(StatusCode::OK)
}

pub(super) async fn add(
    State(app): State<App>,
    target: Target,
    Json(request): Json<AddRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    app.core.git.add(&target.caller, target.id, path, request.files).await?;
    Ok(StatusCode::OK)
}

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
