//! Warm Python: runs that fork a started interpreter, and contexts that keep their variables.
//!
//! ```text
//!   Execs::run_code ──▶ run ───┐                                 ┌─ forks ─▶ a script, then gone
//!                              ├──▶ Slot ──▶ Warm ══▶ driver.py ─┤
//!   Interpreters ──▶ context ──┘    one a sandbox, of our text   └─ forks ─▶ context.py: cell after cell
//! ```
//!
//! The driver is a program of the tenant's like any other: started by the guest as the sandbox's user, at the first use.
//! What it answers is a claim, bounded in size (`frame`, `records`), in number (a window of frames a child) and in time
//! (`ending`). It can fail its own sandbox and nothing else.
//!
//! Not here: other languages, which run without state and cold.

mod context;
mod ending;
pub(super) mod figures;
mod frame;
mod records;
mod relay;
pub(super) mod run;
mod slot;
mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use self::context::{Cell, Held, PROGRAM, Place};
use self::ending::Ending;
use self::frame::{Fields, Order};
use self::relay::Relay;
use self::slot::Forked;
pub(super) use self::slot::Slot;
use super::context::Context;
use super::execs::{check, complete};
use super::sandboxes::use_sandbox;
use super::table::Entry;
use crate::{
    Caller, CellEvent, CellResult, CellSession, CellSpec, ContextId, ContextSpec, Error, ExecProblem,
    ExecSpec, InterpreterContext, Kind, Language, Limit, Result, SandboxId, Scope, limits,
};

/// SIGINT.
const INTERRUPT: u8 = 2;
/// SIGKILL.
const KILL: u8 = 9;
/// Between SIGINT and SIGKILL for a cell whose time is up: a library in the middle of a computation needs a while.
const GRACE: Duration = Duration::from_secs(2);

/// Interpreter contexts in sandboxes of the caller's account. A context ends with the sandbox's run.
#[derive(Clone)]
pub struct Interpreters {
    pub(super) context: Arc<Context>,
}

