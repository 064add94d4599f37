//! Terminals: an interactive shell on a PTY, which several may look at and which stays when nobody does.
//!
//! A terminal is an exec in the background. What there is to know of it is in its label, which the guest repeats, so the
//! guest's list is the list of terminals and the next server finds them all; only a size that was changed since is the
//! server's own knowledge. What a terminal showed is kept as far as the guest keeps it; whoever attaches sees what comes
//! from then on, and whoever reads too slowly misses the middle, as at any screen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::context::Context;
use super::execs::{check, complete};
use super::sandboxes::use_sandbox;
use super::sessions::{check_name, start_first};
use super::table::Entry;
use crate::{
    BackgroundExec, Caller, Error, ExecId, ExecInput, ExecSession, ExecSpec, Keep, Kind, Limit, Removal,
    Result, SandboxId, Scope, Stdin, Terminal, TerminalSpec, Tty, limits,
};

/// Shells for people, the best first.
const SHELLS: [&str; 3] = ["zsh", "bash", "sh"];
/// `TERM` where nobody names one: what browsers' and most desktops' terminals are.
const TERM_DEFAULT: &str = "xterm-256color";
/// The first field of a terminal's label.
const LABEL: &str = "terminal";

/// What a server knows of the terminals of one sandbox that their guest does not.
#[derive(Debug, Default)]
pub(super) struct TerminalSlot {
    sizes: Mutex<HashMap<ExecId, (u16, u16)>>,
    /// Held while a terminal is made, so that a name is given once.
    making: tokio::sync::Mutex<()>,
}

impl TerminalSlot {
    /// The sandbox's run has ended, and with it every terminal.
    pub(super) fn forget(&self) {
        self.sizes().clear();
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, HashMap<ExecId, (u16, u16)>> {
        self.sizes.lock().expect("no panic under this lock")
    }
}

/// Terminals in sandboxes of the caller's account. A terminal ends with its shell, or with the sandbox's run.
#[derive(Clone)]
pub struct Terminals {
    pub(super) context: Arc<Context>,
}

impl Terminals {
    /// Makes a terminal and attaches to it, from the first byte. Dropping the session leaves it as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run; [`Error::AlreadyExists`];
    /// [`Error::Invalid`] for a name, size or environment out of its bounds; [`Error::Exec`] if the image has no shell;
    /// [`Error::LimitReached`] beyond [`limits::TERMINALS_MAX`].
    pub async fn create(
        &self,
        caller: &Caller,
        id: SandboxId,
        spec: TerminalSpec,
    ) -> Result<(Terminal, ExecSession)> {
        caller.need(Scope::SandboxesWrite)?;
        check_name("name", &spec.name)?;
        check_size(spec.rows, spec.cols)?;
        let bytes: usize = spec.env.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
        if bytes > limits::TERMINAL_ENV_MAX_BYTES {
            let reason = format!("is longer than {} bytes", limits::TERMINAL_ENV_MAX_BYTES);
            return Err(Error::invalid("env", reason));
        }
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let made = guard.counted(self.make(&entry, spec).await).await?;
        Ok((made.0, made.1.holding(guard)))
    }

    async fn make(&self, entry: &Entry, spec: TerminalSpec) -> Result<(Terminal, ExecSession)> {
        let _one_at_a_time = entry.terminals.making.lock().await;
        let running = self.running(entry).await?;
        if running.iter().any(|(_, terminal)| terminal.name == spec.name) {
            return Err(Error::AlreadyExists { kind: Kind::Terminal, id: spec.name });
        }
        if running.len() >= limits::TERMINALS_MAX {
            return Err(Error::LimitReached(Limit::Terminals));
        }
        let TerminalSpec { name, rows, cols, cwd, env } = spec;
        let base = ExecSpec {
            command: vec!["sh".to_owned()],
            cwd,
            env: env.clone(),
            stdin: Stdin::Stream,
            tty: Some(Tty { rows, cols, term: TERM_DEFAULT.to_owned() }),
            ..ExecSpec::default()
        };
        check(&base)?;
        let base = complete(entry, base);
        let now = self.context.now();
        let exec = ExecId::from_bytes(self.context.ports.ids.next(now));
        let cwd = base.cwd.clone().unwrap_or_else(|| "/".to_owned());
        let terminal = Terminal { name, rows, cols, cwd, env, created_at: now };
        let keep = Keep { label: Some(label(&terminal)), ..Keep::default() };
        let commands = SHELLS.map(|shell| [shell, "-i", "-l"].map(str::to_owned).to_vec());
        let guest = &*self.context.ports.guest;
        let session = start_first(guest, entry.id, exec, base, &keep, commands.to_vec()).await?;
        Ok((terminal, session))
    }

