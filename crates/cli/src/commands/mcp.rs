//! `lazaret mcp`: the server's tools for a client that speaks the Model Context Protocol over standard streams.
//!
//! ```text
//!   client ──a line of JSON──▶ lazaret mcp ──POST /mcp──▶ server
//!   client ◀──a line of JSON── lazaret mcp ◀──JSON─────── server
//! ```
//!
//! Nothing is understood on the way but the id of a request, for the answer when there is none, and the version that the
//! first exchange agrees on, which HTTP wants in a header. Requests run side by side; answers come as they are ready.

use std::io;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::header;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Stdout};
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;

use crate::client::Client;

/// Requests that are under way at once; a client with more waits for its turn.
const AT_ONCE: usize = 64;
/// The header that carries the agreed version.
const VERSION_HEADER: &str = "mcp-protocol-version";
/// JSON-RPC's code for a failure of the server's own making.
const INTERNAL_ERROR: i64 = -32_603;
/// JSON-RPC's code for a line that is not JSON.
const PARSE_ERROR: i64 = -32_700;

/// Offer the server's tools over standard input and output (Model Context Protocol)
///
/// For agents that start their tools as programs. It ends when its input does.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lazaret mcp
  {\"mcpServers\": {\"lazaret\": {\"command\": \"lazaret\", \"args\": [\"mcp\"]}}}")]
pub struct Mcp {}

impl Mcp {
    pub(super) async fn run(self, client: &Client) -> Result<()> {
        let relay = Arc::new(Relay { client: client.clone(), output: Mutex::new(tokio::io::stdout()) });
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut version: Option<String> = None;
        let mut under_way = JoinSet::new();
        while let Some(line) = lines.next_line().await.context("read standard input")? {
            if line.trim().is_empty() {
                continue;
            }
            let message: Value = match serde_json::from_str(&line) {
                Ok(message) => message,
                Err(error) => {
                    relay.tell(&failure(&Value::Null, PARSE_ERROR, &error.to_string())).await?;
                    continue;
                }
            };
            if message["method"] == "initialize" {
                // What follows is in the version that this agrees on.
                let answer = relay.ask(line, &message, None).await?;
                version = answer.and_then(|answer| {
                    answer.pointer("/result/protocolVersion").and_then(Value::as_str).map(str::to_owned)
                });
                continue;
            }
            let place = Arc::clone(&places).acquire_owned().await.context("wait for a place")?;
            let (relay, version) = (Arc::clone(&relay), version.clone());
            under_way.spawn(async move {
                let _place = place;
                relay.ask(line, &message, version.as_deref()).await.map(drop)
            });
            while let Some(done) = under_way.try_join_next() {
                done.context("a request was lost")??;
            }
        }
        while let Some(done) = under_way.join_next().await {
            done.context("a request was lost")??;
        }
        Ok(())
    }
}

struct Relay {
    client: Client,
    output: Mutex<Stdout>,
}

impl Relay {
    /// Passes a message on, and its answer back. Only a broken output is an error.
    async fn ask(&self, line: String, message: &Value, version: Option<&str>) -> io::Result<Option<Value>> {
        let answer = match self.post(line, version).await {
            Ok(answer) => answer,
            Err(error) => match message.get("id") {
                Some(id) if !id.is_null() => Some(failure(id, INTERNAL_ERROR, &format!("{error:#}"))),
                // Nobody waits for an answer to a notification.
                _ => None,
            },
        };
        if let Some(answer) = &answer {
            self.tell(answer).await?;
        }
        Ok(answer)
    }

    async fn post(&self, line: String, version: Option<&str>) -> Result<Option<Value>> {
        let mut request = self
            .client
            .post_to("/mcp")?
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .body(line);
        if let Some(version) = version {
            request = request.header(VERSION_HEADER, version);
        }
        self.client.json_or_nothing(request).await
    }

    async fn tell(&self, message: &Value) -> io::Result<()> {
        let mut line = message.to_string();
        line.push('\n');
        let mut output = self.output.lock().await;
        output.write_all(line.as_bytes()).await?;
        output.flush().await
    }
}

fn failure(id: &Value, code: i64, sentence: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": sentence}})
}
