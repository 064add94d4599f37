//! Shell sessions: a shell that keeps its state, whose commands run one after another and have logs of their own.
//!
//! The shell is an exec in the background, with a loop of ours for its script (`script`). Its output carries marks (`log`),
//! and the guest keeps it on the sandbox's disk, so nothing is lost between a command and a reader that comes late or
//! reads slowly, and the server holds none of it (`follow`). Because all that is known of a session is in its log and its
//! label, the next server finds it (`shell`).

mod follow;
mod log;
mod script;
mod shell;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

pub use self::follow::{LogStream, Until};
use self::shell::Shell;
use super::context::Context;
use super::execs::{check, complete};
use super::sandboxes::use_sandbox;
use super::table::Entry;
use crate::ports::Guest;
use crate::{
    BackgroundExec, Caller, CommandId, CommandSpec, Error, ExecId, ExecProblem, ExecSession, ExecSpec, Keep,
    Kind, Limit, Removal, Result, SandboxId, Scope, Session, SessionCommand, SessionSpec, Stdin, limits,
};

/// How long the log of a session that the last server left may take to be read. It is bounded, and read at the speed of
/// the sandbox's disk.
const ADOPTION_PATIENCE: Duration = Duration::from_secs(30);

/// The first field of a session's label.
const LABEL: &str = "session";

/// The sessions of one sandbox.
#[derive(Debug, Default)]
pub(super) struct SessionSlot {
    by_name: Mutex<BTreeMap<String, Arc<Shell>>>,
    /// Whether the guest was asked what an earlier server left; held while it is, and while a session is made.
    is_loaded: tokio::sync::Mutex<bool>,
}

impl SessionSlot {
    fn shells(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Shell>>> {
        self.by_name.lock().expect("no panic under this lock")
    }

    /// Whether a command runs.
    pub(super) fn is_busy(&self) -> bool {
        self.shells().values().any(|shell| shell.is_busy())
    }

    /// The sandbox's run has ended, and with it every session.
    pub(super) async fn forget(&self) {
        let mut is_loaded = self.is_loaded.lock().await;
        *is_loaded = false;
        self.shells().clear();
    }
}

/// Shell sessions in sandboxes of the caller's account. A session ends with the sandbox's run.
#[derive(Clone)]
pub struct Sessions {
    pub(super) context: Arc<Context>,
}

impl Sessions {
    /// Makes a session.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; [`Error::AlreadyExists`];
    /// [`Error::Invalid`] for a name out of its bounds; [`Error::Exec`] if the image has no shell, or the directory is
    /// none; [`Error::LimitReached`] beyond [`limits::SESSIONS_MAX`].
    pub async fn create(&self, caller: &Caller, id: SandboxId, spec: SessionSpec) -> Result<Session> {
        caller.need(Scope::SandboxesWrite)?;
        check_name("name", &spec.name)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.load(&entry).await).await?;
        let made = self.make(&entry, spec).await;
        guard.counted(made).await
    }

    async fn make(&self, entry: &Arc<Entry>, spec: SessionSpec) -> Result<Session> {
        let slot = &entry.sessions;
        let _one_at_a_time = slot.is_loaded.lock().await;
        {
            let shells = slot.shells();
            if shells.contains_key(&spec.name) {
                return Err(Error::AlreadyExists { kind: Kind::Session, id: spec.name });
            }
            if shells.len() >= limits::SESSIONS_MAX {
                return Err(Error::LimitReached(Limit::Sessions));
            }
        }
        let now = self.context.now();
        let next_id = || self.context.ports.ids.next(now);
        let token = hex::encode(next_id());
        let exec_id = ExecId::from_bytes(next_id());
        let base = ExecSpec {
            command: vec!["sh".to_owned()],
            cwd: spec.cwd,
            env: spec.env,
            stdin: Stdin::Stream,
            ..ExecSpec::default()
        };
        check(&base)?;
        let base = complete(entry, base);
        let keep = Keep {
            label: Some([LABEL, &token, &spec.name].join("\0")),
            spool_bytes: Some(limits::SESSION_LOG_MAX_BYTES),
            grace: Some(limits::SESSION_GRACE),
        };
        let commands = script::SHELLS
            .map(|shell| [shell, "-c", script::LOOP, "lazaret-session", &token].map(str::to_owned).to_vec());
        let guest = &*self.context.ports.guest;
        let exec = start_first(guest, entry.id, exec_id, base, &keep, commands.to_vec()).await?;
        let (shell, keeper) = Shell::new(spec.name.clone(), token, exec_id, now, exec);
        // Ends with the shell, or with the sandbox.
        tokio::spawn(keeper);
        let session = shell.describe();
        slot.shells().insert(spec.name, shell);
        Ok(session)
    }

