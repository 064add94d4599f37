//! Nouns of shell sessions: a shell that stays, and the commands that it runs one after another.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{CommandId, ExecExit, Stdin, Timestamp};

/// A wanted session.
#[derive(Debug, Clone, Default)]
pub struct SessionSpec {
    /// Its name, unique in its sandbox.
    pub name: String,
    /// Working directory that it begins in; `None` for that of execs.
    pub cwd: Option<String>,
    /// Variables on top of those of execs.
    pub env: BTreeMap<String, String>,
}

/// A shell that keeps its directory, variables and functions from one command to the next. It ends with the sandbox's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How its shell ended; `None` while it runs.
    pub ended: Option<ExecExit>,
    /// Its commands, oldest first.
    pub commands: Vec<SessionCommand>,
}

/// A command to run in a session.
#[derive(Debug, Clone, Default)]
pub struct CommandSpec {
    /// Shell text, of any number of lines.
    pub command: String,
    /// What it reads.
    pub stdin: Stdin,
    /// What it is sent on standard input also appears in its log, as on a terminal.
    pub echo: bool,
}

/// A command of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCommand {
    /// Its id.
    pub id: CommandId,
    /// Its text.
    pub command: String,
    /// How it ended; `None` while it waits or runs.
    pub end: Option<CommandEnd>,
}

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this code.
    Code(u8),
    /// With the shell itself, which ended so.
    WithShell(ExecExit),
    /// Before its turn came: the shell had ended.
    NeverRan,
}

/// What a follower of a command hears, in order; [`LogEvent::Ended`] is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// Bytes of standard output, or of input that is echoed.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// Output is missing here: more was written than is kept.
    Skipped,
    /// All was told. `None` if the command goes on, for a follower who wanted only what there was.
    Ended(Option<CommandEnd>),
}

/// Output of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPiece {
    /// Standard output.
    Stdout(Bytes),
    /// Standard error.
    Stderr(Bytes),
}

/// The log of a command, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLog {
    /// In the order of arrival.
    pub pieces: Vec<LogPiece>,
    /// Something is missing: it was beyond what is kept, or beyond what one answer holds.
    pub truncated: bool,
    /// How the command ended, if it has.
    pub end: Option<CommandEnd>,
}
