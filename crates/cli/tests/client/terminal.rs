//! `-it` in a real pseudo-terminal: raw while it lasts, resized with it, and as before at the end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

use crate::fake::Fake;
use crate::program::{DEADLINE, command, finish};

/// Both ends of a pseudo-terminal.
struct Terminal {
    ours: tokio::fs::File,
    theirs: OwnedFd,
    seen: String,
}

impl Terminal {
    fn new(rows: u16, cols: u16) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        let theirs = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let terminal =
            Self { ours: tokio::fs::File::from_std(File::from(ours)), theirs, seen: String::new() };
        terminal.resize(rows, cols);
        terminal
    }

    fn resize(&self, rows: u16, cols: u16) {
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.theirs, size).unwrap();
    }

    fn stdio(&self) -> Stdio {
        self.theirs.try_clone().unwrap().into()
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.theirs).unwrap().local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO)
    }

    async fn type_keys(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).await.unwrap();
        self.ours.flush().await.unwrap();
    }

    async fn wait_for(&mut self, text: &str) {
        let reading = async {
            let mut buffer = [0; 1024];
            while !self.seen.contains(text) {
                let count = self.ours.read(&mut buffer).await.unwrap();
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, reading).await.is_ok();
        assert!(in_time, "'{text}' does not appear; seen: {}", self.seen);
    }

    fn start(&self, fake: &Fake) -> Child {
        command(fake, &["run", "--rm", "-it", "terminal"])
            .env("TERM", "vt100")
            .stdin(self.stdio())
            .stdout(self.stdio())
            .stderr(self.stdio())
            .spawn()
            .unwrap()
    }
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn the_terminal_is_raw_is_resized_and_is_as_before_at_the_end() {
    let fake = Fake::start().await;
    let mut terminal = Terminal::new(30, 100);
    let child = terminal.start(&fake);
    terminal.wait_for("{\"cols\":100,\"rows\":30,\"term\":\"vt100\"}").await;
    assert!(terminal.is_raw());
    // In a cooked terminal this key would be a signal.
    terminal.type_keys("\x03").await;
    terminal.wait_for("b\"\\x03\"").await;
    terminal.resize(40, 120);
    signal(&child, Signal::WINCH);
    terminal.wait_for("\"rows\":40").await;
    terminal.type_keys("q").await;
    assert_eq!(finish(child).await.code, 5);
    assert!(!terminal.is_raw());
}

#[tokio::test]
async fn the_terminal_is_as_before_when_the_program_is_told_to_end() {
    let fake = Fake::start().await;
    let mut terminal = Terminal::new(24, 80);
    let child = terminal.start(&fake);
    terminal.wait_for("\"term\"").await;
    signal(&child, Signal::TERM);
    terminal.wait_for("\"signal\":15").await;
    signal(&child, Signal::HUP);
    assert_eq!(finish(child).await.code, 137);
    assert!(!terminal.is_raw());
}
