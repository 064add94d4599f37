//! Execs: from a connection on which a program has started to a session of the core.
//!
//! ```text
//!   session.input ──▶ ┌ task ┐ ──Stdin, StdinEnd, Signal, Resize──▶ guest
//!   session.events ◀─ └──────┘ ◀──Stdout, Stderr, Exited─────────── guest
//! ```
//!
//! Both channels are bounded, so a reader of the session that does not read makes the program wait. The task ends, and
//! with it the connection, when the program has ended, when the guest breaks off, or when nobody has the session any
//! more; the guest then ends the program of a foreground exec.

use std::convert::Infallible;
use std::sync::Arc;

use lazaret_core::ports::Runtime;
use lazaret_core::{
    BackgroundExec, ExecEvent, ExecId, ExecInput, ExecOutput, ExecSession, ExecSpec, Result, SandboxId,
    Stdin, Timestamp, limits,
};
use lazaret_protocol::host_message::{Resize, Signal};
use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Attached, ExecState, HostMessage};
use tokio::sync::mpsc;

use super::channel::{Channel, Receiver, Reply, Sender};
use super::convert;
use super::error::GuestError;

/// Most background execs that a guest may claim to have. An honest one keeps 64.
const LISTED_MAX: usize = 1024;

/// What to do for the program when nobody can send input any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputEnd {
    /// End its standard input, as closing a pipe does.
    Close,
    /// Nothing: a terminal has no end, and somebody else may attach.
    Ignore,
}

impl InputEnd {
    /// What suits a foreground exec.
    pub(super) fn of(spec: &ExecSpec) -> Self {
        match spec.stdin {
            Stdin::Stream if spec.tty.is_none() => Self::Close,
            Stdin::Stream | Stdin::Empty => Self::Ignore,
        }
    }
}

/// Whether memory ran out while an exec ran: the kernel's count of kills, before and after.
pub(super) struct Memory {
    pub(super) runtime: Arc<dyn Runtime>,
    pub(super) sandbox: SandboxId,
    /// Before the exec.
    pub(super) kills: u64,
}

impl Memory {
    /// Whether an exec that ended so did it because memory ran out.
    async fn ran_out(&self, output: &ExecOutput) -> bool {
        // Only those ends are worth a look.
        output.was_killed()
            && self.runtime.oom_kills(self.sandbox).await.is_ok_and(|kills| kills > self.kills)
    }
}

/// The pid that a start is answered with.
pub(super) async fn started(channel: &mut Channel) -> Result<u32, GuestError> {
    match channel.reply().await? {
        Reply::Started(started) => Ok(started.pid),
        other => Err(other.unexpected()),
    }
}

/// The session of a foreground exec.
pub(super) fn session(channel: Channel, pid: u32, input_end: InputEnd, memory: Memory) -> ExecSession {
    open(channel, pid, input_end, false, memory)
}

/// The session of a background exec, of whose output some may be gone already from where it was asked for.
pub(super) fn attached_session(
    channel: Channel,
    attached: &Attached,
    asked_from: u64,
    memory: Memory,
) -> ExecSession {
    let session = open(channel, attached.pid, InputEnd::Ignore, attached.offset > asked_from, memory);
    ExecSession { offset: attached.offset, ..session }
}

fn open(channel: Channel, pid: u32, input_end: InputEnd, has_gap: bool, memory: Memory) -> ExecSession {
    let (input, inputs) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
    let (events, session_events) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
    let (receiver, sender) = channel.split();
    // Ends by itself as the picture says; the runtime of the server ends it at shutdown.
    tokio::spawn(async move {
        tokio::select! {
            () = deliver(receiver, &events, has_gap, &memory) => {}
            never = pass_on(sender, inputs, input_end) => match never {},
            () = events.closed() => {}
        }
    });
    ExecSession::new(pid, input, session_events)
}

