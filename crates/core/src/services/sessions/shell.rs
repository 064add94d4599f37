//! One session: what its log says, and the task that reads it.
//!
//! ```text
//!   services ──commands──▶ waiting ─┐                      ┌─▶ State ──▶ services, followers
//!                                   ├─▶ keeper ──lines──▶ shell
//!   marks of the log ──────────────▶┘     ▲                │
//!                                         └──────log───────┘    kept by the guest, on the sandbox's disk
//! ```
//!
//! The state is what the log says. A server that finds a session of the one before it reads the log from its beginning,
//! by the same task, and knows the same, but for commands whose turn had not come.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};

use super::log::{Found, Mark, Scanner};
use super::script;
use crate::{
    CommandEnd, CommandId, CommandSpec, Error, ExecEvent, ExecExit, ExecId, ExecInput, ExecSession, Kind,
    Limit, Result, Session, SessionCommand, Stdin, Timestamp, limits,
};

/// A session of a sandbox.
#[derive(Debug)]
pub(in crate::services) struct Shell {
    pub(super) name: String,
    pub(super) exec: ExecId,
    pub(super) token: String,
    created_at: Timestamp,
    pub(super) state: watch::Sender<State>,
    input: mpsc::Sender<ExecInput>,
    /// Held while something is sent to the shell, so that input meant for a command never reaches the one after it.
    gate: tokio::sync::Mutex<()>,
    wake: Notify,
}

/// What is known of a session.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) commands: VecDeque<Command>,
    pub(super) ended: Option<ExecExit>,
    /// How much of the log has been read.
    pub(super) offset: u64,
    /// Where the log of the next command begins.
    next_start: u64,
}

/// A command, and where in the log it is.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) id: CommandId,
    text: String,
    pub(super) stdin: Stdin,
    echo: bool,
    pub(super) phase: Phase,
    /// Where its log begins, once it runs.
    pub(super) start: u64,
    /// What was sent to it, and where in the log.
    pub(super) echoes: Vec<(u64, Bytes)>,
    code: Option<u8>,
    stderr_has_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Waiting,
    Running,
    Ended(CommandEnd),
}

impl Command {
    fn new(id: CommandId, spec: CommandSpec, phase: Phase) -> Self {
        let CommandSpec { command: text, stdin, echo } = spec;
        Self {
            id,
            text,
            stdin,
            echo,
            phase,
            start: 0,
            echoes: Vec::new(),
            code: None,
            stderr_has_ended: false,
        }
    }

    pub(super) fn end(&self) -> Option<CommandEnd> {
        match self.phase {
            Phase::Ended(end) => Some(end),
            Phase::Waiting | Phase::Running => None,
        }
    }

    pub(super) fn describe(&self) -> SessionCommand {
        SessionCommand { id: self.id, command: self.text.clone(), end: self.end() }
    }
}

impl State {
    pub(super) fn find(&self, id: CommandId) -> Option<&Command> {
        self.commands.iter().find(|command| command.id == id)
    }

    fn find_mut(&mut self, id: CommandId) -> Option<&mut Command> {
        self.commands.iter_mut().find(|command| command.id == id)
    }

    /// The command whose turn it is, if nothing runs; it runs from now on.
    fn begin_next(&mut self) -> Option<(CommandId, String, Stdin)> {
        if self.ended.is_some() || self.commands.iter().any(|command| command.phase == Phase::Running) {
            return None;
        }
        let start = self.next_start;
        let next = self.commands.iter_mut().find(|command| command.phase == Phase::Waiting)?;
        (next.phase, next.start) = (Phase::Running, start);
        Some((next.id, next.text.clone(), next.stdin))
    }

    /// Takes a mark that ends at `offset` of the log.
    fn take(&mut self, mark: Mark, offset: u64) {
        match mark {
            Mark::Begin { id, stdin, command } => {
                if self.find(id).is_none() {
                    // Of the server before this one.
                    let spec = CommandSpec { command, stdin, echo: false };
                    let mut command = Command::new(id, spec, Phase::Running);
                    command.start = self.next_start;
                    self.push(command);
                }
            }
            Mark::End { id, code } => {
                let Some(command) = self.find_mut(id) else { return };
                match code {
                    Some(code) => command.code = Some(code),
                    None => command.stderr_has_ended = true,
                }
                if let Some(code) = command.code
                    && command.stderr_has_ended
                    && command.end().is_none()
                {
                    command.phase = Phase::Ended(CommandEnd::Code(code));
                    self.next_start = offset;
                }
            }
        }
    }

    fn push(&mut self, command: Command) {
        if self.commands.len() >= limits::SESSION_COMMANDS_MAX {
            let oldest = self.commands.iter().position(|command| command.end().is_some());
            oldest.map(|oldest| self.commands.remove(oldest));
        }
        self.commands.push_back(command);
    }

    fn finish(&mut self, exit: ExecExit) {
        self.ended = Some(exit);
        for command in &mut self.commands {
            match command.phase {
                Phase::Waiting => command.phase = Phase::Ended(CommandEnd::NeverRan),
                Phase::Running => command.phase = Phase::Ended(CommandEnd::WithShell(exit)),
                Phase::Ended(_) => {}
            }
        }
    }
}

