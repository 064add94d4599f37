//! Running programs: what the host asks for and what it hears back.
//!
//! ```text
//!   foreground:  Exec ─▶ Started ─▶ (Stdout | Stderr)* ─▶ Exited       closing the connection kills the program
//!   background:  Exec ─▶ Started                                       the guest closes; the program lives on
//!                Attach ─▶ Attached ─▶ (Stdout | Stderr | Skipped)* ─▶ Exited   as often as wanted
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::{Decode, Encode};

use crate::byte_string::ByteString;

/// Run a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exec {
    /// Program and arguments. Without a slash, the program is looked up in the `PATH` of `env`, inside the sandbox.
    #[n(0)]
    pub argv: Vec<ByteString>,
    /// The whole environment, as `NAME=value`. The guest adds `PATH`, `HOME` and, on a terminal, `TERM`, each only
    /// when it is missing.
    #[n(1)]
    #[cbor(default)]
    pub env: Vec<ByteString>,
    /// Working directory; `None` is `/`.
    #[n(2)]
    pub cwd: Option<ByteString>,
    /// `name`, `uid`, `name:group` or `uid:gid`, looked up in the image's `/etc/passwd` and `/etc/group`;
    /// `None` is root.
    #[n(3)]
    pub user: Option<String>,
    /// Connect standard input, output and error to a new terminal of that size; `None` is pipes.
    #[n(4)]
    pub tty: Option<Tty>,
    /// Whether `Stdin` frames will come. Without, standard input is `/dev/null`. A terminal always takes them.
    #[n(5)]
    #[cbor(default)]
    pub stdin: bool,
    /// Kill the program after this many milliseconds; `None` is never.
    #[n(6)]
    pub timeout_ms: Option<u64>,
    /// Milliseconds between SIGTERM and SIGKILL when the guest ends the program; `None` leaves it to the guest,
    /// 0 is SIGKILL at once.
    #[n(7)]
    pub kill_grace_ms: Option<u32>,
    /// Bytes of output to deliver, both streams together. The rest is read and thrown away, and
    /// [`Exited::truncated`] is set; `None` is no limit.
    #[n(8)]
    pub output_limit_bytes: Option<u64>,
    /// Detach the program from this connection; `None` is a foreground exec.
    #[n(9)]
    pub background: Option<Background>,
    /// Where standard error goes without a terminal; `None` is a pipe of its own. Since version 3.
    #[n(10)]
    pub stderr: Option<Stderr>,
}

impl Exec {
    /// The oldest guest version that understands every field that is set.
    #[must_use]
    pub(crate) fn needs(&self) -> u32 {
        let background = self.background.as_ref();
        let is_new = self.stderr.is_some()
            || background
                .is_some_and(|background| background.label.is_some() || background.spool_bytes.is_some());
        if is_new { 3 } else { 1 }
    }
}

/// A place for standard error other than a pipe of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Stderr {
    /// The pipe of standard output, so that the two keep the order in which they were written.
    #[n(0)]
    WithStdout,
}

/// The size of a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Tty {
    /// Height in characters.
    #[n(0)]
    pub rows: u16,
    /// Width in characters.
    #[n(1)]
    pub columns: u16,
    /// Value of `TERM` when `env` has none; `None` is the guest's default.
    #[n(2)]
    pub term: Option<String>,
}

/// A background exec keeps its latest output in the guest, to be read by [`Attach`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Background {
    /// Chosen by the host, 1 to [`crate::limits::EXEC_ID_MAX`] bytes, unique among the retained ones.
    #[n(0)]
    pub id: ByteString,
    /// Bytes of output to retain, both streams together; `None` leaves it to the guest, which also caps it.
    #[n(1)]
    pub retain_bytes: Option<u32>,
    /// What a listing repeats, for a host that did not start the exec; at most [`crate::limits::LABEL_MAX`] bytes. Since
    /// version 3.
    #[n(2)]
    pub label: Option<ByteString>,
    /// Bytes of output to retain on the sandbox's disk once they no longer fit into memory; `None` is none. The guest caps
    /// it by the size of that disk. Since version 3.
    #[n(3)]
    pub spool_bytes: Option<u64>,
}

/// The program runs: `execve` has succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Started {
    /// Process id inside the sandbox; of no meaning outside it.
    #[n(0)]
    pub pid: u32,
}

/// How a process ended: an exit code or a signal, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ExitStatus {
    /// It called `exit` with this code, 0 to 255.
    #[n(0)]
    Code(#[n(0)] u8),
    /// A signal killed it.
    #[n(1)]
    Signal(#[n(0)] u8),
}

/// The end of an exec.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Exited {
    /// How the main process ended.
    #[n(0)]
    pub status: ExitStatus,
    /// The guest killed it because its time was up.
    #[n(1)]
    #[cbor(default)]
    pub timed_out: bool,
    /// Output is missing: it was past the limit, or a process that outlived the main one kept on writing.
    #[n(2)]
    #[cbor(default)]
    pub truncated: bool,
    /// Microseconds from start to end of the main process.
    #[n(3)]
    pub duration_us: u64,
}

/// Read the output of a background exec from `offset` on, and follow it until it ends.
///
/// The host may send `Stdin`, `StdinEnd`, `Signal` and `Resize` on the same connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attach {
    /// The id given in [`Background`].
    #[n(0)]
    pub id: ByteString,
    /// Bytes of both streams together, in the order in which the guest read them, that the host has seen.
    #[n(1)]
    pub offset: u64,
}

/// Output follows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Attached {
    /// Offset of the first byte that follows: more than asked for when older output is no longer retained, less
    /// when the host asked for bytes that do not exist yet. Every `Stdout` and `Stderr` frame advances it by its
    /// length; a `Skipped` frame sets it.
    #[n(0)]
    pub offset: u64,
    /// Process id inside the sandbox.
    #[n(1)]
    pub pid: u32,
}

/// Send a signal to the process group of a background exec.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct SignalExec {
    /// The id given in [`Background`].
    #[n(0)]
    pub id: ByteString,
    /// Signal number, 1 to [`crate::limits::SIGNAL_MAX`].
    #[n(1)]
    pub signal: u32,
}

/// Forget a background exec, killing all of its process group if it still runs.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RemoveExec {
    /// The id given in [`Background`].
    #[n(0)]
    pub id: ByteString,
    /// Ask the group to end first, and kill it after the grace of its [`Exec`]; the answer does not wait for that. Since
    /// version 3.
    #[n(1)]
    pub gently: Option<bool>,
}

/// One retained background exec, in the answer to `ListExecs`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ExecState {
    /// The id given in [`Background`].
    #[n(0)]
    pub id: ByteString,
    /// Process id inside the sandbox.
    #[n(1)]
    pub pid: u32,
    /// Offset of the oldest byte that is still retained.
    #[n(2)]
    pub oldest_offset: u64,
    /// Offset after the newest byte.
    #[n(3)]
    pub end_offset: u64,
    /// How it ended; `None` while it runs.
    #[n(4)]
    pub exited: Option<Exited>,
    /// Program and arguments, cut at [`crate::limits::LISTED_ARGV_MAX`] bytes.
    #[n(5)]
    #[cbor(default)]
    pub argv: Vec<ByteString>,
    /// The label given in [`Background`]. Since version 3.
    #[n(6)]
    pub label: Option<ByteString>,
}
