//! The program, started as a user would start it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use crate::fake::{Fake, KEY};

/// Longest that anything here may take. A wait that reaches it is a hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How a run of the program ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: String,
}

/// The program as a client of `fake`, with these arguments and nothing of this environment that concerns it.
pub(crate) fn command(fake: &Fake, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret-client"));
    command
        .args(args)
        .env_clear()
        .env("LAZARET_URL", format!("http://{}", fake.address))
        .env("LAZARET_API_KEY", KEY)
        .env("LAZARET_DATA_DIR", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs the program to its end.
pub(crate) async fn run(fake: &Fake, args: &[&str]) -> Outcome {
    finish(command(fake, args).spawn().unwrap()).await
}

/// Runs the program with `input` on its standard input.
pub(crate) async fn run_with_input(fake: &Fake, args: &[&str], input: &[u8]) -> Outcome {
    let mut child = command(fake, args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let feeding = tokio::spawn(async move {
        // A program that does not want it all is not at fault.
        let _closed = stdin.write_all(&input).await;
    });
    let outcome = finish(child).await;
    feeding.await.unwrap();
    outcome
}

/// Waits for the program's end.
pub(crate) async fn finish(child: Child) -> Outcome {
    let output =
        tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("the program hangs").unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Reads standard output until it ends with `text`.
pub(crate) async fn wait_for_output(child: &mut Child, text: &str) {
    let stdout = child.stdout.as_mut().unwrap();
    let mut seen = Vec::new();
    let reading = async {
        while !seen.ends_with(text.as_bytes()) {
            seen.push(stdout.read_u8().await.unwrap());
        }
    };
    tokio::time::timeout(DEADLINE, reading).await.expect("the program says nothing");
}
