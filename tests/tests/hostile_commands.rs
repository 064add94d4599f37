//! Commands that misbehave: each is bounded inside its own sandbox, and the neighbour and the server notice nothing.

#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::{Result, ensure};
use lazaret_tests::{Native, Server, wait};
use serde_json::{Value, json};

/// Longest that a neighbour may take for a command while the sandbox beside it misbehaves.
const NEIGHBOUR_LIMIT: Duration = Duration::from_secs(5);

/// Longest that a bounded command may take to be ended, beyond its own time limit.
const END_LIMIT: Duration = Duration::from_secs(20);

/// A server, a sandbox that may misbehave and a neighbour that must not feel it.
struct Street {
    server: Server,
    native: Native,
    rogue: String,
    neighbour: String,
}

impl Street {
    fn new() -> Result<Street> {
        let server = Server::start();
        let native = server.native();
        let small = json!({ "memory_bytes": 128 << 20, "pids": 64, "disk_bytes": 256 << 20 });
        let rogue = native.create(&json!({ "name": "rogue", "resources": small }))?;
        let neighbour = native.create(&json!({ "name": "neighbour" }))?;
        Ok(Street { server, native, rogue, neighbour })
    }

    /// Runs a line of shell in the rogue, for at most `timeout_ms`.
    fn misbehave(&self, line: &str, timeout_ms: u64) -> Result<Value> {
        let request = json!({ "command": ["/bin/sh", "-c", line], "timeout_ms": timeout_ms });
        let (done, took) = wait::timed(|| self.native.exec_with(&self.rogue, &request));
        let limit = Duration::from_millis(timeout_ms) + END_LIMIT;
        ensure!(took <= limit, "it took {took:?} with a time limit of {timeout_ms} ms");
        done
    }

    /// Asserts that the neighbour answers in time, that the server is ready, and that the rogue can be used again.
    #[track_caller]
    fn assert_unharmed(&self) {
        let (done, took) =
            wait::timed(|| self.native.shell(&self.neighbour, "echo well > /tmp/w; cat /tmp/w"));
        assert_eq!(done.expect("the neighbour works"), "well\n");
        assert!(took <= NEIGHBOUR_LIMIT, "the neighbour took {took:?}");
        let ready = self.server.client().get("/readyz").expect("the server answers");
        assert_eq!(ready.status, 200, "{ready}");
        let again = wait::within(END_LIMIT, || self.native.exec(&self.rogue, &["true"]).ok());
        assert!(again.is_some(), "the sandbox itself is of no use any more");
    }
}

#[test]
fn a_command_that_prints_for_ever_is_cut_at_its_output_limit_and_ended_at_its_time_limit() -> Result<()> {
    let street = Street::new()?;
    let request = json!({ "command": ["yes"], "timeout_ms": 2_000, "output_limit_bytes": 100_000 });
    let done = street.native.exec_with(&street.rogue, &request)?;
    let printed = done["stdout"].as_str().map_or(0, str::len);
    assert!(printed <= 100_000, "{printed} bytes came back");
    assert_eq!((&done["truncated"], &done["exit_code"]), (&json!(true), &Value::Null), "{printed} bytes");
    street.assert_unharmed();
    Ok(())
}

#[test]
fn a_command_that_closes_its_output_and_lives_is_ended_at_its_time_limit() -> Result<()> {
    let street = Street::new()?;
    let done = street.misbehave("exec >&- 2>&-; sleep 1000", 1_000)?;
    assert_eq!(done["timed_out"], true, "{done}");
    street.assert_unharmed();
    Ok(())
}

#[test]
fn a_command_that_double_forks_does_not_hold_its_exec_open_and_its_orphan_is_reaped() -> Result<()> {
    let street = Street::new()?;
    let done = street
        .misbehave("(setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 0.2' &) ; echo parent", 30_000)?;
    assert_eq!((&done["exit_code"], &done["stdout"]), (&json!(0), &json!("parent\n")));
    let zombies = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l; pgrep -c sleep || true";
    wait::until("the orphan to be gone", END_LIMIT, || {
        let left = street.native.shell(&street.rogue, zombies).ok()?;
        left.lines().all(|line| line.trim() == "0").then_some(())
    });
    street.assert_unharmed();
    Ok(())
}

#[test]
fn a_command_that_ignores_sigterm_is_ended_at_its_time_limit_with_its_children() -> Result<()> {
    let street = Street::new()?;
    let done = street.misbehave("trap '' TERM; sleep 1000 & while :; do sleep 1; done", 1_000)?;
    assert_eq!(done["timed_out"], true, "{done}");
    street.assert_unharmed();
    let (stopped, took) = wait::timed(|| street.native.apply(&street.rogue, "stop"));
    stopped?;
    assert!(took <= END_LIMIT, "a stop took {took:?}");
    Ok(())
}

#[test]
fn a_fork_bomb_meets_the_limit_of_its_own_sandbox() -> Result<()> {
    let street = Street::new()?;
    let bomb = "import os\ntry:\n  while True: os.fork()\nexcept OSError as error: print(error.errno)";
    let request =
        json!({ "command": ["python3", "-c", bomb], "timeout_ms": 5_000, "output_limit_bytes": 10_000 });
    street.native.exec_with(&street.rogue, &request)?;
    street.assert_unharmed();
    let stats =
        street.native.client().get(&format!("/lazaret/v1/sandboxes/{}/stats", street.rogue))?.expect(200);
    assert!(stats["pids"].as_u64().is_some_and(|pids| pids <= 64), "{stats}");
    Ok(())
}

#[test]
fn a_memory_hog_is_killed_inside_its_own_sandbox() -> Result<()> {
    let street = Street::new()?;
    let hog = "x = []\nwhile True: x.append(bytearray(8 << 20))";
    let request = json!({ "command": ["python3", "-c", hog], "timeout_ms": 30_000 });
    let done = street.native.exec_with(&street.rogue, &request)?;
    let killed = done["signal"] == 9;
    let refused =
        done["exit_code"] == 1 && done["stderr"].as_str().is_some_and(|text| text.contains("MemoryError"));
    assert!(killed || refused, "{done}");
    street.assert_unharmed();
    Ok(())
}

#[test]
fn a_disk_filler_gets_enospc_and_the_host_keeps_its_space() -> Result<()> {
    let street = Street::new()?;
    let done =
        street.misbehave("dd if=/dev/zero of=/root/fill bs=1M count=4096 2>&1; df -k / | tail -1", 60_000)?;
    let said = done["stdout"].as_str().unwrap_or_default();
    assert!(said.contains("No space left on device"), "{done}");
    street.native.shell(&street.rogue, "rm /root/fill")?;
    street.assert_unharmed();
    Ok(())
}

#[test]
fn a_million_small_files_meet_the_limit_of_their_own_disk() -> Result<()> {
    let street = Street::new()?;
    let fill = "import os\nos.mkdir('/root/f')\ntry:\n  for i in range(10**6): open(f'/root/f/{i}', 'w').close()\nexcept OSError as error: print(error.errno)";
    let done = street
        .native
        .exec_with(&street.rogue, &json!({ "command": ["python3", "-c", fill], "timeout_ms": 60_000 }))?;
    assert_eq!(done["stdout"], "28\n", "{done}");
    street.native.shell(&street.rogue, "rm -r /root/f")?;
    street.assert_unharmed();
    Ok(())
}
