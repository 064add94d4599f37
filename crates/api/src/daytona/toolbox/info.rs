//! Version and directories.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorBody, Toolbox};
use super::target::Target;
use crate::extract::Json;
use crate::failure::Failure;
use crate::routing::Routes;
use crate::settings::App;

pub(super) fn routes(routes: Routes<Toolbox>) -> Routes<Toolbox> {
    routes.on(Method::GET, "/version", version).on(Method::GET, "/work-dir", work_dir).on(
        Method::GET,
        "/user-home-dir",
        home,
    )
}

/// A version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Version {
    version: String,
}

/// A directory.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Directory {
    /// Its absolute path.
    dir: String,
}

/// The server's version.
#[utoipa::path(get, path = "/version", operation_id = "GetVersion", tag = "info",
    responses((status = 200, body = Version), (status = "default", body = ErrorBody)))]
pub(super) async fn version(State(app): State<App>, _target: Target) -> Json<Version> {
    Json(Version { version: app.settings.version.clone() })
}

/// Where relative paths begin.
#[utoipa::path(get, path = "/work-dir", operation_id = "GetWorkDir", tag = "info",
    responses((status = 200, body = Directory), (status = "default", body = ErrorBody)))]
pub(super) async fn work_dir(State(app): State<App>, target: Target) -> Result<Json<Directory>, Failure> {
    Ok(Json(Directory { dir: target.work_dir(&app).await? }))
}

/// The home of the sandbox's user.
#[utoipa::path(get, path = "/user-home-dir", operation_id = "GetUserHomeDir", tag = "info",
    responses((status = 200, body = Directory), (status = "default", body = ErrorBody)))]
pub(super) async fn home(State(app): State<App>, target: Target) -> Result<Json<Directory>, Failure> {
    let found = app.core.execs.directories(&target.caller, target.id).await?;
    Ok(Json(Directory { dir: found.home }))
}
