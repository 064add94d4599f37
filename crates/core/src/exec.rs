//! Nouns of running a command: the request, the live session, the result.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::services::InUse;
use crate::{Error, ExecId, Result, Timestamp};

/// A request to run a command inside a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecSpec {
    /// Program and arguments; the program is looked up in `PATH` inside the sandbox.
    pub command: Vec<String>,
    /// Working directory; `None` for the sandbox's own.
    pub cwd: Option<String>,
    /// Variables on top of the image's and the sandbox's.
    pub env: BTreeMap<String, String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; `None` for the sandbox's own user.
    pub user: Option<String>,
    /// What the process reads.
    pub stdin: Stdin,
    /// A PTY instead of pipes; standard error then comes through standard output.
    pub tty: Option<Tty>,
    /// When to kill the process group; `None` for never.
    pub timeout: Option<Duration>,
    /// Bytes of output (both streams together) to deliver; what is beyond is dropped and reported as truncated.
    pub output_limit_bytes: Option<u64>,
    /// Where standard error goes without a PTY.
    pub stderr: StderrTo,
}

/// Where a process writes its errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StderrTo {
    /// A stream of its own.
    #[default]
    Own,
    /// Standard output, so that the two keep the order in which they were written.
    Stdout,
}

/// How a guest keeps an exec in the background.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// What a listing repeats, for a server that did not start it.
    pub label: Option<String>,
    /// Bytes of output that are kept on the sandbox's disk once they no longer fit into the guest's memory.
    pub spool_bytes: Option<u64>,
    /// What it has between SIGTERM and SIGKILL when it is removed; `None` leaves it to the guest.
    pub grace: Option<Duration>,
}

/// How a background exec that still runs is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// With SIGKILL, at once.
    Kill,
    /// With SIGTERM, and with SIGKILL after its grace, which nobody waits for.
    Ask,
}

/// What a process reads on standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing: `/dev/null`.
    #[default]
    Empty,
    /// What the session sends, until [`ExecInput::StdinEnd`].
    Stream,
}

/// The terminal of a PTY exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tty {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub cols: u16,
    /// Value of `TERM`.
    pub term: String,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecExit {
    /// It called exit with this code.
    Code(u8),
    /// This signal killed it.
    Signal(u8),
}

/// The end of an exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecOutput {
    /// Code or signal.
    pub exit: ExecExit,
    /// The timeout killed it.
    pub timed_out: bool,
    /// SIGKILL ended it, or a program in it as its exit code says, and meanwhile the kernel killed a process of the
    /// sandbox for want of memory.
    pub oom: bool,
    /// Output beyond the limit was dropped.
    pub truncated: bool,
    /// From start to end, by the guest's clock.
    pub duration: Duration,
}

impl ExecOutput {
    /// SIGKILL ended it, or a program in it as a shell's exit code says, and its timeout is not the reason. Whether a want of
    /// memory is, the kernel's count of such kills tells.
    pub fn was_killed(&self) -> bool {
        const SIGKILL: u8 = 9;
        const BY_SHELL: u8 = 128 + SIGKILL;
        matches!(self.exit, ExecExit::Signal(SIGKILL) | ExecExit::Code(BY_SHELL)) && !self.timed_out
    }
}

/// What a session delivers, in order; [`ExecEvent::Exited`] is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecEvent {
    /// Bytes of standard output, or of the PTY.
    Stdout(Bytes),
    /// Bytes of standard error.
    Stderr(Bytes),
    /// Output up to this offset was dropped before it could be delivered; only of an exec in the background.
    Skipped(u64),
    /// The process ended and its output is complete.
    Exited(ExecOutput),
}

/// What a session accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecInput {
    /// Bytes for standard input.
    Stdin(Bytes),
    /// No more input.
    StdinEnd,
    /// Send this signal to the process group.
    Signal(u8),
    /// The terminal has a new size.
    Resize {
        /// Lines of text.
        rows: u16,
        /// Characters in a line.
        cols: u16,
    },
}

/// A running exec. Dropping it kills the process group, unless the exec runs in the background.
#[derive(Debug)]
pub struct ExecSession {
    /// Process id inside the sandbox, as the guest reports it.
    pub pid: u32,
    /// Offset of the output with which `events` begin; 0 unless the session is attached to an exec in the background.
    pub offset: u64,
    /// Towards the process; bounded, so a process that does not read makes the sender wait.
    pub input: mpsc::Sender<ExecInput>,
    /// From the process; bounded, so a reader that does not read makes the process wait.
    /// An error is the last item. A channel that closes without [`ExecEvent::Exited`] means that the sandbox died, see
    /// [`ExecSession::broken_off`].
    pub events: mpsc::Receiver<Result<ExecEvent>>,
    /// Keeps the sandbox in use for as long as the session lasts.
    pub guard: Option<InUse>,
}

impl ExecSession {
    /// A session as an adapter of the guest makes it.
    pub fn new(pid: u32, input: mpsc::Sender<ExecInput>, events: mpsc::Receiver<Result<ExecEvent>>) -> Self {
        Self { pid, offset: 0, input, events, guard: None }
    }

    /// What it means that `events` closed without [`ExecEvent::Exited`]; `guard` is the session's.
    pub async fn broken_off(guard: Option<&InUse>) -> Error {
        match guard {
            Some(guard) => guard.how_it_ended().await,
            None => {
                Error::Unavailable { retry_after: None, source: "the sandbox ended during the exec".into() }
            }
        }
    }

    pub(crate) fn holding(mut self, guard: InUse) -> Self {
        self.guard = Some(guard);
        self
    }
}

/// A finished exec with its output in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecResult {
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
    /// How it ended.
    pub output: ExecOutput,
}

/// A finished exec with its output in memory, both streams in the order of writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixedResult {
    /// Output.
    pub output: Bytes,
    /// Figures that the code showed, as far as it was run where they can be seen.
    pub figures: Vec<Figure>,
    /// How it ended.
    pub end: ExecOutput,
}

/// A figure that code showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is called; may be empty.
    pub title: String,
    /// The picture, a PNG as the code in the sandbox claims.
    pub png: Bytes,
    /// What is drawn in it, as JSON as the code in the sandbox claims; empty where nobody can tell.
    pub drawing: Bytes,
}

/// A background exec as the guest lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackgroundExec {
    /// Its id.
    pub id: ExecId,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Process id inside the sandbox.
    pub pid: u32,
    /// When it was started, by the id.
    pub started_at: Timestamp,
    /// How it ended; `None` while it runs.
    pub output: Option<ExecOutput>,
    /// Bytes of output so far; an attach may ask for any offset up to here.
    pub output_bytes: u64,
    /// The oldest offset that is still kept.
    pub oldest_offset: u64,
    /// What [`Keep::label`] said; like all of this, a claim of the guest's.
    pub label: Option<String>,
}

/// A language that `run` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Python 3, by the image's `python3`.
    Python,
    /// JavaScript, by the image's `node`.
    JavaScript,
    /// TypeScript, with its types removed and then run as JavaScript.
    TypeScript,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::Python, Self::JavaScript, Self::TypeScript];

    /// The name used in requests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|language| language.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::invalid("language", format!("'{text}' is not one of {known}"))
        })
    }
}
