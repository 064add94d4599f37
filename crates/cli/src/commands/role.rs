//! `lazaret role`: recipes of packages for new sandboxes.

use anyhow::Result;
use clap::Subcommand;

use super::{print_json, say_if_empty};
use crate::client::Client;
use crate::text::print_table;
use crate::wire::RoleList;

/// Show roles: recipes of packages that are applied to new sandboxes
///
/// A role is applied in the background after the first start, with the image's own package manager, which needs a network
/// policy that lets it reach its mirror. The server's configuration adds roles and replaces them.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  lazaret role ls
  lazaret run --rm -it --image debian --role python --network internet -- bash")]
pub enum Role {
    /// List roles
    #[command(visible_alias = "list")]
    Ls,
}

impl Role {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Ls => {
                let found: RoleList = client.json(client.get(&["roles"])?).await?;
                if json {
                    return print_json(&found).map(|()| 0);
                }
                let rows: Vec<Vec<String>> =
                    found.roles.into_iter().map(|role| vec![role.id, role.name, role.description]).collect();
                say_if_empty(&rows, "this server has no roles");
                print_table(&["ROLE", "NAME", "WHAT IT IS"], rows)?;
                Ok(0)
            }
        }
    }
}
