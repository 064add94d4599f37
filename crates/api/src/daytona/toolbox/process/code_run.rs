//! `POST /process/code-run`: a snippet, to its end.

use axum::extract::State;
use axum::http::StatusCode;
use lazaret_core::Language;
use lazaret_core::services::RunSpec;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::asked::{self, Variables};
use super::chart::Chart;
use crate::daytona::toolbox::error::{ErrorBody, worded};
use crate::daytona::toolbox::target::Target;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;

/// A snippet to run.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct CodeRunRequest {
    code: String,
    /// `python`, `javascript` or `typescript`.
    language: String,
    argv: Option<Vec<String>>,
    #[serde(default)]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    envs: Variables,
    /// In seconds; 0 for none.
    timeout: Option<i64>,
}

/// How it ended.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CodeRunResponse {
    exit_code: i32,
    /// Both streams in one.
    result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<Artifacts>,
}

/// What it drew.
#[derive(Debug, Serialize, ToSchema)]
struct Artifacts {
    charts: Vec<Chart>,
}

/// Runs a snippet, unbuffered and with both streams in one; a program that fails is an answer like any other.
#[utoipa::path(post, path = "/process/code-run", operation_id = "CodeRun", tag = "process",
    request_body = CodeRunRequest,
    responses((status = 200, body = CodeRunResponse), (status = "default", body = ErrorBody)))]
pub(super) async fn code_run(
    State(app): State<App>,
    target: Target,
    Json(request): Json<CodeRunRequest>,
) -> Result<Json<CodeRunResponse>, Failure> {
    let language = request.language.parse::<Language>().map_err(|_| {
        let message = format!("unsupported language: {}", request.language);
        worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    })?;
    let run = RunSpec {
        language,
        code: request.code,
        args: request.argv.unwrap_or_default(),
        env: request.envs.checked()?,
        timeout: asked::timeout(request.timeout)?,
        cwd: Some(asked::directory(&target, &app, None).await?),
    };
    match app.core.execs.run_code_mixed(&target.caller, target.id, run).await {
        Ok(done) if done.end.timed_out => Err(asked::timed_out()),
        Ok(done) => {
            let charts: Vec<Chart> = done.figures.into_iter().map(Chart::from).collect();
            Ok(Json(CodeRunResponse {
                exit_code: asked::exit_code(done.end.exit),
                result: asked::text(&done.output, done.end.truncated),
                artifacts: (!charts.is_empty()).then_some(Artifacts { charts }),
            }))
        }
        Err(error) => {
            Ok(Json(CodeRunResponse { exit_code: -1, result: asked::not_started(error)?, artifacts: None }))
        }
    }
}
