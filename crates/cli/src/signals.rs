//! Signals that a person or a supervisor sends to this program, to be passed on or to end it in good order.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, SIGNAL_BASE};

/// The number of SIGKILL, on every system.
pub(crate) const SIGKILL: u8 = 9;

/// The signals that ask this program to end. From its making on, they no longer end it by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
}

impl Signals {
    /// Begins to collect signals.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// The number of the next signal.
    pub(crate) async fn next(&mut self) -> u8 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
            _ = self.quit.recv() => SignalKind::quit(),
        };
        u8::try_from(kind.as_raw_value()).unwrap_or(SIGKILL)
    }
}

/// What a command came to that a signal may cut short.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It ended by itself.
    Done(T),
    /// This signal ended it; the future was dropped, with whatever its destructors undo.
    Interrupted(u8),
}

/// Runs `work` until it ends or a signal comes.
pub(crate) async fn until_signal<T>(signals: &mut Signals, work: impl Future<Output = T>) -> Outcome<T> {
    tokio::select! {
        done = work => Outcome::Done(done),
        number = signals.next() => Outcome::Interrupted(number),
    }
}

/// The exit code of a program that signal `number` ended, as shells show it.
pub(crate) fn exit_code(number: u8) -> u8 {
    SIGNAL_BASE.saturating_add(number)
}

/// Collects signals, or says why that is impossible.
pub(crate) fn collect() -> anyhow::Result<Signals> {
    Signals::new().map_err(|error| Failure::new("cannot receive signals").source(error).into())
}
