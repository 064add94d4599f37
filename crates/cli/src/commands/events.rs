//! `lazaret events`: what happened to sandboxes, and what happens.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::header;

use super::print_json_line;
use crate::client::Client;
use crate::events_stream::EventStream;
use crate::reference::find;
use crate::text::{printable, short_id};
use crate::wire::{Event, EventPage};

/// Events asked for at a time.
const PAGE: u64 = 1000;

/// Print what happened to sandboxes, oldest first
///
/// One line each: time, position in the log, sandbox, what happened, and why. With --json one JSON document a line.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret events -f
  lazaret events --sandbox web
  lazaret events -f --json | jq -r 'select(.state == \"stopped\") | .reason.code'")]
pub struct Events {
    /// Go on as they happen
    #[arg(short, long)]
    follow: bool,

    /// Only what is behind this position in the log
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,

    /// Only those of this sandbox
    #[arg(long)]
    sandbox: Option<String>,
}

impl Events {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let sandbox = match &self.sandbox {
            Some(reference) => Some(find(client, reference).await?.id),
            None => None,
        };
        let wanted = |event: &Event| sandbox.is_none() || event.sandbox_id == sandbox;
        let mut after = self.after;
        loop {
            let request = client.get(&["events"])?.query(&[("after", after), ("limit", PAGE)]);
            let EventPage { events } = client.json(request).await?;
            let Some(last) = events.last() else {
                break;
            };
            after = last.sequence;
            for event in events.iter().filter(|event| wanted(event)) {
                print(event, json)?;
            }
        }
        if !self.follow {
            return Ok(());
        }
        let request =
            client.get(&["events"])?.query(&[("after", after)]).header(header::ACCEPT, "text/event-stream");
        let mut stream = EventStream::new(client.send(request).await?);
        while let Some(event) = stream.next().await? {
            let event: Event =
                serde_json::from_str(&event.data).context("the server sent an event that is none")?;
            if wanted(&event) {
                print(&event, json)?;
            }
        }
        Ok(())
    }
}

fn print(event: &Event, json: bool) -> Result<()> {
    if json {
        return print_json_line(event);
    }
    let sandbox = event.sandbox_id.as_deref().map_or_else(|| "-".to_owned(), short_id);
    let what = event.state.as_deref().unwrap_or(&event.kind);
    let text = |field: &str| event.more.get(field).and_then(serde_json::Value::as_str);
    let details = ["what", "role", "step"].into_iter().filter_map(text);
    let detail: String = details.map(|detail| format!(" {detail}")).collect();
    let why = event.reason.as_ref().map(|reason| reason.message.as_str()).or_else(|| text("message"));
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    let line = format!("{}  {}  {sandbox}  {what}{detail}{why}", event.at, event.sequence);
    writeln!(io::stdout(), "{}", printable(&line))?;
    Ok(())
}
