//! The spawner: the one process that clones namespaces, mounts, writes cgroups and sends signals to sandboxes.
//!
//! ```text
//!   server ── fork+exec of this program with a hidden argument ──▶ spawner ── clone3 ──▶ child ── execveat ──▶ guest
//!     ▲                                                              │
//!     └───────────── SOCK_SEQPACKET, on the spawner's stdin ─────────┘
//! ```
//!
//! It is a program of its own start (`/proc/self/exe`, not a fork of the server), for three reasons: its memory holds
//! nothing of the server's, keys least of all, when it is copied into sandboxes; it has one thread by construction, so
//! that a clone of it may do anything; and a server that runs already can start another one if it dies.
//!
//! It keeps no state that matters. When its socket closes it ends, and sandboxes live on; the next spawner is told about
//! each of them by an `Adopt` of its wire.
//!
//! ```text
//!   launch ─▶ Settings ─▶ own tree ─▶ Ready ─▶ (request ─▶ answer)* ─▶ end of file ─▶ exit
//! ```
//!
//! Not here: the server's end (`client`) and what the child does (`child`).

pub(crate) mod channel;
pub(crate) mod serve;
mod start;
mod tree;
mod undo;
mod verbs;
pub(crate) mod wire;

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::error::Error;
use crate::sys;
use channel::Channel;
pub use wire::StartTimes;

/// The argument that makes this program the spawner. It is what an operator sees in `ps`.
const ARGUMENT: &str = "--lazaret-spawner";

/// The first descriptor that is not one of the standard three.
const FIRST_INHERITED: RawFd = 3;

/// Becomes the spawner and never returns, if this process was started to be it; else does nothing.
///
/// The first thing that `main` does: before threads, logs and arguments.
pub fn take_over_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(ARGUMENT.as_ref()) && arguments.next().is_none() {
        std::process::exit(serve::main());
    }
}

/// The program to start as the spawner.
#[derive(Debug, Clone)]
pub enum Program {
    /// This one. Its `main` must call [`take_over_if_asked`].
    Itself,
    /// Another one whose `main` does, for tests, whose own `main` is the test harness.
    At(PathBuf),
}

/// Starts a spawner that waits for its settings on the channel, with nothing open but the standard three: what started
/// this program may have left it more (`flock` does), which would stand where the spawner's own have their places.
pub(crate) fn launch(program: &Program) -> Result<(Channel, Child), Error> {
    let path = match program {
        Program::Itself => PathBuf::from("/proc/self/exe"),
        Program::At(path) => path.clone(),
    };
    let gone =
        |error: std::io::Error| Error::SpawnerGone(format!("cannot start {}: {error}", path.display()));
    sys::exec::close_on_exec_from(FIRST_INHERITED).map_err(|errno| gone(errno.into()))?;
    let (ours, theirs) = Channel::pair().map_err(|errno| gone(errno.into()))?;
    let stdin: OwnedFd = theirs.into_socket();
    let process = Command::new(&path)
        .arg(OsString::from(ARGUMENT))
        .env_clear()
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::null())
        .spawn()
        .map_err(gone)?;
    Ok((ours, process))
}
