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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Stack of a worker, in bytes. The deepest call, decoding a request, takes some 10 KiB; only touched pages cost memory.
const WORKER_STACK: usize = 128 * 1024;

/// Pause after `accept` failed for want of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// Everything that lives as long as the sandbox.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Where the host connects.
    pub(crate) listener: OwnedFd,
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
    /// Workers that wait in `accept`, or are about to.
    pub(crate) idle: AtomicUsize,
    /// Workers that have a connection.
    pub(crate) busy: AtomicUsize,
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
    guest.idle.fetch_add(1, Ordering::AcqRel);
    let shared = Arc::clone(guest);
    let started = std::thread::Builder::new().stack_size(WORKER_STACK).spawn(move || work(&shared));
    if started.is_err() {
        guest.idle.fetch_sub(1, Ordering::AcqRel);
    }
    started.map(drop)
}

fn work(guest: &Arc<Guest>) {
    loop {
        let socket = accept(&guest.listener);
        let idle = guest.idle.fetch_sub(1, Ordering::AcqRel) - 1;
        let busy = guest.busy.fetch_add(1, Ordering::AcqRel) + 1;
        let connection = Connection::new(socket);
        let is_alone = idle < IDLE_MIN && start_worker(guest).is_err() && idle == 0;
        // Somebody must be left to accept the next connection: without a thread for that, this one cannot be served.
        let is_refused = busy > CONNECTIONS_MAX || is_alone;
        if is_refused {
            refuse(connection);
        } else {
            answer(guest, connection);
        }
        guest.busy.fetch_sub(1, Ordering::AcqRel);
        // A thread that could not become root again after acting as a user must not serve anyone else.
        if rustix::process::geteuid() != guest.euid {
            // Somebody else takes the turn; if no thread can be had, those that are busy will, one day.
            let _ = start_worker(guest);
            return;
        }
        if guest.idle.fetch_add(1, Ordering::AcqRel) >= IDLE_MAX {
            guest.idle.fetch_sub(1, Ordering::AcqRel);
            return;
        }
    }
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