impl Interpreters {
    /// Makes a context.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; [`Error::Unsupported`] for a language that
    /// keeps no state here; [`Error::Exec`] if the image has no interpreter for it, or the directory is none;
    /// [`Error::LimitReached`] beyond [`limits::CONTEXTS_MAX`].
    pub async fn create(
        &self,
        caller: &Caller,
        id: SandboxId,
        spec: ContextSpec,
    ) -> Result<InterpreterContext> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let held = guard.counted(self.make(&entry, spec, false).await).await?;
        Ok(held.context.clone())
    }

    /// The contexts of a sandbox, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run.
    pub async fn list(&self, caller: &Caller, id: SandboxId) -> Result<Vec<InterpreterContext>> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, _guard) = use_sandbox(&self.context, caller, id).await?;
        let mut contexts: Vec<InterpreterContext> =
            entry.interpreters.contexts().values().map(|held| held.context.clone()).collect();
        contexts.sort_by_key(|context| context.created_at);
        Ok(contexts)
    }

    /// Ends a context, and the cell that it runs.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for the second time; [`Error::Refused`] if the sandbox does not run.
    pub async fn delete(&self, caller: &Caller, id: SandboxId, context: ContextId) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, _guard) = use_sandbox(&self.context, caller, id).await?;
        let held = entry.interpreters.contexts().remove(&context);
        let held = held.ok_or_else(|| Error::not_found(Kind::Context, context))?;
        held.signal(KILL).await;
        Ok(())
    }

    /// Interrupts the cell that a context runs, as Ctrl-C would. Its variables stay.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run.
    pub async fn interrupt(&self, caller: &Caller, id: SandboxId, context: ContextId) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, _guard) = use_sandbox(&self.context, caller, id).await?;
        find(&entry, context)?.signal(INTERRUPT).await;
        Ok(())
    }

    /// Runs a cell when its turn has come; without a context, in the sandbox's own, which is made at its first use.
    ///
    /// # Errors
    /// As [`Interpreters::create`]; [`Error::Invalid`] for a cell out of its bounds; [`Error::LimitReached`] if
    /// [`limits::CELLS_WAITING_MAX`] wait already.
    pub async fn start(
        &self,
        caller: &Caller,
        id: SandboxId,
        context: Option<ContextId>,
        cell: CellSpec,
    ) -> Result<CellSession> {
        caller.need(Scope::SandboxesWrite)?;
        check_cell(&cell)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let held = match context {
            Some(context) => find(&entry, context)?,
            None => guard.counted(self.default_context(&entry).await).await?,
        };
        let turn = held.wait()?;
        let mut place = Arc::clone(&held.place).lock_owned().await;
        drop(turn);
        let Some(Place { child, records }) = place.take() else {
            return Err(Error::not_found(Kind::Context, held.context.id));
        };
        let clock = Arc::clone(&self.context.ports.clock);
        held.touch(clock.monotonic());
        let (events, session_events) = mpsc::channel(limits::EXEC_CHANNEL_CHUNKS);
        let (control, inputs) = mpsc::channel(1);
        held.runs(Some(control));
        let ending = Ending::new(clock.monotonic(), cell.timeout, INTERRUPT, GRACE);
        let mut fields = Fields::default();
        fields.push(cell.code.as_bytes()).variables(&cell.env);
        // Ends with the cell, or with the driver; a caller that hangs up does not take the context's place with it.
        tokio::spawn(async move {
            let (mut child, mut records) = (child, records);
            if child.order(Order::Cell, fields.as_bytes()).await.is_ok() {
                let cell = Cell::new(records);
                let relay = Relay::new(child, events, ending, Arc::clone(&clock), cell);
                let (back, cell) = relay.run(inputs).await;
                (child, records) = (back, cell.records);
            }
            held.runs(None);
            held.touch(clock.monotonic());
            if child.has_ended || child.warm().is_over() {
                entry.interpreters.contexts().remove(&held.context.id);
            } else {
                *place = Some(Place { child, records });
            }
        });
        guard.counted(Ok(())).await?;
        Ok(CellSession { events: session_events, guard })
    }

    /// As [`Interpreters::start`], for a caller who wants the whole of it and then does not wait without end.
    ///
    /// # Errors
    /// As [`Interpreters::start`].
    pub async fn start_bounded(
        &self,
        caller: &Caller,
        id: SandboxId,
        context: Option<ContextId>,
        mut cell: CellSpec,
    ) -> Result<CellSession> {
        cell.timeout = cell.timeout.or(Some(limits::EXEC_TIMEOUT_DEFAULT));
        self.start(caller, id, context, cell).await
    }

    async fn default_context(&self, entry: &Arc<Entry>) -> Result<Arc<Held>> {
        let _one_at_a_time = entry.interpreters.default.lock().await;
        let found = entry.interpreters.contexts().values().find(|held| held.context.is_default).cloned();
        match found {
            Some(held) => Ok(held),
            None => {
                let spec = ContextSpec { language: Language::Python, cwd: None, env: BTreeMap::new() };
                self.make(entry, spec, true).await
            }
        }
    }

    async fn make(&self, entry: &Arc<Entry>, spec: ContextSpec, is_default: bool) -> Result<Arc<Held>> {
        if spec.language != Language::Python {
            let what = format!("a context for {}: run its code without one", spec.language);
            return Err(Error::Unsupported { what });
        }
        let base = complete(entry, ExecSpec { command: vec!["python3".to_owned()], ..ExecSpec::default() });
        let wanted = ExecSpec { cwd: spec.cwd.or_else(|| base.cwd.clone()), env: spec.env, ..base.clone() };
        check(&wanted)?;
        let cwd = wanted.cwd.unwrap_or_else(|| "/".to_owned());
        let mut fields = Fields::default();
        fields.push(cwd.as_bytes()).push(PROGRAM.as_bytes()).variables(&wanted.env);
        let ports = &self.context.ports;
        let slot = &entry.interpreters;
        let child = match slot.begin(&*ports.guest, entry.id, &base, Order::Open, fields.as_bytes()).await? {
            Forked::Child(child) => child,
            Forked::Declined(errno) => return Err(declined(errno, cwd)),
            Forked::NoInterpreter => {
                let what = "a context needs python3, 3.9 or later".to_owned();
                return Err(Error::Exec { what, problem: ExecProblem::NoInterpreter });
            }
        };
        let now = self.context.now();
        let context = InterpreterContext {
            id: ContextId::from_bytes(ports.ids.next(now)),
            language: spec.language,
            cwd,
            created_at: now,
            is_default,
        };
        let held = Arc::new(Held::new(context, child, ports.clock.monotonic()));
        let mut contexts = slot.contexts();
        if contexts.len() >= limits::CONTEXTS_MAX {
            return Err(Error::LimitReached(Limit::Contexts));
        }
        contexts.insert(held.context.id, Arc::clone(&held));
        Ok(held)
    }
}

