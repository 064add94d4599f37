//! An exec as server-sent events.
//!
//! ```text
//!   event: started    event: stdout | stderr | skipped  event: exited | error
//!   data: {"pid":7}   data: {"data_base64":"..."}       data: {...}
//!                     id: <offset behind these bytes>        (then the stream ends)
//! ```
//!
//! A comment now and then keeps the connection open and finds out that the client has gone, which kills the process.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use lazaret_core::services::InUse;
use lazaret_core::{Error, ExecEvent, ExecInput, ExecSession};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::wire;
use crate::failure::Failure;
use crate::native::error::problem;

/// Between two comments on a silent stream: below the shortest common proxy timeout, 30 s.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The answer that follows `session` to its end, feeding it `stdin`.
pub(super) fn run(session: ExecSession, stdin: Bytes) -> Response {
    respond(session, stdin, 0, future::pending())
}

/// The answer that follows the `session` of an exec in the background, whose output it counts from `offset` on, to its
/// end or until the server stops: the exec goes on, and so can its follower.
pub(super) fn attach(session: ExecSession, offset: u64, stopping: CancellationToken) -> Response {
    respond(session, Bytes::new(), offset, stopping.cancelled_owned())
}

fn respond(
    session: ExecSession,
    stdin: Bytes,
    offset: u64,
    until: impl Future<Output = ()> + Send + 'static,
) -> Response {
    let started = event("started", &wire::Started::from(&session));
    let ExecSession { input, events, guard, .. } = session;
    let output = follow(events, guard, offset).take_until(feed(input, stdin)).take_until(until);
    let all = stream::once(future::ready(started)).chain(output).map(Ok::<_, Infallible>);
    Sse::new(all).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}

/// Sends `stdin`, and then keeps the input: a closed one would read as a client that hung up.
async fn feed(input: mpsc::Sender<ExecInput>, stdin: Bytes) {
    if !stdin.is_empty() {
        // A process that ends without reading closes the channel; its exit tells the story.
        let _ = input.send(ExecInput::Stdin(stdin)).await;
        let _ = input.send(ExecInput::StdinEnd).await;
    }
    future::pending::<()>().await;
}

/// What the process says, until it has ended or its stream has. The sandbox is in use until then.
fn follow(
    events: mpsc::Receiver<lazaret_core::Result<ExecEvent>>,
    guard: Option<InUse>,
    offset: u64,
) -> impl Stream<Item = Event> + Send {
    stream::unfold(Some((events, guard, offset)), |state| async {
        let (mut events, guard, mut offset) = state?;
        let mut chunk = |name: &str, bytes: Bytes| {
            offset += bytes.len() as u64;
            event(name, &wire::Chunk::from(bytes)).id(offset.to_string())
        };
        match events.recv().await {
            Some(Ok(ExecEvent::Stdout(bytes))) => {
                Some((chunk("stdout", bytes), Some((events, guard, offset))))
            }
            Some(Ok(ExecEvent::Stderr(bytes))) => {
                Some((chunk("stderr", bytes), Some((events, guard, offset))))
            }
            Some(Ok(ExecEvent::Skipped(to))) => {
                let skipped = event("skipped", &wire::Skipped { offset: to }).id(to.to_string());
                Some((skipped, Some((events, guard, to))))
            }
            Some(Ok(ExecEvent::Exited(output))) => Some((event("exited", &wire::Exited::from(output)), None)),
            Some(Err(error)) => Some((failed(error), None)),
            None => Some((failed(ExecSession::broken_off(guard.as_ref()).await), None)),
        }
    })
}

pub(in crate::native) fn failed(error: Error) -> Event {
    event("error", &wire::Failed { error: problem(&Failure::from(error)) })
}

/// An event with JSON for data.
pub(crate) fn event(name: &str, data: &impl Serialize) -> Event {
    let text = serde_json::to_string(data).expect("wire types are JSON");
    Event::default().event(name).data(text)
}
