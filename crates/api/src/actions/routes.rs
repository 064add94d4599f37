//! The routes of the actions, and what they do.

use axum::extract::{Request, State};
use axum::http::Method;
use serde_json::{Map, Value, json};

use super::catalogue::{self, Action};
use super::error::ActionsDialect;
use super::{call, mcp};
use crate::auth::Authenticated;
use crate::body;
use crate::extract::{Json, PathParams};
use crate::failure::{Failure, Part, Rejection};
use crate::routing::Routes;
use crate::settings::App;

/// Largest request, in bytes: a file of 100 MiB in base64 and what stands around it.
pub(super) const REQUEST_MAX_BYTES: usize = 144 * 1024 * 1024;

/// The routes.
pub(crate) fn routes() -> Routes<ActionsDialect> {
    Routes::<ActionsDialect>::under([""])
        .on(Method::GET, "/actions", list)
        // An action has a deadline of its own, which may be longer than any other request's.
        .stream(Method::POST, "/actions/{name}", run)
        .stream(Method::POST, "/mcp", mcp::handle)
        .on(Method::GET, "/mcp", mcp::handle)
        .on(Method::DELETE, "/mcp", mcp::handle)
}

/// Every action with its schemas.
async fn list(_asked: Authenticated) -> Json<Value> {
    let described = |action: &Action| {
        json!({
            "name": action.name,
            "description": action.description,
            "inputSchema": action.input_schema(),
            "outputSchema": action.output_schema(),
        })
    };
    Json(json!({"actions": catalogue::ALL.iter().map(described).collect::<Vec<_>>()}))
}

/// Runs an action; the answer is its output, whatever came of it.
async fn run(
    State(app): State<App>,
    Authenticated(caller): Authenticated,
    params: PathParams,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let name = std::str::from_utf8(params.bytes("name")).unwrap_or_default();
    let action = catalogue::find(name).ok_or(Rejection::UnknownPath)?;
    let bytes = body::collect(request.into_body(), REQUEST_MAX_BYTES, app.settings.body_idle_timeout).await?;
    let arguments: Map<String, Value> = match bytes.is_empty() {
        true => Map::new(),
        false => serde_json::from_slice(&bytes)
            .map_err(|error| Rejection::Malformed { part: Part::Body, reason: error.to_string() })?,
    };
    Ok(Json(call::call(&app, &caller, action, arguments).await))
}
