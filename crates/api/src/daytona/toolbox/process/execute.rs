//! `POST /process/execute`: shell text, to its end.

use axum::extract::State;
use lazaret_core::services::ShellSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{self, Variables};
use crate::daytona::toolbox::error::ErrorBody;
use crate::daytona::toolbox::target::Target;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// Shell text to run.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct ExecuteRequest {
    command: String,
    cwd: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    envs: Variables,
    /// In seconds; 0 for none.
    timeout: Option<i64>,
}

/// How it ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExecuteResponse {
    exit_code: i32,
    /// Both streams in one.
    result: String,
}

/// Runs shell text by the first of zsh, bash and sh; ends with the shell, whatever that leaves behind.
#[utoipa::path(post, path = "/process/execute", operation_id = "ExecuteCommand", tag = "process",
    request_body = ExecuteRequest,
    responses((status = 200, body = ExecuteResponse), (status = "default", body = ErrorBody)))]
pub(super) async fn execute(
    State(app): State<App>,
    target: Target,
    Json(request): Json<ExecuteRequest>,
) -> Result<Json<ExecuteResponse>, Failure> {
    let spec = ShellSpec {
        env: request.envs.checked()?,
        timeout: asked::timeout(request.timeout)?,
        cwd: Some(asked::directory(&target, &app, request.cwd).await?),
        script: request.command,
    };
    match app.core.execs.run_shell(&target.caller, target.id, spec).await {
        Ok(done) if done.end.timed_out => Err(asked::timed_out()),
        Ok(done) => Ok(Json(ExecuteResponse {
            exit_code: asked::exit_code(done.end.exit),
            result: asked::text(&done.output, done.end.truncated),
        })),
        Err(error) => Ok(Json(ExecuteResponse { exit_code: -1, result: asked::not_started(error)? })),
    }
}