fn find(entry: &Entry, context: ContextId) -> Result<Arc<Held>> {
    let found = entry.interpreters.contexts().get(&context).cloned();
    found.ok_or_else(|| Error::not_found(Kind::Context, context))
}

fn check_cell(cell: &CellSpec) -> Result<()> {
    if cell.code.len() > limits::RUN_CODE_MAX_BYTES {
        return Err(Error::invalid("code", format!("is longer than {} bytes", limits::RUN_CODE_MAX_BYTES)));
    }
    let command = vec!["python3".to_owned()];
    check(&ExecSpec { command, env: cell.env.clone(), timeout: cell.timeout, ..ExecSpec::default() })
}

/// Why the kernel inside refused a child, as its errno is numbered on Linux.
fn declined(errno: i32, cwd: String) -> Error {
    const ENOENT: i32 = 2;
    const EAGAIN: i32 = 11;
    const ENOMEM: i32 = 12;
    const EACCES: i32 = 13;
    const ENOTDIR: i32 = 20;
    let problem = match errno {
        ENOENT | EACCES | ENOTDIR => {
            return Error::Exec { what: cwd, problem: ExecProblem::BadWorkingDirectory };
        }
        EAGAIN => ExecProblem::TooManyProcesses,
        ENOMEM => ExecProblem::OutOfMemory,
        _ => ExecProblem::Other,
    };
    Error::Exec { what: "python3".to_owned(), problem }
}

impl CellSession {
    /// The whole of a cell, in memory.
    ///
    /// # Errors
    /// [`Error::Ended`] if the sandbox ends meanwhile.
    pub async fn collect(self) -> Result<CellResult> {
        let CellSession { mut events, guard } = self;
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        let (mut shown, mut error) = (Vec::new(), None);
        let mut left = usize::try_from(limits::EXEC_OUTPUT_MAX_BYTES).unwrap_or(usize::MAX);
        let mut is_cut = false;
        let mut keep = |target: &mut BytesMut, bytes: &Bytes| {
            let kept = bytes.len().min(left);
            left -= kept;
            is_cut |= kept < bytes.len();
            target.extend_from_slice(&bytes[..kept]);
        };
        while let Some(event) = events.recv().await {
            match event? {
                CellEvent::Stdout(bytes) => keep(&mut stdout, &bytes),
                CellEvent::Stderr(bytes) => keep(&mut stderr, &bytes),
                CellEvent::Shown(value) => shown.push(value),
                CellEvent::Failed(failure) => error = Some(failure),
                CellEvent::Ended(mut output) => {
                    output.truncated |= is_cut;
                    return Ok(CellResult {
                        stdout: stdout.freeze(),
                        stderr: stderr.freeze(),
                        shown,
                        error,
                        output,
                    });
                }
            }
        }
        Err(guard.how_it_ended().await)
    }
}
