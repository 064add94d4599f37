//! An exec over a WebSocket: input and output at the same time, and a terminal if wanted.
//!
//! ```text
//!   client                                           server
//!   text   the request                          ──▶
//!                                               ◀──  text   {"type":"started","pid":7}
//!   binary standard input                       ──▶
//!   text   {"type":"stdin_end|signal|resize"}   ──▶
//!                                               ◀──  binary 1 stdout.. | 2 stderr..
//!                                               ◀──  text   {"type":"exited",..} | {"type":"error",..}, then close
//! ```
//!
//! The socket is the process's life: when it closes, or stays silent while pinged, the session is dropped and the
//! process killed. Each direction waits for its own reader only, so a process that talks before it listens and one that
//! does the opposite both get on.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt, future};
use lazaret_core::services::InUse;
use lazaret_core::{Caller, ExecEvent, ExecInput, ExecSession, ExecSpec, SandboxId};
use tokio::sync::mpsc;

use super::convert::Exec;
use super::wire;
use crate::extract::parse;
use crate::failure::{Failure, Rejection};
use crate::native::error::problem;
use crate::settings::App;

/// Largest message of a client: a pasted file fits, a flood does not.
pub(in crate::native) const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// How long a client may take for its first message.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pings; a client that answers neither of two is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a client may take to read one message before it counts as gone: long enough for a person who stops the
/// output to read it.
const SEND_TIMEOUT: Duration = Duration::from_secs(300);

const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// Serves one socket.
pub(super) async fn serve(app: App, caller: Caller, id: SandboxId, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let mut sink = Sink(sink);
    let end = match start(&app, &caller, id, &mut stream).await {
        Ok(Some((session, exec))) => converse(session, exec, &mut sink, stream).await,
        Ok(None) => return,
        Err(failure) => Some(wire::Told::Error(wire::Failed { error: problem(&failure) })),
    };
    if let Some(told) = end {
        sink.tell(&told).await.ok();
        sink.close().await;
    }
}

/// Serves one socket with a session that is there already: a terminal, which goes on when the socket closes.
pub(in crate::native) async fn serve_session(session: ExecSession, socket: WebSocket) {
    let (sink, stream) = socket.split();
    let mut sink = Sink(sink);
    let exec = Exec { spec: ExecSpec::default(), stdin: Bytes::new(), background: true, stdin_stream: true };
    if let Some(told) = converse(session, exec, &mut sink, stream).await {
        sink.tell(&told).await.ok();
        sink.close().await;
    }
}

/// Reads the request and starts the process; nothing if the client left before.
async fn start(
    app: &App,
    caller: &Caller,
    id: SandboxId,
    stream: &mut SplitStream<WebSocket>,
) -> Result<Option<(ExecSession, Exec)>, Failure> {
    let first = tokio::time::timeout(REQUEST_TIMEOUT, async {
        loop {
            match stream.next().await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return None,
            }
        }
    });
    let Some(text) = first.await.map_err(|_| Rejection::SlowBody)? else { return Ok(None) };
    let request: wire::ExecRequest = parse(text.as_bytes())?;
    let mut exec = Exec::try_from(request)?.with_terminal()?;
    let session = app.core.execs.start(caller, id, std::mem::take(&mut exec.spec)).await?;
    Ok(Some((session, exec)))
}

/// Both directions until one of them ends; answers what is left to tell the client, if it is still there.
async fn converse(
    session: ExecSession,
    exec: Exec,
    sink: &mut Sink,
    stream: SplitStream<WebSocket>,
) -> Option<wire::Told> {
    // The guard keeps the sandbox in use; the input's end, when all of this is dropped, kills the process.
    let started = wire::Started::from(&session);
    let ExecSession { input, events, guard, .. } = session;
    let heard = Heard::default();
    sink.tell(&wire::Told::Started(started)).await.ok()?;
    let down = pin!(send_output(events, guard.as_ref(), sink, &heard));
    let up = pin!(take_input(stream, &input, exec, &heard));
    match future::select(down, up).await {
        future::Either::Left((told, _)) | future::Either::Right((told, _)) => told,
    }
}

/// Whether the client has been heard of since the last ping.
#[derive(Default)]
struct Heard {
    lately: AtomicBool,
    /// A message of the client waits for the process, so that later ones are not read.
    waiting: AtomicBool,
}

