//! The static PID 1 of a sandbox: reaps, execs, serves files, speaks the protocol.
//!
//! ```text
//!   host: namespaces ▸ mounts ▸ no_new_privs ▸ bounding set ▸ seccomp ▸ limits ▸ cwd / ▸ exec of this program
//!   prepare: listener ▸ undumpable ▸ umask ▸ signals ▸ capabilities ▸ /proc and /dev/null held open
//!   serve:   worker threads answer connections; this thread reaps until the sandbox ends
//! ```
//!
//! The listening socket, inherited as descriptor 3, is all that connects it to the host; descriptor 4 is the git program. Whatever fails in `prepare`
//! ends the program and so the start of the sandbox. Afterwards nothing may end it: it holds no `unwrap`, and indexes
//! nothing by numbers from outside, because with PID 1 the kernel kills every process of the sandbox.
//!
//! Not here: mounting, and anything else that needs privileges on the host.

mod clock;
mod connection;
mod dial;
mod exec;
mod files;
mod processes;
mod request;
mod serve;
mod session;
mod small_file;
mod sys;
mod users;
mod waiting;

use std::fmt;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::DumpableBehavior;
use rustix::thread::CapabilitySet;

use crate::serve::Guest;

/// A step of `prepare` that failed. Written to standard error, which the host may have connected to its log.
#[derive(Debug)]
struct NotPrepared {
    step: &'static str,
    errno: Errno,
}

impl fmt::Display for NotPrepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lazaret-guest: {}: {}", self.step, self.errno)
    }
}

fn main() -> ExitCode {
    let guest = match prepare() {
        Ok(guest) => Arc::new(guest),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = serve::start(&guest) {
        eprintln!("lazaret-guest: starting threads: {error}");
        return ExitCode::FAILURE;
    }
    guest.processes.reap_for_ever()
}

fn prepare() -> Result<Guest, NotPrepared> {
    let at = |step| move |errno| NotPrepared { step, errno };
    let sys::inherited::Inherited { listener, git } =
        sys::inherited::take().map_err(at("taking the listening socket at 3"))?;
    sys::memory::keep_small().map_err(at("configuring the allocator"))?;
    // Undumpable processes cannot be traced or looked into by others of the same user inside.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(at("becoming undumpable"))?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    sys::signals::prepare().map_err(at("preparing signals"))?;
    drop_passed_on_capabilities().map_err(at("dropping inheritable capabilities"))?;
    let null = open("/dev/null", OFlags::RDONLY).map_err(at("opening /dev/null"))?;
    let proc = open("/proc", OFlags::RDONLY | OFlags::DIRECTORY).map_err(at("opening /proc"))?;
    let proc_for_sessions = rustix::io::fcntl_dupfd_cloexec(&proc, 0).map_err(at("duplicating /proc"))?;
    Ok(Guest {
        listener,
        git,
        null,
        proc,
        euid: rustix::process::geteuid(),
        processes: processes::Processes::new(proc_for_sessions),
        background: exec::background::Tasks::default(),
        workers: serve::Workers::default(),
    })
}

/// Leaves no capability that a program could keep over `execve` without being root.
fn drop_passed_on_capabilities() -> rustix::io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let mut sets = rustix::thread::capabilities(None)?;
    sets.inheritable = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, sets)
}

fn open(path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
}
