//! The children of the guest, and the only code that starts, signals and reaps them.
//!
//! ```text
//!   start ──▶ running ──▶ zombie ──(remains killed, if asked)──▶ reaped: `Process::end` is known, its bell rings
//!               ▲                                       │
//!               └── signal, only under the lock ────────┘ and only before the reaping
//! ```
//!
//! A pid means a process only until it is reaped. Starting, signalling and reaping therefore share one lock: whoever
//! holds it and sees no end knows that the number still belongs to that process and its group. Orphans that the
//! kernel hands to PID 1 are reaped as well, and forgotten.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lazaret_protocol::ExitStatus;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Pid;

use crate::sys::child::{self, Program};
use crate::sys::{reap, signals};
use crate::{clock, session};

/// A child that was started by request.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    started: Duration,
    /// Its group and session are to be killed when it ends.
    kill_remains: AtomicBool,
    end: OnceLock<End>,
    bell: OwnedFd,
}

/// How and when a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Code or signal.
    pub(crate) status: ExitStatus,
    /// From start to end.
    pub(crate) duration: Duration,
}

/// There is nothing to signal any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HasEnded;

impl Process {
    /// Its number inside the sandbox.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, once it has been reaped.
    pub(crate) fn end(&self) -> Option<End> {
        self.end.get().copied()
    }

    /// Becomes readable, and stays so, when the process has been reaped.
    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// The running children.
#[derive(Debug)]
pub(crate) struct Processes {
    running: Mutex<HashMap<Pid, Arc<Process>>>,
    proc: OwnedFd,
}

impl Processes {
    /// No children yet. `proc` is the directory `/proc`, opened before any tenant could cover it.
    pub(crate) fn new(proc: OwnedFd) -> Self {
        Self { running: Mutex::default(), proc }
    }

    /// Starts a child. Whether it became its program is told by the program's report pipe.
    ///
    /// # Errors
    /// Those of `clone` and `eventfd`.
    pub(crate) fn start(&self, program: &Program<'_>) -> rustix::io::Result<Arc<Process>> {
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // Held over the fork, so that the reaper cannot meet a child that it does not know yet.
        let mut running = self.lock();
        let started = clock::now();
        let pid = child::start(program)?;
        let process = Arc::new(Process {
            pid,
            started,
            kill_remains: AtomicBool::new(false),
            end: OnceLock::new(),
            bell,
        });
        running.insert(pid, Arc::clone(&process));
        Ok(process)
    }

    /// Sends a signal to the group of `process`.
    ///
    /// # Errors
    /// [`HasEnded`] when it has been reaped; what is left of its group is then out of reach.
    pub(crate) fn signal(&self, process: &Process, signal: i32) -> Result<(), HasEnded> {
        let _running = self.lock();
        if process.end.get().is_some() {
            return Err(HasEnded);
        }
        // The only error is that the group has no member that could take the signal: they are all zombies.
        let _ = signals::kill_group(process.pid, signal);
        Ok(())
    }

    /// Like [`Self::signal`]; when `process` ends, of that or of anything else, what is left of its group and session
    /// is killed.
    pub(crate) fn signal_finally(&self, process: &Process, signal: i32) -> Result<(), HasEnded> {
        process.kill_remains.store(true, Ordering::Release);
        self.signal(process, signal)
    }

    /// Reaps for ever. Runs on the main thread, for as long as the sandbox lives.
    pub(crate) fn reap_for_ever(&self) -> ! {
        loop {
            signals::wait_for_child();
            while self.reap_one() {}
        }
    }

    fn reap_one(&self) -> bool {
        let mut running = self.lock();
        let Some(dead) = reap::find_dead() else { return false };
        let process = running.remove(&dead.pid);
        if let Some(process) = &process
            && process.kill_remains.load(Ordering::Acquire)
        {
            // While the leader is a zombie, its number cannot name another group or session.
            let _ = signals::kill_group(dead.pid, libc::SIGKILL);
            session::kill(&self.proc, dead.pid);
        }
        reap::reap(dead);
        if let Some(process) = process {
            let duration = clock::now().saturating_sub(process.started);
            // Set once: a process leaves the map when it is reaped.
            let _ = process.end.set(End { status: dead.status, duration });
            // Cannot block or fail: the counter of a fresh eventfd is far from full.
            let _ = rustix::io::write(&process.bell, &1_u64.to_ne_bytes());
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, Arc<Process>>> {
        // A thread that panicked while it held the lock left the map whole: every change is one call.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