    /// The sessions of a sandbox, by name; those that have ended and were not deleted included.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run.
    pub async fn list(&self, caller: &Caller, id: SandboxId) -> Result<Vec<Session>> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        guard.counted(self.load(&entry).await).await?;
        let sessions = entry.sessions.shells().values().map(|shell| shell.describe()).collect();
        Ok(sessions)
    }

    /// One session.
    ///
    /// # Errors
    /// As [`Sessions::list`]; [`Error::NotFound`] for a session that is not there.
    pub async fn get(&self, caller: &Caller, id: SandboxId, name: &str) -> Result<Session> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        Ok(guard.counted(self.find(&entry, name).await).await?.describe())
    }

    /// Ends a session and everything that it runs: with SIGTERM, and after [`limits::SESSION_GRACE`] with SIGKILL.
    ///
    /// # Errors
    /// As [`Sessions::get`].
    pub async fn delete(&self, caller: &Caller, id: SandboxId, name: &str) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        let removed = self.context.ports.guest.remove_exec(id, shell.exec, Removal::Ask).await;
        entry.sessions.shells().retain(|_, other| !Arc::ptr_eq(other, &shell));
        match guard.counted(removed).await {
            // The guest makes room at the cost of those that have ended.
            Err(Error::NotFound { kind: Kind::Exec, .. }) => Ok(()),
            removed => removed,
        }
    }

    /// Begins a command when its turn has come, and does not wait for it.
    ///
    /// # Errors
    /// As [`Sessions::get`]; [`Error::Over`] if the session has ended; [`Error::LimitReached`] if
    /// [`limits::SESSION_COMMANDS_WAITING_MAX`] wait already.
    pub async fn start(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        spec: CommandSpec,
    ) -> Result<SessionCommand> {
        caller.need(Scope::SandboxesWrite)?;
        check_command(&spec)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        self.enqueue(&shell, spec)
    }

    /// Runs a command when its turn has come, to its end.
    ///
    /// # Errors
    /// As [`Sessions::start`].
    pub async fn run(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        spec: CommandSpec,
    ) -> Result<(SessionCommand, LogStream)> {
        caller.need(Scope::SandboxesWrite)?;
        check_command(&spec)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        let command = self.enqueue(&shell, spec)?;
        let guest = Arc::clone(&self.context.ports.guest);
        let log = follow::follow(guest, id, shell, command.id, Until::TheEnd, guard);
        Ok((command, log))
    }

    fn enqueue(&self, shell: &Shell, spec: CommandSpec) -> Result<SessionCommand> {
        let command = CommandId::from_bytes(self.context.ports.ids.next(self.context.now()));
        let text = spec.command.clone();
        shell.enqueue(command, spec)?;
        Ok(SessionCommand { id: command, command: text, end: None })
    }

    /// A command of a session.
    ///
    /// # Errors
    /// As [`Sessions::get`]; [`Error::NotFound`] for a command that is not remembered.
    pub async fn command(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        command: CommandId,
    ) -> Result<SessionCommand> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        let found = shell.state.borrow().find(command).map(shell::Command::describe);
        found.ok_or_else(|| Error::not_found(Kind::Command, command))
    }

    /// The log of a command, from its beginning.
    ///
    /// # Errors
    /// As [`Sessions::command`].
    pub async fn follow(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        command: CommandId,
        until: Until,
    ) -> Result<LogStream> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        if shell.state.borrow().find(command).is_none() {
            return Err(Error::not_found(Kind::Command, command));
        }
        let guest = Arc::clone(&self.context.ports.guest);
        Ok(follow::follow(guest, id, shell, command, until, guard))
    }

    /// Sends input to a command that reads.
    ///
    /// # Errors
    /// As [`Sessions::command`]; [`Error::Over`] if it has ended; [`Error::Invalid`] if it reads nothing;
    /// [`Error::Unavailable`] if it does not read in time.
    pub async fn send(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        command: CommandId,
        data: Bytes,
    ) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let shell = guard.counted(self.find(&entry, name).await).await?;
        shell.feed(command, data).await
    }

    async fn find(&self, entry: &Arc<Entry>, name: &str) -> Result<Arc<Shell>> {
        self.load(entry).await?;
        let found = entry.sessions.shells().get(name).cloned();
        found.ok_or_else(|| Error::not_found(Kind::Session, name))
    }

    /// Takes over what an earlier server left, once.
    async fn load(&self, entry: &Arc<Entry>) -> Result<()> {
        let slot = &entry.sessions;
        let mut is_loaded = slot.is_loaded.lock().await;
        if *is_loaded {
            return Ok(());
        }
        for exec in self.context.ports.guest.list_execs(entry.id).await? {
            let Some((token, name)) = parse_label(&exec) else { continue };
            let session = self.context.ports.guest.attach(entry.id, exec.id, exec.oldest_offset).await?;
            let (shell, keeper) = Shell::new(name.clone(), token, exec.id, exec.started_at, session);
            tokio::spawn(keeper);
            let read = tokio::time::timeout(ADOPTION_PATIENCE, shell.has_read(exec.output_bytes)).await;
            if read.is_err() {
                tracing::warn!(sandbox.id = %entry.id, "the log of a session is still being read");
            }
            slot.shells().insert(name, shell);
        }
        *is_loaded = true;
        Ok(())
    }
}

