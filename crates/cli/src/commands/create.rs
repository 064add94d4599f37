//! `lazaret create`: a sandbox that waits for work.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;

use super::print_json;
use crate::client::Client;
use crate::new_sandbox::{NewSandbox, make};

/// Make a sandbox and print its id
///
/// It runs at once and has nothing to do: `lazaret exec` gives it work, `lazaret rm` ends it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret create --name web --memory 512m
  lazaret exec -it web -- sh
  box=$(lazaret create --image alpine:latest --idle-timeout 20m)")]
pub struct Create {
    #[command(flatten)]
    sandbox: Box<NewSandbox>,
}

impl Create {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let sandbox = make(client, &self.sandbox.body()?).await?;
        if json {
            return print_json(&sandbox);
        }
        writeln!(io::stdout(), "{}", sandbox.id)?;
        Ok(())
    }
}
