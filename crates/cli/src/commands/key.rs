//! `lazaret key`: what lets a client in.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::account::{cell, rows};
use super::{each, print_json};
use crate::client::Client;
use crate::failure::say;
use crate::sizes::parse_seconds;
use crate::text::print_table;

/// Manage API keys
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  export LAZARET_API_KEY=$(lazaret key create --name laptop --expires 90d)
  lazaret key create --name reader --scope sandboxes:read --scope files:read
  lazaret key ls

Scopes: sandboxes:read, sandboxes:write, files:read, files:write, images:write, admin.")]
pub enum Key {
    /// Make a key and print its secret, which is shown only now
    Create {
        /// Account that it is for, by id [default: your own]
        #[arg(long, default_value = "self", hide_default_value = true)]
        account: String,
        /// A name to know it by
        #[arg(long)]
        name: String,
        /// What it may do, can be given several times [default: everyday work, no administration]
        #[arg(long = "scope", value_name = "SCOPE")]
        scopes: Vec<String>,
        /// After how long it stops to work, such as 90d [default: never]
        #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
        expires: Option<u64>,
    },
    /// List keys, without their secrets
    #[command(visible_alias = "list")]
    Ls {
        /// Account whose keys, by id [default: your own]
        #[arg(long, default_value = "self", hide_default_value = true)]
        account: String,
    },
    /// Delete keys; they stop to work at once
    Rm {
        /// Account whose keys, by id [default: your own]
        #[arg(long, default_value = "self", hide_default_value = true)]
        account: String,
        /// Ids
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

impl Key {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Create { account, name, scopes, expires } => {
                let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
                body.extend((!scopes.is_empty()).then(|| ("scopes".to_owned(), json!(scopes))));
                body.extend(expires.map(|seconds| ("expires_in_s".to_owned(), json!(seconds))));
                let request = client.post(&["accounts", &account, "keys"])?.json(&body);
                let key: Value = client.json(request).await?;
                if json {
                    print_json(&key)?;
                } else {
                    writeln!(io::stdout(), "{}", cell(&key, "secret"))?;
                    say("keep it: it cannot be shown again");
                }
                Ok(0)
            }
            Self::Ls { account } => {
                let answer: Value = client.json(client.get(&["accounts", &account, "keys"])?).await?;
                if json {
                    return print_json(&answer).map(|()| 0);
                }
                let rows =
                    rows(&answer, "keys", &["id", "name", "hint", "scopes", "created_at", "expires_at"]);
                print_table(&["ID", "NAME", "SECRET", "SCOPES", "CREATED", "EXPIRES"], rows)?;
                Ok(0)
            }
            Self::Rm { account, keys } => {
                each(&keys, async |key: &str| {
                    client.empty(client.delete(&["accounts", &account, "keys", key])?).await?;
                    writeln!(io::stdout(), "{key}")?;
                    Ok(())
                })
                .await
            }
        }
    }
}
