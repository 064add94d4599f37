//! `lazaret create`: a sandbox that waits for work.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;

use super::print_json;
use crate::client::Client;
use crate::new_sandbox::{NewSandbox, make};

/// Make a sandbox and print its id
///
/// It runs at once and has nothing to do: `lazaret exec` gives it work, `lazaret rm` ends it. With --role it is waited for
/// until the role is applied, and the sandbox can be used meanwhile; a role that fails is a warning.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret create --name web --memory 512m
  lazaret exec -it web -- sh
  lazaret create --image debian --role python --network internet
  box=$(lazaret create --image alpine:latest --idle-timeout 20m)")]
pub struct Create {
    #[command(flatten)]
    sandbox: Box<NewSandbox>,

    /// Do not wait until the role is applied
    #[arg(short, long, requires = "role", help_heading = "Sandbox")]
    detach: bool,
}

impl Create {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let body = self.sandbox.body()?;
        let watch = if self.detach { None } else { self.sandbox.watch(client).await? };
        let mut sandbox = make(client, &body).await?;
        if !json {
            // Before the wait: whoever interrupts that knows what was made.
            writeln!(io::stdout(), "{}", sandbox.id)?;
        }
        if let Some(watch) = watch {
            watch.follow(&sandbox).await?;
            if json {
                sandbox = client.json(client.get(&["sandboxes", &sandbox.id])?).await?;
            }
        }
        if json { print_json(&sandbox) } else { Ok(()) }
    }
}
