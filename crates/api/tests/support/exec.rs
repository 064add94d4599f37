//! The few commands that the guest in memory knows, and execs in the background.
//!
//! | Command | What it does |
//! | --- | --- |
//! | `true`, `false` | ends with 0 or 1 |
//! | `echo WORDS` | prints the words |
//! | `fail WORDS` | prints the words to standard error and ends with 3 |
//! | `bytes` | prints what is not UTF-8 |
//! | `spew N` | prints N bytes in chunks |
//! | `pwd`, `env`, `id` | prints working directory, environment or user |
//! | `cat` | copies its input |
//! | `size` | prints the terminal's size, at first and whenever it changes, until its input ends |
//! | `sleep` | waits for a signal, or for its timeout |
//! | `crash` | takes the sandbox with it |
//! | `python3 FILE` | prints the script |
//! | `typescript-language-server` | is one, see `language_server.rs` |
//! | `sh`, to apply a role | does what the role's script says: `say`, `complain`, `exit`, `wait` |

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lazaret_core::{
    BackgroundExec, Error, ExecEvent, ExecExit, ExecId, ExecInput, ExecOutput, ExecProblem, ExecSession,
    ExecSpec, Keep, Result, Timestamp,
};
use tokio::sync::{mpsc, watch};

use super::language_server::LanguageServer;

/// Process id of everything here.
pub(super) const PID: u32 = 7;
/// Bytes that `spew` prints at a time.
const SPEW_CHUNK_BYTES: usize = 4096;
const KNOWN: [&str; 14] = [
    "true",
    "false",
    "echo",
    "fail",
    "bytes",
    "spew",
    "pwd",
    "env",
    "id",
    "cat",
    "size",
    "sleep",
    "crash",
    "typescript-language-server",
];

/// Starts a command; `script` is the content of its first argument, if that is a file.
pub(super) fn start(spec: &ExecSpec, script: Bytes, running: watch::Sender<usize>) -> Result<ExecSession> {
    let program = spec.command[0].as_str();
    let failed = |what: &str, problem| Err(Error::Exec { what: what.to_owned(), problem });
    if !KNOWN.contains(&program) && program != "python3" && !applies_role(spec) {
        return failed(program, ExecProblem::ProgramNotFound);
    }
    if let Some(user) = spec.user.as_deref().filter(|user| *user == "nobody-here") {
        return failed(user, ExecProblem::UnknownUser);
    }
    let (input, inputs) = mpsc::channel(4);
    let (events, output) = mpsc::channel(4);
    let process = Process {
        spec: spec.clone(),
        script,
        inputs,
        events,
        left: spec.output_limit_bytes,
        truncated: false,
    };
    running.send_modify(|count| *count += 1);
    tokio::spawn(async move {
        process.run().await;
        running.send_modify(|count| *count -= 1);
    });
    Ok(ExecSession::new(PID, input, output))
}

/// Whether it is the server's own script.
fn applies_role(spec: &ExecSpec) -> bool {
    spec.command[0] == "sh" && spec.env.contains_key("LAZARET_ROLE")
}

struct Process {
    spec: ExecSpec,
    script: Bytes,
    inputs: mpsc::Receiver<ExecInput>,
    events: mpsc::Sender<Result<ExecEvent>>,
    /// Bytes that may still be printed.
    left: Option<u64>,
    truncated: bool,
}

impl Process {
    async fn run(mut self) {
        let timeout = self.spec.timeout.unwrap_or(Duration::from_secs(3600));
        let (exit, timed_out) = match tokio::time::timeout(timeout, self.act()).await {
            Ok(Some(exit)) => (exit, false),
            Ok(None) => return,
            Err(_elapsed) => (ExecExit::Signal(9), true),
        };
        let duration = Duration::from_millis(9);
        let output = ExecOutput { exit, timed_out, oom: false, truncated: self.truncated, duration };
        // The reader may be gone.
        let _ = self.events.send(Ok(ExecEvent::Exited(output))).await;
    }

