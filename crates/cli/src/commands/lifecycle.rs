//! `lazaret start`, `stop`, `pause`, `resume`, `archive`: the verbs that leave a sandbox in another state.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::{each, print_json_line};
use crate::client::Client;
use crate::reference::resolve;
use crate::sizes::parse_duration;
use crate::wire::Sandbox;

/// How long a verb may take, on top of the grace that a stop gives.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one may take that packs a disk or unpacks one: a hundred gigabytes at some hundred megabytes a second.
const PACKING_PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Start stopped sandboxes again, with the disk that they had
#[derive(Debug, Args)]
#[command(after_help = "Example: lazaret start web && lazaret exec web -- ls")]
pub struct Start {
    #[command(flatten)]
    which: Which,
}

/// Stop sandboxes: end their processes and keep their disks
///
/// Processes get SIGTERM, and after the grace time SIGKILL.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret stop web
  lazaret stop --grace 0 $(lazaret ps -q)")]
pub struct Stop {
    /// How long processes have to end by themselves [default: the server's, 5s]
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    grace: Option<Duration>,

    #[command(flatten)]
    which: Which,
}

/// Freeze sandboxes with their memory; they use no CPU until they are resumed
#[derive(Debug, Args)]
#[command(after_help = "Example: lazaret pause web; lazaret resume web")]
pub struct Pause {
    #[command(flatten)]
    which: Which,
}

/// Thaw paused sandboxes
#[derive(Debug, Args)]
#[command(visible_alias = "unpause")]
pub struct Resume {
    #[command(flatten)]
    which: Which,
}

/// Pack the disks of stopped sandboxes away, so that they take less room; start unpacks them
#[derive(Debug, Args)]
#[command(after_help = "Example: lazaret stop web && lazaret archive web")]
pub struct Archive {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Args)]
struct Which {
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

impl Start {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        self.which.each(client, "start", None, PACKING_PATIENCE, json).await
    }
}

impl Stop {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        self.which.each(client, "stop", self.grace, PATIENCE, json).await
    }
}

impl Pause {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        self.which.each(client, "pause", None, PATIENCE, json).await
    }
}

impl Resume {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        self.which.each(client, "resume", None, PATIENCE, json).await
    }
}

impl Archive {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<u8> {
        self.which.each(client, "archive", None, PACKING_PATIENCE, json).await
    }
}

impl Which {
    /// Asks for `verb` on each, and prints what it was called; with `json`, what it is now, one line each.
    async fn each(
        &self,
        client: &Client,
        verb: &str,
        grace: Option<Duration>,
        patience: Duration,
        json: bool,
    ) -> Result<u8> {
        each(&self.sandboxes, async |reference: &str| {
            let id = resolve(client, reference).await?;
            let mut request = client.post(&["sandboxes", &id, verb])?;
            if let Some(grace) = grace {
                request = request
                    .json(&json!({ "grace_ms": u64::try_from(grace.as_millis()).unwrap_or(u64::MAX) }));
            }
            let limit = grace.unwrap_or_default().saturating_add(patience);
            let answer: Value = client.json_within(Some(limit), request).await?;
            if json {
                return print_json_line(&serde_json::from_value::<Sandbox>(answer)?);
            }
            writeln!(io::stdout(), "{reference}")?;
            Ok(())
        })
        .await
    }
}
