//! Execs as JSON: requests, results, and the events of a stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::native::error::Problem;

/// A command to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecRequest {
    /// Program and arguments; the program is looked up in `PATH` inside.
    pub(crate) command: Vec<String>,
    /// Working directory; the sandbox's own if it is absent.
    pub(crate) cwd: Option<String>,
    /// Variables on top of the image's and the sandbox's.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// `name`, `uid`, `name:group` or `uid:gid`; the sandbox's own if it is absent.
    pub(crate) user: Option<String>,
    /// What the process reads; nothing if it is absent.
    pub(crate) stdin: Option<String>,
    /// The same for bytes that are not UTF-8, to the base 64.
    pub(crate) stdin_base64: Option<String>,
    /// When to kill the process group. If absent: after 30 s where the answer comes in one piece, else never.
    pub(crate) timeout_ms: Option<u64>,
    /// Bytes of output to deliver, of both streams together; what is beyond is dropped and reported as truncated.
    pub(crate) output_limit_bytes: Option<u64>,
    /// Answer at once, and keep the output for `.../execs/{exec}/output`.
    #[serde(default)]
    pub(crate) background: bool,
    /// Over the WebSocket only: a terminal instead of pipes.
    pub(crate) tty: Option<Tty>,
    /// Over the WebSocket only: binary messages go to standard input.
    #[serde(default)]
    pub(crate) stdin_stream: bool,
}

/// A terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tty {
    /// Lines of text.
    pub(crate) rows: u16,
    /// Characters in a line.
    pub(crate) cols: u16,
    /// Value of `TERM`; `xterm-256color` if it is absent.
    pub(crate) term: Option<String>,
}

/// A snippet to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRequest {
    /// `python`, `javascript` or `typescript`.
    pub(crate) language: String,
    /// Its source text.
    pub(crate) code: String,
    /// Arguments for it.
    pub(crate) args: Option<Vec<String>>,
    /// As for an exec.
    pub(crate) timeout_ms: Option<u64>,
    /// As for an exec.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// As for an exec.
    pub(crate) cwd: Option<String>,
}

/// A finished exec.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecResult {
    /// Exit code; null if a signal killed it.
    pub(crate) exit_code: Option<u8>,
    /// The signal that killed it; null if it exited.
    pub(crate) signal: Option<u8>,
    /// Standard output, with what is not UTF-8 replaced.
    pub(crate) stdout: String,
    /// Standard error, likewise.
    pub(crate) stderr: String,
    /// The exact standard output to the base 64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stdout_base64: Option<String>,
    /// The exact standard error to the base 64, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stderr_base64: Option<String>,
    /// From start to end, in milliseconds.
    pub(crate) duration_ms: u64,
    /// Output beyond the limit was dropped.
    pub(crate) truncated: bool,
    /// The timeout killed it.
    pub(crate) timed_out: bool,
    /// SIGKILL ended it, or something in it, and meanwhile the kernel killed a process of the sandbox for want of memory.
    pub(crate) oom: bool,
}

/// How a streamed exec ended: the data of the event `exited`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exited {
    /// Exit code; null if a signal killed it.
    pub(crate) exit_code: Option<u8>,
    /// The signal that killed it; null if it exited.
    pub(crate) signal: Option<u8>,
    /// From start to end, in milliseconds.
    pub(crate) duration_ms: u64,
    /// Output beyond the limit was dropped.
    pub(crate) truncated: bool,
    /// The timeout killed it.
    pub(crate) timed_out: bool,
    /// SIGKILL ended it, or something in it, and meanwhile the kernel killed a process of the sandbox for want of memory.
    pub(crate) oom: bool,
}

/// The data of the event `started`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Started {
    /// Process id inside the sandbox; null where an older guest does not tell it to a follower.
    pub(crate) pid: Option<u32>,
}

/// The data of the events `stdout` and `stderr`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Chunk {
    /// Bytes of output, to the base 64.
    pub(crate) data_base64: String,
}

/// The data of the event `skipped`: output was dropped before it could be sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Skipped {
    /// Offset of what follows.
    pub(crate) offset: u64,
}

/// The data of the event `error`, which ends a stream early.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Failed {
    /// What went wrong.
    pub(crate) error: Problem,
}

/// An exec that goes on in the background.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Background {
    /// UUID; names it in `.../execs/{exec}`.
    pub(crate) exec_id: String,
    /// Process id inside the sandbox.
    pub(crate) pid: u32,
}

/// The background execs of a sandbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExecList {
    /// Oldest first.
    pub(crate) execs: Vec<Exec>,
}

/// A background exec.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Exec {
    /// UUID.
    pub(crate) id: String,
    /// Program and arguments.
    pub(crate) command: Vec<String>,
    /// Process id inside the sandbox.
    pub(crate) pid: u32,
    /// RFC 3339.
    pub(crate) started_at: String,
    /// It has not ended yet.
    pub(crate) running: bool,
    /// Exit code; null while it runs, or if a signal killed it.
    pub(crate) exit_code: Option<u8>,
    /// The signal that killed it.
    pub(crate) signal: Option<u8>,
    /// The timeout killed it.
    pub(crate) timed_out: bool,
    /// Bytes of output so far.
    pub(crate) output_bytes: u64,
    /// The oldest byte that is still kept.
    pub(crate) oldest_offset: u64,
}

/// Where to begin.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OutputQuery {
    /// The first byte of output that is wanted; the `id` of an event is the offset behind it.
    pub(crate) offset: Option<u64>,
}

/// What a client sends over the WebSocket as text, after its first message, which is an [`ExecRequest`].
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Control {
    /// What to do.
    #[serde(rename = "type")]
    pub(crate) kind: ControlKind,
    /// For `signal`: its number.
    pub(crate) signal: Option<u8>,
    /// For `resize`: lines of text.
    pub(crate) rows: Option<u16>,
    /// For `resize`: characters in a line.
    pub(crate) cols: Option<u16>,
}

/// Kinds of control messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ControlKind {
    /// There is no more standard input.
    StdinEnd,
    /// Send a signal to the process group.
    Signal,
    /// The terminal has a new size.
    Resize,
}

/// What the server sends over the WebSocket as text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Told {
    /// The process runs.
    Started(Started),
    /// The process ended and its output is complete.
    Exited(Exited),
    /// It did not start, or its stream broke.
    Error(Failed),
}
