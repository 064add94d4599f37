//! `lazaret run` as a person types it: with a pipe, and with a terminal.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use lazaret_tests::{KEY, Server, wait};
use pty_process::Size;
use pty_process::blocking::Command;

/// Longest that a program in a terminal may take to answer what was typed.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

#[test]
fn run_shows_root_inside_and_a_root_directory_of_the_image_only() -> Result<()> {
    let server = Server::start();
    let program = "import os; print(os.getuid(), os.listdir('/'))";
    let output = server.command().args(["run", "--", "python3", "-c", program]).output()?;
    let (said, talk) =
        (String::from_utf8(output.stdout)?, String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{}\n{talk}", output.status);
    let (uid, folders) = said.trim().split_once(' ').context("an id and a list")?;
    assert_eq!(uid, "0", "{said}");
    for folder in ["usr", "etc", "proc", "dev", "tmp"] {
        assert!(folders.contains(&format!("'{folder}'")), "no /{folder} in {said}");
    }
    assert!(server.native().list()?.len() <= 1, "run leaves at most the sandbox it made");
    Ok(())
}

#[test]
fn the_lines_that_serve_prints_work_when_they_are_pasted() -> Result<()> {
    let server = Server::start();
    let banner = server.log();
    let from = |label: &str| banner.split_once(label).map(|(_, rest)| rest.lines().map(str::trim));
    let command_line: Vec<&str> =
        from("  command line ").context("lines for the command line")?.take(2).collect();
    let curl: Vec<&str> = from("  curl ").context("a line for curl")?.take(1).collect();
    for (lines, want) in [(command_line, "42\n"), (curl, "\"state\":\"running\"")] {
        let mut shell = std::process::Command::new("sh");
        let output = shell
            .arg("-c")
            .arg(lines.join("\n"))
            .env("LAZARET_API_KEY", KEY)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8(output.stdout)?;
        assert!(said.contains(want), "{lines:?}: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

#[test]
fn run_ends_with_the_exit_code_of_its_command_and_keeps_the_streams_apart() -> Result<()> {
    let server = Server::start();
    let line = "echo out; echo err >&2; exit 7";
    let output = server.command().args(["run", "--rm", "--", "sh", "-c", line]).output()?;
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout)?, "out\n");
    assert!(String::from_utf8(output.stderr)?.contains("err\n"));
    assert_eq!(server.native().list()?, [""; 0], "--rm removes the sandbox");
    Ok(())
}

#[test]
fn run_hands_standard_input_to_its_command_to_the_end() -> Result<()> {
    let server = Server::start();
    let mut command = server.command();
    command.args(["run", "--rm", "-i", "--", "wc", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    let writer = std::thread::spawn(move || input.write_all(&vec![b'x'; 300_000]));
    let output = child.wait_with_output()?;
    writer.join().expect("the writer does not panic")?;
    assert_eq!(String::from_utf8(output.stdout)?.trim(), "300000");
    Ok(())
}

#[test]
fn an_interactive_shell_in_a_terminal_answers_knows_its_size_and_ends_with_its_code() -> Result<()> {
    let server = Server::start();
    let (pty, pts) = pty_process::blocking::open().context("open a pseudo-terminal")?;
    pty.resize(Size::new(33, 101)).context("size the terminal")?;
    let plain = server.command();
    let mut command = Command::new(plain.get_program()).args(["run", "-it", "--rm", "--", "sh"]);
    for (name, value) in plain.get_envs() {
        command = command.env(name, value.unwrap_or_default());
    }
    let mut child = command.env("TERM", "xterm").spawn(pts).context("start lazaret in the terminal")?;
    let mut terminal = Terminal::new(pty);

    // The sum is asked for, so that the echo of what was typed cannot be taken for the answer.
    terminal.type_line("echo answer-$((40 + 2))")?;
    terminal.expect("answer-42");
    terminal.type_line("stty size")?;
    terminal.expect("33 101");
    terminal.pty.resize(Size::new(40, 120)).context("resize the terminal")?;
    wait::until("the new size to reach the sandbox", ANSWER_LIMIT, || {
        terminal.type_line("stty size").ok()?;
        terminal.sees("40 120").then_some(())
    });
    terminal.type_line("exit 7")?;
    let status = wait::until("the shell's end", ANSWER_LIMIT, || child.try_wait().expect("ask for its end"));
    assert_eq!(status.code(), Some(7), "{}", terminal.shown);
    Ok(())
}

/// The master's side of a pseudo-terminal with all that was shown on it.
struct Terminal {
    pty: pty_process::blocking::Pty,
    output: mpsc::Receiver<String>,
    shown: String,
}

impl Terminal {
    fn new(pty: pty_process::blocking::Pty) -> Terminal {
        let reader = pty.as_fd().try_clone_to_owned().expect("duplicate the terminal");
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(File::from(reader));
            // Linux answers EIO when the other side is closed, which is the end as well.
            while let Ok(chunk) = reader.fill_buf() {
                let length = chunk.len();
                if length == 0 || sender.send(String::from_utf8_lossy(chunk).into_owned()).is_err() {
                    return;
                }
                reader.consume(length);
            }
        });
        Terminal { pty, output, shown: String::new() }
    }

    fn type_line(&mut self, line: &str) -> Result<()> {
        self.pty.write_all(format!("{line}\n").as_bytes()).context("type a line")
    }

    fn sees(&mut self, text: &str) -> bool {
        self.shown.extend(self.output.try_iter());
        self.shown.contains(text)
    }

    #[track_caller]
    fn expect(&mut self, text: &str) {
        let seen = wait::within(ANSWER_LIMIT, || self.sees(text).then_some(()));
        assert!(seen.is_some(), "{text:?} was not shown, but:\n{}", self.shown);
    }
}
