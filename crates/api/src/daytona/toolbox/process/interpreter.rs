//! Python that keeps its variables: contexts, and code over a WebSocket.
//!
//! ```text
//!   client                                                  server
//!   text {"code":..,"contextId":..,"envs":..,"timeout":..} ──▶
//!                                             ◀──  text {"type":"stdout"|"stderr","text":..}
//!                                             ◀──  text {"type":"error","name":..,"value":..,"traceback":..}
//!                                             ◀──  text {"type":"control","text":"completed"}, then close 1000
//!                                             ◀──  or close 4008 when its time was up, 1008 or 1011
//! ```

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, close_code};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use lazaret_core::{
    Caller, CellEvent, CellSession, CellSpec, ContextId, ContextSpec, Error, InterpreterContext, Kind,
    Language, SandboxId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::asked::{self, Done, Variables};
use crate::daytona::time::iso8601;
use crate::daytona::toolbox::error::{ErrorBody, worded};
use crate::daytona::toolbox::target::Target;
use crate::extract::{Json, OptionalJson, parse};
use crate::failure::{Failure, Part, Rejection};
use crate::ids;
use crate::settings::App;
use crate::web_socket::{Gone, Incoming, Sink, split};

/// The context that callers share who name none.
const DEFAULT: &str = "default";
/// Seconds that code has if its sender names no number.
const TIMEOUT_DEFAULT_S: i64 = 600;
/// The code of a close after the time was up.
const TIMED_OUT: u16 = 4008;
/// How long a client may take for its message.
const REQUEST_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// Largest message of a client: code of the largest size, as JSON.
const MESSAGE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A context to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(super) struct CreateContext {
    cwd: Option<String>,
    /// `python`, which is the default.
    language: Option<String>,
}

/// A context.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContextBody {
    id: String,
    cwd: String,
    language: &'static str,
    created_at: String,
    /// One that has ended is not told of.
    active: bool,
}

/// The contexts of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ContextList {
    contexts: Vec<ContextBody>,
}

impl From<InterpreterContext> for ContextBody {
    fn from(context: InterpreterContext) -> Self {
        Self {
            id: ids::uuid(context.id.as_bytes()),
            cwd: context.cwd,
            language: context.language.name(),
            created_at: iso8601(context.created_at),
            active: true,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExecuteRequest {
    code: String,
    context_id: Option<String>,
    #[serde(default)]
    envs: Variables,
    timeout: Option<i64>,
}

/// Makes a context, whose code keeps its variables.
#[utoipa::path(post, path = "/process/interpreter/context", operation_id = "CreateInterpreterContext", tag = "process",
    request_body = Option<CreateContext>,
    responses((status = 200, body = ContextBody), (status = "default", body = ErrorBody)))]
pub(super) async fn create(
    State(app): State<App>,
    target: Target,
    OptionalJson(new): OptionalJson<CreateContext>,
) -> Result<Json<ContextBody>, Failure> {
    let language = match new.language.as_deref().filter(|language| !language.is_empty()) {
        None | Some("python") => Language::Python,
        Some(other) => {
            let message = format!("unsupported language: {other}");
            return Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
        }
    };
    let cwd = Some(asked::directory(&target, &app, new.cwd).await?);
    let spec = ContextSpec { language, cwd, env: Default::default() };
    Ok(Json(app.core.interpreters.create(&target.caller, target.id, spec).await?.into()))
}

/// The contexts, but for the one that callers share who name none.
#[utoipa::path(get, path = "/process/interpreter/context", operation_id = "ListInterpreterContexts", tag = "process",
    responses((status = 200, body = ContextList), (status = "default", body = ErrorBody)))]
pub(super) async fn list(State(app): State<App>, target: Target) -> Result<Json<ContextList>, Failure> {
    let contexts = app.core.interpreters.list(&target.caller, target.id).await?;
    let own = contexts.into_iter().filter(|context| !context.is_default);
    Ok(Json(ContextList { contexts: own.map(ContextBody::from).collect() }))
}

/// Ends a context.
#[utoipa::path(delete, path = "/process/interpreter/context/{context}", operation_id = "DeleteInterpreterContext", tag = "process",
    params(("context" = String, Path, description = "The context's id")),
    responses((status = 200, body = Done), (status = "default", body = ErrorBody)))]
pub(super) async fn delete(State(app): State<App>, target: Target) -> Result<Json<Done>, Failure> {
    let text = target.params.text("context", Kind::Context)?;
    if text == DEFAULT {
        let message = "cannot delete the default context";
        return Err(worded(StatusCode::BAD_REQUEST, "BAD_REQUEST", message));
    }
    app.core.interpreters.delete(&target.caller, target.id, context_id(text)?).await?;
    Ok(Json(Done { message: format!("context {text} deleted") }))
}

