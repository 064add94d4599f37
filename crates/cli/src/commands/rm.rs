//! `lazaret rm`: delete sandboxes with everything in them.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Args;

use super::each;
use crate::client::Client;
use crate::failure::Failure;
use crate::reference::{find, is_not_found, resolve};

/// Delete sandboxes, with everything in them
///
/// One that is running or paused is deleted only with -f.
#[derive(Debug, Args)]
#[command(visible_alias = "delete")]
#[command(after_help = "Examples:
  lazaret rm web
  lazaret rm -f $(lazaret ps -aq)")]
pub struct Rm {
    /// Delete running ones too, and do not mind those that do not exist
    #[arg(short, long)]
    force: bool,

    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

impl Rm {
    pub(super) async fn run(self, client: &Client) -> Result<u8> {
        each(&self.sandboxes, async |reference: &str| {
            let id = if self.force {
                resolve(client, reference).await?
            } else {
                let sandbox = find(client, reference).await?;
                if matches!(sandbox.state.as_str(), "running" | "paused") {
                    return Err(Failure::new(format!("sandbox {reference} is {}", sandbox.state))
                        .hint(format!("`lazaret rm -f {reference}` deletes it all the same"))
                        .into());
                }
                sandbox.id
            };
            match client.empty(client.delete(&["sandboxes", &id])?).await {
                Err(error) if self.force && is_not_found(&error) => {}
                deleted => deleted?,
            }
            writeln!(io::stdout(), "{reference}")?;
            Ok(())
        })
        .await
    }
}