    /// How it ended; `None` if there is nobody to tell.
    async fn act(&mut self) -> Option<ExecExit> {
        let words = self.spec.command[1..].join(" ");
        match self.spec.command[0].as_str() {
            "true" => {}
            "false" => return Some(ExecExit::Code(1)),
            "echo" => self.print(format!("{words}\n")).await?,
            "fail" => {
                self.send(ExecEvent::Stderr(format!("{words}\n").into())).await?;
                return Some(ExecExit::Code(3));
            }
            "bytes" => self.print(&b"\xff\xfe"[..]).await?,
            "spew" => {
                let mut left: usize = words.parse().expect("spew takes a number");
                while left > 0 {
                    let chunk = left.min(SPEW_CHUNK_BYTES);
                    self.print("x".repeat(chunk)).await?;
                    left -= chunk;
                }
            }
            "pwd" => self.print(format!("{}\n", self.spec.cwd.clone().unwrap_or("/".to_owned()))).await?,
            "id" => self.print(format!("{}\n", self.spec.user.clone().unwrap_or("root".to_owned()))).await?,
            "env" => {
                let lines: String =
                    self.spec.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
                self.print(lines).await?;
            }
            "cat" | "size" | "sleep" => return self.listen().await,
            "crash" => return None,
            "python3" => self.print(self.script.clone()).await?,
            "sh" => return self.apply_role().await,
            "typescript-language-server" => return self.know_a_language().await,
            other => unreachable!("{other} was refused before"),
        }
        Some(ExecExit::Code(0))
    }

    /// Stands in for the script that applies roles.
    async fn apply_role(&mut self) -> Option<ExecExit> {
        let script = self.spec.env["LAZARET_ROLE_SCRIPT"].clone();
        for line in script.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("say", text) => self.print(format!("@role {text}\n")).await?,
                ("complain", text) => self.send(ExecEvent::Stderr(format!("{text}\n").into())).await?,
                ("exit", code) => return Some(ExecExit::Code(code.parse().expect("exit takes a number"))),
                ("wait", _) => return self.listen().await,
                (other, _) => unreachable!("{other} is not known"),
            }
        }
        Some(ExecExit::Code(0))
    }

    async fn know_a_language(&mut self) -> Option<ExecExit> {
        let mut server = LanguageServer::default();
        loop {
            // A closed input is a client that hung up.
            let ExecInput::Stdin(bytes) = self.inputs.recv().await? else { continue };
            match server.hear(&bytes) {
                Some(said) => self.print(said).await?,
                None => return Some(ExecExit::Code(0)),
            }
        }
    }

    /// What the commands do that live by their input.
    async fn listen(&mut self) -> Option<ExecExit> {
        let program = self.spec.command[0].clone();
        if program == "size"
            && let Some(tty) = self.spec.tty.clone()
        {
            self.print(format!("{} {}\n", tty.rows, tty.cols)).await?;
        }
        loop {
            // A closed input is a client that hung up: the process is killed.
            match self.inputs.recv().await? {
                ExecInput::Stdin(bytes) if program == "cat" => self.print(bytes).await?,
                ExecInput::Stdin(_) => {}
                ExecInput::StdinEnd if program == "sleep" => {}
                ExecInput::StdinEnd => return Some(ExecExit::Code(0)),
                ExecInput::Signal(signal) => return Some(ExecExit::Signal(signal)),
                ExecInput::Resize { rows, cols } if program == "size" => {
                    self.print(format!("{rows} {cols}\n")).await?;
                }
                ExecInput::Resize { .. } => {}
            }
        }
    }

    async fn print(&mut self, bytes: impl Into<Bytes>) -> Option<()> {
        let mut bytes = bytes.into();
        if let Some(left) = &mut self.left {
            let room = usize::try_from(*left).unwrap_or(usize::MAX);
            if bytes.len() > room {
                self.truncated = true;
                bytes.truncate(room);
            }
            *left -= bytes.len() as u64;
        }
        if bytes.is_empty() { Some(()) } else { self.send(ExecEvent::Stdout(bytes)).await }
    }

    async fn send(&mut self, event: ExecEvent) -> Option<()> {
        self.events.send(Ok(event)).await.ok()
    }
}

