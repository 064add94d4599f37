//! A WebSocket as two halves that never wait for each other: one that tells, one that hears.
//!
//! The socket lives as long as both. A client that answers no ping, or takes no message for a long time, is gone.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt, future};
use lazaret_core::ExecInput;
use tokio::sync::{Mutex, mpsc};

/// Between two pings; a client that answers neither of two is gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long a client may take to read one message before it counts as gone: long enough for a person who stops the output
/// to read it.
const SEND_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a client may take for its side of a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest reason of a close, in bytes (RFC 6455, section 5.5).
const REASON_MAX_BYTES: usize = 123;

/// The side that tells.
pub(crate) struct Sink(Arc<Mutex<SplitSink<WebSocket, Message>>>);

/// The side that hears.
pub(crate) struct Incoming {
    stream: SplitStream<WebSocket>,
    sink: Arc<Mutex<SplitSink<WebSocket, Message>>>,
    heard: AtomicBool,
}

/// The client is gone, or does not read.
#[derive(Debug)]
pub(crate) struct Gone;

/// Both sides of a socket.
pub(crate) fn split(socket: WebSocket) -> (Sink, Incoming) {
    let (sink, stream) = socket.split();
    let sink = Arc::new(Mutex::new(sink));
    (Sink(Arc::clone(&sink)), Incoming { stream, sink, heard: AtomicBool::new(true) })
}

impl Sink {
    pub(crate) async fn send(&mut self, message: Message) -> Result<(), Gone> {
        let send = async { self.0.lock().await.send(message).await };
        match tokio::time::timeout(SEND_TIMEOUT, send).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }

    /// Says why, and hangs up. What is too long of the reason is cut.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) {
        let end = (0..=reason.len().min(REASON_MAX_BYTES)).rev().find(|at| reason.is_char_boundary(*at));
        let reason = reason.get(..end.unwrap_or(0)).unwrap_or_default().to_owned();
        // The client may have closed already.
        let _ = self.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    }
}

impl Incoming {
    /// The next message with content; none when the client has left.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let message = self.stream.next().await;
            self.heard.store(true, Ordering::Relaxed);
            match message {
                Some(Ok(Message::Binary(bytes))) => return Some(bytes),
                Some(Ok(Message::Text(text))) => return Some(text.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
            }
        }
    }

    /// Lets `tell` run to its end, while every message of the client becomes input, if anything takes it; both end when the
    /// client is gone. After the end of `tell` the client has a moment to close its side.
    pub(crate) async fn beside(self, tell: impl Future<Output = ()>, input: Option<mpsc::Sender<ExecInput>>) {
        let Self { mut stream, sink, heard } = self;
        let waits = AtomicBool::new(false);
        let listen = async {
            loop {
                let message = stream.next().await;
                heard.store(true, Ordering::Relaxed);
                let bytes = match message {
                    Some(Ok(Message::Binary(bytes))) => bytes,
                    Some(Ok(Message::Text(text))) => text.into(),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                };
                if let Some(input) = &input {
                    waits.store(true, Ordering::Relaxed);
                    // A process that has ended reads nothing; its end is on its way.
                    let _ = input.send(ExecInput::Stdin(bytes)).await;
                    waits.store(false, Ordering::Relaxed);
                }
            }
        };
        let ping = async {
            let mut silent = 0_u8;
            let mut timer = tokio::time::interval(PING_INTERVAL);
            timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            timer.tick().await;
            while silent <= 2 {
                timer.tick().await;
                let is_present = heard.swap(false, Ordering::Relaxed) || waits.load(Ordering::Relaxed);
                silent = if is_present { 0 } else { silent + 1 };
                // Whoever is sending at this moment is heard of by that.
                if let Ok(mut sink) = sink.try_lock()
                    && sink.send(Message::Ping(Bytes::new())).await.is_err()
                {
                    return;
                }
            }
        };
        let (listen, ping) = (pin!(listen), pin!(ping));
        let mut here = future::select(listen, ping);
        if let future::Either::Left(((), _)) = future::select(pin!(tell), &mut here).await {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, here).await;
        }
    }
}