/// From the process to the client. Answers the last message.
async fn send_output(
    mut events: mpsc::Receiver<lazaret_core::Result<ExecEvent>>,
    guard: Option<&InUse>,
    sink: &mut Sink,
    heard: &Heard,
) -> Option<wire::Told> {
    let mut ping = tokio::time::interval(PING_INTERVAL);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ping.tick().await;
    let mut silent_pings = 0_u8;
    let failed = |failure: Failure| Some(wire::Told::Error(wire::Failed { error: problem(&failure) }));
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Ok(ExecEvent::Stdout(bytes))) => sink.output(STDOUT, &bytes).await.ok()?,
                Some(Ok(ExecEvent::Stderr(bytes))) => sink.output(STDERR, &bytes).await.ok()?,
                Some(Ok(ExecEvent::Skipped(_))) => {}
                Some(Ok(ExecEvent::Exited(output))) => return Some(wire::Told::Exited(output.into())),
                Some(Err(error)) => return failed(error.into()),
                None => return failed(ExecSession::broken_off(guard).await.into()),
            },
            _ = ping.tick() => {
                let present = heard.lately.swap(false, Ordering::Relaxed) || heard.waiting.load(Ordering::Relaxed);
                silent_pings = if present { 0 } else { silent_pings + 1 };
                if silent_pings > 2 {
                    return None;
                }
                sink.send(Message::Ping(Bytes::new())).await.ok()?;
            }
        }
    }
}

/// From the client to the process. Ends when the client does, or with the error that it is told.
async fn take_input(
    mut stream: SplitStream<WebSocket>,
    input: &mpsc::Sender<ExecInput>,
    exec: Exec,
    heard: &Heard,
) -> Option<wire::Told> {
    let give = async |given: ExecInput| {
        heard.waiting.store(true, Ordering::Relaxed);
        // A process that has ended does not read; its exit is on its way to the client.
        let _ = input.send(given).await;
        heard.waiting.store(false, Ordering::Relaxed);
    };
    let refuse = |rejection: Rejection| {
        Some(wire::Told::Error(wire::Failed { error: problem(&Failure::from(rejection)) }))
    };
    if !exec.stdin.is_empty() {
        give(ExecInput::Stdin(exec.stdin)).await;
        if !exec.stdin_stream {
            give(ExecInput::StdinEnd).await;
        }
    }
    loop {
        let message = stream.next().await;
        heard.lately.store(true, Ordering::Relaxed);
        match message {
            Some(Ok(Message::Binary(bytes))) if exec.stdin_stream => give(ExecInput::Stdin(bytes)).await,
            Some(Ok(Message::Binary(_))) => {
                return refuse(Rejection::Malformed {
                    part: crate::failure::Part::Body,
                    reason: "binary messages need stdin_stream or tty in the request".to_owned(),
                });
            }
            Some(Ok(Message::Text(text))) => {
                let control = parse::<wire::Control>(text.as_bytes()).and_then(wire::Control::into_input);
                match control {
                    Ok(control) => give(control).await,
                    Err(rejection) => return refuse(rejection),
                }
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
        }
    }
}

/// The client's side that listens.
struct Sink(SplitSink<WebSocket, Message>);

/// The client is gone, or does not read.
struct Gone;

impl Sink {
    async fn send(&mut self, message: Message) -> Result<(), Gone> {
        match tokio::time::timeout(SEND_TIMEOUT, self.0.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    async fn tell(&mut self, told: &wire::Told) -> Result<(), Gone> {
        let text = serde_json::to_string(told).expect("wire types are JSON");
        self.send(Message::Text(text.into())).await
    }

    async fn output(&mut self, stream: u8, bytes: &[u8]) -> Result<(), Gone> {
        let mut framed = BytesMut::with_capacity(bytes.len() + 1);
        framed.put_u8(stream);
        framed.put_slice(bytes);
        self.send(Message::Binary(framed.freeze())).await
    }

    async fn close(&mut self) {
        let frame = CloseFrame { code: close_code::NORMAL, reason: "".into() };
        // The client may have closed already.
        self.send(Message::Close(Some(frame))).await.ok();
    }
}
