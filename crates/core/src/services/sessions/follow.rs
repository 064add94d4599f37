//! The log of one command, read from the guest's copy of its session's log.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::log::{Found, Mark, Scanner};
use super::shell::{Command, Phase, Shell};
use crate::ports::Guest;
use crate::services::InUse;
use crate::{
    CommandEnd, CommandId, CommandLog, Error, ExecEvent, Kind, LogEvent, LogPiece, Result, SandboxId, limits,
};

/// The log of a command, as it is read. Dropping it ends the reading and nothing else.
#[derive(Debug)]
pub struct LogStream {
    /// Bounded, so a follower that does not read costs nothing. An error is the last item; a channel that closes without
    /// [`LogEvent::Ended`] means that the sandbox died.
    pub events: mpsc::Receiver<Result<LogEvent>>,
    /// Keeps the sandbox in use for as long as somebody follows.
    pub guard: InUse,
}

impl LogStream {
    /// The whole of it, in memory.
    ///
    /// # Errors
    /// [`Error::Ended`] if the sandbox ends meanwhile.
    pub async fn collect(mut self) -> Result<CommandLog> {
        let mut log = CommandLog::default();
        let mut left = usize::try_from(limits::EXEC_OUTPUT_MAX_BYTES).unwrap_or(usize::MAX);
        while let Some(event) = self.events.recv().await {
            let (bytes, piece): (Bytes, fn(Bytes) -> LogPiece) = match event? {
                LogEvent::Stdout(bytes) => (bytes, LogPiece::Stdout),
                LogEvent::Stderr(bytes) => (bytes, LogPiece::Stderr),
                LogEvent::Skipped => {
                    log.truncated = true;
                    continue;
                }
                LogEvent::Ended(end) => {
                    log.end = end;
                    return Ok(log);
                }
            };
            let kept = bytes.len().min(left);
            left -= kept;
            log.truncated |= kept < bytes.len();
            if kept > 0 {
                log.pieces.push(piece(bytes.slice(..kept)));
            }
        }
        Err(self.guard.how_it_ended().await)
    }
}

/// How far a follower reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To what there is now.
    Now,
    /// To the end of the command.
    TheEnd,
}

/// Starts to read the log of a command.
pub(super) fn follow(
    guest: Arc<dyn Guest>,
    sandbox: SandboxId,
    shell: Arc<Shell>,
    id: CommandId,
    until: Until,
    guard: InUse,
) -> LogStream {
    let (sender, events) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
    // Ends with the command's log, or with whoever reads it.
    tokio::spawn(async move {
        let follower = Follower { shell, id, told: sender.clone(), at: 0, echoed: 0 };
        let result = tokio::select! {
            result = follower.run(&*guest, sandbox, until) => result,
            () = sender.closed() => return,
        };
        match result {
            Ok(Some(end)) => drop(sender.send(Ok(LogEvent::Ended(end))).await),
            // The sandbox has ended: the channel closes.
            Ok(None) => {}
            Err(error) => drop(sender.send(Err(error)).await),
        }
    });
    LogStream { events, guard }
}

struct Follower {
    shell: Arc<Shell>,
    id: CommandId,
    told: mpsc::Sender<Result<LogEvent>>,
    /// How much of the log has been read.
    at: u64,
    /// How many of the command's inputs have been told.
    echoed: usize,
}