    /// The terminals of a sandbox whose shell runs, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] if the sandbox does not run.
    pub async fn list(&self, caller: &Caller, id: SandboxId) -> Result<Vec<Terminal>> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let running = guard.counted(self.running(&entry).await).await?;
        Ok(running.into_iter().map(|(_, terminal)| terminal).collect())
    }

    /// One terminal.
    ///
    /// # Errors
    /// As [`Terminals::list`]; [`Error::NotFound`] for a terminal that is not there; [`Error::Over`] if its shell has
    /// ended.
    pub async fn get(&self, caller: &Caller, id: SandboxId, name: &str) -> Result<Terminal> {
        caller.need(Scope::SandboxesRead)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let (_, terminal) = guard.counted(self.find(&entry, name).await).await?;
        Ok(terminal)
    }

    /// Attaches to a terminal, from what it shows next. Dropping the session leaves it as it is.
    ///
    /// # Errors
    /// As [`Terminals::get`].
    pub async fn attach(&self, caller: &Caller, id: SandboxId, name: &str) -> Result<ExecSession> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let (exec, _) = guard.counted(self.find(&entry, name).await).await?;
        let session = self.context.ports.guest.attach(id, exec, u64::MAX).await;
        Ok(guard.counted(session).await?.holding(guard))
    }

    /// Gives a terminal a new size.
    ///
    /// # Errors
    /// As [`Terminals::get`]; [`Error::Invalid`] for a size out of its bounds.
    pub async fn resize(
        &self,
        caller: &Caller,
        id: SandboxId,
        name: &str,
        (rows, cols): (u16, u16),
    ) -> Result<Terminal> {
        caller.need(Scope::SandboxesWrite)?;
        check_size(rows, cols)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let (exec, terminal) = guard.counted(self.find(&entry, name).await).await?;
        let session = guard.counted(self.context.ports.guest.attach(id, exec, u64::MAX).await).await?;
        let gone = || Error::Over { kind: Kind::Terminal, id: name.to_owned() };
        session.input.send(ExecInput::Resize { rows, cols }).await.map_err(|_| gone())?;
        // The message is sent before the connection is closed, but not before the session is dropped.
        let ExecSession { input, mut events, .. } = session;
        drop(input);
        let passed_on = async { while let Some(Ok(_)) = events.recv().await {} };
        let _ = tokio::time::timeout(RESIZE_PATIENCE, passed_on).await;
        entry.terminals.sizes().insert(exec, (rows, cols));
        Ok(Terminal { rows, cols, ..terminal })
    }

    /// Ends a terminal and everything in it, with SIGKILL.
    ///
    /// # Errors
    /// As [`Terminals::get`].
    pub async fn delete(&self, caller: &Caller, id: SandboxId, name: &str) -> Result<()> {
        caller.need(Scope::SandboxesWrite)?;
        let (entry, guard) = use_sandbox(&self.context, caller, id).await?;
        let (exec, _) = guard.counted(self.find(&entry, name).await).await?;
        entry.terminals.sizes().remove(&exec);
        guard.counted(self.context.ports.guest.remove_exec(id, exec, Removal::Kill).await).await
    }

    async fn running(&self, entry: &Entry) -> Result<Vec<(ExecId, Terminal)>> {
        let execs = self.context.ports.guest.list_execs(entry.id).await?;
        let running = execs.iter().filter(|exec| exec.output.is_none());
        Ok(running.filter_map(|exec| Some((exec.id, self.read(entry, exec)?))).collect())
    }

    async fn find(&self, entry: &Entry, name: &str) -> Result<(ExecId, Terminal)> {
        let execs = self.context.ports.guest.list_execs(entry.id).await?;
        let mut over = None;
        for exec in &execs {
            match self.read(entry, exec).filter(|terminal| terminal.name == name) {
                Some(terminal) if exec.output.is_none() => return Ok((exec.id, terminal)),
                Some(terminal) => over = Some(terminal.name),
                None => {}
            }
        }
        Err(match over {
            Some(id) => Error::Over { kind: Kind::Terminal, id },
            None => Error::not_found(Kind::Terminal, name),
        })
    }

    fn read(&self, entry: &Entry, exec: &BackgroundExec) -> Option<Terminal> {
        let mut terminal = parse_label(exec)?;
        if let Some((rows, cols)) = entry.terminals.sizes().get(&exec.id) {
            (terminal.rows, terminal.cols) = (*rows, *cols);
        }
        Some(terminal)
    }
}

