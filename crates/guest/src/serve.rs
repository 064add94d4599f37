//! Accepting connections: a small pool of threads that take turns in `accept`.
//!
//! ```text
//!   idle workers ── accept ──▶ busy with one connection ──▶ idle again, or gone when enough others are idle
//!        ▲                        │
//!        └── another is started ──┘ when too few are left idle
//! ```
//!
//! No hand-over between an acceptor and a worker means one wake-up less for every request. Idle workers are a reserve:
//! with them, files are read and execs removed even when the tenant has used up the sandbox's processes.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lazaret_protocol::{ErrorKind, Failure};
use rustix::io::Errno;
use rustix::net::SocketFlags;
use rustix::process::Uid;

use crate::connection::Connection;
use crate::exec::background::Tasks;
use crate::processes::Processes;
use crate::{clock, request, waiting};

/// Most connections at once. An interactive session and every running exec holds one; the host has the same bound in
/// mind for one sandbox.
const CONNECTIONS_MAX: usize = 256;

/// Idle workers below which another is started.
const IDLE_MIN: usize = 2;

/// Idle workers above which one ends. More than [`IDLE_MIN`], so that requests one after another start no threads.
const IDLE_MAX: usize = 4;

/// Stack of a worker, in bytes. The deepest call, decoding a request, takes some 10 KiB, and without optimisation more than
/// ten times that; only touched pages cost memory.
const WORKER_STACK: usize = 512 * 1024;

/// Pause after `accept` failed for want of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// How long a connection may wait for a worker when no further thread can be had. A worker that has sent its last
/// answer is back within microseconds.
const WORKER_PATIENCE: Duration = Duration::from_millis(50);

/// Everything that lives as long as the sandbox.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Where the host connects.
    pub(crate) listener: OwnedFd,
    /// The git program, if the host gave one.
    pub(crate) git: Option<OwnedFd>,
    /// `/dev/null`, opened before any tenant could replace it.
    pub(crate) null: OwnedFd,
    /// `/proc`, likewise.
    pub(crate) proc: OwnedFd,
    /// The user that the guest runs as: root of the sandbox.
    pub(crate) euid: Uid,
    /// The children.
    pub(crate) processes: Processes,
    /// The background execs.
    pub(crate) background: Tasks,
    /// The threads that serve.
    pub(crate) workers: Workers,
}

/// How many threads do what.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    counts: Mutex<Counts>,
    /// Told when a worker has become idle.
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    /// Workers that wait in `accept`, or are about to.
    idle: usize,
    /// Workers that have a connection.
    busy: usize,
}

impl Workers {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the pool.
///
/// # Errors
/// The error of the first thread; without one, the guest is of no use.
pub(crate) fn start(guest: &Arc<Guest>) -> std::io::Result<()> {
    for _ in 0..IDLE_MIN {
        start_worker(guest)?;
    }
    Ok(())
}

fn start_worker(guest: &Arc<Guest>) -> std::io::Result<()> {
    let shared = Arc::clone(guest);
    // Counted before it runs, and not at all if it does not.
    let mut counts = guest.workers.counts();
    std::thread::Builder::new().stack_size(WORKER_STACK).spawn(move || work(&shared))?;
    counts.idle += 1;
    Ok(())
}

fn work(guest: &Arc<Guest>) {
    loop {
        let connection = Connection::new(accept(&guest.listener));
        if become_busy(guest) {
            answer(guest, connection);
        } else {
            refuse(connection);
        }
        // A thread that could not become root again after acting as a user must not serve anyone else.
        if rustix::process::geteuid() != guest.euid {
            guest.workers.counts().busy -= 1;
            // Somebody else takes the turn; if no thread can be had, those that are busy will, one day.
            let _ = start_worker(guest);
            return;
        }
        let mut counts = guest.workers.counts();
        counts.busy -= 1;
        if counts.idle >= IDLE_MAX {
            return;
        }
        counts.idle += 1;
        guest.workers.returned.notify_one();
    }
}

/// Turns this worker from idle to busy. Whether it may serve its connection: there are not too many, and somebody is
/// left to accept the next.
fn become_busy(guest: &Arc<Guest>) -> bool {
    let (idle, busy) = {
        let mut counts = guest.workers.counts();
        counts.idle -= 1;
        counts.busy += 1;
        (counts.idle, counts.busy)
    };
    if busy > CONNECTIONS_MAX {
        return false;
    }
    if idle >= IDLE_MIN || start_worker(guest).is_ok() {
        return true;
    }
    let counts = guest.workers.counts();
    let waited =
        guest.workers.returned.wait_timeout_while(counts, WORKER_PATIENCE, |counts| counts.idle == 0);
    waited.unwrap_or_else(PoisonError::into_inner).0.idle > 0
}

/// A defect in one request must not take PID 1 and with it every process of the sandbox.
fn answer(guest: &Guest, connection: Connection) {
    let shared = std::panic::AssertUnwindSafe(guest);
    let _ = std::panic::catch_unwind(move || request::answer(&shared, connection));
}

fn refuse(mut connection: Connection) {
    connection
        .refuse(Failure::new(ErrorKind::Busy, "too many connections to this sandbox, or no thread for one"));
}

fn accept(listener: &OwnedFd) -> OwnedFd {
    loop {
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Ok(socket) => return socket,
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            // Out of descriptors or memory: other connections have to end first.
            Err(_) => waiting::poll(&mut [], Some(clock::now() + ACCEPT_PAUSE)),
        }
    }
}
