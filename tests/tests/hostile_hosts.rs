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

/// Longest until a small disk is filled as far as sandboxes may.
const FILL_LIMIT: Duration = Duration::from_secs(60);

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

#[test]
fn an_exec_whose_sandbox_ends_is_told_how_it_ended() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let kill_guest = || -> Result<()> {
        for process in Traces::of_sandboxes(server.data_dir(), std::slice::from_ref(&id)).processes {
            let pid = process.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            let _ = kill_process(pid.context("a process id")?, Signal::KILL);
        }
        Ok(())
    };
    // Without a grace, in which the command would end by itself and tell of that.
    let stop = || {
        let now = json!({ "grace_ms": 0 });
        native.client().post(&format!("/lazaret/v1/sandboxes/{id}/stop"), &now).map(drop)
    };
    let ends: [(&dyn Fn() -> Result<()>, &str); 2] =
        [(&kill_guest, "its first process ended"), (&stop, "requested")];
    for (end, said) in ends {
        let request =
            json!({ "command": ["/bin/sh", "-c", "touch /tmp/began; sleep 60"], "timeout_ms": 60_000 });
        let answer = std::thread::scope(|scope| -> Result<_> {
            let running = scope.spawn(|| native.try_exec(&id, &request));
            let began = || native.shell(&id, "rm /tmp/began").ok();
            wait::within(NOTICE_LIMIT, began).context("the exec does not begin")?;
            end()?;
            running.join().expect("no panic")
        })?;
        assert_eq!(answer.status, 409, "{answer}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], "ended", "{answer}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(said)), "{answer}");
        let stopped = || native.state(&id).is_ok_and(|state| state == "stopped").then_some(());
        wait::within(NOTICE_LIMIT, stopped).context("it does not stop")?;
        native.apply(&id, "start")?;
    }
    Ok(())
}

/// A file system of its own in a file, mounted for the life of this value.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount(bytes: u64) -> Result<SmallDisk> {
        let folder = tempfile::tempdir()?;
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0700"), "tmpfs"])
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
fn sandboxes_that_fill_the_hosts_disk_leave_the_server_its_reserve_and_creates_are_refused_meanwhile()
-> Result<()> {
    let disk = SmallDisk::mount(600 << 20)?;
    let server = Server::start_in(disk.folder.path(), "disk_reserve = \"200m\"")?;
    let native = server.native();
    let (one, other) = (native.create(&json!({}))?, native.create(&json!({}))?);
    native.shell(&other, "echo kept > /root/kept; sync")?;
    let fill = |id: &str| {
        let line = "cat /dev/zero 2>&1 >> /tmp/big; sync";
        let said = native.shell(id, line).expect("the sandbox answers");
        assert!(said.contains("No space left"), "{said:?}");
    };
    // What is left comes in portions, and creates are refused once it is taken.
    let refused = wait::until("a create to be refused", FILL_LIMIT, || {
        std::thread::scope(|scope| {
            for id in [&one, &other] {
                scope.spawn(|| fill(id));
            }
        });
        let answer = native.client().post("/lazaret/v1/sandboxes", &json!({})).expect("the server answers");
        if answer.status == 201 {
            native.delete(answer.json()["id"].as_str().expect("an id")).expect("a sandbox can go");
            return None;
        }
        Some(answer)
    });
    assert_eq!(refused.status, 429, "{refused}");
    assert_eq!(refused.json()["error"]["code"], "limit_reached", "{refused}");
    // The store writes, the sandboxes answer, and what was there is there.
    assert_eq!(native.client().get("/readyz")?.status, 200);
    native.apply(&one, "stop")?;
    assert_eq!(native.shell(&other, "cat /root/kept")?, "kept\n");
    native.delete(&one)?;
    let made = wait::within(NOTICE_LIMIT, || native.create(&json!({})).ok());
    assert!(made.is_some(), "the space of a deleted sandbox does not come back");
    drop(server);
    Ok(())
}

#[test]
fn a_start_on_a_full_disk_fails_soon_and_says_so() -> Result<()> {
    let disk = SmallDisk::mount(SMALL_DISK_BYTES)?;
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