/// Passes on what the guest says until the end.
async fn deliver(
    mut receiver: Receiver,
    events: &mpsc::Sender<Result<ExecEvent>>,
    has_gap: bool,
    memory: &Memory,
) {
    let mut has_gap = has_gap;
    loop {
        let event = match receiver.receive().await {
            Ok(Reply::Stdout(bytes)) => ExecEvent::Stdout(bytes),
            Ok(Reply::Stderr(bytes)) => ExecEvent::Stderr(bytes),
            Ok(Reply::Skipped(offset)) => {
                has_gap = true;
                ExecEvent::Skipped(offset)
            }
            Ok(Reply::Exited(exited)) => {
                let output = convert::output(&exited);
                let oom = memory.ran_out(&output).await;
                ExecEvent::Exited(ExecOutput { oom, truncated: output.truncated || has_gap, ..output })
            }
            // A sandbox that died: the channel closes without an end, as the session promises.
            Err(GuestError::Closed | GuestError::Lost(_)) => return,
            Ok(other) => {
                let _ = events.send(Err(other.unexpected().without_subject())).await;
                return;
            }
            Err(error) => {
                let _ = events.send(Err(error.without_subject())).await;
                return;
            }
        };
        let is_last = matches!(event, ExecEvent::Exited(_));
        if events.send(Ok(event)).await.is_err() || is_last {
            return;
        }
    }
}

/// Passes on input as long as the guest takes it. A guest that does not is told of by what it says, or by its silence.
async fn pass_on(mut sender: Sender, mut inputs: mpsc::Receiver<ExecInput>, end: InputEnd) -> Infallible {
    let result = pass_all(&mut sender, &mut inputs, end).await;
    if result.is_err() {
        // Whoever sends more finds the channel closed.
        inputs.close();
    }
    std::future::pending().await
}

async fn pass_all(
    sender: &mut Sender,
    inputs: &mut mpsc::Receiver<ExecInput>,
    end: InputEnd,
) -> Result<(), GuestError> {
    while let Some(input) = inputs.recv().await {
        match input {
            ExecInput::Stdin(bytes) => {
                for chunk in bytes.chunks(DATA_MAX) {
                    sender.send(&HostMessage::Stdin(chunk)).await?;
                }
            }
            ExecInput::StdinEnd => sender.send(&HostMessage::StdinEnd).await?,
            ExecInput::Signal(number) => {
                sender.send(&HostMessage::Signal(Signal { number: number.into() })).await?;
            }
            ExecInput::Resize { rows, cols } => {
                sender.send(&HostMessage::Resize(Resize { rows, columns: cols })).await?;
            }
        }
    }
    match end {
        InputEnd::Close => sender.send(&HostMessage::StdinEnd).await,
        InputEnd::Ignore => Ok(()),
    }
}

/// The background execs that a guest tells of.
pub(super) async fn list(channel: &mut Channel) -> Result<Vec<BackgroundExec>, GuestError> {
    let mut execs = Vec::new();
    loop {
        match channel.reply().await? {
            Reply::ExecState(_) if execs.len() == LISTED_MAX => {
                return Err(GuestError::Violation("more background execs than any guest keeps"));
            }
            Reply::ExecState(state) => execs.push(background(state)?),
            Reply::Done => return Ok(execs),
            other => return Err(other.unexpected()),
        }
    }
}

fn background(state: ExecState) -> Result<BackgroundExec, GuestError> {
    let id =
        <[u8; 16]>::try_from(&*state.id).map_err(|_| GuestError::Violation("an id that is none of ours"))?;
    let [a, b, c, d, ..] = id;
    let started_s = i64::from(u32::from_be_bytes([a, b, c, d]));
    Ok(BackgroundExec {
        id: ExecId::from_bytes(id),
        command: state.argv.iter().map(|argument| String::from_utf8_lossy(argument).into_owned()).collect(),
        pid: state.pid,
        started_at: Timestamp::from_unix_micros(started_s.saturating_mul(1_000_000)),
        output: state.exited.as_ref().map(convert::output),
        output_bytes: state.end_offset,
        oldest_offset: state.oldest_offset,
        label: state.label.map(|label| String::from_utf8_lossy(&label).into_owned()),
    })
}
