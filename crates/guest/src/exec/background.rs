//! Execs that outlive their connection, and the table of them.
//!
//! ```text
//!              ┌──────────── Task (shared) ─────────────┐
//!   program ──▶│ pump thread ──▶ scrollback ──▶ watchers │──▶ attach connections, each at its own offset
//!   program ◀──│ pump thread ◀── requests ◀──────────────│◀── Stdin, Resize of attach connections
//!              └────────────────────────────────────────┘
//! ```
//!
//! The program never waits for a reader: what nobody reads in time is dropped from the old end, and a reader that
//! missed something is told. It keeps running when the server dies. The thread that took the request becomes the pump.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lazaret_protocol::limits::{DATA_MAX, EXEC_ID_MAX, LABEL_MAX, LISTED_ARGV_MAX};
use lazaret_protocol::{Background, ByteString, ErrorKind, Exec, ExecState, Exited, Failure, GuestMessage};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};

use super::input::Input;
use super::launch::Launched;
use super::lifetime::Lifetime;
use super::output::{Found, Output};
use super::scrollback::Scrollback;
use super::spool::Spool;
use crate::connection::Connection;
use crate::processes::{End, Process, Processes};
use crate::serve::Guest;
use crate::{clock, waiting};

/// Most background execs that are kept, running and ended together.
const TASKS_MAX: usize = 64;

/// Bytes of output that are kept when the request does not say.
const RETAIN_DEFAULT: u32 = 256 * 1024;

/// Most bytes of output that are kept, whatever the request says: with [`TASKS_MAX`], 64 MiB of the sandbox's memory.
const RETAIN_MAX: u32 = 1024 * 1024;

/// One background exec.
#[derive(Debug)]
pub(crate) struct Task {
    argv: Vec<ByteString>,
    label: Option<ByteString>,
    process: Arc<Process>,
    state: Mutex<State>,
    /// Rings when there are requests for the pump.
    requests_bell: OwnedFd,
}

/// What the pump and the attached connections share.
#[derive(Debug)]
pub(crate) struct State {
    /// Output so far.
    pub(crate) scrollback: Scrollback,
    /// Set when the process has ended and the scrollback is complete.
    pub(crate) exited: Option<Exited>,
    /// Bytes for the program that the pump has not taken yet. Empty means that more may come.
    pub(crate) input: Vec<u8>,
    /// Input ends after these bytes.
    pub(crate) input_ends: bool,
    /// A new size of the terminal: rows and columns.
    pub(crate) resize: Option<(u16, u16)>,
    /// Nobody wants the program any more: it is to be asked to end.
    abandoned: bool,
    watchers: Vec<Arc<OwnedFd>>,
}

impl Task {
    /// The shared state. Never held across a system call that waits for anything but the disk.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The main process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Tells the pump that there is something in the state for it.
    pub(crate) fn wake_pump(&self) {
        ring(self.requests_bell.as_fd());
    }

    /// A bell that rings on every change of the state until it is handed to [`Self::unwatch`].
    pub(crate) fn watch(&self) -> rustix::io::Result<Arc<OwnedFd>> {
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        self.state().watchers.push(Arc::clone(&bell));
        Ok(bell)
    }

    /// Ends a watch.
    pub(crate) fn unwatch(&self, bell: &Arc<OwnedFd>) {
        self.state().watchers.retain(|other| !Arc::ptr_eq(other, bell));
    }

    fn describe(&self, id: &[u8]) -> ExecState {
        let state = self.state();
        let mut left = LISTED_ARGV_MAX;
        let argv = self.argv.iter().map_while(|argument| {
            let cut = argument.get(..argument.len().min(left))?;
            let wanted = left > 0;
            left -= cut.len();
            wanted.then(|| ByteString::from(cut))
        });
        ExecState {
            id: id.into(),
            pid: self.process.pid(),
            oldest_offset: state.scrollback.oldest(),
            end_offset: state.scrollback.end(),
            exited: state.exited.clone(),
            argv: argv.collect(),
            label: self.label.clone(),
        }
    }
}

/// The background execs of the sandbox, by id.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    by_id: Mutex<BTreeMap<Vec<u8>, Arc<Task>>>,
}

impl Tasks {
    /// Whether an exec with that id may be added, before anything is started for it.
    pub(crate) fn check_room(&self, id: &[u8]) -> Result<(), Failure> {
        check_room(&self.lock(), id)
    }

