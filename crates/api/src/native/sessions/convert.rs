//! Shell sessions between JSON and the core's nouns.

use bytes::BytesMut;
use lazaret_core::{
    CommandEnd, CommandId, CommandLog, CommandSpec, LogPiece, Session, SessionCommand, SessionSpec, Stdin,
};

use super::wire;
use crate::ids;
use crate::native::execs::convert::{code_and_signal, text};
use crate::native::time::rfc3339;

impl From<wire::NewSession> for SessionSpec {
    fn from(new: wire::NewSession) -> Self {
        Self { name: new.name, cwd: new.cwd, env: new.env.unwrap_or_default() }
    }
}

impl From<wire::NewCommand> for CommandSpec {
    fn from(new: wire::NewCommand) -> Self {
        let stdin = if new.background { Stdin::Stream } else { Stdin::Empty };
        Self { command: new.command, stdin, echo: new.echo }
    }
}

impl From<Session> for wire::Session {
    fn from(session: Session) -> Self {
        let (exit_code, signal) = session.ended.map_or((None, None), code_and_signal);
        Self {
            name: session.name,
            created_at: rfc3339(session.created_at),
            running: session.ended.is_none(),
            exit_code,
            signal,
            commands: session.commands.into_iter().map(wire::Command::from).collect(),
        }
    }
}

impl From<SessionCommand> for wire::Command {
    fn from(command: SessionCommand) -> Self {
        Self {
            id: ids::uuid(command.id.as_bytes()),
            command: command.command,
            running: command.end.is_none(),
            end: command.end.into(),
        }
    }
}

impl From<Option<CommandEnd>> for wire::CommandEnd {
    fn from(end: Option<CommandEnd>) -> Self {
        match end {
            None => Self::default(),
            Some(CommandEnd::Code(code)) => Self { exit_code: Some(code), ..Self::default() },
            Some(CommandEnd::WithShell(exit)) => {
                let (exit_code, signal) = code_and_signal(exit);
                Self { exit_code, signal, session_ended: true, never_ran: false }
            }
            Some(CommandEnd::NeverRan) => Self { session_ended: true, never_ran: true, ..Self::default() },
        }
    }
}

impl wire::CommandResult {
    /// A command's log as one answer.
    pub(super) fn new(id: CommandId, log: &CommandLog) -> Self {
        let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
        for piece in &log.pieces {
            match piece {
                LogPiece::Stdout(bytes) => out.extend_from_slice(bytes),
                LogPiece::Stderr(bytes) => err.extend_from_slice(bytes),
            }
        }
        let (stdout, stdout_base64) = text(out.freeze());
        let (stderr, stderr_base64) = text(err.freeze());
        Self {
            id: ids::uuid(id.as_bytes()),
            stdout,
            stderr,
            stdout_base64,
            stderr_base64,
            truncated: log.truncated,
            running: log.end.is_none(),
            end: log.end.into(),
        }
    }
}
