//! Processes as clients of Daytona's toolbox meet them: snippets, keys typed into a terminal, a long log.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lazaret_tests::KEY;
use lazaret_tests::wait::timed;
use serde_json::json;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::transfer::{rss_bytes, watched};
use super::{Api, IMAGE};
use crate::bench::samples::{Load, Samples};

/// Rounds of the single calls, and the time that each kind may take.
const ROUNDS: Load = Load { rounds: 200, budget: Duration::from_secs(20) };

/// Longest that a terminal may take to show a key.
const ECHO_LIMIT: Duration = Duration::from_secs(10);

/// Lines of the long log, 17 bytes each: 100 MB and a byte.
const LOG_LINES: u64 = 5_882_353;
const LINE_BYTES: u64 = 17;

/// A disk whose eighth holds that log.
const DISK_BYTES: u64 = 3 << 30;

/// What was measured of processes.
pub(crate) struct Processes {
    /// `print(1)` through `code-run`.
    pub(crate) code_run: Samples,
    /// From a key that is typed to its echo.
    pub(crate) echo: Samples,
    /// How long the log took, from the request that starts the command to the last byte.
    pub(crate) log: Duration,
    /// Most memory of the server while it was read, beyond what it had before.
    pub(crate) log_growth_bytes: u64,
}

/// Measures the server at `base` with process id `pid`.
pub(super) fn measure(api: &Api, base: &str, pid: u32) -> Result<Processes> {
    let id = api.native.create(&json!({ "image": IMAGE, "resources": { "disk_bytes": DISK_BYTES } }))?;
    let code_run = code_run(api, &id)?;
    let echo = echo(base, &id)?;
    let (log, log_growth_bytes) = log(api, &id, pid)?;
    api.delete(&id)?;
    Ok(Processes { code_run, echo, log, log_growth_bytes })
}

fn code_run(api: &Api, id: &str) -> Result<Samples> {
    let path = format!("/toolbox/{id}/process/code-run");
    let body = json!({ "code": "print(1)", "language": "python" });
    ROUNDS.collect(|| {
        let (answer, took) = timed(|| api.native.client().post(&path, &body));
        let answer = answer?;
        ensure!(answer.status == 200 && answer.json()["result"] == "1\n", "code-run: {answer}");
        Ok(took)
    })
}

/// Types into a terminal in which `cat` waits, so that what comes back is the terminal's own echo.
fn echo(base: &str, id: &str) -> Result<Samples> {
    let address = base.strip_prefix("http://").context("a plain address")?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ECHO_LIMIT))?;
    let url = format!("ws://{address}/toolbox/{id}/process/pty/create-connect?id=bench&rows=24&cols=80");
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {KEY}").parse()?);
    let (mut socket, _) = tungstenite::client(request, stream).context("connect to a terminal")?;
    type_and_see(&mut socket, b"exec cat; \n", b"cat; \r\n")?;
    let samples = ROUNDS.collect(|| {
        let (seen, took) = timed(|| type_and_see(&mut socket, b"x", b"x"));
        seen.map(|()| took)
    })?;
    // The terminal ends with its sandbox.
    socket.close(None).ok();
    Ok(samples)
}

/// Sends input and reads until the output ends as wanted.
fn type_and_see(socket: &mut WebSocket<TcpStream>, input: &'static [u8], wanted: &[u8]) -> Result<()> {
    socket.send(Message::binary(input))?;
    let mut seen = Vec::new();
    loop {
        match socket.read()? {
            Message::Binary(bytes) => seen.extend_from_slice(&bytes),
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
            other => bail!("the terminal said {other:?}"),
        }
        if seen.windows(wanted.len()).any(|part| part == wanted) {
            return Ok(());
        }
    }
}

/// Follows the log of a command that prints 100 MB, from its start, and insists on every byte.
fn log(api: &Api, id: &str, pid: u32) -> Result<(Duration, u64)> {
    let base = format!("/toolbox/{id}/process/session");
    let client = api.native.client();
    let made = client.post(&base, &json!({ "sessionId": "bench" }))?;
    ensure!(made.status == 201, "create a session: {made}");
    let before = rss_bytes(pid)?;
    let command =
        json!({ "command": format!("yes 0123456789abcdef | head -n {LOG_LINES}"), "runAsync": true });
    let ((bytes, took), peak) = watched(pid, || {
        let (read, took) = timed(|| {
            let started = client.post(&format!("{base}/bench/exec"), &command)?;
            ensure!(started.status == 202, "start a command: {started}");
            let body = started.json();
            let command = body["cmdId"].as_str().context("a command has an id")?;
            client.drain(&format!("{base}/bench/command/{command}/logs?follow=true"))
        });
        read.map(|bytes| (bytes, took))
    })?;
    ensure!(bytes == LOG_LINES * LINE_BYTES, "of the log, {bytes} bytes came");
    Ok((took, peak.saturating_sub(before)))
}
