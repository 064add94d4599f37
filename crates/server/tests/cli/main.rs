//! The client commands against a real server and real sandboxes; as root.

#![forbid(unsafe_code)]

mod exec;
mod files;
mod listings;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use lazaret_tests::Server;

/// `lazaret` with these arguments, as a client of `server`, with its output captured.
fn lazaret(server: &Server, arguments: &[&str]) -> Command {
    let mut command = server.command();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end and gives its standard output.
///
/// # Panics
/// If it ends with anything but 0.
#[track_caller]
fn succeed(server: &Server, arguments: &[&str]) -> String {
    let output = lazaret(server, arguments).output().expect("start lazaret");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "lazaret {arguments:?}: {}\n{talk}", output.status);
    String::from_utf8(output.stdout).expect("standard output is text")
}

/// Code and standard error of a run that is expected to fail.
#[track_caller]
fn fail(server: &Server, arguments: &[&str]) -> (i32, String) {
    let Output { status, stderr, .. } = lazaret(server, arguments).output().expect("start lazaret");
    assert!(!status.success(), "lazaret {arguments:?} succeeds");
    (status.code().expect("an exit code"), String::from_utf8(stderr).expect("standard error is text"))
}

/// `path` as an argument.
fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is text")
}
