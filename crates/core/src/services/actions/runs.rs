//! Actions that run something.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::BytesMut;

use super::files::resolve;
use super::{ACT_DEADLINE, Actions, Outcome, Refusal, within};
use crate::services::RunSpec;
use crate::{Caller, Error, ExecEvent, ExecExit, ExecOutput, ExecSpec, Language, limits};

/// How long a run may take whose caller says nothing.
const TIMEOUT_DEFAULT_S: i64 = 10;
/// How much longer than its timeout a run's action may take.
const MARGIN: Duration = Duration::from_secs(5);

/// Code to run.
#[derive(Debug, Clone)]
pub struct CodeRun {
    /// The sandbox's id.
    pub sandbox: String,
    /// Source text.
    pub code: String,
    /// Its language.
    pub language: String,
    /// Variables for this run.
    pub env: BTreeMap<String, String>,
    /// Seconds until it is ended.
    pub timeout: Option<i64>,
}

/// A line of shell to run.
#[derive(Debug, Clone)]
pub struct CommandRun {
    /// The sandbox's id.
    pub sandbox: String,
    /// The line.
    pub command: String,
    /// Working directory, absolute or from the sandbox's own.
    pub cwd: Option<String>,
    /// Variables for this command.
    pub env: BTreeMap<String, String>,
    /// Seconds until it is ended.
    pub timeout: Option<i64>,
}

/// What a run came to. A code other than 0 is no refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; 128 and the signal's number for one that a signal ended, as a shell says it.
    pub exit_code: i64,
    /// Standard output and error.
    pub result: String,
}

impl Actions {
    /// Runs code to its end.
    pub async fn run_code(&self, caller: &Caller, run: CodeRun) -> Outcome<Ran> {
        let timeout = timeout(run.timeout)?;
        within(ACT_DEADLINE.max(timeout + MARGIN), async {
            let id = self.by_id(caller, &run.sandbox).await?;
            let language: Language = run.language.parse()?;
            let spec = RunSpec {
                language,
                code: run.code,
                args: Vec::new(),
                cwd: None,
                env: run.env,
                timeout: Some(timeout),
            };
            let done = self.execs.run_code(caller, id, spec).await?;
            let mut result = BytesMut::from(done.stdout.as_ref());
            result.extend_from_slice(&done.stderr);
            ran(&done.output, &result)
        })
        .await
    }

    /// Runs a line of shell to its end.
    pub async fn execute_command(&self, caller: &Caller, run: CommandRun) -> Outcome<Ran> {
        let timeout = timeout(run.timeout)?;
        within(ACT_DEADLINE.max(timeout + MARGIN), async {
            let id = self.by_id(caller, &run.sandbox).await?;
            let cwd = match run.cwd {
                Some(cwd) => Some(resolve(&self.work_dir(caller, id).await?, &cwd)?.to_text()),
                None => None,
            };
            let spec = ExecSpec {
                command: vec!["/bin/sh".to_owned(), "-c".to_owned(), run.command],
                cwd,
                env: run.env,
                timeout: Some(timeout),
                output_limit_bytes: Some(limits::EXEC_OUTPUT_MAX_BYTES),
                ..ExecSpec::default()
            };
            let mut session = self.execs.start(caller, id, spec).await?;
            // In the order of arrival, as a terminal would show it.
            let mut result = BytesMut::new();
            while let Some(event) = session.events.recv().await {
                match event? {
                    ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) => result.extend_from_slice(&bytes),
                    ExecEvent::Skipped(_) => {}
                    ExecEvent::Exited(output) => return ran(&output, &result),
                }
            }
            Err(Error::Unavailable {
                retry_after: None,
                source: "the sandbox ended during the command".into(),
            }
            .into())
        })
        .await
    }
}

fn ran(output: &ExecOutput, result: &[u8]) -> Outcome<Ran> {
    if output.timed_out {
        return Err(Refusal("request timeout: command execution timeout".to_owned()));
    }
    let exit_code = match output.exit {
        ExecExit::Code(code) => code.into(),
        ExecExit::Signal(signal) => 128 + i64::from(signal),
    };
    Ok(Ran { exit_code, result: String::from_utf8_lossy(result).into_owned() })
}

fn timeout(seconds: Option<i64>) -> Outcome<Duration> {
    match u64::try_from(seconds.unwrap_or(TIMEOUT_DEFAULT_S)) {
        Ok(seconds @ 1..) if seconds <= limits::EXEC_TIMEOUT_MAX.as_secs() => {
            Ok(Duration::from_secs(seconds))
        }
        _ => {
            Err(Refusal(format!("timeout must be from 1 to {} seconds", limits::EXEC_TIMEOUT_MAX.as_secs())))
        }
    }
}