/// Token and name of a session that an exec is.
fn parse_label(exec: &BackgroundExec) -> Option<(String, String)> {
    let fields: Vec<&str> = exec.label.as_deref()?.split('\0').collect();
    match fields.as_slice() {
        [LABEL, token, name] if check_name("name", name).is_ok() && token.len() == 32 => {
            Some(((*token).to_owned(), (*name).to_owned()))
        }
        _ => None,
    }
}

/// Refuses a name that no path, log or label could carry.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<()> {
    if name.is_empty() || name.len() > limits::SESSION_NAME_MAX_BYTES || name.chars().any(char::is_control) {
        let reason =
            format!("must have 1 to {} bytes and no control characters", limits::SESSION_NAME_MAX_BYTES);
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

fn check_command(spec: &CommandSpec) -> Result<()> {
    if spec.command.trim().is_empty() {
        return Err(Error::invalid("command", "is empty"));
    }
    if spec.command.contains('\0') {
        return Err(Error::invalid("command", "has a NUL byte"));
    }
    if spec.command.len() > limits::SESSION_COMMAND_MAX_BYTES {
        let reason = format!("is longer than {} bytes", limits::SESSION_COMMAND_MAX_BYTES);
        return Err(Error::invalid("command", reason));
    }
    Ok(())
}

/// Starts the first of these commands in the background whose program the image has.
pub(super) async fn start_first(
    guest: &dyn Guest,
    sandbox: SandboxId,
    exec: ExecId,
    base: ExecSpec,
    keep: &Keep,
    commands: Vec<Vec<String>>,
) -> Result<ExecSession> {
    let mut missing = Error::Exec { what: "sh".to_owned(), problem: ExecProblem::ProgramNotFound };
    for command in commands {
        let spec = ExecSpec { command, ..base.clone() };
        match guest.exec_background(sandbox, exec, &spec, keep).await {
            Err(error @ Error::Exec { problem: ExecProblem::ProgramNotFound, .. }) => missing = error,
            started => return started,
        }
    }
    Err(missing)
}
