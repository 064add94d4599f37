//! The role of a new sandbox, watched until it is applied.
//!
//! ```text
//!   events: open ──▶ create ──▶ follow: index · packages 3 of 12 · script ──▶ applied, or a warning
//! ```
//!
//! The stream is opened first, so that nothing of what follows is missed.

use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::header;
use serde::Deserialize;

use crate::client::Client;
use crate::events_stream::EventStream;
use crate::failure::say;
use crate::text::printable;
use crate::wire::Sandbox;

/// Between two frames of the sign of life.
const TICK: Duration = Duration::from_millis(100);

/// Events of the account, from before the sandbox was made.
pub(crate) struct RoleWatch {
    events: EventStream,
}

/// The events that matter here.
#[derive(Deserialize)]
struct Progress {
    sandbox_id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    step: String,
    installed: Option<u32>,
    wanted: Option<u32>,
    message: Option<String>,
}

impl RoleWatch {
    /// Begins to listen.
    pub(crate) async fn open(client: &Client) -> Result<Self> {
        let request = client.get(&["events"])?.header(header::ACCEPT, "text/event-stream");
        Ok(Self { events: EventStream::new(client.send(request).await?) })
    }

    /// Returns when the role of the sandbox is applied or is not, having said what there is to say about that; on a terminal
    /// it shows how far it is.
    pub(crate) async fn follow(mut self, sandbox: &Sandbox) -> Result<()> {
        let Some(role) = &sandbox.role else { return Ok(()) };
        if let Some(line) = verdict(&role.id, &role.status, role.message.as_deref()) {
            line.into_iter().for_each(|line| say(&line));
            return Ok(());
        }
        let bar = spinner(&role.id);
        while let Some(event) = self.events.next().await? {
            let progress: Progress =
                serde_json::from_str(&event.data).context("the server sent an event that is none")?;
            if progress.sandbox_id.as_deref() != Some(&sandbox.id) || progress.kind != "role_progress" {
                continue;
            }
            if let Some(line) = verdict(&role.id, &progress.step, progress.message.as_deref()) {
                bar.finish_and_clear();
                line.into_iter().for_each(|line| say(&line));
                return Ok(());
            }
            bar.set_message(printable(&progress.words()));
        }
        bar.finish_and_clear();
        say(&format!("warning: the server ended the stream before the role {} was applied", role.id));
        Ok(())
    }
}

impl Progress {
    fn words(&self) -> String {
        match (self.step.as_str(), self.installed, self.wanted) {
            ("index", ..) => "reading the package index".to_owned(),
            ("packages", Some(installed), Some(wanted)) => format!("{installed} of {wanted} packages"),
            ("script", ..) => "running its script".to_owned(),
            (step, ..) => step.to_owned(),
        }
    }
}

/// Whether it has come to an end, and then what there is to say.
fn verdict(role: &str, status: &str, message: Option<&str>) -> Option<Option<String>> {
    let warn = |text: &str| Some(format!("warning: role {role}: {text}"));
    match status {
        "applied" => Some(message.and_then(warn)),
        "failed" => Some(warn(&format!("it was not applied: {}", message.unwrap_or("nobody says why")))),
        _ => None,
    }
}

fn spinner(role: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("role {prefix} {spinner} {msg}");
    let style = style.expect("the template above is well-formed");
    let bar = ProgressBar::new_spinner().with_style(style).with_prefix(printable(role));
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_end_is_a_verdict_and_what_is_missing_is_told() {
        for step in ["applying", "started", "index", "packages", "script", "something new"] {
            assert_eq!(verdict("go", step, None), None, "{step}");
        }
        assert_eq!(verdict("go", "applied", None), Some(None));
        let missing = verdict("go", "applied", Some("packages not installed: x"));
        assert_eq!(missing, Some(Some("warning: role go: packages not installed: x".to_owned())));
        let failed = verdict("go", "failed", Some("no shell in the image"));
        assert_eq!(
            failed,
            Some(Some("warning: role go: it was not applied: no shell in the image".to_owned()))
        );
    }

    #[test]
    fn progress_is_told_in_words() {
        let words = |text: &str| serde_json::from_str::<Progress>(text).unwrap().words();
        let packages =
            r#"{"sandbox_id":"x","type":"role_progress","step":"packages","installed":3,"wanted":12}"#;
        assert_eq!(words(packages), "3 of 12 packages");
        assert_eq!(words(r#"{"type":"role_progress","step":"index"}"#), "reading the package index");
    }
}
