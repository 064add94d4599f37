//! Version and directories.

use axum::extract::State;
use axum::http::Method;
use serde_json::{Value, json};

use super::error::Toolbox;
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

async fn version(State(app): State<App>, _target: Target) -> Json<Value> {
    Json(json!({"version": app.settings.version}))
}

async fn work_dir(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    Ok(Json(json!({"dir": target.work_dir(&app).await?})))
}

async fn home(State(app): State<App>, target: Target) -> Result<Json<Value>, Failure> {
    let found = app.core.execs.directories(&target.caller, target.id).await?;
    Ok(Json(json!({"dir": found.home})))
}
