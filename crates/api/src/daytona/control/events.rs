//! Events for clients that wait for a sandbox: the part of Socket.IO that they use, over one WebSocket.
//!
//! ```text
//!   client                                       server
//!                                            ◀── 0{"sid":..,"pingInterval":..}          Engine.IO: open
//!   40{"token":"<key>"}                      ──▶                                        Socket.IO: connect
//!                                            ◀── 40{"sid":..} | 44{"message":..}, close
//!                                            ◀── 42["sandbox.state.updated",{..}]
//!                                            ◀── 2      at every interval; a client that does not answer is gone
//!   3                                        ──▶
//!   41                                       ──▶ close
//! ```
//!
//! A client that falls behind misses events, and polls besides; nothing is kept for it. What is deliberately not here: long
//! polling, other namespaces, acknowledgements, binary messages, events from clients.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State as AppState;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use lazaret_core::{Caller, Event, EventKind, SandboxId, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use utoipa::IntoParams;
use uuid::Uuid;

use super::base::Base;
use super::error::ErrorBody;
use super::{convert, sandboxes};
use crate::auth::authenticate;
use crate::context::RequestContext;
use crate::daytona::bad_request;
use crate::extract::Query;
use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// Largest message of a client: a token fits, and clients send little else.
const MESSAGE_MAX_BYTES: usize = 8 * 1024;
/// How long a client may take to show its key.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take to read a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two pings, and how long a client has to answer one, as the clients are told.
const PING_INTERVAL: Duration = Duration::from_secs(25);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What a client says of the protocol.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct Handshake {
    /// `4`.
    #[serde(rename = "EIO")]
    version: String,
    /// `websocket`.
    transport: String,
}

/// What happens to sandboxes, as Socket.IO over a WebSocket; the key comes in its first message.
#[utoipa::path(get, path = "/socket.io/", operation_id = "connectEvents", tag = "server",
    security(()),
    params(Handshake),
    responses(
        (status = 101, description = "The connection is a WebSocket from now on"),
        (status = "default", body = ErrorBody)))]
pub(super) async fn connect(
    AppState(app): AppState<App>,
    context: RequestContext,
    base: Base,
    Query(handshake): Query<Handshake>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    if handshake.version != "4" || handshake.transport != "websocket" {
        return Err(bad_request("events come by Engine.IO 4 over a WebSocket: EIO=4&transport=websocket"));
    }
    let upgrade = upgrade.map_err(|error| Rejection::Malformed {
        part: Part::Header,
        reason: format!("this path is for WebSockets: {error}"),
    })?;
    let upgrade = upgrade.max_message_size(MESSAGE_MAX_BYTES).max_frame_size(MESSAGE_MAX_BYTES);
    let span = tracing::Span::current();
    Ok(upgrade.on_upgrade(move |socket| {
        let connection = Connection { app, base, socket, states: HashMap::new() };
        tracing::Instrument::instrument(connection.serve(context), span)
    }))
}

/// The other side has gone, or is to go.
struct Gone;

struct Connection {
    app: App,
    base: Base,
    socket: WebSocket,
    /// The last state that the client was told of each sandbox that is there.
    states: HashMap<SandboxId, &'static str>,
}

impl Connection {
    async fn serve(mut self, context: RequestContext) {
        // Whoever is gone needs no farewell.
        let _ = self.converse(&context).await;
    }

