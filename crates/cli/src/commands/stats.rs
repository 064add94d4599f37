//! `lazaret stats`: what sandboxes use.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::Instant;

use super::print_json_line;
use crate::client::Client;
use crate::reference::{find, list};
use crate::server_error::ServerError;
use crate::terminal;
use crate::text::{size, table};
use crate::wire::{Sandbox, Stats as Usage};

/// Time between two looks, over which CPU use is averaged.
const INTERVAL: Duration = Duration::from_secs(1);
/// Questions asked at once.
const CONCURRENCY: usize = 8;

/// Show what running sandboxes use of the machine
///
/// Refreshed every second until Ctrl-C. CPU is a share of one core, averaged over the last second.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret stats
  lazaret stats --no-stream --json web")]
pub struct Stats {
    /// Show it once
    #[arg(long)]
    no_stream: bool,

    /// Names or ids [default: every running sandbox]
    #[arg(value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

/// One sandbox at one moment.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    /// Of one core; `None` at the first look.
    cpu_percent: Option<f64>,
    memory_limit_bytes: u64,
    disk_limit_bytes: u64,
    pids_limit: u64,
    #[serde(flatten)]
    usage: Usage,
}

/// CPU time at the look before, by sandbox.
type Before = HashMap<String, (Instant, u64)>;

impl Stats {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let mut before = Before::new();
        // Nothing is shown of the first look: CPU use needs two.
        look(client, &self.sandboxes, &mut before).await?;
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let rows = look(client, &self.sandboxes, &mut before).await?;
            if json {
                print_json_line(&rows)?;
            } else {
                print(&rows, !self.no_stream && terminal::stdout_is_terminal())?;
            }
            if self.no_stream {
                return Ok(());
            }
        }
    }
}

async fn look(client: &Client, references: &[String], before: &mut Before) -> Result<Vec<Row>> {
    let mut sandboxes = Vec::new();
    if references.is_empty() {
        sandboxes = list(client, &[("state", "running,paused".to_owned())]).await?;
    }
    for reference in references {
        sandboxes.push(find(client, reference).await?);
    }
    let usages: Vec<_> = futures_util::stream::iter(sandboxes)
        .map(async |sandbox| (usage(client, &sandbox).await, Instant::now(), sandbox))
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let (mut rows, mut now) = (Vec::new(), Before::new());
    for (usage, at, sandbox) in usages {
        let usage = match usage {
            // A sandbox that ended since it was listed is no longer of interest, unless it was asked for.
            Err(error) if references.is_empty() && error.is::<ServerError>() => continue,
            usage => usage?,
        };
        let cpu_percent = before.get(&sandbox.id).and_then(|(then, micros)| {
            percent(usage.cpu_micros.saturating_sub(*micros), at.duration_since(*then))
        });
        now.insert(sandbox.id.clone(), (at, usage.cpu_micros));
        rows.push(Row {
            id: sandbox.id,
            name: sandbox.name,
            cpu_percent,
            memory_limit_bytes: sandbox.resources.memory_bytes,
            disk_limit_bytes: sandbox.resources.disk_bytes,
            pids_limit: sandbox.resources.pids,
            usage,
        });
    }
    *before = now;
    Ok(rows)
}

async fn usage(client: &Client, sandbox: &Sandbox) -> Result<Usage> {
    client.json(client.get(&["sandboxes", &sandbox.id, "stats"])?).await
}

/// Share of one core that `micros` of CPU time are in `span`, in tenths of a percent's precision.
fn percent(micros: u64, span: Duration) -> Option<f64> {
    let tenths = u128::from(micros).checked_mul(1000)?.checked_div(span.as_micros())?;
    Some(f64::from(u32::try_from(tenths).ok()?) / 10.0)
}

fn print(rows: &[Row], redraw: bool) -> Result<()> {
    let cells = rows.iter().map(|row| {
        vec![
            row.name.clone(),
            row.cpu_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.1}%")),
            format!("{} / {}", size(row.usage.memory_bytes), size(row.memory_limit_bytes)),
            match row.usage.memory_peak_bytes {
                // The kernel of some hosts does not tell.
                None | Some(0) => "-".to_owned(),
                Some(peak) => size(peak),
            },
            format!("{} / {}", row.usage.pids, row.pids_limit),
            format!("{} / {}", size(row.usage.disk_bytes), size(row.disk_limit_bytes)),
        ]
    });
    let table =
        table(&["NAME", "CPU", "MEMORY / LIMIT", "PEAK", "PIDS / LIMIT", "DISK / LIMIT"], cells.collect());
    // Home, then clear what is below, so that the table stands still instead of scrolling.
    let clear = if redraw { "\x1b[H\x1b[J" } else { "" };
    writeln!(io::stdout(), "{clear}{table}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_use_is_a_share_of_one_core() {
        assert_eq!(percent(500_000, Duration::from_secs(1)), Some(50.0));
        assert_eq!(percent(3_000_000, Duration::from_secs(2)), Some(150.0));
        assert_eq!(percent(1, Duration::ZERO), None);
    }
}
