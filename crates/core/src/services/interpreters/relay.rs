//! From a child of the driver to the reader of its session, with the clock beside it.
//!
//! ```text
//!   child ──said──▶ Reader::take ──▶ waiting ──▶ session's events        one grant for each frame that was passed on
//!                                                      │
//!   child ◀──signals── Ending ◀── time is up, nobody listens
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ending::{Ending, Step};
use super::frame::Said;
use super::warm::Child;
use crate::{Clock, ExecInput, Result};

/// Makes events of what a child says.
pub(super) trait Reader: Send {
    /// What its session delivers.
    type Event: Send;

    /// Appends what `said` comes to.
    fn take(&mut self, said: Said, progress: Progress, events: &mut VecDeque<Self::Event>) -> Taken;

    /// Some output was thrown away, because its reader did not take it.
    fn discarded(&mut self);
}

/// What came of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// There may be more.
    More,
    /// The events end here.
    Last,
    /// No child says that now.
    Violation,
}

/// What the relay knows of the child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) timed_out: bool,
    pub(super) duration: Duration,
}

/// A child and the session that hears of it.
pub(super) struct Relay<R: Reader> {
    child: Child,
    events: mpsc::Sender<Result<R::Event>>,
    ending: Ending,
    clock: Arc<dyn Clock>,
    began: Duration,
    reader: R,
    discards: bool,
}

impl<R: Reader> Relay<R> {
    pub(super) fn new(
        child: Child,
        events: mpsc::Sender<Result<R::Event>>,
        ending: Ending,
        clock: Arc<dyn Clock>,
        reader: R,
    ) -> Self {
        let began = clock.monotonic();
        Self { child, events, ending, clock, began, reader, discards: false }
    }

    /// Passes on until the last event; gives the child back, which may have ended. Without a last event the driver is
    /// gone, and the session's channel just closes.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<ExecInput>) -> (Child, R) {
        // Taken from the child, and not yet by the reader: until they are, the child is granted nothing more.
        let mut waiting: VecDeque<R::Event> = VecDeque::new();
        let mut owed = 0;
        let mut is_last = false;
        let mut takes_input = true;
        loop {
            let is_heard = !self.events.is_closed();
            let throws_away = self.discards || !is_heard;
            if owed > 0 && (waiting.is_empty() || throws_away) && !self.child.has_ended {
                self.child.grant(std::mem::take(&mut owed)).await;
            }
            if is_last && (waiting.is_empty() || !is_heard) {
                return (self.child, self.reader);
            }
            let mut step = None;
            tokio::select! {
                place = self.events.reserve(), if !waiting.is_empty() && is_heard => {
                    if let (Ok(place), Some(event)) = (place, waiting.pop_front()) {
                        place.send(Ok(event));
                    }
                }
                said = self.child.said.recv(), if !is_last && (waiting.is_empty() || throws_away) => {
                    let Some(said) = said else { return (self.child, self.reader) };
                    if matches!(said, Said::Out(_) | Said::Err(_) | Said::Result(_)) {
                        owed += 1;
                    }
                    self.child.has_ended |= matches!(said, Said::Exited(..));
                    let kept = waiting.len();
                    let taken = self.reader.take(said, self.progress(), &mut waiting);
                    is_last = taken == Taken::Last;
                    if taken == Taken::Violation {
                        self.child.warm().break_off();
                    }
                    if throws_away && !is_last && waiting.len() > kept {
                        waiting.truncate(kept);
                        self.reader.discarded();
                    }
                }
                input = inputs.recv(), if takes_input && !is_last => match input {
                    Some(ExecInput::Signal(signal)) => self.child.signal(signal).await,
                    // There is no standard input and no terminal.
                    Some(_) => {}
                    None => takes_input = false,
                },
                () = self.events.closed(), if is_heard => step = self.ending.abandon(self.clock.monotonic()),
                () = sleep_until(&*self.clock, self.ending.wake_at()), if !is_last => {
                    step = self.ending.due(self.clock.monotonic());
                }
            }
            match step {
                Some(Step::Signal(signal)) => self.child.signal(signal).await,
                Some(Step::Discard) => self.discards = true,
                Some(Step::GiveUp) => self.child.warm().break_off(),
                None => {}
            }
        }
    }

    fn progress(&self) -> Progress {
        let duration = self.clock.monotonic().saturating_sub(self.began);
        Progress { timed_out: self.ending.timed_out, duration }
    }
}

/// Waits until this moment of the monotonic clock; for ever without one.
async fn sleep_until(clock: &dyn Clock, moment: Option<Duration>) {
    match moment {
        Some(moment) => tokio::time::sleep(moment.saturating_sub(clock.monotonic())).await,
        None => std::future::pending().await,
    }
}