    async fn converse(&mut self, context: &RequestContext) -> Result<(), Gone> {
        let open = json!({
            "sid": Uuid::new_v4().simple().to_string(),
            "upgrades": [],
            "pingInterval": millis(PING_INTERVAL),
            "pingTimeout": millis(PING_TIMEOUT),
            "maxPayload": MESSAGE_MAX_BYTES,
        });
        self.send(format!("0{open}")).await?;
        let token = tokio::time::timeout(CONNECT_TIMEOUT, self.token()).await.map_err(|_| Gone)??;
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) {
            headers.insert(AUTHORIZATION, value);
        }
        let caller = authenticate(&self.app, &headers, context).await.ok();
        let live = caller.as_ref().and_then(|caller| self.app.core.events.subscribe(caller).ok());
        let (Some(caller), Some(live)) = (caller, live) else {
            self.send(format!("44{}", json!({"message": "Unauthorized"}))).await?;
            return self.close(close_code::POLICY).await;
        };
        self.send(format!("40{}", json!({"sid": Uuid::new_v4().simple().to_string()}))).await?;
        self.follow(&caller, &token, live).await
    }

    /// The token of the message with which a client connects.
    async fn token(&mut self) -> Result<String, Gone> {
        loop {
            let text = self.receive().await?;
            if let Some(payload) = text.strip_prefix("40") {
                let payload: Value = serde_json::from_str(payload).unwrap_or_default();
                return Ok(payload["token"].as_str().unwrap_or_default().to_owned());
            }
        }
    }

    async fn follow(&mut self, caller: &Caller, token: &str, mut live: Receiver<Event>) -> Result<(), Gone> {
        let stopping = self.app.settings.stopping.clone();
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_INTERVAL, PING_INTERVAL);
        let mut has_answered = true;
        loop {
            tokio::select! {
                () = stopping.cancelled() => return self.close(close_code::AWAY).await,
                event = live.recv() => match event {
                    Ok(event) if event.account == caller.account => self.tell(caller, event).await?,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return self.close(close_code::AWAY).await,
                },
                // The client has longer to answer than it is told.
                _ = ping.tick() => {
                    if !has_answered {
                        return self.close(close_code::POLICY).await;
                    }
                    // A key that was revoked, or whose time has ended, opens nothing any more.
                    if self.app.core.accounts.authenticate(token).await.is_err() {
                        self.send("41".to_owned()).await?;
                        return self.close(close_code::POLICY).await;
                    }
                    has_answered = false;
                    self.send("2".to_owned()).await?;
                }
                text = receive(&mut self.socket) => match text?.as_str() {
                    "3" => has_answered = true,
                    "2" => self.send("3".to_owned()).await?,
                    "1" | "41" => return self.close(close_code::NORMAL).await,
                    // Events of clients mean nothing here.
                    _ => {}
                },
            }
        }
    }

    /// Tells of an event, if it is one that clients wait for.
    async fn tell(&mut self, caller: &Caller, event: Event) -> Result<(), Gone> {
        let (Some(id), EventKind::StateChanged { state, .. }) = (event.sandbox, event.kind) else {
            return Ok(());
        };
        let Some(mut sandbox) = sandboxes::find(&self.app, caller, id).await else {
            return self.tell_state(id, "destroyed", sandboxes::gone(id)).await;
        };
        let is_new = state == State::Running && sandbox.state_since == sandbox.created_at;
        // As it was then: it may have gone on since.
        sandbox.state = state;
        let new = convert::state(&sandbox);
        let shown = convert::sandbox(&self.app, &self.base, sandbox);
        if is_new {
            self.states.insert(id, new);
            return self.send(format!("42{}", json!(["sandbox.created", shown]))).await;
        }
        self.tell_state(id, new, json!(shown)).await
    }

    async fn tell_state(&mut self, id: SandboxId, new: &'static str, sandbox: Value) -> Result<(), Gone> {
        let old = match new {
            "destroyed" => self.states.remove(&id),
            _ => self.states.insert(id, new),
        };
        let change = json!({"sandbox": sandbox, "oldState": old.unwrap_or("unknown"), "newState": new});
        self.send(format!("42{}", json!(["sandbox.state.updated", change]))).await
    }

    async fn send(&mut self, text: String) -> Result<(), Gone> {
        let sent = self.socket.send(Message::Text(text.into()));
        tokio::time::timeout(SEND_TIMEOUT, sent).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }

    async fn receive(&mut self) -> Result<String, Gone> {
        receive(&mut self.socket).await
    }

    async fn close(&mut self, code: u16) -> Result<(), Gone> {
        let frame = CloseFrame { code, reason: "".into() };
        let sent = self.socket.send(Message::Close(Some(frame)));
        tokio::time::timeout(SEND_TIMEOUT, sent).await.map_err(|_| Gone)?.map_err(|_| Gone)
    }
}

/// The next text; a binary message, which nobody who means well sends, ends the conversation.
async fn receive(socket: &mut WebSocket) -> Result<String, Gone> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return Err(Gone),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
