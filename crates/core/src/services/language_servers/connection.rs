//! One running language server: what is asked of it, and what it says.
//!
//! ```text
//!   ask, tell ──▶ outbox ──┐                                              ┌── by id ──▶ who asked
//!                          ├─▶ writer ──▶ exec session ──▶ reader ────────┤
//!        replies ──────────┘                                 ▲            └── its own requests ──▶ replies
//!                                                            └── frame, message: nonsense ends the session
//! ```
//!
//! The program lives for as long as somebody holds its [`Connection`]; the guest ends it with the session. It is the tenant's:
//! what it says is bounded in size (`frame`; and all that it says unasked), in number (questions that wait, replies that it has
//! not read) and in time, and can fail its own sandbox's requests and nothing else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::frame::{Decoder, Nonsense};
use super::message::{self, Message, short};
use crate::{BoxError, Error, ExecEvent, ExecInput, ExecSession, Limit, Result, UpstreamProblem, limits};

/// Replies that may wait for the server to read them: a few dozen come with a start at most.
const REPLIES_MAX: usize = 64;
/// The last bytes of standard error that are kept, for the complaint in them.
const TAIL_BYTES: usize = 2048;
/// How long a server that was told to exit may take, before it is killed.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// A language server that runs, or has ended. Dropping it ends the server.
#[derive(Debug)]
pub(super) struct Connection {
    program: &'static str,
    outbox: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    over: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    /// Who waits for which answer.
    waiting: HashMap<u64, oneshot::Sender<std::result::Result<String, String>>>,
    last_id: u64,
    /// Bytes that it has said since it was last asked or told something.
    unasked_bytes: usize,
    end: Option<End>,
}

/// Why there will be no more answers.
#[derive(Debug, Clone)]
enum End {
    /// It broke the protocol and was ended.
    Nonsense(Nonsense),
    /// It exited, and said this last.
    Exited(String),
    /// The guest does not tell.
    Lost,
}

impl Connection {
    /// Takes over a started program.
    pub(super) fn over(program: &'static str, session: ExecSession) -> Self {
        let ExecSession { input, events, .. } = session;
        let over = CancellationToken::new();
        let shared = Arc::new(Shared { state: Mutex::default(), over: over.clone() });
        // One message at a time: the next waits with whoever sends it.
        let (outbox, messages) = mpsc::channel(1);
        let (replies, to_send) = mpsc::channel(REPLIES_MAX);
        // Both end when the program does, or when nobody holds it any more.
        tokio::spawn(over.clone().run_until_cancelled_owned(write(input, to_send, messages)));
        let reader = Reader { shared: Arc::clone(&shared), replies, decoder: Decoder::default() };
        tokio::spawn(over.clone().run_until_cancelled_owned(reader.run(events)));
        Self { program, outbox, shared, _end: over.drop_guard() }
    }

    /// It has ended.
    pub(super) fn is_over(&self) -> bool {
        self.shared.lock().end.is_some()
    }

    /// Asks, and waits for the answer: JSON of the server's own.
    ///
    /// # Errors
    /// [`Error::Upstream`] if the server complains, takes longer than `patience`, breaks the protocol or ends;
    /// [`Error::LimitReached`] if [`limits::LANGUAGE_REQUESTS_MAX`] wait already; [`Error::Unavailable`] if the guest
    /// broke off.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        params: &Value,
        patience: Duration,
    ) -> Result<String> {
        let (mut question, answer) = self.question()?;
        let asking = async {
            self.send(message::request(question.id, method, params)).await?;
            answer.await.map_err(|_| self.ending())
        };
        match tokio::time::timeout(patience, asking).await {
            Ok(answer) => {
                question.is_over = true;
                answer?.map_err(|complaint| self.complained(method, &complaint))
            }
            Err(elapsed) => {
                Err(self.failed(&format!(", asked for {method}"), UpstreamProblem::Stalled, elapsed))
            }
        }
    }

    /// Tells of something. The server may not have read it yet.
    ///
    /// # Errors
    /// [`Error::Upstream`] if the server has ended, or takes longer than `patience` to read what it was told before.
    pub(super) async fn tell(&self, method: &'static str, params: &Value, patience: Duration) -> Result<()> {
        let sent = tokio::time::timeout(patience, self.send(message::notification(method, params))).await;
        sent.unwrap_or_else(|elapsed| {
            Err(self.failed(", which does not read its input", UpstreamProblem::Stalled, elapsed))
        })
    }

    /// Asks it to end, and ends it.
    pub(super) async fn close(self: Arc<Self>) {
        // One that does not do as it is told is killed when this is dropped.
        if self.ask("shutdown", &Value::Null, limits::LANGUAGE_STOP_PATIENCE).await.is_ok()
            && self.tell("exit", &Value::Null, EXIT_PATIENCE).await.is_ok()
        {
            let _ = tokio::time::timeout(EXIT_PATIENCE, self.shared.over.cancelled()).await;
        }
        self.shared.over.cancel();
        self.shared.end(End::Exited(String::new()));
    }

    fn question(&self) -> Result<(Question<'_>, oneshot::Receiver<std::result::Result<String, String>>)> {
        let mut state = self.shared.lock();
        if let Some(end) = &state.end {
            return Err(self.ended(end));
        }
        if state.waiting.len() >= limits::LANGUAGE_REQUESTS_MAX {
            return Err(Error::LimitReached(Limit::LanguageRequests));
        }
        let (sender, answer) = oneshot::channel();
        state.last_id += 1;
        let id = state.last_id;
        state.waiting.insert(id, sender);
        Ok((Question { connection: self, id, is_over: false }, answer))
    }

    async fn send(&self, message: Bytes) -> Result<()> {
        {
            let mut state = self.shared.lock();
            if let Some(end) = &state.end {
                return Err(self.ended(end));
            }
            state.unasked_bytes = 0;
        }
        self.outbox.send(message).await.map_err(|_| self.ending())
    }

    fn ending(&self) -> Error {
        // A channel that closes before the reader has told why has lost its guest.
        let end = self.shared.lock().end.clone().unwrap_or(End::Lost);
        self.ended(&end)
    }

    fn ended(&self, end: &End) -> Error {
        match end {
            End::Nonsense(nonsense) => self.failed("", UpstreamProblem::Malformed, *nonsense),
            End::Exited(complaint) => self.failed(&quoted(complaint), UpstreamProblem::Ended, "it exited"),
            End::Lost => Error::Unavailable {
                retry_after: None,
                source: "the guest broke off a language server".into(),
            },
        }
    }

    fn complained(&self, method: &str, complaint: &str) -> Error {
        let about = format!(", asked for {method}{}", quoted(complaint));
        self.failed(&about, UpstreamProblem::Failing, "it answered with an error")
    }

    fn failed(&self, about: &str, problem: UpstreamProblem, source: impl Into<BoxError>) -> Error {
        let what = format!("the language server {}{about}", self.program);
        Error::Upstream { what, problem, retry_after: None, source: source.into() }
    }
}