/// What a guest has for taking a new size.
const RESIZE_PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);

fn check_size(rows: u16, cols: u16) -> Result<()> {
    for (field, side) in [("rows", rows), ("cols", cols)] {
        if side == 0 || side > limits::TERMINAL_SIDE_MAX {
            return Err(Error::invalid(field, format!("must be from 1 to {}", limits::TERMINAL_SIDE_MAX)));
        }
    }
    Ok(())
}

fn label(terminal: &Terminal) -> String {
    let Terminal { name, rows, cols, cwd, env, .. } = terminal;
    let mut fields = vec![LABEL.to_owned(), name.clone(), rows.to_string(), cols.to_string(), cwd.clone()];
    fields.extend(env.iter().map(|(name, value)| format!("{name}={value}")));
    fields.join("\0")
}

fn parse_label(exec: &BackgroundExec) -> Option<Terminal> {
    let mut fields = exec.label.as_deref()?.split('\0');
    fields.next().filter(|label| *label == LABEL)?;
    let name = fields.next().filter(|name| check_name("name", name).is_ok())?.to_owned();
    let rows = fields.next()?.parse().ok()?;
    let cols = fields.next()?.parse().ok()?;
    check_size(rows, cols).ok()?;
    let cwd = fields.next()?.to_owned();
    let env: BTreeMap<String, String> = fields
        .filter_map(|field| field.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Some(Terminal { name, rows, cols, cwd, env, created_at: exec.started_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn exec(label: Option<&str>) -> BackgroundExec {
        BackgroundExec {
            id: ExecId::from_bytes([1; 16]),
            command: Vec::new(),
            pid: 1,
            started_at: Timestamp::from_unix_micros(5),
            output: None,
            output_bytes: 0,
            oldest_offset: 0,
            label: label.map(str::to_owned),
        }
    }

    #[test]
    fn a_label_tells_the_next_server_what_the_terminal_is() {
        let env = [("A", "x=y"), ("B", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let terminal = Terminal {
            name: "main".to_owned(),
            rows: 30,
            cols: 100,
            cwd: "/tmp/a b".to_owned(),
            env: env.into(),
            created_at: Timestamp::from_unix_micros(5),
        };
        assert_eq!(parse_label(&exec(Some(&label(&terminal)))), Some(terminal));
    }

    #[test]
    fn a_label_that_no_server_wrote_is_no_terminal() {
        for label in [
            None,
            Some(""),
            Some("session\0a"),
            Some("terminal"),
            Some("terminal\0a\x000\x0080\0/"),
            Some("terminal\0\x001\x001\0/"),
        ] {
            assert_eq!(parse_label(&exec(label)), None, "{label:?}");
        }
    }
}
