//! Execs: programs of the tenant, run because the host asked.
//!
//! ```text
//!   Exec ─▶ plan (check, look up) ─▶ launch (pipes or terminal, fork) ─▶ foreground: one thread, one poll loop,
//!                                                                  │    which lives as long as the connection
//!                                                                  └─▶ background: a thread that fills a scrollback,
//!                                                                       read by any number of attach connections
//! ```
//!
//! When an exec ends is one question for all of them and answered in [`lifetime`].

pub(crate) mod attach;
pub(crate) mod background;
pub(crate) mod foreground;
mod input;
mod launch;
mod lifetime;
mod output;
mod plan;
mod scrollback;
mod spool;
mod terminal;

use std::os::fd::{AsFd, BorrowedFd};

use lazaret_protocol::{ErrorKind, Exec, Failure, GuestMessage, RunProgram, Started, program};

use self::lifetime::Order;
use crate::connection::Connection;
use crate::processes::{Process, Processes};
use crate::request::Stop;
use crate::serve::Guest;

/// Runs a program for as long as the connection lasts, or in the background.
pub(crate) fn run(guest: &Guest, connection: &mut Connection, exec: &Exec) -> Result<(), Stop> {
    let launched = launch_exec(guest, exec, None)?;
    let started = GuestMessage::Started(Started { pid: launched.process.pid() });
    match &exec.background {
        None => {
            connection.queue(&started)?;
            foreground::run(guest, connection, exec, launched);
        }
        Some(background) => background::run(guest, connection, exec, background, launched, &started)?,
    }
    Ok(())
}

/// Runs a program of the host's for as long as the connection lasts.
pub(crate) fn run_program(guest: &Guest, connection: &mut Connection, run: &RunProgram) -> Result<(), Stop> {
    let file = match run.name.as_str() {
        program::GIT => guest.git.as_ref(),
        _ => None,
    };
    let file = file.ok_or_else(|| {
        Failure::new(ErrorKind::UnknownProgram, format!("no program named {:.40} was given", run.name))
    })?;
    if run.exec.background.is_some() {
        let sentence = "a program of the host's does not run in the background";
        return Err(Failure::new(ErrorKind::BadRequest, sentence).into());
    }
    let launched = launch_exec(guest, &run.exec, Some(file.as_fd()))?;
    connection.queue(&GuestMessage::Started(Started { pid: launched.process.pid() }))?;
    foreground::run(guest, connection, &run.exec, launched);
    Ok(())
}

/// Starts what `exec` says, or with its arguments the program in `file`.
fn launch_exec(
    guest: &Guest,
    exec: &Exec,
    file: Option<BorrowedFd<'_>>,
) -> Result<launch::Launched, Failure> {
    if let Some(background) = &exec.background {
        guest.background.check_room(&background.id)?;
    }
    let plan = plan::Plan::new(exec)?;
    launch::launch(guest, &plan, file)
}

/// Ends a process group the polite or the hard way. What is left when the main process has gone is killed either way.
fn carry_out(processes: &Processes, process: &Process, has_terminal: bool, order: Order) {
    // It may have ended in this moment, and then there is nothing to do.
    let _ = match order {
        Order::Ask => {
            if has_terminal {
                // An interactive shell ignores SIGTERM and ends on the hang-up of its terminal.
                let _ = processes.signal_finally(process, libc::SIGHUP);
            }
            processes.signal_finally(process, libc::SIGTERM)
        }
        Order::Kill => processes.signal_finally(process, libc::SIGKILL),
    };
}

/// A signal number that the kernel will take.
fn check_signal(number: u32) -> Result<i32, Failure> {
    i32::try_from(number)
        .ok()
        .filter(|_| (1..=lazaret_protocol::limits::SIGNAL_MAX).contains(&number))
        .ok_or_else(|| Failure::new(ErrorKind::BadRequest, format!("no such signal: {number}")))
}