impl Follower {
    /// Tells the log up to its end, which is answered; nothing if the sandbox ended first.
    async fn run(
        mut self,
        guest: &dyn Guest,
        sandbox: SandboxId,
        until: Until,
    ) -> Result<Option<Option<CommandEnd>>> {
        let mut state = self.shell.state.subscribe();
        let begun = |command: &Command| command.phase != Phase::Waiting;
        let (start, phase, now) = loop {
            {
                let state = state.borrow_and_update();
                let command = state.find(self.id).ok_or_else(|| Error::not_found(Kind::Command, self.id))?;
                if begun(command) || until == Until::Now {
                    break (command.start, command.phase, state.offset);
                }
            }
            // The sender is the shell's, which this follower holds.
            let _ = state.changed().await;
        };
        match phase {
            Phase::Waiting => return Ok(Some(None)),
            Phase::Ended(CommandEnd::NeverRan) => return Ok(Some(Some(CommandEnd::NeverRan))),
            Phase::Running | Phase::Ended(_) => {}
        }
        let mut exec = guest.attach(sandbox, self.shell.exec, start).await?;
        self.at = exec.offset;
        if exec.offset > start {
            self.tell(LogEvent::Skipped).await;
        }
        let mut stdout = Half::new(&self.shell.token, exec.offset == start);
        let mut stderr = Half::new(&self.shell.token, false);
        while !(stdout.has_ended && stderr.has_ended) {
            if until == Until::Now && self.at >= now {
                self.tell_echoes(u64::MAX).await;
                return Ok(Some(self.end()));
            }
            let event = tokio::select! {
                event = exec.events.recv() => event,
                _ = state.changed() => {
                    self.tell_echoes(self.at).await;
                    continue;
                }
            };
            match event {
                Some(Ok(ExecEvent::Stdout(bytes))) => self.read(&mut stdout, bytes, LogEvent::Stdout).await,
                Some(Ok(ExecEvent::Stderr(bytes))) => self.read(&mut stderr, bytes, LogEvent::Stderr).await,
                Some(Ok(ExecEvent::Skipped(offset))) => {
                    self.at = offset;
                    stdout.skipped();
                    stderr.skipped();
                    self.tell(LogEvent::Skipped).await;
                }
                Some(Ok(ExecEvent::Exited(_))) => {
                    self.read_rest(&mut stdout, LogEvent::Stdout).await;
                    self.read_rest(&mut stderr, LogEvent::Stderr).await;
                    break;
                }
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
        self.tell_echoes(u64::MAX).await;
        let ended =
            |state: &super::shell::State| state.find(self.id).is_none_or(|command| command.end().is_some());
        // The keeper reads the same log, and may be a moment behind.
        let _ = state.wait_for(ended).await;
        Ok(Some(self.end()))
    }

    async fn read(&mut self, half: &mut Half, mut bytes: Bytes, event: fn(Bytes) -> LogEvent) {
        while !bytes.is_empty() {
            self.tell_echoes(self.at).await;
            // Up to where something was sent, so that it is told in its place.
            let next = self.next_echo().and_then(|next| usize::try_from(next - self.at).ok());
            let part = bytes.split_to(next.unwrap_or(usize::MAX).min(bytes.len()));
            self.at += part.len() as u64;
            for piece in half.push(&part, self.id) {
                self.tell(event(piece)).await;
            }
        }
    }

    /// Where in the log the next input that was not told was sent, if that is still to come.
    fn next_echo(&self) -> Option<u64> {
        let state = self.shell.state.borrow();
        let echoes = &state.find(self.id)?.echoes;
        echoes.get(self.echoed).map(|(at, _)| *at).filter(|at| *at > self.at)
    }

    async fn read_rest(&mut self, half: &mut Half, event: fn(Bytes) -> LogEvent) {
        let rest = half.scanner.rest();
        if !rest.is_empty() && half.is_ours() {
            self.tell(event(rest)).await;
        }
    }

    /// Tells what was sent to the command before this offset of the log.
    async fn tell_echoes(&mut self, offset: u64) {
        let due: Vec<Bytes> = {
            let state = self.shell.state.borrow();
            let echoes = state.find(self.id).map(|command| command.echoes.as_slice()).unwrap_or_default();
            let rest = echoes.get(self.echoed..).unwrap_or_default();
            rest.iter().take_while(|(at, _)| *at <= offset).map(|(_, bytes)| bytes.clone()).collect()
        };
        self.echoed += due.len();
        for bytes in due {
            self.tell(LogEvent::Stdout(bytes)).await;
        }
    }

    fn end(&self) -> Option<CommandEnd> {
        self.shell.state.borrow().find(self.id).and_then(Command::end)
    }

    async fn tell(&self, event: LogEvent) {
        // Whoever reads may be gone; then this task is dropped.
        let _ = self.told.send(Ok(event)).await;
    }
}

/// One stream of the log.
struct Half {
    scanner: Scanner,
    /// The command's beginning is still to come in this stream.
    awaits_begin: bool,
    has_ended: bool,
}

impl Half {
    fn new(token: &str, awaits_begin: bool) -> Self {
        Self { scanner: Scanner::new(token), awaits_begin, has_ended: false }
    }

    fn is_ours(&self) -> bool {
        !self.awaits_begin && !self.has_ended
    }

    fn skipped(&mut self) {
        self.scanner.rest();
        self.awaits_begin = false;
    }

    /// The command's own output in these bytes.
    fn push(&mut self, bytes: &Bytes, id: CommandId) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        for (found, _) in self.scanner.push(bytes) {
            match found {
                Found::Output(bytes) if self.is_ours() => pieces.push(bytes),
                Found::Output(_) => {}
                Found::Mark(Mark::Begin { id: begun, .. }) => self.awaits_begin &= begun != id,
                Found::Mark(Mark::End { id: ended, .. }) => self.has_ended |= ended == id,
            }
        }
        pieces
    }
}
