//! An exec that lives as long as its connection: one thread, one poll loop.
//!
//! ```text
//!   host ──Stdin, Signal, Resize──▶ input ──▶ program ──▶ outputs ──▶ queue ──▶ host
//!     ▲                                                                 │
//!     └─ not read while input waits        not read while the queue waits ┘
//! ```
//!
//! Back-pressure is those two rules: a host that reads slowly leaves the queue full, then the pipes, and then the program
//! waits in `write`. A timeout still ends it. When the host goes, the program is asked, then made to end, and the loop
//! goes on without the host until that is done.

use std::ops::ControlFlow;
use std::sync::Arc;

use lazaret_protocol::limits::DATA_MAX;
use lazaret_protocol::{Exec, Exited, GuestMessage, HostMessage};
use rustix::event::{PollFd, PollFlags};

use super::input::Input;
use super::launch::Launched;
use super::lifetime::{Lifetime, Order};
use super::output::{Found, Output, Stream};
use crate::connection::{Connection, Lost, Wait};
use crate::processes::{End, Process, Processes};
use crate::serve::Guest;
use crate::{clock, waiting};

/// What tells that the host is gone: the connection closed, or closed for sending, which no host does otherwise.
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::RDHUP).union(PollFlags::ERR);

struct Foreground<'a> {
    processes: &'a Processes,
    connection: &'a mut Connection,
    /// The host still listens.
    connected: bool,
    process: Arc<Process>,
    input: Input,
    outputs: Vec<Output>,
    lifetime: Lifetime,
    has_terminal: bool,
    /// Bytes of output that the host still wants.
    wanted: u64,
    truncated: bool,
    buffer: Vec<u8>,
}

/// Attends to a started program until it has ended and the host knows.
pub(super) fn run(guest: &Guest, connection: &mut Connection, exec: &Exec, launched: Launched) {
    let Launched { process, input, outputs } = launched;
    let mut foreground = Foreground {
        processes: &guest.processes,
        connection,
        connected: true,
        process,
        input,
        outputs,
        lifetime: Lifetime::new(clock::now(), exec.timeout_ms, exec.kill_grace_ms),
        has_terminal: exec.tty.is_some(),
        wanted: exec.output_limit_bytes.unwrap_or(u64::MAX),
        truncated: false,
        buffer: vec![0; DATA_MAX],
    };
    let end = foreground.attend();
    foreground.tell_end(end);
}

