//! A piece of shell text, run to its end by the best shell that the image has, with both streams in one.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::execs::Execs;
use crate::{
    Caller, Error, ExecEvent, ExecInput, ExecProblem, ExecSession, ExecSpec, MixedResult, Result, SandboxId,
    StderrTo, Stdin, limits,
};

/// Shells, the best first. All of them read their script from standard input.
const SHELLS: [&str; 3] = ["zsh", "bash", "sh"];

/// Shell text to run.
#[derive(Debug, Clone, Default)]
pub struct ShellSpec {
    /// Of any length and number of lines: it reaches the shell on its standard input.
    pub script: String,
    /// As in [`ExecSpec::cwd`].
    pub cwd: Option<String>,
    /// As in [`ExecSpec::env`].
    pub env: BTreeMap<String, String>,
    /// As in [`ExecSpec::timeout`].
    pub timeout: Option<Duration>,
}

impl Execs {
    /// Runs shell text. It ends when the shell does, whatever that leaves behind; output beyond
    /// [`limits::EXEC_OUTPUT_MAX_BYTES`] is dropped.
    ///
    /// # Errors
    /// As [`Execs::run`]; [`Error::Invalid`] for a script that is longer than [`limits::SESSION_COMMAND_MAX_BYTES`].
    pub async fn run_shell(&self, caller: &Caller, id: SandboxId, spec: ShellSpec) -> Result<MixedResult> {
        let ShellSpec { mut script, cwd, env, timeout } = spec;
        if script.trim().is_empty() {
            return Err(Error::invalid("command", "is empty"));
        }
        if script.len() > limits::SESSION_COMMAND_MAX_BYTES {
            let reason = format!("is longer than {} bytes", limits::SESSION_COMMAND_MAX_BYTES);
            return Err(Error::invalid("command", reason));
        }
        script.push('\n');
        let mut missing = Error::Exec { what: "sh".to_owned(), problem: ExecProblem::ProgramNotFound };
        for shell in SHELLS {
            let spec = ExecSpec {
                command: vec![shell.to_owned()],
                cwd: cwd.clone(),
                env: env.clone(),
                stdin: Stdin::Stream,
                timeout,
                output_limit_bytes: Some(limits::EXEC_OUTPUT_MAX_BYTES),
                stderr: StderrTo::Stdout,
                ..ExecSpec::default()
            };
            match self.start(caller, id, spec).await {
                Err(error @ Error::Exec { problem: ExecProblem::ProgramNotFound, .. }) => missing = error,
                session => return mixed(session?, script.into()).await,
            }
        }
        Err(missing)
    }
}

/// Feeds `stdin` and collects both streams in the order of arrival.
pub(super) async fn mixed(session: ExecSession, stdin: Bytes) -> Result<MixedResult> {
    let ExecSession { input, mut events, guard, .. } = session;
    let feed = async {
        if !stdin.is_empty() {
            // A process that ends without reading closes the channel; its exit tells the story.
            let _ = input.send(ExecInput::Stdin(stdin)).await;
            let _ = input.send(ExecInput::StdinEnd).await;
        }
        // Held to the end: a closed input would read as a client that hung up.
        std::future::pending::<()>().await;
    };
    let collect = async {
        let mut output = BytesMut::new();
        while let Some(event) = events.recv().await {
            match event? {
                ExecEvent::Stdout(bytes) | ExecEvent::Stderr(bytes) => output.extend_from_slice(&bytes),
                ExecEvent::Skipped(_) => {}
                ExecEvent::Exited(end) => {
                    return Ok(MixedResult { output: output.freeze(), figures: Vec::new(), end });
                }
            }
        }
        Err(ExecSession::broken_off(guard.as_ref()).await)
    };
    tokio::select! {
        result = collect => result,
        () = feed => unreachable!("feeding never completes"),
    }
}
