//! Shell sessions as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A wanted session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSession {
    /// Its name, unique in the sandbox.
    pub(crate) name: String,
    /// Working directory that it begins in; the sandbox's own if it is absent.
    pub(crate) cwd: Option<String>,
    /// Variables on top of the image's and the sandbox's.
    pub(crate) env: Option<BTreeMap<String, String>>,
}

/// A shell that keeps its state.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Its name.
    pub(crate) name: String,
    /// When it was made, RFC 3339.
    pub(crate) created_at: String,
    /// Its shell runs.
    pub(crate) running: bool,
    /// The shell's exit code, if it ended by itself.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended the shell.
    pub(crate) signal: Option<u8>,
    /// Its commands, oldest first.
    pub(crate) commands: Vec<Command>,
}

/// The sessions of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    /// By name.
    pub(crate) sessions: Vec<Session>,
}

/// A command to run in a session.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCommand {
    /// Shell text, of any number of lines.
    pub(crate) command: String,
    /// Answer at once; the command then reads what it is sent, and nothing otherwise.
    #[serde(default)]
    pub(crate) background: bool,
    /// What a command in the background is sent also appears in its log.
    #[serde(default)]
    pub(crate) echo: bool,
}

/// A command of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Command {
    /// Its id.
    pub(crate) id: String,
    /// Its text.
    pub(crate) command: String,
    /// It waits or runs.
    pub(crate) running: bool,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: CommandEnd,
}

/// How a command ended; every field is empty for one that has not.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct CommandEnd {
    /// Its exit code, or that of the shell which ended with it.
    pub(crate) exit_code: Option<u8>,
    /// The signal that ended the shell, and the command with it.
    pub(crate) signal: Option<u8>,
    /// The shell ended with it.
    pub(crate) session_ended: bool,
    /// The shell ended before its turn came.
    pub(crate) never_ran: bool,
}

/// A command with its log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CommandResult {
    /// Its id.
    pub(crate) id: String,
    /// Standard output, with what is not UTF-8 replaced.
    pub(crate) stdout: String,
    /// Standard error, likewise.
    pub(crate) stderr: String,
    /// Standard output to the base 64, only if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdout_base64: Option<String>,
    /// Standard error to the base 64, only if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stderr_base64: Option<String>,
    /// Output is missing: more was written than is kept, or than one answer holds.
    pub(crate) truncated: bool,
    /// It waits or runs.
    pub(crate) running: bool,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: CommandEnd,
}

/// Which part of a log.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Wait for the command's end, instead of telling what there is.
    #[serde(default)]
    pub(crate) follow: bool,
}

/// The data of the event `ended`, with which a log's events end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogEnd {
    /// The command waits or runs.
    pub(crate) running: bool,
    /// How it ended.
    #[serde(flatten)]
    pub(crate) end: CommandEnd,
}

/// Input for a command.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// Text, to which a newline is added if it has none at its end.
    pub(crate) data: String,
}