/// What a background exec has said so far.
#[derive(Default)]
struct Log {
    events: Vec<ExecEvent>,
}

/// An exec that goes on without its session.
pub(super) struct Background {
    pub(super) id: ExecId,
    started_at: Timestamp,
    command: Vec<String>,
    label: Option<String>,
    input: Mutex<Option<mpsc::Sender<ExecInput>>>,
    log: watch::Sender<Log>,
}

impl Background {
    pub(super) fn keep(
        id: ExecId,
        spec: &ExecSpec,
        keep: &Keep,
        session: ExecSession,
        started_at: Timestamp,
    ) -> Arc<Self> {
        let ExecSession { input, mut events, .. } = session;
        let kept = Arc::new(Self {
            id,
            started_at,
            command: spec.command.clone(),
            label: keep.label.clone(),
            input: Mutex::new(Some(input)),
            log: watch::Sender::default(),
        });
        let log = kept.log.clone();
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.recv().await {
                log.send_modify(|log| log.events.push(event));
            }
        });
        kept
    }

    pub(super) fn kill(&self) {
        *self.input.lock().expect("no panic under this lock") = None;
    }

    /// A session that begins at `offset` of the output and follows it.
    pub(super) fn attach(&self, offset: u64) -> ExecSession {
        let (sender, receiver) = mpsc::channel(4);
        let mut log = self.log.subscribe();
        tokio::spawn(async move {
            let (mut next, mut at) = (0, 0_u64);
            loop {
                let fresh: Vec<_> = log.borrow_and_update().events[next..].to_vec();
                next += fresh.len();
                for event in fresh {
                    let is_last = matches!(event, ExecEvent::Exited(_));
                    let event = behind(event, &mut at, offset);
                    if let Some(event) = event
                        && sender.send(Ok(event)).await.is_err()
                    {
                        return;
                    }
                    if is_last {
                        return;
                    }
                }
                if log.changed().await.is_err() {
                    return;
                }
            }
        });
        let (input, mut inputs) = mpsc::channel::<ExecInput>(4);
        let process = self.input.lock().expect("no panic under this lock").clone();
        tokio::spawn(async move {
            while let (Some(input), Some(process)) = (inputs.recv().await, &process) {
                let _ = process.send(input).await;
            }
        });
        // As an older guest does, which does not tell a follower the process id.
        ExecSession::new(0, input, receiver)
    }

    pub(super) fn describe(&self) -> BackgroundExec {
        let log = self.log.borrow();
        let output = log.events.iter().find_map(|event| match event {
            ExecEvent::Exited(output) => Some(output.clone()),
            _ => None,
        });
        BackgroundExec {
            id: self.id,
            command: self.command.clone(),
            pid: PID,
            started_at: self.started_at,
            output,
            output_bytes: log.events.iter().map(length).sum(),
            oldest_offset: 0,
            label: self.label.clone(),
        }
    }
}

fn length(event: &ExecEvent) -> u64 {
    match event {
        ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) => bytes.len() as u64,
        ExecEvent::Skipped(_) | ExecEvent::Exited(_) => 0,
    }
}

/// The part of `event` behind `offset`, where the event begins at `at`, which moves on.
fn behind(event: ExecEvent, at: &mut u64, offset: u64) -> Option<ExecEvent> {
    let start = *at;
    *at += length(&event);
    let skip =
        |bytes: &Bytes| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    match event {
        ExecEvent::Stdout(bytes) => {
            let rest = bytes.slice(skip(&bytes)..);
            (!rest.is_empty()).then_some(ExecEvent::Stdout(rest))
        }
        ExecEvent::Stderr(bytes) => {
            let rest = bytes.slice(skip(&bytes)..);
            (!rest.is_empty()).then_some(ExecEvent::Stderr(rest))
        }
        exited => Some(exited),
    }
}
