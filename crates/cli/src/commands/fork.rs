//! `lazaret fork`: another sandbox from a stopped one.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::print_json;
use crate::client::Client;
use crate::reference::resolve;
use crate::wire::Sandbox;

/// Make another sandbox from a stopped one, with a copy of its disk
#[derive(Debug, Args)]
#[command(after_help = "Example: lazaret stop web && lazaret fork web --name web-2")]
pub struct Fork {
    /// Name for the new sandbox
    #[arg(long)]
    name: Option<String>,

    /// Name or id of the stopped sandbox
    sandbox: String,
}

impl Fork {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let id = resolve(client, &self.sandbox).await?;
        let request = client.post(&["sandboxes", &id, "fork"])?.json(&json!({ "name": self.name }));
        // The server copies the disk, which may be large.
        let made: Sandbox = client.json_within(None, request).await?;
        if json {
            return print_json(&made);
        }
        writeln!(io::stdout(), "{}", made.id)?;
        Ok(())
    }
}
