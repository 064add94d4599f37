//! `lazaret run`: make a sandbox, run one command in it with the local streams, end the sandbox.
//!
//! ```text
//!   create ──▶ role ──▶ attach ──▶ command ended ──▶ --rm: delete
//!      │         │         │                         else: stop (the disk stays; `start` brings it back)
//!      └─────────┴─────────┴── fails or is interrupted: delete, since nothing of worth is in it; but for a role that fails
//!   -d: create ──▶ role ──▶ background exec ──▶ leave it running
//! ```
//!
//! The ending of the sandbox is done whatever happened to the command. Signals are collected from the start, so one that
//! arrives during `create` is acted on when there is something to clean up.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};

use super::print_json;
use crate::client::Client;
use crate::exec::{Attachment, attach};
use crate::failure::{Failure, say};
use crate::new_sandbox::{NewSandbox, make};
use crate::role::RoleWatch;
use crate::server_error::ServerError;
use crate::signals::{self, Outcome, Signals, until_signal};
use crate::sizes::parse_duration;
use crate::text::short_id;
use crate::wire::{Background, ExecRequest, Exited, ImageList, Sandbox};

/// Make a sandbox, run a command in it, and end it
///
/// Like `docker run`: standard streams are connected, the exit code is the command's, and signals are passed on (a
/// second Ctrl-C kills). When the command ends, the sandbox is stopped and keeps its disk; --rm deletes it instead.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret run --rm -- python3 -c 'print(6 * 7)'
  lazaret run --rm -it -- sh
  tar c src | lazaret run --rm -i --memory 2g -- sh -c 'tar x && make -C src'
  lazaret run --rm --image debian --role go --network internet -- go version
  lazaret run -d --name web -- python3 -m http.server; lazaret logs -f web

Exit codes:
  0 to 255   the command's own; 128 + n if signal n ended it
  124        --timeout ended it
  125        lazaret failed
  126, 127   the program cannot be executed, or does not exist")]
pub struct Run {
    /// Delete the sandbox when the command ends
    #[arg(long, conflicts_with = "detach")]
    rm: bool,

    /// Send standard input to the command
    #[arg(short, long)]
    interactive: bool,

    /// Run the command in a terminal; with -i it is shown in this one
    #[arg(short, long)]
    tty: bool,

    /// Leave it running in the background and print the sandbox's id
    #[arg(short, long, conflicts_with_all = ["interactive", "tty"])]
    detach: bool,

    /// Kill the command after this time, such as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Program and arguments [default: the image's]
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    sandbox: Box<NewSandbox>,
}

/// What becomes of the sandbox in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Delete,
    Stop,
}

impl Run {
    /// The exit code.
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        if json && (self.interactive || self.tty) {
            return Err(Failure::new(
                "--json prints one document at the end, which leaves no room for -i and -t",
            )
            .into());
        }
        let attachment = Attachment::new(self.interactive, self.tty)?;
        let mut signals = signals::collect()?;
        let body = self.sandbox.body()?;
        let watch = self.sandbox.watch(client).await?;
        let (sandbox, mut interrupted) = make_through_signals(client, &body, &mut signals).await?;
        if let (Some(watch), None) = (watch, interrupted) {
            interrupted = role_through_signals(watch, &sandbox, &mut signals).await;
        }
        if let Some(number) = interrupted {
            finish(client, &sandbox, Afterwards::Delete).await;
            return Ok(signals::exit_code(number));
        }
        if self.detach {
            return self.detached(client, &sandbox, json).await;
        }
        let result = match self.request(client, &sandbox).await {
            Ok(request) if json => exec_json(client, &sandbox, request, &mut signals).await,
            Ok(request) => attach(client, &sandbox.id, request, attachment, &mut signals)
                .await
                .map(|ended| ended.exit_code()),
            Err(error) => Err(error),
        };
        // A command that was never started left nothing to keep; one that was cut off may have.
        let keep = !self.rm && result.as_ref().map_or_else(was_started, |_| true);
        finish(client, &sandbox, if keep { Afterwards::Stop } else { Afterwards::Delete }).await;
        result
    }

    async fn detached(&self, client: &Client, sandbox: &Sandbox, json: bool) -> Result<u8> {
        let started = async {
            let request = ExecRequest { background: true, ..self.request(client, sandbox).await? };
            let path = ["sandboxes", &sandbox.id, "exec"];
            client.json::<Background>(client.post(&path)?.json(&request)).await
        };
        match started.await {
            Ok(exec) if json => print_json(&json!({ "sandbox_id": sandbox.id, "exec_id": exec.exec_id }))?,
            Ok(_) => writeln!(io::stdout(), "{}", sandbox.id)?,
            Err(error) => {
                finish(client, sandbox, Afterwards::Delete).await;
                return Err(error);
            }
        }
        Ok(0)
    }

    async fn request(&self, client: &Client, sandbox: &Sandbox) -> Result<ExecRequest> {
        let command = if self.command.is_empty() {
            image_command(client, sandbox).await?
        } else {
            self.command.clone()
        };
        let timeout_ms = self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        Ok(ExecRequest { command, timeout_ms, ..ExecRequest::default() })
    }
}

