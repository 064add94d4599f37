//! `lazaret exec`: a command in a sandbox that runs already.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::print_json;
use super::run::exec_json;
use crate::client::Client;
use crate::exec::{Attachment, attach};
use crate::failure::Failure;
use crate::reference::{find, resolve};
use crate::signals;
use crate::sizes::parse_duration;
use crate::variables::Variables;
use crate::wire::{Background, ExecRequest};

/// Run a command in a running sandbox
///
/// Standard output and error are the command's, byte for byte, and so is the exit code. Signals are passed on; a second
/// Ctrl-C kills. If this program is killed itself, the command ends with it, unless it was started with -d.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret exec -it web -- sh
  lazaret exec web -- ls -l /tmp
  echo 'print(6 * 7)' | lazaret exec -i web -- python3 -
  lazaret exec -d web -- sh -c 'while date; do sleep 1; done'; lazaret logs -f web

Exit codes:
  0 to 255   the command's own; 128 + n if signal n ended it
  124        --timeout ended it
  125        lazaret failed
  126, 127   the program cannot be executed, or does not exist")]
pub struct Exec {
    /// Send standard input to the command
    #[arg(short, long)]
    interactive: bool,

    /// Run the command in a terminal; with -i it is shown in this one
    #[arg(short, long)]
    tty: bool,

    /// Run it in the background and print the exec's id; `lazaret logs` shows its output
    #[arg(short, long, conflicts_with_all = ["interactive", "tty"])]
    detach: bool,

    #[command(flatten)]
    variables: Variables,

    /// Working directory [default: the sandbox's]
    #[arg(short = 'w', long = "workdir", value_name = "DIR")]
    cwd: Option<String>,

    /// User, by name or number, NAME:GROUP too [default: the sandbox's]
    #[arg(short = 'u', long)]
    user: Option<String>,

    /// Kill the command after this time, such as 90s or 5m
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    timeout: Option<Duration>,

    /// Name or id of the sandbox
    sandbox: String,

    /// Program and arguments
    #[arg(trailing_var_arg = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Exec {
    /// The exit code.
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        if json && (self.interactive || self.tty) {
            return Err(Failure::new(
                "--json prints one document at the end, which leaves no room for -i and -t",
            )
            .into());
        }
        let attachment = Attachment::new(self.interactive, self.tty)?;
        let request = ExecRequest {
            command: self.command,
            cwd: self.cwd,
            env: self.variables.collect()?,
            user: self.user,
            timeout_ms: self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            background: self.detach,
            ..ExecRequest::default()
        };
        if self.detach {
            let sandbox = resolve(client, &self.sandbox).await?;
            let path = ["sandboxes", &sandbox, "exec"];
            let exec: Background = client.json(client.post(&path)?.json(&request)).await?;
            if json {
                print_json(&json!({ "sandbox_id": sandbox, "exec_id": exec.exec_id }))?;
            } else {
                writeln!(io::stdout(), "{}", exec.exec_id)?;
            }
            return Ok(0);
        }
        let mut signals = signals::collect()?;
        if json {
            let sandbox = find(client, &self.sandbox).await?;
            return exec_json(client, &sandbox, request, &mut signals).await;
        }
        let sandbox = resolve(client, &self.sandbox).await?;
        Ok(attach(client, &sandbox, request, attachment, &mut signals).await?.exit_code())
    }
}
