//! `lazaret logs`: what background execs print.

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use jiff::Timestamp;
use reqwest::header;
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use super::{print_json, say_if_empty};
use crate::client::Client;
use crate::events_stream::{EventStream, ServerEvent};
use crate::failure::{Failure, say};
use crate::reference::resolve;
use crate::server_error::{ErrorBody, ServerError};
use crate::text::{age, print_table, short_id, size};
use crate::wire::{ExecList, ExecRow, OutputChunk};

/// Print what a command in the background has printed
///
/// Such commands are started with `run -d` and `exec -d`. The newest is shown unless its id is given. The server keeps
/// the last part of each one's output.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret logs -f web
  lazaret logs web --list
  lazaret logs web 68a000010a0b")]
pub struct Logs {
    /// Go on until the command ends
    #[arg(short, long)]
    follow: bool,

    /// List the sandbox's background commands instead
    #[arg(short, long, conflicts_with_all = ["follow", "exec"])]
    list: bool,

    /// Name or id of the sandbox
    sandbox: String,

    /// Id of the exec, or its first digits [default: the newest]
    exec: Option<String>,
}

impl Logs {
    pub(super) async fn run(self, client: &Client, json: bool) -> Result<()> {
        let sandbox = resolve(client, &self.sandbox).await?;
        let ExecList { execs } = client.json(client.get(&["sandboxes", &sandbox, "execs"])?).await?;
        if self.list || json {
            return print_list(execs, json);
        }
        let exec = choose(execs, self.exec.as_deref(), &self.sandbox)?;
        self.show(client, &sandbox, &exec).await
    }

    async fn show(&self, client: &Client, sandbox: &str, exec: &ExecRow) -> Result<()> {
        let mut offset = exec.oldest_offset;
        if offset > 0 {
            say(&format!("the first {} are not kept any more", size(offset)));
        }
        if !self.follow && offset >= exec.output_bytes {
            return Ok(());
        }
        let request = client
            .get(&["sandboxes", sandbox, "execs", &exec.id, "output"])?
            .query(&[("offset", offset)])
            .header(header::ACCEPT, "text/event-stream");
        let mut events = EventStream::new(client.send(request).await?);
        let (mut stdout, mut stderr) = (tokio::io::stdout(), tokio::io::stderr());
        // Without -f, what was there at the start is enough: a command that prints for ever would never let us go.
        while self.follow || offset < exec.output_bytes {
            let Some(event) = events.next().await? else {
                break;
            };
            match event.kind.as_str() {
                "stdout" => {
                    stdout.write_all(&data(&event)?).await?;
                    stdout.flush().await?;
                }
                "stderr" => {
                    stderr.write_all(&data(&event)?).await?;
                    stderr.flush().await?;
                }
                "error" => return Err(failed(&event)?.into()),
                "exited" => break,
                _ => {}
            }
            if let Some(next) = event.id.as_deref().and_then(|id| id.parse().ok()) {
                offset = next;
            }
        }
        Ok(())
    }
}

fn print_list(execs: Vec<ExecRow>, json: bool) -> Result<()> {
    if json {
        return print_json(&json!({ "execs": execs }));
    }
    let now = Timestamp::now();
    let rows = execs.iter().map(|exec| {
        vec![
            exec.id.clone(),
            exec.command.join(" "),
            ended(exec),
            age(&exec.started_at, now),
            size(exec.output_bytes),
        ]
    });
    print_table(&["EXEC", "COMMAND", "STATUS", "AGE", "OUTPUT"], rows.collect())?;
    say_if_empty(&execs, "nothing was started in the background; `lazaret exec -d` does that");
    Ok(())
}

fn ended(exec: &ExecRow) -> String {
    match (exec.running, exec.timed_out, exec.exit_code, exec.signal) {
        (true, ..) => "running".to_owned(),
        (_, true, ..) => "timed out".to_owned(),
        (_, _, Some(code), _) => format!("exited {code}"),
        (_, _, None, Some(signal)) => format!("signal {signal}"),
        (_, _, None, None) => "ended".to_owned(),
    }
}

/// The exec whose id begins with `wanted`, or the newest.
fn choose(execs: Vec<ExecRow>, wanted: Option<&str>, sandbox: &str) -> Result<ExecRow> {
    let digits = wanted.unwrap_or_default().replace('-', "").to_ascii_lowercase();
    let mut matching: Vec<ExecRow> =
        execs.into_iter().filter(|exec| exec.id.replace('-', "").starts_with(&digits)).collect();
    // RFC 3339 in UTC sorts as text only if the fractions are equally long, so the moments are compared.
    matching.sort_by_key(|exec| exec.started_at.parse::<Timestamp>().unwrap_or_default());
    match (wanted, matching.len()) {
        (Some(wanted), 2..) => {
            Err(Failure::new(format!("several execs have ids that begin with '{wanted}'"))
                .hint(format!("give more digits; `lazaret logs {sandbox} --list` shows them"))
                .into())
        }
        _ => matching.pop().ok_or_else(|| {
            let message = match wanted {
                Some(wanted) => format!("there is no background exec {} in {sandbox}", short_id(wanted)),
                None => format!("nothing was started in the background of {sandbox}"),
            };
            Failure::new(message)
                .hint(format!(
                    "`lazaret exec -d {sandbox} COMMAND` does that; `lazaret logs {sandbox} --list` shows all"
                ))
                .into()
        }),
    }
}

fn data(event: &ServerEvent) -> Result<Vec<u8>> {
    let chunk: OutputChunk =
        serde_json::from_str(&event.data).context("the server sent output without data")?;
    STANDARD.decode(chunk.data_base64).context("the server sent output that is not base64")
}

fn failed(event: &ServerEvent) -> Result<ServerError> {
    #[derive(Deserialize)]
    struct Body {
        error: ErrorBody,
    }
    let body: Body =
        serde_json::from_str(&event.data).context("the server reports an error without saying which")?;
    Ok(body.error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(id: &str, started_at: &str) -> ExecRow {
        serde_json::from_value(json!({
            "id": id, "command": ["sh"], "pid": 2, "started_at": started_at, "running": true, "exit_code": null,
            "signal": null, "timed_out": false, "output_bytes": 0, "oldest_offset": 0,
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_exec_is_shown_unless_one_is_named() {
        let execs = || {
            vec![
                exec("aa11", "2026-01-01T00:00:00.5Z"),
                exec("bb22", "2026-01-01T00:00:02Z"),
                exec("bb33", "2026-01-01T00:00:01.25Z"),
            ]
        };
        assert_eq!(choose(execs(), None, "web").unwrap().id, "bb22");
        assert_eq!(choose(execs(), Some("A-A"), "web").unwrap().id, "aa11");
        for (wanted, want) in [
            (Some("bb"), "several execs have ids that begin with 'bb'"),
            (Some("cc"), "there is no background exec cc in web"),
        ] {
            assert_eq!(choose(execs(), wanted, "web").unwrap_err().to_string(), want);
        }
        let error = choose(Vec::new(), None, "web").unwrap_err();
        assert_eq!(error.to_string(), "nothing was started in the background of web");
    }
}
