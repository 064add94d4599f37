//! `run`, `exec` and `logs`: lives, signals and what stays behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::Duration;

use lazaret_tests::{Server, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::{fail, lazaret, succeed};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_secs(20);

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("signal lazaret");
}

/// Waits for its first line, which says that the command runs.
fn first_line(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::with_capacity(1, child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    line
}

#[track_caller]
fn end(child: &mut Child) -> Option<i32> {
    wait::until("lazaret's end", LIMIT, || child.try_wait().expect("ask for its end")).code()
}

#[test]
fn a_signal_reaches_the_command_which_decides() {
    let server = Server::start();
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut child =
        lazaret(&server, &["run", "--rm", "--", "sh", "-c", script]).spawn().expect("start lazaret");
    assert_eq!(first_line(&mut child), "ready\n");
    signal(&child, Signal::INT);
    assert_eq!(first_line(&mut child), "caught\n");
    assert_eq!(end(&mut child), Some(9));
    assert_eq!(server.native().list().expect("a list"), [""; 0]);
}

#[test]
fn a_second_signal_kills_a_command_that_ignores_the_first() {
    let server = Server::start();
    let script = "trap 'echo no' INT TERM; echo ready; while :; do sleep 0.05; done";
    let mut child =
        lazaret(&server, &["run", "--rm", "--", "sh", "-c", script]).spawn().expect("start lazaret");
    assert_eq!(first_line(&mut child), "ready\n");
    signal(&child, Signal::INT);
    assert_eq!(first_line(&mut child), "no\n");
    signal(&child, Signal::INT);
    assert_eq!(end(&mut child), Some(137));
    assert_eq!(server.native().list().expect("a list"), [""; 0]);
}

#[test]
fn a_command_ends_with_the_client_that_was_killed_and_its_sandbox_lives() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "box"]);
    let script = "echo $$; exec sleep 1000";
    let mut child = lazaret(&server, &["exec", "box", "sh", "-c", script]).spawn().expect("start lazaret");
    let pid = first_line(&mut child);
    let alive = || {
        let command = ["exec", "box", "sh", "-c", &format!("kill -0 {}", pid.trim())];
        lazaret(&server, &command).status().expect("start lazaret").success()
    };
    assert!(alive());
    child.kill().expect("kill lazaret");
    child.wait().expect("reap lazaret");
    wait::until("the command's end", LIMIT, || (!alive()).then_some(()));
}

#[test]
fn a_reader_that_has_enough_ends_the_command_and_the_sandbox() {
    let server = Server::start();
    let mut child = lazaret(&server, &["run", "--rm", "--", "yes"]).spawn().expect("start lazaret");
    assert_eq!(first_line(&mut child), "y\n");
    drop(child.stdout.take());
    assert_eq!(end(&mut child), Some(141));
    let mut talk = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut talk).expect("text");
    assert_eq!(talk, "");
    assert_eq!(server.native().list().expect("a list"), [""; 0]);
}

#[test]
fn what_run_leaves_is_stopped_and_comes_back_with_its_disk() {
    let server = Server::start();
    succeed(&server, &["run", "--name", "kept", "--", "sh", "-c", "echo here > /mnt/file; sleep 1000 &"]);
    assert!(succeed(&server, &["ps", "-a"]).contains("stopped"));
    let (code, talk) = fail(&server, &["exec", "kept", "true"]);
    assert_eq!(code, 125);
    assert!(talk.contains("\nhint: `lazaret start` brings a stopped sandbox back"), "{talk}");
    succeed(&server, &["start", "kept"]);
    assert_eq!(succeed(&server, &["exec", "kept", "cat", "/mnt/file"]), "here\n");
}

#[test]
fn a_program_that_does_not_run_has_the_codes_of_a_shell_and_leaves_nothing() {
    let server = Server::start();
    assert_eq!(fail(&server, &["run", "--", "no-such-program"]).0, 127);
    assert_eq!(fail(&server, &["run", "--", "/etc"]).0, 126);
    assert_eq!(fail(&server, &["run", "--user", "nobody-of-that-name", "--", "true"]).0, 125);
    assert_eq!(fail(&server, &["run", "--rm", "--timeout", "200ms", "--", "sleep", "1000"]).0, 124);
    assert_eq!(fail(&server, &["run", "--rm", "--", "sh", "-c", "kill -9 $$"]).0, 137);
    assert_eq!(server.native().list().expect("a list"), [""; 0]);
}

#[test]
fn a_command_in_the_background_is_looked_at_and_followed_to_its_end() {
    let server = Server::start();
    let script = "echo one; echo two >&2; while [ ! -e /mnt/go ]; do sleep 0.02; done; echo three";
    succeed(&server, &["run", "-d", "--name", "box", "--", "sh", "-c", script]);
    let both = || {
        let output = lazaret(&server, &["logs", "box"]).output().expect("start lazaret");
        (output.stdout == b"one\n" && output.stderr == b"two\n").then_some(())
    };
    wait::until("the first output", LIMIT, both);
    let mut following = lazaret(&server, &["logs", "-f", "box"]).spawn().expect("start lazaret");
    assert_eq!(first_line(&mut following), "one\n");
    succeed(&server, &["exec", "box", "touch", "/mnt/go"]);
    assert_eq!(first_line(&mut following), "three\n");
    assert_eq!(end(&mut following), Some(0));
    assert!(succeed(&server, &["logs", "--list", "box"]).contains("exited 0"));
}

#[test]
fn one_json_document_tells_all_of_a_command() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "box", "-e", "GREETING=hello"]);
    let output =
        lazaret(&server, &["exec", "--json", "box", "sh", "-c", "echo $GREETING; echo no >&2; exit 3"])
            .output()
            .expect("start lazaret");
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).expect("text");
    for part in
        [r#""exit_code": 3"#, r#""stdout": "hello\n""#, r#""stderr": "no\n""#, r#""timed_out": false"#]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