fn quoted(complaint: &str) -> String {
    if complaint.is_empty() { String::new() } else { format!(" ('{complaint}')") }
}

/// A question that waits. Dropping it before it is over tells the server that nobody does any more.
struct Question<'a> {
    connection: &'a Connection,
    id: u64,
    is_over: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.connection.shared.lock().waiting.remove(&self.id);
        if !self.is_over {
            // A server that does not read need not know.
            let cancelled = message::notification("$/cancelRequest", &json!({"id": self.id}));
            let _ = self.connection.outbox.try_send(cancelled);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Notes the end, unless an earlier one is known, and lets all who wait look at it.
    fn end(&self, end: End) {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.waiting.clear();
    }
}

/// Hands on what is to be sent; replies go first, since the server waits for them.
async fn write(
    input: mpsc::Sender<ExecInput>,
    mut replies: mpsc::Receiver<Bytes>,
    mut messages: mpsc::Receiver<Bytes>,
) {
    loop {
        let message = tokio::select! {
            biased;
            Some(reply) = replies.recv() => reply,
            Some(message) = messages.recv() => message,
            else => break,
        };
        if input.send(ExecInput::Stdin(message)).await.is_err() {
            break;
        }
    }
    // Held until the end is known: a closed input would end a server that still has something to say.
    std::future::pending::<()>().await;
}

struct Reader {
    shared: Arc<Shared>,
    replies: mpsc::Sender<Bytes>,
    decoder: Decoder,
}

impl Reader {
    async fn run(mut self, mut events: mpsc::Receiver<Result<ExecEvent>>) {
        let mut tail = Vec::new();
        let end = loop {
            match events.recv().await {
                Some(Ok(ExecEvent::Stdout(bytes))) => {
                    if let Err(nonsense) = self.take(&bytes) {
                        break End::Nonsense(nonsense);
                    }
                }
                Some(Ok(ExecEvent::Stderr(bytes))) => {
                    if let Err(nonsense) = self.count(bytes.len()) {
                        break End::Nonsense(nonsense);
                    }
                    tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
                    let over = tail.len().saturating_sub(TAIL_BYTES);
                    tail.drain(..over);
                }
                Some(Ok(ExecEvent::Skipped(_))) => {}
                Some(Ok(ExecEvent::Exited(_))) => break End::Exited(last_line(&tail)),
                Some(Err(_)) | None => break End::Lost,
            }
        };
        self.shared.end(end);
        self.shared.over.cancel();
    }

    fn count(&self, bytes: usize) -> std::result::Result<(), Nonsense> {
        let mut state = self.shared.lock();
        state.unasked_bytes = state.unasked_bytes.saturating_add(bytes);
        if state.unasked_bytes > limits::LANGUAGE_UNASKED_MAX_BYTES { Err(Nonsense::Unasked) } else { Ok(()) }
    }

    fn take(&mut self, bytes: &[u8]) -> std::result::Result<(), Nonsense> {
        self.count(bytes.len())?;
        self.decoder.push(bytes);
        while let Some(content) = self.decoder.next()? {
            match message::read(&content)? {
                Message::Answer(id, answer) => {
                    let mut state = self.shared.lock();
                    if id == 0 || id > state.last_id {
                        return Err(Nonsense::Answer);
                    }
                    // Who asked may have lost patience.
                    if let Some(asker) = state.waiting.remove(&id) {
                        let _ = asker.send(answer);
                    }
                }
                Message::Request(reply) => self.replies.try_send(reply).map_err(|_| Nonsense::Requests)?,
                Message::Notification => {}
            }
        }
        Ok(())
    }
}

fn last_line(tail: &[u8]) -> String {
    let text = String::from_utf8_lossy(tail);
    short(text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default())
}
