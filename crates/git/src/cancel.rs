//! Giving up half-way, in order: the guest asks with SIGTERM when the host has gone or time is up, and insists with
//! SIGKILL a little later.
//!
//! ```text
//!   SIGTERM ─▶ watcher: asked ─▶ the work sees it between two pieces, undoes what it began, answers and ends
//!                         └─ not in time, since it waits for a remote: the watcher undoes, and ends the program
//! ```

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lazaret_protocol::git::Problem;

use crate::failure::{Failure, Outcome};

/// How long the work may take to see that it is to end. The guest insists after some seconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// Exit status of a program that was ended in the middle; nobody is left to read it.
const ENDED: i32 = 1;

static ASKED: AtomicBool = AtomicBool::new(false);

/// What is to be undone by whoever comes to it first.
static BEGUN: Mutex<Option<Begun>> = Mutex::new(None);

/// A directory that is being made.
#[derive(Debug)]
pub(crate) struct Begun {
    /// The directory.
    pub(crate) path: PathBuf,
    /// It was there before, and empty.
    pub(crate) was_there: bool,
}

/// From now on, SIGTERM is a question.
///
/// # Errors
/// Those of sigaction(2) and of starting a thread.
pub(crate) fn listen() -> std::io::Result<()> {
    let (mut asked, signalled) = UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, signalled)?;
    std::thread::Builder::new().name("watcher".to_owned()).spawn(move || {
        // An error would mean that the other end is gone, which is never closed.
        if asked.read_exact(&mut [0]).is_err() {
            return;
        }
        ASKED.store(true, Ordering::Relaxed);
        wait();
        undo();
        std::process::exit(ENDED);
    })?;
    Ok(())
}

/// Passes the time that the work has; nothing wakes it before.
fn wait() {
    let (lock, never) = (Mutex::new(()), Condvar::new());
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    drop(never.wait_timeout_while(guard, PATIENCE, |()| true));
}

/// Whether to give up.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Goes on, unless it is time to give up.
pub(crate) fn check() -> Outcome<()> {
    if is_asked() { Err(Failure::new(Problem::Cancelled, "cancelled")) } else { Ok(()) }
}

/// From now on there is something to undo.
pub(crate) fn begin(begun: Begun) {
    *begun_now() = Some(begun);
}

/// It is complete.
pub(crate) fn complete() {
    *begun_now() = None;
}

/// Removes what has been begun. Best effort: what cannot be removed could not be used either.
pub(crate) fn undo() {
    if let Some(Begun { path, was_there }) = begun_now().take() {
        let _ = if was_there { empty(&path) } else { std::fs::remove_dir_all(&path) };
    }
}

fn begun_now() -> MutexGuard<'static, Option<Begun>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn empty(path: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        // Of the entry itself: a link is removed and not followed.
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
