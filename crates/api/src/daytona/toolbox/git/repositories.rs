//! Repositories as wholes: clone, init, status, history, branches, remotes, configuration.

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::{Error, GitClone, GitConfigFile, GitNewBranch, GitNewRemote, limits};

use super::super::error::ErrorBody;
use super::super::target::Target;
use super::place;
use super::wire::{
    BranchRequest, Branches, CloneRequest, CommitInfo, ConfigQuery, ConfigRequest, ConfigValue, InitRequest,
    Remote, RemoteRequest, Remotes, RepositoryQuery, Status, UserRequest, access, config_file, some,
};
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// Clones a repository.
#[utoipa::path(post, path = "/git/clone", operation_id = "CloneRepository", tag = "git",
    request_body = CloneRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn clone(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CloneRequest>,
) -> Result<StatusCode, Failure> {
    let clone = GitClone {
        url: request.url,
        path: place(&app, &target, request.path).await?,
        branch: some(request.branch),
        commit: some(request.commit_id),
        depth: request.depth.filter(|depth| *depth > 0),
        access: access(request.username, request.password, request.insecure_skip_tls),
    };
    app.core.git.clone_repository(&target.caller, target.id, clone).await?;
    Ok(StatusCode::OK)
}

/// Makes a repository.
#[utoipa::path(post, path = "/git/init", operation_id = "InitRepository", tag = "git",
    request_body = InitRequest,
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn init(
    State(app): State<App>,
    target: Target,
    Json(request): Json<InitRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    let (bare, branch) = (request.bare.unwrap_or(false), some(request.initial_branch));
    app.core.git.init(&target.caller, target.id, path, bare, branch).await?;
    Ok(StatusCode::CREATED)
}

/// The branch and the files that differ.
#[utoipa::path(get, path = "/git/status", operation_id = "GetStatus", tag = "git",
    params(RepositoryQuery),
    responses((status = 200, body = Status), (status = "default", body = ErrorBody)))]
pub(super) async fn status(
    State(app): State<App>,
    target: Target<RepositoryQuery>,
) -> Result<Json<Status>, Failure> {
    let path = place(&app, &target, target.query.path.clone()).await?;
    Ok(Json(app.core.git.status(&target.caller, target.id, path).await?.into()))
}

/// The commits, the newest first.
#[utoipa::path(get, path = "/git/history", operation_id = "GetCommitHistory", tag = "git",
    params(RepositoryQuery),
    responses((status = 200, body = Vec<CommitInfo>), (status = "default", body = ErrorBody)))]
pub(super) async fn history(
    State(app): State<App>,
    target: Target<RepositoryQuery>,
) -> Result<Json<Vec<CommitInfo>>, Failure> {
    let path = place(&app, &target, target.query.path.clone()).await?;
    let history = app.core.git.history(&target.caller, target.id, path, limits::GIT_HISTORY_MAX).await?;
    Ok(Json(history.commits.into_iter().map(CommitInfo::from).collect()))
}

/// The branches.
#[utoipa::path(get, path = "/git/branches", operation_id = "ListBranches", tag = "git",
    params(RepositoryQuery),
    responses((status = 200, body = Branches), (status = "default", body = ErrorBody)))]
pub(super) async fn branches(
    State(app): State<App>,
    target: Target<RepositoryQuery>,
) -> Result<Json<Branches>, Failure> {
    let path = place(&app, &target, target.query.path.clone()).await?;
    let found = app.core.git.branches(&target.caller, target.id, path).await?;
    Ok(Json(Branches { branches: found.names, current: found.current }))
}

/// Makes a branch.
#[utoipa::path(post, path = "/git/branches", operation_id = "CreateBranch", tag = "git",
    request_body = BranchRequest,
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn create_branch(
    State(app): State<App>,
    target: Target,
    Json(request): Json<BranchRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    let branch = GitNewBranch { path, name: request.name, switch: false };
    app.core.git.create_branch(&target.caller, target.id, branch).await?;
    Ok(StatusCode::CREATED)
}