impl Foreground<'_> {
    fn attend(&mut self) -> End {
        loop {
            let now = clock::now();
            while let Some(order) = self.lifetime.due(now) {
                self.carry_out(order);
            }
            if let Some(end) = self.process.end() {
                self.process_ended();
                self.stop_late_writers();
                if !self.connected || self.outputs.iter().all(Output::is_at_end) {
                    return end;
                }
            }
            self.wait();
            self.exchange();
        }
    }

    /// Waits until anything can be done.
    fn wait(&mut self) {
        let queue_is_empty = self.connection.queued_bytes() == 0;
        let mut fds = Vec::with_capacity(5);
        if self.connected {
            let mut wanted = PollFlags::RDHUP;
            wanted.set(PollFlags::IN, self.input.is_idle());
            wanted.set(PollFlags::OUT, !queue_is_empty);
            fds.push(PollFd::from_borrowed_fd(self.connection.socket(), wanted));
        }
        let has_ended = self.lifetime.has_ended();
        if !has_ended {
            fds.push(PollFd::from_borrowed_fd(self.process.bell(), PollFlags::IN));
        }
        if queue_is_empty {
            let open = self.outputs.iter().filter_map(Output::fd);
            fds.extend(open.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        if let Some(fd) = self.input.waiting() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
        }
        let wake_at = match self.lifetime.may_stop_draining(clock::now()) {
            false => self.lifetime.wake_at(),
            // Only what the main process left in its pipes is still to be read: now, or when the host has taken
            // what is queued.
            true => queue_is_empty.then(clock::now),
        };
        waiting::poll(&mut fds, wake_at);
        let gone = self.connected && fds.first().is_some_and(|fd| fd.revents().intersects(GONE));
        drop(fds);
        if gone {
            self.disconnect();
        }
    }

    /// Moves whatever can be moved without waiting. Trying is as cheap as remembering what poll said.
    fn exchange(&mut self) {
        if self.connected && self.input.is_idle() {
            let received = self.take_input();
            self.check(received);
        }
        self.input.flush();
        if self.connection.queued_bytes() == 0 {
            for index in 0..self.outputs.len() {
                self.read_output(index);
            }
        }
        if self.connected {
            let flushed = self.connection.flush(Wait::No);
            self.check(flushed);
        }
    }

    fn take_input(&mut self) -> Result<(), Lost> {
        let Self { connection, input, processes, process, .. } = self;
        connection.receive(Wait::No, |message| {
            match message {
                HostMessage::Stdin(bytes) => input.push(bytes),
                HostMessage::StdinEnd => input.end(),
                HostMessage::Resize(size) => input.resize(size.rows, size.columns),
                HostMessage::Signal(signal) => {
                    let number = super::check_signal(signal.number).map_err(|_| Lost)?;
                    // It may have ended in this moment; the host learns of that anyway.
                    let _ = processes.signal(process, number);
                }
                HostMessage::Request(_) | HostMessage::Data(_) | HostMessage::Commit => {
                    return Err(Lost);
                }
            }
            Ok(ControlFlow::<()>::Continue(()))
        })?;
        Ok(())
    }

    fn read_output(&mut self, index: usize) {
        let Some(output) = self.outputs.get_mut(index) else { return };
        let Found::Bytes(found) = output.read(&mut self.buffer) else { return };
        if !self.connected {
            return;
        }
        let kept = usize::try_from(self.wanted).unwrap_or(usize::MAX).min(found);
        self.truncated |= kept < found;
        self.wanted = self.wanted.saturating_sub(kept as u64);
        let Some(bytes) = self.buffer.get(..kept).filter(|bytes| !bytes.is_empty()) else { return };
        let queued = self.connection.queue(&match output.stream() {
            Stream::Stdout => GuestMessage::Stdout(bytes),
            Stream::Stderr => GuestMessage::Stderr(bytes),
        });
        self.check(queued);
    }

    fn process_ended(&mut self) {
        if !self.lifetime.has_ended() {
            self.lifetime.process_ended(clock::now());
            self.outputs.iter_mut().for_each(Output::process_ended);
        }
    }

    /// Ends the wait for those who outlived the main process.
    fn stop_late_writers(&mut self) {
        if self.lifetime.may_stop_draining(clock::now()) {
            for output in self.outputs.iter_mut().filter(|output| output.is_paid()) {
                self.truncated |= output.close();
            }
        }
    }

    fn tell_end(&mut self, end: End) {
        if !self.connected {
            return;
        }
        let exited = Exited {
            status: end.status,
            timed_out: self.lifetime.timed_out(),
            truncated: self.truncated,
            duration_us: u64::try_from(end.duration.as_micros()).unwrap_or(u64::MAX),
        };
        // A host that has gone by now does not want to know.
        let _ = self.connection.send(&GuestMessage::Exited(exited));
    }

    fn check(&mut self, result: Result<(), Lost>) {
        if result.is_err() && self.connected {
            self.disconnect();
        }
    }

    /// Nobody will read on: the program is to end.
    fn disconnect(&mut self) {
        self.connected = false;
        self.connection.discard();
        self.input.end();
        if let Some(order) = self.lifetime.abandon(clock::now()) {
            self.carry_out(order);
        }
    }

    fn carry_out(&self, order: Order) {
        super::carry_out(self.processes, &self.process, self.has_terminal, order);
    }
}