impl Shell {
    /// The session whose shell is at the other end of `exec`, and its keeper's task.
    pub(super) fn new(
        name: String,
        token: String,
        id: ExecId,
        created_at: Timestamp,
        exec: ExecSession,
    ) -> (std::sync::Arc<Self>, impl Future<Output = ()> + Send + 'static) {
        let state = State { offset: exec.offset, next_start: exec.offset, ..State::default() };
        let shell = std::sync::Arc::new(Self {
            name,
            exec: id,
            token,
            created_at,
            state: watch::Sender::new(state),
            input: exec.input,
            gate: tokio::sync::Mutex::default(),
            wake: Notify::new(),
        });
        let kept = std::sync::Arc::clone(&shell);
        (shell, async move { kept.keep(exec.events).await })
    }

    pub(super) fn describe(&self) -> Session {
        let state = self.state.borrow();
        Session {
            name: self.name.clone(),
            created_at: self.created_at,
            ended: state.ended,
            commands: state.commands.iter().map(Command::describe).collect(),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.state.borrow().commands.iter().any(|command| command.phase == Phase::Running)
    }

    /// Puts a command into the queue.
    pub(super) fn enqueue(&self, id: CommandId, spec: CommandSpec) -> Result<()> {
        let mut result = Ok(());
        self.state.send_modify(|state| {
            let waiting = state.commands.iter().filter(|command| command.phase == Phase::Waiting).count();
            if state.ended.is_some() {
                result = Err(self.over());
            } else if waiting >= limits::SESSION_COMMANDS_WAITING_MAX {
                result = Err(Error::LimitReached(Limit::WaitingCommands));
            } else {
                state.push(Command::new(id, spec, Phase::Waiting));
            }
        });
        self.wake.notify_one();
        result
    }

    /// Sends input to a command that reads, and to no other.
    pub(super) async fn feed(&self, id: CommandId, data: Bytes) -> Result<()> {
        let over = || Error::Over { kind: Kind::Command, id: id.to_string() };
        let send = async {
            let _gate = self.gate.lock().await;
            let mut result = Ok(());
            self.state.send_modify(|state| {
                let offset = state.offset;
                match state.find_mut(id) {
                    None => result = Err(Error::not_found(Kind::Command, id)),
                    Some(command) if command.phase != Phase::Running => {
                        result = Err(match command.phase {
                            Phase::Waiting => Error::invalid("data", "is for a command that has not begun"),
                            _ => over(),
                        });
                    }
                    Some(command) if command.stdin == Stdin::Empty => {
                        let reason = "is for a command that reads nothing: only one in the background does";
                        result = Err(Error::invalid("data", reason));
                    }
                    Some(command) => {
                        let echoed: usize = command.echoes.iter().map(|(_, bytes)| bytes.len()).sum();
                        if command.echo && echoed + data.len() <= limits::SESSION_ECHO_MAX_BYTES {
                            command.echoes.push((offset, data.clone()));
                        }
                    }
                }
            });
            result?;
            self.input.send(ExecInput::Stdin(data)).await.map_err(|_| over())
        };
        tokio::time::timeout(limits::SESSION_INPUT_PATIENCE, send).await.unwrap_or_else(|_| {
            Err(Error::Unavailable {
                retry_after: None,
                source: "the command does not read its input".into(),
            })
        })
    }

    /// Waits until the log has been read to this offset, or there is no more of it.
    pub(super) async fn has_read(&self, offset: u64) {
        let mut state = self.state.subscribe();
        // The sender is this shell's.
        let _ = state.wait_for(|state| state.offset >= offset || state.ended.is_some()).await;
    }

    pub(super) fn over(&self) -> Error {
        Error::Over { kind: Kind::Session, id: self.name.clone() }
    }

    /// Reads the log and begins commands, until the shell ends or is lost with its sandbox.
    async fn keep(&self, mut events: mpsc::Receiver<Result<ExecEvent>>) {
        /// SIGKILL: what ends all that is in a sandbox that ends.
        const LOST: ExecExit = ExecExit::Signal(9);
        let (mut stdout, mut stderr) = (Scanner::new(&self.token), Scanner::new(&self.token));
        loop {
            // Whoever waits is told of the change; a look that changes nothing is none.
            let mut next = None;
            self.state.send_if_modified(|state| {
                next = state.begin_next();
                next.is_some()
            });
            if let Some((id, command, stdin)) = next {
                let line = script::line(&self.token, id, &command, stdin);
                let _gate = self.gate.lock().await;
                // A shell that has ended takes nothing; its end tells.
                let _ = self.input.send(ExecInput::Stdin(line.into())).await;
            }
            tokio::select! {
                event = events.recv() => match event {
                    Some(Ok(ExecEvent::Stdout(bytes))) => self.read(&mut stdout, &bytes),
                    Some(Ok(ExecEvent::Stderr(bytes))) => self.read(&mut stderr, &bytes),
                    Some(Ok(ExecEvent::Skipped(offset))) => {
                        stdout.rest();
                        stderr.rest();
                        self.state.send_modify(|state| state.offset = offset);
                    }
                    Some(Ok(ExecEvent::Exited(output))) => {
                        return self.state.send_modify(|state| state.finish(output.exit));
                    }
                    Some(Err(_)) | None => return self.state.send_modify(|state| state.finish(LOST)),
                },
                () = self.wake.notified() => {}
            }
        }
    }

    fn read(&self, scanner: &mut Scanner, bytes: &Bytes) {
        let found = scanner.push(bytes);
        self.state.send_modify(|state| {
            for (found, read) in found {
                if let Found::Mark(mark) = found {
                    state.take(mark, state.offset + read as u64);
                }
            }
            state.offset += bytes.len() as u64;
        });
    }
}
