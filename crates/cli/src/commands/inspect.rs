//! `lazaret inspect`: everything the server tells of a sandbox.

use anyhow::Result;
use clap::Args;

use super::print_json;
use crate::client::Client;
use crate::failure::{FAILED, report};
use crate::reference::find;

/// Print everything about sandboxes, as JSON
///
/// One sandbox is one object; several are an array.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret inspect web
  lazaret inspect web | jq -r .reason.message")]
pub struct Inspect {
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

impl Inspect {
    pub(super) async fn run(self, client: &Client) -> Result<u8> {
        if let [only] = self.sandboxes.as_slice() {
            print_json(&find(client, only).await?)?;
            return Ok(0);
        }
        let (mut found, mut code) = (Vec::new(), 0);
        for sandbox in &self.sandboxes {
            match find(client, sandbox).await {
                Ok(sandbox) => found.push(sandbox),
                Err(error) => {
                    report(&error);
                    code = FAILED;
                }
            }
        }
        print_json(&found)?;
        Ok(code)
    }
}