    /// Adds an exec. Of those that have ended, one makes room if that is needed.
    fn add(&self, id: &[u8], task: &Arc<Task>) -> Result<(), Failure> {
        let mut tasks = self.lock();
        // Again: another connection may have been faster since.
        check_room(&tasks, id)?;
        if tasks.len() >= TASKS_MAX {
            // Hosts that give ids in order of time lose the oldest.
            let ended = tasks.iter().find(|(_, task)| task.state().exited.is_some());
            if let Some(id) = ended.map(|(id, _)| id.clone()) {
                tasks.remove(&id);
            }
        }
        tasks.insert(id.to_vec(), Arc::clone(task));
        Ok(())
    }

    /// The exec with that id.
    pub(crate) fn get(&self, id: &[u8]) -> Result<Arc<Task>, Failure> {
        self.lock().get(id).cloned().ok_or_else(unknown)
    }

    /// Every exec that is kept.
    pub(crate) fn list(&self) -> Vec<ExecState> {
        self.lock().iter().map(|(id, task)| task.describe(id)).collect()
    }

    /// Forgets an exec; if it runs, it and its group are killed, or asked first if it is to go gently.
    pub(crate) fn remove(&self, processes: &Processes, id: &[u8], gently: bool) -> Result<(), Failure> {
        let task = self.lock().remove(id).ok_or_else(unknown)?;
        if gently {
            task.state().abandoned = true;
            task.wake_pump();
            return Ok(());
        }
        // One that has ended needs no killing.
        let _ = processes.signal_finally(&task.process, libc::SIGKILL);
        Ok(())
    }

    /// Signals the process group of an exec.
    pub(crate) fn signal(&self, processes: &Processes, id: &[u8], number: u32) -> Result<(), Failure> {
        let number = super::check_signal(number)?;
        let task = self.get(id)?;
        processes
            .signal(&task.process, number)
            .map_err(|_| Failure::new(ErrorKind::ExecEnded, "the background exec has ended"))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Arc<Task>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_room(tasks: &BTreeMap<Vec<u8>, Arc<Task>>, id: &[u8]) -> Result<(), Failure> {
    if id.is_empty() || id.len() > EXEC_ID_MAX {
        let sentence = format!("the id of a background exec has 1 to {EXEC_ID_MAX} bytes");
        return Err(Failure::new(ErrorKind::BadRequest, sentence));
    }
    if tasks.contains_key(id) {
        return Err(Failure::new(ErrorKind::ExecExists, "a background exec has that id already"));
    }
    if tasks.len() >= TASKS_MAX && tasks.values().all(|task| task.state().exited.is_none()) {
        let sentence = format!("{TASKS_MAX} background execs are running already");
        return Err(Failure::new(ErrorKind::TooManyExecs, sentence));
    }
    Ok(())
}

fn unknown() -> Failure {
    Failure::new(ErrorKind::UnknownExec, "no background exec has that id")
}

/// Rings a bell. Cannot block; a bell that cannot ring any more is ringing.
fn ring(bell: BorrowedFd<'_>) {
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// Silences a bell, so that polling waits for the next ring.
pub(crate) fn silence(bell: BorrowedFd<'_>) {
    let _ = rustix::io::read(bell, &mut [0; 8]);
}

/// Makes a launched program a background exec, tells the host, and attends to the program until it has ended.
pub(super) fn run(
    guest: &Guest,
    connection: &mut Connection,
    exec: &Exec,
    background: &Background,
    launched: Launched,
    started: &GuestMessage<'_>,
) -> Result<(), Failure> {
    let Launched { process, input, outputs } = launched;
    let task = register(guest, exec, background, &process).inspect_err(|_| {
        // Nobody could find it: it is not to run. It may have ended by itself.
        let _ = guest.processes.signal_finally(&process, libc::SIGKILL);
    })?;
    // Whether or not the host hears of it, the exec is in the table, where the host will find it.
    let _ = connection.send(started);
    connection.close();
    Pump {
        processes: &guest.processes,
        task: &task,
        input,
        outputs,
        lifetime: Lifetime::new(clock::now(), exec.timeout_ms, exec.kill_grace_ms),
        has_terminal: exec.tty.is_some(),
        wanted: exec.output_limit_bytes.unwrap_or(u64::MAX),
        truncated: false,
        buffer: vec![0; DATA_MAX],
    }
    .run();
    Ok(())
}

fn register(
    guest: &Guest,
    exec: &Exec,
    background: &Background,
    process: &Arc<Process>,
) -> Result<Arc<Task>, Failure> {
    let Background { id, retain_bytes, label, spool_bytes } = background;
    if label.as_ref().is_some_and(|label| label.len() > LABEL_MAX) {
        let sentence = format!("the label of a background exec has at most {LABEL_MAX} bytes");
        return Err(Failure::new(ErrorKind::BadRequest, sentence));
    }
    let retain = retain_bytes.unwrap_or(RETAIN_DEFAULT).min(RETAIN_MAX);
    let mut scrollback = Scrollback::new(usize::try_from(retain).unwrap_or(usize::MAX));
    if let Some(capacity) = spool_bytes {
        let spool = Spool::open(*capacity).map_err(|errno| {
            let sentence = "the sandbox's disk has no place for the output of a background exec";
            Failure::new(ErrorKind::Other, sentence).with_errno(errno.raw_os_error())
        })?;
        scrollback = scrollback.with_spool(spool);
    }
    let requests_bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|_| Failure::new(ErrorKind::OutOfMemory, "the guest is out of descriptors"))?;
    let state = State {
        scrollback,
        exited: None,
        input: Vec::new(),
        input_ends: false,
        resize: None,
        abandoned: false,
        watchers: Vec::new(),
    };
    let task = Arc::new(Task {
        argv: exec.argv.clone(),
        label: label.clone(),
        process: Arc::clone(process),
        state: Mutex::new(state),
        requests_bell,
    });
    guest.background.add(id, &task)?;
    Ok(task)
}

/// Moves bytes between the program and the shared state.
struct Pump<'a> {
    processes: &'a Processes,
    task: &'a Task,
    input: Input,
    outputs: Vec<Output>,
    lifetime: Lifetime,
    has_terminal: bool,
    wanted: u64,
    truncated: bool,
    buffer: Vec<u8>,
}

impl Pump<'_> {
    fn run(mut self) {
        let end = loop {
            let now = clock::now();
            while let Some(order) = self.lifetime.due(now) {
                super::carry_out(self.processes, &self.task.process, self.has_terminal, order);
            }
            if let Some(end) = self.task.process.end() {
                if !self.lifetime.has_ended() {
                    self.lifetime.process_ended(now);
                    self.outputs.iter_mut().for_each(Output::process_ended);
                }
                if self.lifetime.may_stop_draining(now) {
                    for output in self.outputs.iter_mut().filter(|output| output.is_paid()) {
                        self.truncated |= output.close();
                    }
                }
                if self.outputs.iter().all(Output::is_at_end) {
                    break end;
                }
            }
            self.wait();
            self.input.flush();
            self.serve_requests();
            for index in 0..self.outputs.len() {
                self.read_output(index);
            }
        };
        self.finish(end);
    }

