//! Execs between JSON and the core's nouns.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use lazaret_core::services::RunSpec;
use lazaret_core::{
    BackgroundExec, Error, ExecExit, ExecInput, ExecOutput, ExecSession, ExecSpec, Result, StderrTo, Stdin,
    limits,
};

use super::wire;
use crate::failure::{FieldProblem, Part, Rejection};
use crate::ids;
use crate::native::time::rfc3339;

/// `TERM` of a terminal whose asker names none: what browsers' and most desktops' terminals are.
const TERM_DEFAULT: &str = "xterm-256color";
/// Longest `TERM`, in bytes; terminfo knows none as long.
const TERM_MAX_BYTES: usize = 64;
/// The highest signal number of Linux.
const SIGNAL_MAX: u8 = 64;

/// A request, read: what to run, and what it reads.
pub(super) struct Exec {
    pub(super) spec: ExecSpec,
    pub(super) stdin: Bytes,
    pub(super) background: bool,
    /// Standard input goes on over the WebSocket.
    pub(super) stdin_stream: bool,
}

fn body(field: &str, reason: &str) -> Rejection {
    let problem = FieldProblem::Other(reason.to_owned());
    Rejection::Field { part: Part::Body, field: field.to_owned(), problem }
}

fn missing(field: &str) -> Rejection {
    Rejection::Field { part: Part::Body, field: field.to_owned(), problem: FieldProblem::Missing }
}

impl TryFrom<wire::ExecRequest> for Exec {
    type Error = Rejection;

    fn try_from(request: wire::ExecRequest) -> Result<Self, Rejection> {
        let stdin = match (request.stdin, request.stdin_base64) {
            (Some(_), Some(_)) => return Err(body("stdin_base64", "cannot be given together with stdin")),
            (Some(text), None) => Bytes::from(text),
            (None, Some(text)) => {
                BASE64.decode(text).map_err(|_| body("stdin_base64", "is not base 64"))?.into()
            }
            (None, None) => Bytes::new(),
        };
        let spec = ExecSpec {
            command: request.command,
            cwd: request.cwd,
            env: request.env.unwrap_or_default(),
            user: request.user,
            stdin: if stdin.is_empty() { Stdin::Empty } else { Stdin::Stream },
            tty: request.tty.map(tty).transpose()?,
            timeout: request.timeout_ms.map(Duration::from_millis),
            output_limit_bytes: request.output_limit_bytes,
            stderr: StderrTo::Own,
        };
        Ok(Self { spec, stdin, background: request.background, stdin_stream: request.stdin_stream })
    }
}

fn tty(tty: wire::Tty) -> Result<lazaret_core::Tty, Rejection> {
    let term = tty.term.unwrap_or_else(|| TERM_DEFAULT.to_owned());
    if term.is_empty() || term.len() > TERM_MAX_BYTES || !term.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(body("tty.term", "is not the name of a terminal"));
    }
    Ok(lazaret_core::Tty { rows: tty.rows, cols: tty.cols, term })
}

impl Exec {
    /// Refuses what only the WebSocket can do.
    pub(super) fn without_terminal(self) -> Result<Self, Rejection> {
        const WHERE: &str = "is for the WebSocket at .../exec/ws";
        if self.spec.tty.is_some() {
            return Err(body("tty", WHERE));
        }
        if self.stdin_stream {
            return Err(body("stdin_stream", WHERE));
        }
        if self.background && !self.stdin.is_empty() {
            return Err(body("stdin", "cannot be given to an exec in the background"));
        }
        Ok(self)
    }

    /// Refuses what the WebSocket cannot do; a terminal's input is always the client's.
    pub(super) fn with_terminal(mut self) -> Result<Self, Rejection> {
        if self.background {
            return Err(body("background", "is for POST .../exec"));
        }
        if self.stdin_stream || self.spec.tty.is_some() {
            self.stdin_stream = true;
            self.spec.stdin = Stdin::Stream;
        }
        Ok(self)
    }
}

impl TryFrom<wire::RunRequest> for RunSpec {
    type Error = Error;

