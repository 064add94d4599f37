//! `lazaret account`: who may use the server.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{each, print_json};
use crate::client::Client;
use crate::text::{moment, print_table};

/// Manage accounts: who owns sandboxes (needs the scope `admin`)
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:
  id=$(lazaret account create data-team) && lazaret key create --account $id --name ci")]
pub enum Account {
    /// Make an account and print its id
    Create {
        /// Its name
        name: String,
        /// Its tier: a named set of limits in the server's configuration [default: the server's]
        #[arg(long)]
        tier: Option<String>,
    },
    /// List accounts
    #[command(visible_alias = "list")]
    Ls,
    /// Delete accounts, with their keys and everything that they own
    Rm {
        /// Ids
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
}

impl Account {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Create { name, tier } => {
                let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
                body.extend(tier.map(|tier| ("tier".to_owned(), json!(tier))));
                let account: Value = client.json(client.post(&["accounts"])?.json(&body)).await?;
                if json {
                    print_json(&account)?;
                } else {
                    writeln!(io::stdout(), "{}", cell(&account, "id"))?;
                }
                Ok(0)
            }
            Self::Ls => {
                let answer: Value = client.json(client.get(&["accounts"])?).await?;
                if json {
                    return print_json(&answer).map(|()| 0);
                }
                let rows = rows(&answer, "accounts", &["id", "name", "tier", "created_at"]);
                print_table(&["ID", "NAME", "TIER", "CREATED"], rows)?;
                Ok(0)
            }
            Self::Rm { accounts } => {
                each(&accounts, async |account: &str| {
                    client.empty(client.delete(&["accounts", account])?).await?;
                    writeln!(io::stdout(), "{account}")?;
                    Ok(())
                })
                .await
            }
        }
    }
}

/// The values of `fields` in every item of the list `name`.
pub(super) fn rows(answer: &Value, name: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let items = answer.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|item| fields.iter().map(|field| cell(item, field)).collect()).collect()
}

/// One value for a table: text as it is, a list with spaces, `-` for nothing.
pub(super) fn cell(item: &Value, field: &str) -> String {
    match item.get(field) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if field.ends_with("_at") => moment(text),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let words: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            words.join(" ")
        }
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_whatever_the_server_sends() {
        let item = json!({"a": "x", "b": ["y", "z"], "c": null, "d": 3});
        let cells = ["a", "b", "c", "d", "e"].map(|field| cell(&item, field));
        assert_eq!(cells, ["x", "y z", "-", "3", "-"]);
    }
}