/// Deletes a branch.
#[utoipa::path(delete, path = "/git/branches", operation_id = "DeleteBranch", tag = "git",
    request_body = BranchRequest,
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(super) async fn delete_branch(
    State(app): State<App>,
    target: Target,
    Json(request): Json<BranchRequest>,
) -> Result<StatusCode, Failure> {
    let path = place(&app, &target, request.path).await?;
    app.core.git.delete_branch(&target.caller, target.id, path, request.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The remotes.
#[utoipa::path(get, path = "/git/remotes", operation_id = "ListRemotes", tag = "git",
    params(RepositoryQuery),
    responses((status = 200, body = Remotes), (status = "default", body = ErrorBody)))]
pub(super) async fn remotes(
    State(app): State<App>,
    target: Target<RepositoryQuery>,
) -> Result<Json<Remotes>, Failure> {
    let path = place(&app, &target, target.query.path.clone()).await?;
    let found = app.core.git.remotes(&target.caller, target.id, path).await?;
    let remotes = found.into_iter().map(|remote| Remote { name: remote.name, url: remote.url }).collect();
    Ok(Json(Remotes { remotes }))
}

/// Adds a remote.
#[utoipa::path(post, path = "/git/remotes", operation_id = "AddRemote", tag = "git",
    request_body = RemoteRequest,
    responses((status = 201), (status = "default", body = ErrorBody)))]
pub(super) async fn add_remote(
    State(app): State<App>,
    target: Target,
    Json(request): Json<RemoteRequest>,
) -> Result<StatusCode, Failure> {
    let remote = GitNewRemote {
        path: place(&app, &target, request.path).await?,
        name: request.name,
        url: request.url,
        overwrite: request.overwrite.unwrap_or(false),
        fetch: request.fetch.unwrap_or(false),
        access: access(None, None, None),
    };
    app.core.git.add_remote(&target.caller, target.id, remote).await?;
    Ok(StatusCode::CREATED)
}

/// A value of a configuration.
#[utoipa::path(get, path = "/git/config", operation_id = "GetGitConfig", tag = "git",
    params(ConfigQuery),
    responses((status = 200, body = ConfigValue), (status = "default", body = ErrorBody)))]
pub(super) async fn config(
    State(app): State<App>,
    target: Target<ConfigQuery>,
) -> Result<Json<ConfigValue>, Failure> {
    let query = &target.query;
    let file = file(&app, &target, query.scope.clone(), query.path.clone()).await?;
    let value = app.core.git.config(&target.caller, target.id, file, query.key.clone()).await?;
    Ok(Json(ConfigValue { value }))
}

/// Writes a value into a configuration.
#[utoipa::path(post, path = "/git/config", operation_id = "SetGitConfig", tag = "git",
    request_body = ConfigRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn set_config(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ConfigRequest>,
) -> Result<StatusCode, Failure> {
    let file = file(&app, &target, request.scope, request.path).await?;
    let entries = vec![(request.key, request.value)];
    app.core.git.set_config(&target.caller, target.id, file, entries).await?;
    Ok(StatusCode::OK)
}

/// Writes who commits into a configuration.
#[utoipa::path(post, path = "/git/config/user", operation_id = "ConfigureUser", tag = "git",
    request_body = UserRequest,
    responses((status = 200), (status = "default", body = ErrorBody)))]
pub(super) async fn set_user(
    State(app): State<App>,
    target: Target,
    Json(request): Json<UserRequest>,
) -> Result<StatusCode, Failure> {
    let file = file(&app, &target, request.scope, request.path).await?;
    let entries = vec![("user.name".to_owned(), request.name), ("user.email".to_owned(), request.email)];
    app.core.git.set_config(&target.caller, target.id, file, entries).await?;
    Ok(StatusCode::OK)
}

/// The contract's way to keep a password in the sandbox, which no password is worth.
#[utoipa::path(post, path = "/git/credentials", operation_id = "Authenticate", tag = "git",
    responses((status = 501, body = ErrorBody), (status = "default", body = ErrorBody)))]
pub(super) async fn credentials(_target: Target) -> Result<StatusCode, Failure> {
    let what = "stored git credentials; give username and password to clone, push and pull".to_owned();
    Err(Error::Unsupported { what }.into())
}

async fn file<Q>(
    app: &App,
    target: &Target<Q>,
    scope: Option<String>,
    path: Option<String>,
) -> Result<GitConfigFile, Failure> {
    Ok(match config_file(scope, path)? {
        GitConfigFile::Local(path) => GitConfigFile::Local(place(app, target, path).await?),
        file => file,
    })
}