    fn try_from(request: wire::RunRequest) -> Result<Self> {
        Ok(Self {
            language: request.language.parse()?,
            code: request.code,
            args: request.args.unwrap_or_default(),
            cwd: request.cwd,
            env: request.env.unwrap_or_default(),
            timeout: request.timeout_ms.map(Duration::from_millis),
        })
    }
}

impl wire::Control {
    /// What the process is told.
    pub(super) fn into_input(self) -> Result<ExecInput, Rejection> {
        match self.kind {
            wire::ControlKind::StdinEnd => Ok(ExecInput::StdinEnd),
            wire::ControlKind::Signal => match self.signal {
                Some(signal @ 1..=SIGNAL_MAX) => Ok(ExecInput::Signal(signal)),
                _ => Err(body("signal", "must be from 1 to 64")),
            },
            wire::ControlKind::Resize => {
                let rows = self.rows.ok_or_else(|| missing("rows"))?;
                let cols = self.cols.ok_or_else(|| missing("cols"))?;
                Ok(ExecInput::Resize { rows, cols })
            }
        }
    }
}

pub(in crate::native) fn code_and_signal(exit: ExecExit) -> (Option<u8>, Option<u8>) {
    match exit {
        ExecExit::Code(code) => (Some(code), None),
        ExecExit::Signal(signal) => (None, Some(signal)),
    }
}

pub(in crate::native) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl From<&ExecSession> for wire::Started {
    fn from(session: &ExecSession) -> Self {
        Self { pid: (session.pid != 0).then_some(session.pid) }
    }
}

impl From<ExecOutput> for wire::Exited {
    fn from(output: ExecOutput) -> Self {
        let (exit_code, signal) = code_and_signal(output.exit);
        Self {
            exit_code,
            signal,
            duration_ms: millis(output.duration),
            truncated: output.truncated,
            timed_out: output.timed_out,
            oom: output.oom,
        }
    }
}

impl From<lazaret_core::ExecResult> for wire::ExecResult {
    fn from(result: lazaret_core::ExecResult) -> Self {
        let (exit_code, signal) = code_and_signal(result.output.exit);
        let (stdout, stdout_base64) = text(result.stdout);
        let (stderr, stderr_base64) = text(result.stderr);
        Self {
            exit_code,
            signal,
            stdout,
            stderr,
            stdout_base64,
            stderr_base64,
            duration_ms: millis(result.output.duration),
            truncated: result.output.truncated,
            timed_out: result.output.timed_out,
            oom: result.output.oom,
        }
    }
}

/// The bytes as text, and to the base 64 as well if that loses something.
pub(in crate::native) fn text(bytes: Bytes) -> (String, Option<String>) {
    match String::from_utf8(bytes.into()) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.as_bytes();
            (String::from_utf8_lossy(bytes).into_owned(), Some(BASE64.encode(bytes)))
        }
    }
}

impl From<Bytes> for wire::Chunk {
    fn from(bytes: Bytes) -> Self {
        Self { data_base64: BASE64.encode(bytes) }
    }
}

impl From<BackgroundExec> for wire::Exec {
    fn from(exec: BackgroundExec) -> Self {
        let (exit_code, signal) =
            exec.output.as_ref().map_or((None, None), |output| code_and_signal(output.exit));
        Self {
            id: ids::uuid(exec.id.as_bytes()),
            command: exec.command,
            pid: exec.pid,
            started_at: rfc3339(exec.started_at),
            running: exec.output.is_none(),
            exit_code,
            signal,
            timed_out: exec.output.is_some_and(|output| output.timed_out),
            output_bytes: exec.output_bytes,
            oldest_offset: exec.oldest_offset,
        }
    }
}

/// How long the host waits for an exec that has `timeout` inside: the guest enforces it, and may lie.
pub(in crate::native) fn longest(timeout: Option<Duration>) -> Duration {
    /// Time for the start, the kill and the rest of the output.
    const MARGIN: Duration = Duration::from_secs(15);
    timeout.unwrap_or(limits::EXEC_TIMEOUT_DEFAULT).min(limits::EXEC_TIMEOUT_MAX) + MARGIN
}
