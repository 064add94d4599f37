//! A connection that follows a background exec: output from an offset on, and input for it.
//!
//! Closing the connection detaches, and does nothing to the program.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use lazaret_protocol::guest_message::Skipped;
use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Attach, Attached, ErrorKind, Exited, Failure, GuestMessage, HostMessage};
use rustix::event::{PollFd, PollFlags};

use super::background::{Task, silence};
use super::output::Stream;
use crate::connection::{Connection, Lost, Wait};
use crate::processes::Processes;
use crate::request::Stop;
use crate::serve::Guest;
use crate::waiting;

/// Follows until the exec has ended and all was told, or the host goes.
pub(crate) fn run(guest: &Guest, connection: &mut Connection, attach: &Attach) -> Result<(), Stop> {
    let task = guest.background.get(&attach.id)?;
    let offset = {
        let state = task.state();
        attach.offset.clamp(state.scrollback.oldest(), state.scrollback.end())
    };
    connection.queue(&GuestMessage::Attached(Attached { offset, pid: task.process().pid() }))?;
    let bell =
        task.watch().map_err(|_| Failure::new(ErrorKind::OutOfMemory, "the guest is out of descriptors"))?;
    let followed = follow(&guest.processes, connection, &task, &bell, offset);
    task.unwatch(&bell);
    Ok(followed?)
}

fn follow(
    processes: &Processes,
    connection: &mut Connection,
    task: &Task,
    bell: &Arc<OwnedFd>,
    mut offset: u64,
) -> Result<(), Lost> {
    loop {
        // Silenced before looking, so that what changes after the look rings again.
        silence(bell.as_fd());
        let mut is_caught_up = false;
        if connection.queued_bytes() == 0 {
            match tell_news(connection, task, &mut offset)? {
                News::Some => {}
                News::None => is_caught_up = true,
                News::Ended(exited) => return connection.send(&GuestMessage::Exited(exited)),
            }
        }
        connection.flush(Wait::No)?;
        if task.state().input.is_empty() {
            take_input(processes, connection, task)?;
        }
        if is_caught_up || connection.queued_bytes() > 0 {
            wait(connection, task, bell)?;
        }
    }
}

/// What there was to tell.
enum News {
    /// A frame of output; there may be more.
    Some,
    /// Nothing yet.
    None,
    /// All output was told and there will be no more.
    Ended(Exited),
}

/// Queues one frame of what is newer than `offset`.
fn tell_news(connection: &mut Connection, task: &Task, offset: &mut u64) -> Result<News, Lost> {
    let (slice, exited) = {
        let state = task.state();
        (state.scrollback.read(*offset, DATA_MAX), state.exited.clone())
    };
    let Some(slice) = slice else {
        return Ok(exited.map_or(News::None, News::Ended));
    };
    if slice.offset != *offset {
        connection.queue(&GuestMessage::Skipped(Skipped { offset: slice.offset }))?;
    }
    connection.queue(&match slice.stream {
        Stream::Stdout => GuestMessage::Stdout(&slice.bytes),
        Stream::Stderr => GuestMessage::Stderr(&slice.bytes),
    })?;
    *offset = slice.offset.saturating_add(slice.bytes.len() as u64);
    Ok(News::Some)
}

fn take_input(processes: &Processes, connection: &mut Connection, task: &Task) -> Result<(), Lost> {
    connection.receive(Wait::No, |message| {
        match message {
            HostMessage::Stdin(bytes) => task.state().input.extend_from_slice(bytes),
            HostMessage::StdinEnd => task.state().input_ends = true,
            HostMessage::Resize(size) => task.state().resize = Some((size.rows, size.columns)),
            HostMessage::Signal(signal) => {
                let number = super::check_signal(signal.number).map_err(|_| Lost)?;
                // It may have ended in this moment; the host learns of that anyway.
                let _ = processes.signal(task.process(), number);
            }
            HostMessage::Request(_) | HostMessage::Data(_) | HostMessage::Commit => {
                return Err(Lost);
            }
        }
        task.wake_pump();
        Ok(ControlFlow::<()>::Continue(()))
    })?;
    Ok(())
}

fn wait(connection: &Connection, task: &Task, bell: &Arc<OwnedFd>) -> Result<(), Lost> {
    let mut wanted = PollFlags::RDHUP;
    let (input_is_idle, has_ended) = {
        let state = task.state();
        (state.input.is_empty(), state.exited.is_some())
    };
    wanted.set(PollFlags::IN, input_is_idle && !has_ended);
    wanted.set(PollFlags::OUT, connection.queued_bytes() > 0);
    let mut fds = [
        PollFd::from_borrowed_fd(connection.socket(), wanted),
        PollFd::from_borrowed_fd(bell.as_fd(), PollFlags::IN),
    ];
    waiting::poll(&mut fds, None);
    let [socket, _] = fds;
    let gone = PollFlags::HUP | PollFlags::RDHUP | PollFlags::ERR;
    if socket.revents().intersects(gone) { Err(Lost) } else { Ok(()) }
}