    fn wait(&self) {
        let mut fds = Vec::with_capacity(5);
        fds.push(PollFd::from_borrowed_fd(self.task.requests_bell.as_fd(), PollFlags::IN));
        if !self.lifetime.has_ended() {
            fds.push(PollFd::from_borrowed_fd(self.task.process.bell(), PollFlags::IN));
        }
        let open = self.outputs.iter().filter_map(Output::fd);
        fds.extend(open.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        if let Some(fd) = self.input.waiting() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::OUT));
        }
        waiting::poll(&mut fds, self.lifetime.wake_at());
    }

    fn serve_requests(&mut self) {
        silence(self.task.requests_bell.as_fd());
        if std::mem::take(&mut self.task.state().abandoned)
            && let Some(order) = self.lifetime.abandon(clock::now())
        {
            super::carry_out(self.processes, &self.task.process, self.has_terminal, order);
        }
        let mut state = self.task.state();
        if let Some((rows, columns)) = state.resize.take() {
            self.input.resize(rows, columns);
        }
        if self.input.is_idle() && !state.input.is_empty() {
            self.input.push(&std::mem::take(&mut state.input));
            // Whoever waits to send more may do so.
            state.ring_watchers();
        }
        if state.input.is_empty() && std::mem::take(&mut state.input_ends) {
            self.input.end();
        }
    }

    fn read_output(&mut self, index: usize) {
        let Some(output) = self.outputs.get_mut(index) else { return };
        let Found::Bytes(found) = output.read(&mut self.buffer) else { return };
        let kept = usize::try_from(self.wanted).unwrap_or(usize::MAX).min(found);
        self.truncated |= kept < found;
        self.wanted = self.wanted.saturating_sub(kept as u64);
        let bytes = self.buffer.get(..kept).unwrap_or_default();
        let mut state = self.task.state();
        state.scrollback.push(output.stream(), bytes);
        state.ring_watchers();
    }

    fn finish(self, end: End) {
        let mut state = self.task.state();
        state.exited = Some(Exited {
            status: end.status,
            timed_out: self.lifetime.timed_out(),
            truncated: self.truncated,
            duration_us: u64::try_from(end.duration.as_micros()).unwrap_or(u64::MAX),
        });
        state.ring_watchers();
    }
}

impl State {
    fn ring_watchers(&self) {
        for bell in &self.watchers {
            ring(bell.as_fd());
        }
    }
}