/// Runs code over a WebSocket: the first message is the request, and what it prints comes back as messages.
#[utoipa::path(get, path = "/process/interpreter/execute", operation_id = "ExecuteInterpreterCode", tag = "process",
    responses(
        (status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn execute(
    State(app): State<App>,
    target: Target,
    headers: axum::http::HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|rejection| Rejection::Malformed {
        part: Part::Header,
        reason: format!("this path is for WebSockets: {rejection}"),
    })?;
    let chosen = super::marks::offered(&headers).next().map(str::to_owned);
    let upgrade = upgrade.max_message_size(MESSAGE_MAX_BYTES).max_frame_size(MESSAGE_MAX_BYTES);
    Ok(upgrade.protocols(chosen).on_upgrade(move |socket| async move {
        let (mut sink, mut incoming) = split(socket);
        let Ok(first) = tokio::time::timeout(REQUEST_TIMEOUT, incoming.next()).await else {
            return sink.close(close_code::POLICY, "no request came").await;
        };
        let Some(first) = first else { return };
        serve(app, target.caller, target.id, &first, &mut sink, incoming).await;
    }))
}

async fn serve(app: App, caller: Caller, id: SandboxId, request: &[u8], sink: &mut Sink, incoming: Incoming) {
    let run = async {
        let started = async {
            let (context, cell) = read(request)?;
            Ok::<_, Failure>(app.core.interpreters.start(&caller, id, context, cell).await?)
        };
        match started.await {
            Ok(session) => drop(tell(session, sink).await),
            Err(failure) => {
                let is_theirs = matches!(
                    failure,
                    Failure::Rejected(_) | Failure::Core(Error::Invalid { .. } | Error::NotFound { .. })
                );
                let code = if is_theirs { close_code::POLICY } else { close_code::ERROR };
                sink.close(code, &failure.to_string()).await;
            }
        }
    };
    incoming.beside(run, None).await;
}

fn read(request: &[u8]) -> Result<(Option<ContextId>, CellSpec), Failure> {
    let request: ExecuteRequest = parse(request)?;
    let context = match request.context_id.as_deref() {
        None | Some("" | DEFAULT) => None,
        Some(text) => Some(context_id(text)?),
    };
    let timeout = asked::timeout(Some(request.timeout.unwrap_or(TIMEOUT_DEFAULT_S)))?;
    Ok((context, CellSpec { code: request.code, env: request.envs.checked()?, timeout }))
}

async fn tell(session: CellSession, sink: &mut Sink) -> Result<(), Gone> {
    let CellSession { mut events, guard } = session;
    let (mut out, mut err) = (Text::default(), Text::default());
    loop {
        match events.recv().await {
            Some(Ok(CellEvent::Stdout(bytes))) => say(sink, "stdout", out.push(&bytes)).await?,
            Some(Ok(CellEvent::Stderr(bytes))) => say(sink, "stderr", err.push(&bytes)).await?,
            // The contract has no place for values.
            Some(Ok(CellEvent::Shown(_))) => {}
            Some(Ok(CellEvent::Failed(error))) => {
                let told = json!({
                    "type": "error", "name": error.name, "value": error.value, "traceback": error.traceback,
                });
                sink.send(text(&told)).await?;
            }
            Some(Ok(CellEvent::Ended(output))) => {
                say(sink, "stdout", out.rest()).await?;
                say(sink, "stderr", err.rest()).await?;
                if output.timed_out {
                    sink.close(TIMED_OUT, "execution timed out").await;
                } else {
                    sink.send(text(&json!({"type": "control", "text": "completed"}))).await?;
                    sink.close(close_code::NORMAL, "").await;
                }
                return Ok(());
            }
            Some(Err(error)) => {
                sink.close(close_code::ERROR, &error.to_string()).await;
                return Ok(());
            }
            None => {
                sink.close(close_code::ERROR, &guard.how_it_ended().await.to_string()).await;
                return Ok(());
            }
        }
    }
}

async fn say(sink: &mut Sink, kind: &str, words: String) -> Result<(), Gone> {
    if words.is_empty() {
        return Ok(());
    }
    sink.send(text(&json!({"type": kind, "text": words}))).await
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}

/// Bytes that come in pieces, as text: a character that is cut waits for its rest.
#[derive(Debug, Default)]
struct Text(Vec<u8>);

impl Text {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.0.extend_from_slice(bytes);
        let cut = match std::str::from_utf8(&self.0) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            // Whatever is wrong in it, nothing that could come would make it right.
            _ => self.0.len(),
        };
        let rest = self.0.split_off(cut);
        let whole = std::mem::replace(&mut self.0, rest);
        String::from_utf8_lossy(&whole).into_owned()
    }

    fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0)).into_owned()
    }
}

fn context_id(text: &str) -> Result<ContextId, Error> {
    ids::parse_uuid(text).map(ContextId::from_bytes).ok_or_else(|| Error::not_found(Kind::Context, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_is_cut_comes_whole() {
        let mut text = Text::default();
        let bytes = "a\u{e9}\u{1f600}b".as_bytes();
        let mut all = String::new();
        for byte in bytes {
            all.push_str(&text.push(&[*byte]));
        }
        assert_eq!(all, "a\u{e9}\u{1f600}b");
        assert_eq!(text.push(b"\xffx\xc3"), "\u{fffd}x\u{fffd}", "what is wrong anyway is not waited for");
        assert_eq!(text.push(b"y\xc3"), "y");
        assert_eq!(text.rest(), "\u{fffd}");
    }
}
