//! A host that misbehaves: a guest killed under the server, a disk that is full.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{KEY, Server, Traces, binary, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// Longest until the end of a guest shows in its sandbox's state.
const NOTICE_LIMIT: Duration = Duration::from_secs(15);

/// A whole disk for a server, in bytes: enough for the store, too little for an image.
const SMALL_DISK_BYTES: u64 = 8 << 20;

#[test]
fn a_guest_killed_with_sigkill_ends_its_sandbox_with_a_reason_and_start_brings_it_back() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    native.shell(&id, "echo kept > /root/kept")?;
    let processes = Traces::of_sandboxes(server.data_dir(), std::slice::from_ref(&id)).processes;
    ensure!(!processes.is_empty(), "no process of the sandbox was found");
    for process in &processes {
        let pid = process.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
        // The others die with the first, which is PID 1 inside.
        let _ = kill_process(pid.context("a process id")?, Signal::KILL);
    }
    let ended = wait::within(NOTICE_LIMIT, || {
        let sandbox = native.get(&id).ok()?;
        (sandbox["state"] != "running").then_some(sandbox)
    });
    let sandbox = ended.context("the end of the guest was not noticed")?;
    assert!(sandbox["reason"]["message"].is_string(), "{sandbox}");
    native.apply(&id, "start")?;
    assert_eq!(native.shell(&id, "cat /root/kept")?, "kept\n");
    Ok(())
}

/// A file system of its own in a file, mounted for the life of this value.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Result<SmallDisk> {
        let folder = tempfile::tempdir()?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SMALL_DISK_BYTES},mode=0700"), "tmpfs"])
            .arg(folder.path())
            .status()?;
        ensure!(status.success(), "mount a small disk: {status}");
        Ok(SmallDisk { folder })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a server that was just killed may still hold it.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("could not unmount {}", self.folder.path().display());
        }
    }
}

#[test]
fn a_start_on_a_full_disk_fails_soon_and_says_so() -> Result<()> {
    let disk = SmallDisk::mount()?;
    let mut filler = File::create(disk.folder.path().join("filler"))?;
    while filler.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    let mut child = Command::new(binary())
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(disk.folder.path().join("data"))
        .env("LAZARET_API_KEY", KEY)
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()?;
    let ended = wait::within(NOTICE_LIMIT, || child.try_wait().expect("ask for its end"));
    if ended.is_none() {
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
    let status = ended.with_context(|| format!("it neither serves nor ends: {said}"))?;
    assert!(!status.success(), "{said}");
    assert!(said.contains("space") || said.contains("full"), "{said}");
    Ok(())
}
