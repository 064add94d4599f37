//! A context: a child of the driver that runs one cell after another.
//!
//! ```text
//!   free ──cell──▶ busy ──Done──▶ free          queue: cells that wait for their turn, in the order of arrival
//!                   └──Exited──▶ ended: its variables are gone, and so is the context
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::frame::Said;
use super::records::{Record, Records};
use super::relay::{Progress, Reader, Taken};
use super::run::exit;
use super::warm::Child;
use crate::{CellEvent, CellOutput, Error, ExecInput, InterpreterContext, Limit, Result, limits};

/// The program of a context.
pub(super) const PROGRAM: &str = include_str!("context.py");

/// A context as its sandbox holds it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) context: InterpreterContext,
    /// The child between cells; whoever holds the lock runs a cell. `None` when it has ended.
    pub(super) place: Arc<tokio::sync::Mutex<Option<Place>>>,
    queue: Semaphore,
    last_used: Mutex<Duration>,
    /// The way to the cell that runs.
    running: Mutex<Option<mpsc::Sender<ExecInput>>>,
}

/// A context's child, and what it has begun to tell.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) child: Child,
    pub(super) records: Records,
}

impl Held {
    pub(super) fn new(context: InterpreterContext, child: Child, now: Duration) -> Self {
        let place = Place { child, records: Records::default() };
        Self {
            context,
            place: Arc::new(tokio::sync::Mutex::new(Some(place))),
            queue: Semaphore::new(limits::CELLS_WAITING_MAX),
            last_used: Mutex::new(now),
            running: Mutex::default(),
        }
    }

    /// A place in the queue, held until the cell's turn has come.
    pub(super) fn wait(&self) -> Result<SemaphorePermit<'_>> {
        self.queue.try_acquire().map_err(|_| Error::LimitReached(Limit::WaitingCells))
    }

    /// Notes the way to the cell that runs now, or that none does.
    pub(super) fn runs(&self, cell: Option<mpsc::Sender<ExecInput>>) {
        *self.running.lock().expect("no panic under this lock") = cell;
    }

    /// Sends a signal to the cell that runs, if one does.
    pub(super) async fn signal(&self, signal: u8) {
        let running = self.running.lock().expect("no panic under this lock").clone();
        if let Some(cell) = running {
            // It may have ended in this moment.
            let _ = cell.send(ExecInput::Signal(signal)).await;
        }
    }

    pub(super) fn touch(&self, now: Duration) {
        *self.last_used.lock().expect("no panic under this lock") = now;
    }

    /// When a cell last began or ended; one that runs counts as used now.
    pub(super) fn last_used(&self) -> Duration {
        if self.place.try_lock().is_err() {
            return Duration::MAX;
        }
        *self.last_used.lock().expect("no panic under this lock")
    }
}

/// What a cell's reader gets.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) records: Records,
    /// Bytes of values that are still wanted.
    left: usize,
    truncated: bool,
}

impl Cell {
    pub(super) fn new(records: Records) -> Self {
        Self { records, left: limits::CELL_VALUES_MAX_BYTES, truncated: false }
    }

    fn ended(&self, progress: Progress, status: Option<i32>) -> CellEvent {
        CellEvent::Ended(CellOutput {
            timed_out: progress.timed_out,
            context_ended: status.map(exit),
            truncated: self.truncated,
            duration: progress.duration,
        })
    }

    fn read(&mut self, bytes: &Bytes, progress: Progress, events: &mut VecDeque<CellEvent>) -> Taken {
        self.records.push(bytes);
        loop {
            match self.records.next() {
                Ok(Some(Record::Shown(shown))) => {
                    let size = shown.representations.iter().map(|form| form.data.len()).sum::<usize>();
                    match self.left.checked_sub(size) {
                        Some(left) => {
                            self.left = left;
                            events.push_back(CellEvent::Shown(shown));
                        }
                        None => self.truncated = true,
                    }
                }
                Ok(Some(Record::Failed(error))) => events.push_back(CellEvent::Failed(error)),
                Ok(Some(Record::Cut)) => self.truncated = true,
                Ok(Some(Record::Done)) => {
                    events.push_back(self.ended(progress, None));
                    return Taken::Last;
                }
                Ok(None) => return Taken::More,
                Err(_) => return Taken::Violation,
            }
        }
    }
}

impl Reader for Cell {
    type Event = CellEvent;

    fn take(&mut self, said: Said, progress: Progress, events: &mut VecDeque<CellEvent>) -> Taken {
        match said {
            Said::Out(bytes) => events.push_back(CellEvent::Stdout(bytes)),
            Said::Err(bytes) => events.push_back(CellEvent::Stderr(bytes)),
            Said::Result(bytes) => return self.read(&bytes, progress, events),
            Said::Exited(status, cut) => {
                self.truncated |= cut;
                events.push_back(self.ended(progress, Some(status)));
                return Taken::Last;
            }
            _ => return Taken::Violation,
        }
        Taken::More
    }

    fn discarded(&mut self) {
        self.truncated = true;
    }
}
