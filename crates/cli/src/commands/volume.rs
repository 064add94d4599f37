//! `lazaret volume`: directories that sandboxes mount, and that outlive them.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::{each, print_json, say_if_empty};
use crate::client::Client;
use crate::sizes::parse_bytes;
use crate::text::{age, print_table, size};
use crate::wire::{Volume as Row, VolumePage};

/// Volumes of one page.
const PAGE: &str = "1000";

/// Manage volumes: directories that sandboxes mount, and that outlive them
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  lazaret volume create cache --size 2g
  lazaret run --rm --volume cache:/root/.cache -- pip install --user requests
  lazaret create --name web --volume data:/srv:sites/web")]
pub enum Volume {
    /// Make a volume
    Create(Create),
    /// List volumes, oldest first
    #[command(visible_alias = "list")]
    Ls {
        /// Print names only
        #[arg(short, long, conflicts_with = "json")]
        quiet: bool,
    },
    /// Show everything about volumes, as JSON
    Inspect {
        /// Names or ids
        #[arg(required = true, value_name = "VOLUME")]
        volumes: Vec<String>,
    },
    /// Remove volumes and their files; refused while a sandbox mounts them
    Rm {
        /// Names or ids
        #[arg(required = true, value_name = "VOLUME")]
        volumes: Vec<String>,
    },
}

/// What the volume shall be.
#[derive(Debug, Args)]
pub struct Create {
    /// Name for the volume
    name: String,

    /// What its files may take at most, such as 512m or 2g [default: 10g]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    size: Option<u64>,
}

impl Volume {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        match self {
            Self::Create(Create { name, size }) => {
                let body = json!({ "name": name, "size_bytes": size });
                let volume: Row = client.json(client.post(&["volumes"])?.json(&body)).await?;
                if json {
                    return print_json(&volume).map(|()| 0);
                }
                writeln!(io::stdout(), "{}", volume.name)?;
                Ok(0)
            }
            Self::Ls { quiet } => {
                let volumes = all(client).await?;
                if json {
                    return print_json(&volumes).map(|()| 0);
                }
                list(&volumes, quiet).map(|()| 0)
            }
            Self::Inspect { volumes } => {
                each(&volumes, async |name: &str| {
                    let volume: Row = client.json(client.get(&["volumes", name])?).await?;
                    print_json(&volume)
                })
                .await
            }
            Self::Rm { volumes } => {
                each(&volumes, async |name: &str| {
                    client.empty(client.delete(&["volumes", name])?).await?;
                    Ok(writeln!(io::stdout(), "{name}")?)
                })
                .await
            }
        }
    }
}

async fn all(client: &Client) -> Result<Vec<Row>> {
    let mut volumes: Vec<Row> = Vec::new();
    loop {
        let mut request = client.get(&["volumes"])?.query(&[("limit", PAGE), ("order", "asc")]);
        if let Some(last) = volumes.last() {
            request = request.query(&[("after", &last.id)]);
        }
        let page: VolumePage = client.json(request).await?;
        volumes.extend(page.volumes);
        if !page.has_more {
            return Ok(volumes);
        }
    }
}

fn list(volumes: &[Row], quiet: bool) -> Result<()> {
    if quiet {
        for volume in volumes {
            writeln!(io::stdout(), "{}", volume.name)?;
        }
        return Ok(());
    }
    let now = Timestamp::now();
    let rows = volumes.iter().map(|volume| {
        vec![
            volume.name.clone(),
            volume.state.clone(),
            size(volume.size_bytes),
            age(&volume.created_at, now),
            volume.last_used_at.as_deref().map_or_else(|| "never".to_owned(), |at| age(at, now)),
        ]
    });
    print_table(&["NAME", "STATE", "LIMIT", "AGE", "USED"], rows.collect())?;
    say_if_empty(volumes, "no volumes; make one with `lazaret volume create`");
    Ok(())
}
