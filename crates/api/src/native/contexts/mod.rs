//! Interpreters that keep their variables from one cell to the next.
//!
//! ```text
//!   event: stdout | stderr          event: shown     event: failed       event: ended | error
//!   data: {"data_base64":"..."}     data: Shown      data: CodeError     data: CellEnded | {"error":...}
//!                                                                        (then the stream ends)
//! ```

mod convert;
pub(super) mod wire;

use std::convert::Infallible;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use lazaret_core::{CellEvent, CellSession, CellSpec, ContextId, ContextSpec, Error, Kind};

use super::error::ErrorBody;
use super::execs::convert::longest;
use super::execs::events::{KEEP_ALIVE, event, failed};
use super::execs::{wants_events, wire::Chunk};
use super::target::Target;
use crate::extract::{Json, OptionalJson, PathParams};
use crate::failure::{Failure, Rejection};
use crate::ids;
use crate::settings::App;

/// Make a context. It ends with the sandbox's run, or after hours without a cell.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/contexts", operation_id = "create_context",
    tag = "contexts", params(("id" = String, Path, description = "Any form of the id, or the name")),
    request_body = wire::NewContext,
    responses((status = 201, body = wire::Context), (status = "default", body = ErrorBody)))]
pub(crate) async fn create(
    State(app): State<App>,
    target: Target,
    OptionalJson(new): OptionalJson<wire::NewContext>,
) -> Result<(StatusCode, Json<wire::Context>), Failure> {
    let spec = ContextSpec::try_from(new)?;
    let context = app.core.interpreters.create(&target.caller, target.id, spec).await?;
    Ok((StatusCode::CREATED, Json(context.into())))
}

/// The contexts of a sandbox.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/contexts", operation_id = "list_contexts",
    tag = "contexts", params(("id" = String, Path, description = "Any form of the id, or the name")),
    responses((status = 200, body = wire::ContextList), (status = "default", body = ErrorBody)))]
pub(crate) async fn list(State(app): State<App>, target: Target) -> Result<Json<wire::ContextList>, Failure> {
    let contexts = app.core.interpreters.list(&target.caller, target.id).await?;
    Ok(Json(wire::ContextList { contexts: contexts.into_iter().map(wire::Context::from).collect() }))
}

/// End a context, and the cell that it runs.
#[utoipa::path(delete, path = "/lazaret/v1/sandboxes/{id}/contexts/{context}", operation_id = "delete_context",
    tag = "contexts",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("context" = String, Path, description = "The context's id")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn delete(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let context = context_id(&target.params)?;
    app.core.interpreters.delete(&target.caller, target.id, context).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Interrupt the cell that a context runs, as Ctrl-C would. Its variables stay.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/contexts/{context}/interrupt",
    operation_id = "interrupt_context", tag = "contexts",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("context" = String, Path, description = "The context's id")),
    responses((status = 204), (status = "default", body = ErrorBody)))]
pub(crate) async fn interrupt(State(app): State<App>, target: Target) -> Result<StatusCode, Failure> {
    let context = context_id(&target.params)?;
    app.core.interpreters.interrupt(&target.caller, target.id, context).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a cell when its turn has come: to its end, or as server-sent events (`Accept: text/event-stream`). The context
/// `default` is made at its first use.
#[utoipa::path(post, path = "/lazaret/v1/sandboxes/{id}/contexts/{context}/execute",
    operation_id = "execute_cell", tag = "contexts",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("context" = String, Path, description = "The context's id, or `default`")),
    request_body = wire::CellRequest,
    responses(
        (status = 200, description = "The result; or the events stdout, stderr, shown, failed, and ended or error",
            content((wire::CellResult = "application/json"), (String = "text/event-stream"))),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn execute(
    State(app): State<App>,
    target: Target,
    headers: HeaderMap,
    Json(request): Json<wire::CellRequest>,
) -> Result<Response, Failure> {
    let context = match target.params.text("context", Kind::Context)? {
        "default" => None,
        _ => Some(context_id(&target.params)?),
    };
    let cell = CellSpec::from(request);
    let interpreters = &app.core.interpreters;
    if wants_events(&headers) {
        return Ok(follow(interpreters.start(&target.caller, target.id, context, cell).await?));
    }
    let longest = longest(cell.timeout);
    // Its turn may come late: the time of the cells before it is not its own.
    let session = interpreters.start_bounded(&target.caller, target.id, context, cell).await?;
    let result = tokio::time::timeout(longest, session.collect()).await;
    let result = result.map_err(|_| Rejection::TimedOut)?;
    Ok(Json(wire::CellResult::from(result?)).into_response())
}

fn follow(session: CellSession) -> Response {
    let events = stream::unfold(Some(session), |session| async {
        let mut session = session?;
        Some(match session.events.recv().await {
            Some(Ok(CellEvent::Stdout(bytes))) => (event("stdout", &Chunk::from(bytes)), Some(session)),
            Some(Ok(CellEvent::Stderr(bytes))) => (event("stderr", &Chunk::from(bytes)), Some(session)),
            Some(Ok(CellEvent::Shown(shown))) => (event("shown", &wire::Shown::from(shown)), Some(session)),
            Some(Ok(CellEvent::Failed(error))) => {
                (event("failed", &wire::CodeError::from(error)), Some(session))
            }
            Some(Ok(CellEvent::Ended(output))) => (event("ended", &wire::CellEnded::from(output)), None),
            Some(Err(error)) => (failed(error), None),
            None => (failed(session.guard.how_it_ended().await), None),
        })
    });
    let events = events.map(Ok::<Event, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

fn context_id(params: &PathParams) -> Result<ContextId, Error> {
    let text = params.text("context", Kind::Context)?;
    ids::parse_uuid(text).map(ContextId::from_bytes).ok_or_else(|| Error::not_found(Kind::Context, text))
}
