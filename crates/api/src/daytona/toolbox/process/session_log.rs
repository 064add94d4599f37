//! Logs of commands: in one piece, or followed from their beginning over HTTP or a WebSocket.

use axum::body::Body;
use axum::extract::ws::{Message, close_code};
use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use lazaret_core::services::{LogStream, Until};
use lazaret_core::{Error, LogEvent};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::marks::{Marker, Shape, offered};
use super::sessions::{LogBody, command_id, session, written};
use crate::daytona::toolbox::error::ErrorBody;
use crate::daytona::toolbox::target::Target;
use crate::extract::Json;
use crate::failure::Failure;
use crate::settings::App;
use crate::web_socket::{Gone, Sink, split};

/// How much of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogsQuery {
    /// To its end, as it is written.
    #[serde(default)]
    follow: bool,
}

/// A log for clients that read both streams.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SplitLog {
    /// Both streams in one, each line marked by its stream.
    output: String,
    stderr: String,
    stdout: String,
}

/// What a command printed so far, or to its end; over a WebSocket if that is asked for.
#[utoipa::path(get, path = "/process/session/{session}/command/{command}/logs", operation_id = "GetSessionCommandLogs", tag = "process",
    params(("session" = String, Path, description = "The session's id"),
        ("command" = String, Path, description = "The command's id"),
        LogsQuery),
    responses(
        (status = 200, description = "What it printed: text, or JSON for clients that read both streams",
            content((String = "text/plain"), (SplitLog = "application/json"), (Vec<u8> = "application/octet-stream"))),
        (status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn logs(
    State(app): State<App>,
    target: Target<LogsQuery>,
    request: Request,
) -> Result<Response, Failure> {
    let (mut parts, _) = request.into_parts();
    let shape = Shape::of(&parts.headers);
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &()).await.ok();
    let follows = target.query.follow || upgrade.is_some();
    let (name, command) = (session(&target.params)?, command_id(&target.params)?);
    let until = if follows { Until::TheEnd } else { Until::Now };
    let log = app.core.sessions.follow(&target.caller, target.id, name, command, until).await?;
    if let Some(upgrade) = upgrade {
        // Nothing to choose between, but who offers some wants one of them back.
        let chosen = offered(&parts.headers).next().map(str::to_owned);
        return Ok(upgrade.protocols(chosen).on_upgrade(move |socket| async move {
            let (mut sink, incoming) = split(socket);
            let told = tell(log, shape, &mut sink);
            incoming.beside(told, None).await;
        }));
    }
    if follows {
        let body = Body::from_stream(pieces(log, shape).map(|piece| piece.map_err(std::io::Error::other)));
        return Ok(([(CONTENT_TYPE, "application/octet-stream")], body).into_response());
    }
    let LogBody { output, stderr, stdout } = written(&log.collect().await?, shape);
    if let (Some(stderr), Some(stdout)) = (stderr, stdout) {
        return Ok(Json(SplitLog { output, stderr, stdout }).into_response());
    }
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], output).into_response())
}

/// Sends the log and then closes, as clients insist on: with a code.
async fn tell(log: LogStream, shape: Shape, sink: &mut Sink) {
    let mut pieces = std::pin::pin!(pieces(log, shape));
    let sent: Result<(), Gone> = async {
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => sink.send(Message::Binary(bytes)).await?,
                Err(error) => {
                    sink.close(close_code::ERROR, &error.to_string()).await;
                    return Ok(());
                }
            }
        }
        sink.close(close_code::NORMAL, "").await;
        Ok(())
    }
    .await;
    drop(sent);
}

/// The log, marked, until it ends.
fn pieces(log: LogStream, shape: Shape) -> impl futures_util::Stream<Item = Result<Bytes, Error>> {
    let state = Some((log, Marker::new(shape)));
    stream::unfold(state, |state| async {
        let (mut log, mut marker) = state?;
        Some(match log.events.recv().await {
            Some(Ok(LogEvent::Stdout(bytes))) => (Ok(marker.stdout(&bytes)), Some((log, marker))),
            Some(Ok(LogEvent::Stderr(bytes))) => (Ok(marker.stderr(&bytes)), Some((log, marker))),
            Some(Ok(LogEvent::Skipped)) => {
                const NOTE: &[u8] = b"[lazaret: output is missing here, more was written than is kept]\n";
                (Ok(marker.stderr(&Bytes::from_static(NOTE))), Some((log, marker)))
            }
            Some(Ok(LogEvent::Ended(_))) => (Ok(marker.end()), None),
            Some(Err(error)) => (Err(error), None),
            None => (Err(log.guard.how_it_ended().await), None),
        })
    })
}