/// Whether the command may have begun before `error` came.
fn was_started(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<ServerError>().is_some_and(|error| error.problem.is_some());
    !refused && !error.is::<NoCommand>()
}

/// Neither the command line nor the image says what to run.
#[derive(Debug, thiserror::Error)]
#[error("there is no command to run")]
struct NoCommand;

/// Makes the sandbox, and tells if a signal came meanwhile; a second one gives up.
async fn make_through_signals(
    client: &Client,
    body: &Value,
    signals: &mut Signals,
) -> Result<(Sandbox, Option<u8>)> {
    // Not cut short by the first signal: the server makes the sandbox anyway, and then nobody would delete it.
    let mut making = std::pin::pin!(make(client, body));
    let number = match until_signal(signals, making.as_mut()).await {
        Outcome::Done(sandbox) => return Ok((sandbox?, None)),
        Outcome::Interrupted(number) => number,
    };
    match until_signal(signals, making).await {
        Outcome::Done(sandbox) => Ok((sandbox?, Some(number))),
        Outcome::Interrupted(_) => Err(Failure::new("interrupted while the sandbox was being made")
            .hint("`lazaret ps` shows whether it was; `lazaret rm -f` deletes it")
            .into()),
    }
}

/// Waits until the role is applied, and gives the signal that came meanwhile. What went wrong with the role, or with the way
/// to hear of it, is told and changes nothing: the command may do without.
async fn role_through_signals(watch: RoleWatch, sandbox: &Sandbox, signals: &mut Signals) -> Option<u8> {
    match until_signal(signals, watch.follow(sandbox)).await {
        Outcome::Done(Ok(())) => None,
        Outcome::Done(Err(error)) => {
            say(&format!("warning: nobody told how it went with the role: {error:#}"));
            None
        }
        Outcome::Interrupted(number) => Some(number),
    }
}

/// What the image says to run when nothing else is said.
async fn image_command(client: &Client, sandbox: &Sandbox) -> Result<Vec<String>> {
    let images: ImageList = client.json(client.get(&["images"])?).await?;
    let image = images.images.into_iter().find(|image| image.digest == sandbox.image_digest);
    let command =
        image.map(|image| [image.config.entrypoint, image.config.command].concat()).unwrap_or_default();
    if command.is_empty() {
        let why = Failure::new(format!("the image {} names none", sandbox.image))
            .hint("put one at the end, such as: lazaret run -it -- sh");
        return Err(anyhow::Error::new(why).context(NoCommand));
    }
    Ok(command)
}

/// Runs the command to its end and prints one document.
pub(super) async fn exec_json(
    client: &Client,
    sandbox: &Sandbox,
    request: ExecRequest,
    signals: &mut Signals,
) -> Result<u8> {
    /// The longest that the server allows; without one it would take its short default.
    const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;
    let request = ExecRequest { timeout_ms: request.timeout_ms.or(Some(LONGEST_MS)), ..request };
    let path = ["sandboxes", &sandbox.id, "exec"];
    let work = client.json_within::<Value>(None, client.post(&path)?.json(&request));
    let mut result = match until_signal(signals, work).await {
        Outcome::Done(result) => result?,
        Outcome::Interrupted(number) => return Ok(signals::exit_code(number)),
    };
    let exited: Exited =
        serde_json::from_value(result.clone()).context("the server's answer has no exit code")?;
    if let Some(document) = result.as_object_mut() {
        document.insert("sandbox_id".to_owned(), json!(sandbox.id));
    }
    print_json(&result)?;
    Ok(crate::exec::Ended::Exited(exited).exit_code())
}

/// Ends the sandbox. A failure is told and changes nothing: the command's result stands.
async fn finish(client: &Client, sandbox: &Sandbox, afterwards: Afterwards) {
    let path = ["sandboxes", sandbox.id.as_str()];
    let ended = async {
        match afterwards {
            Afterwards::Delete => client.empty(client.delete(&path)?).await,
            // What the command left running is killed: whoever wants it to finish waits for it.
            Afterwards::Stop => {
                let stop = client.post(&[path[0], path[1], "stop"])?.json(&json!({ "grace_ms": 0 }));
                client.empty(stop).await
            }
        }
    };
    if let Err(error) = ended.await {
        let (what, verb) = match afterwards {
            Afterwards::Delete => ("deleted", "rm -f"),
            Afterwards::Stop => ("stopped", "stop"),
        };
        let id = short_id(&sandbox.id);
        say(&format!("warning: the sandbox {id} could not be {what}: {error:#}"));
        say(&format!("hint: try `lazaret {verb} {id}`"));
    }
}
