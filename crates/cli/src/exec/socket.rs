//! The WebSocket of an exec, after the native API's contract.
//!
//! ```text
//!   client                                   server
//!   text  {"command":[..], ..}          ──▶
//!                                       ◀──  text   {"type":"started","pid":7}
//!   binary: standard input              ──▶
//!   text  {"type":"stdin_end"}          ──▶
//!   text  {"type":"signal","signal":2}  ──▶
//!   text  {"type":"resize", ..}         ──▶
//!                                       ◀──  binary 1|2, then bytes of stdout|stderr
//!                                       ◀──  text   {"type":"exited", ..} or {"type":"error", ..}
//! ```
//!
//! The handshake is made by the HTTP client, so that a refusal is an ordinary error with its hint, and TLS, the key and
//! timeouts are the same as everywhere.

use anyhow::Result;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{StatusCode, Upgraded, header};
use serde::{Deserialize, Serialize};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::client::Client;
use crate::failure::Failure;
use crate::server_error::{ErrorBody, ServerError};
use crate::terminal::Size;
use crate::wire::{ExecRequest, Exited};

/// Largest message from the server. It sends output as it comes, in pieces of at most 64 KiB.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;

const STDOUT: u8 = 1;
const STDERR: u8 = 2;

/// What the server says.
#[derive(Debug)]
pub(super) enum Said {
    /// Bytes of standard output or of the terminal.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// The process ended; nothing follows.
    Exited(Exited),
}

/// What can be told to the process.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Tell {
    /// Bytes for its standard input.
    #[serde(skip)]
    Stdin(Bytes),
    /// Nothing; it shows the server that somebody is there.
    #[serde(skip)]
    Presence,
    /// Its standard input ends.
    StdinEnd,
    /// This signal is sent to its process group.
    Signal { signal: u8 },
    /// Its terminal has this size.
    Resize { rows: u16, cols: u16 },
}

impl From<Size> for Tell {
    fn from(size: Size) -> Self {
        Self::Resize { rows: size.rows, cols: size.cols }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Text {
    Started,
    Exited(Exited),
    Error {
        error: ErrorBody,
    },
    #[serde(other)]
    Unknown,
}

/// The direction towards the process.
#[derive(Debug)]
pub(super) struct Teller(SplitSink<WebSocketStream<Upgraded>, Message>);

/// The direction from the process.
#[derive(Debug)]
pub(super) struct Listener(SplitStream<WebSocketStream<Upgraded>>);

/// Starts `request` in `sandbox`. Dropping both halves ends the process and its group.
pub(super) async fn open(
    client: &Client,
    sandbox: &str,
    request: &ExecRequest,
) -> Result<(Teller, Listener)> {
    let key = generate_key();
    let handshake = client
        .get(&["sandboxes", sandbox, "exec", "ws"])?
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let response = client.send(handshake).await?;
    let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
    if response.status() != StatusCode::SWITCHING_PROTOCOLS
        || accepted.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err(Failure::new("the server does not open a WebSocket")
            .hint("if there is a proxy in front of it, it must let WebSockets through")
            .into());
    }
    let upgraded = response.upgrade().await.map_err(|error| client.unreachable(error))?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_MAX_BYTES))
        .max_frame_size(Some(MESSAGE_MAX_BYTES));
    let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
    let (mut sink, stream) = socket.split();
    sink.send(Message::text(serde_json::to_string(request)?)).await.map_err(|error| lost(&error))?;
    Ok((Teller(sink), Listener(stream)))
}

impl Teller {
    /// Sends `tell`; waits for as long as the process does not read its standard input.
    pub(super) async fn tell(&mut self, tell: Tell) -> Result<()> {
        let message = match tell {
            Tell::Stdin(bytes) => Message::Binary(bytes),
            Tell::Presence => Message::Ping(Bytes::new()),
            other => Message::text(serde_json::to_string(&other)?),
        };
        self.0.send(message).await.map_err(|error| lost(&error).into())
    }
}

impl Listener {
    /// What comes next.
    ///
    /// # Errors
    /// [`ServerError`] if the server says that the exec failed; a [`Failure`] if the connection ends before the process.
    pub(super) async fn next(&mut self) -> Result<Said> {
        loop {
            let message = match self.0.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(lost(&error).into()),
                None => return Err(lost(&tungstenite::Error::ConnectionClosed).into()),
            };
            match message {
                Message::Binary(mut bytes) if !bytes.is_empty() => {
                    let data = bytes.split_off(1);
                    match bytes.first() {
                        Some(&STDOUT) => return Ok(Said::Stdout(data)),
                        Some(&STDERR) => return Ok(Said::Stderr(data)),
                        _ => return Err(Failure::new("the server sent output of an unknown stream").into()),
                    }
                }
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(Text::Exited(exited)) => return Ok(Said::Exited(exited)),
                    Ok(Text::Error { error }) => return Err(ServerError::from(error).into()),
                    Ok(Text::Started | Text::Unknown) => {}
                    Err(error) => {
                        return Err(Failure::new("the server sent a message that is none")
                            .source(error)
                            .into());
                    }
                },
                Message::Close(_) => return Err(lost(&tungstenite::Error::ConnectionClosed).into()),
                // Pings are answered by the library.
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

fn lost(error: &tungstenite::Error) -> Failure {
    Failure::new("the connection ended before the command did")
        .source(error.to_string())
        .hint("the server or the sandbox stopped, and the command with it; `lazaret ps -a` and the server's log tell more")
}
