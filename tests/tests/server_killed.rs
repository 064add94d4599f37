//! The server is killed with SIGKILL and started again: sandboxes live on, and nothing is lost or left behind.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::{Native, Server, Traces, wait};
use serde_json::json;

/// Sandboxes with a running counter each.
const SANDBOXES: usize = 50;

/// Longest until a counter that is alive has moved, with all the others on the same processors.
const COUNT_LIMIT: Duration = Duration::from_secs(20);

/// Longest that taking apart all deleted sandboxes may take.
const CLEAN_LIMIT: Duration = Duration::from_secs(15);

/// Counts in a file, four times a second: often enough to see it move, seldom enough for fifty of them on two processors.
///
/// `1<>` writes over the last number and does not empty the file first: a reader always finds a number.
const COUNTER: &str = "i=0; while :; do i=$((i + 1)); echo $i 1<> /tmp/count; sleep 0.25; done";

fn count(native: &Native, id: &str) -> Result<u64> {
    Ok(native.shell(id, "cat /tmp/count")?.trim().parse()?)
}

#[test]
fn fifty_sandboxes_count_on_through_a_kill_of_the_server_and_deletion_leaves_no_trace() -> Result<()> {
    let mut server = Server::start();
    let native = server.native();
    let ids: Vec<String> = (0..SANDBOXES).map(|_| native.create(&json!({}))).collect::<Result<_>>()?;
    for id in &ids {
        native.background(id, &["/bin/sh", "-c", COUNTER])?;
    }
    for id in &ids {
        wait::until("a counter to start", COUNT_LIMIT, || count(&native, id).ok());
    }
    let before: Vec<u64> = ids.iter().map(|id| count(&native, id)).collect::<Result<_>>()?;
    let living = Traces::of_sandboxes(server.data_dir(), &ids);
    let processes = &living.processes;
    ensure!(processes.len() >= SANDBOXES, "processes are not found by their cgroup: {living}");
    ensure!(living.loop_devices.len() == SANDBOXES, "the disks of the living are not found: {living}");

    server.kill();
    server.start_again();

    let native = server.native();
    let listed: BTreeSet<String> = native.list()?.into_iter().collect();
    assert_eq!(listed, ids.iter().cloned().collect(), "every sandbox is listed, and no other");
    let table = server.command().args(["ps", "--json"]).output().context("run lazaret ps")?;
    let table = String::from_utf8(table.stdout)?;
    for (id, before) in ids.iter().zip(&before) {
        assert!(table.contains(id.as_str()), "ps does not show {id}: {table}");
        assert_eq!(native.state(id)?, "running");
        // The same counter, further on: a restarted one would begin at 1 and a stopped one stand still.
        let now = count(&native, id)?;
        assert!(now >= *before, "{id} counts {now} after {before}");
        wait::until("a counter to go on", COUNT_LIMIT, || (count(&native, id).ok()? > now).then_some(()));
    }
    for id in &ids {
        native.delete(id)?;
    }
    let left = || Traces::of_sandboxes(server.data_dir(), &ids);
    let clean = wait::within(CLEAN_LIMIT, || left().is_empty().then_some(()));
    assert!(clean.is_some(), "left on the host: {}", left());
    let alive = processes.iter().filter(|process| {
        let pid = process.split(' ').next().unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let name = status.lines().next().and_then(|line| line.strip_prefix("Name:\t"));
        name.is_some_and(|name| process.ends_with(name)) && !status.contains("State:\tZ")
    });
    assert_eq!(alive.count(), 0, "a process of a deleted sandbox lives on");
    Ok(())
}

#[test]
fn a_graceful_stop_leaves_sandboxes_running_and_the_next_server_has_them() -> Result<()> {
    let mut server = Server::start();
    let id = server.native().create(&json!({}))?;
    server.native().background(&id, &["/bin/sh", "-c", COUNTER])?;
    let native = server.native();
    let before = wait::until("the counter to start", COUNT_LIMIT, || count(&native, &id).ok());
    assert!(server.stop(), "SIGTERM is an ordinary end");
    server.start_again();
    let native = server.native();
    wait::until("the counter to go on", COUNT_LIMIT, || (count(&native, &id).ok()? > before).then_some(()));
    Ok(())
}

#[test]
fn a_background_exec_is_attached_again_after_a_kill_and_has_kept_its_output() -> Result<()> {
    let mut server = Server::start();
    let id = server.native().create(&json!({}))?;
    server.native().shell(&id, "mkfifo /tmp/gate")?;
    let exec = server
        .native()
        .background(&id, &["/bin/sh", "-c", "echo early; read line < /tmp/gate; echo $line"])?;
    server.kill();
    server.start_again();
    let native = server.native();
    let answer = native.client().get(&format!("/lazaret/v1/sandboxes/{id}/execs"))?.expect(200);
    let execs = answer["execs"].as_array().context("a list of execs")?;
    let known =
        execs.iter().find(|known| known["id"] == exec.as_str()).with_context(|| answer.to_string())?;
    assert_eq!(known["running"], true, "{known}");

    native.shell(&id, "echo late > /tmp/gate")?;
    // The stream follows until the exec ends, so reading it to its end is waiting for that.
    let stream = native.client().get(&format!("/lazaret/v1/sandboxes/{id}/execs/{exec}/output?offset=0"))?;
    let events = String::from_utf8(stream.body)?;
    for (line, why) in
        [("event: exited", "the end is told"), ("ZWFybHkK", "early is kept"), ("bGF0ZQo", "late follows")]
    {
        assert!(events.contains(line), "{why}: {events}");
    }
    Ok(())
}

/// What the server is doing when it is killed.
#[derive(Clone, Copy, Debug)]
enum Work {
    Create,
    Exec,
    Upload,
    Delete,
}

/// Kills the server while `work` goes on in several threads, starts it again, and asserts that the host and the
/// records agree: what is listed works or says why not, and what is not listed has left no trace.
fn kill_during(work: Work) -> Result<()> {
    const THREADS: usize = 4;
    const BEFORE_KILL: usize = 6;
    let mut server = Server::start();
    let native = server.native();
    let prepared: Vec<String> = (0..16).map(|_| native.create(&json!({}))).collect::<Result<_>>()?;
    let (sender, done) = std::sync::mpsc::channel();
    let mut workers = Vec::new();
    for part in prepared.chunks(prepared.len() / THREADS) {
        let (native, part, sender) = (server.native(), part.to_vec(), sender.clone());
        workers.push(thread::spawn(move || {
            for id in part.iter().cycle() {
                let result = match work {
                    Work::Create => native.create(&json!({})).map(drop),
                    Work::Exec => native.exec(id, &["true"]).map(drop),
                    Work::Upload => native.write(id, "/tmp/upload", &vec![7_u8; 4 << 20]).map(drop),
                    Work::Delete => native.delete(id),
                };
                // The first refusal or broken connection is the kill, or the end of what there was to delete.
                if result.is_err() || sender.send(()).is_err() {
                    return;
                }
            }
        }));
    }
    for _ in 0..BEFORE_KILL {
        done.recv_timeout(Duration::from_secs(30)).with_context(|| format!("{work:?} does not happen"))?;
    }
    server.kill();
    drop(done);
    for worker in workers {
        worker.join().expect("a worker does not panic");
    }
    server.start_again();

    let native = server.native();
    let listed = native.list()?;
    for id in &listed {
        match native.state(id)?.as_str() {
            "running" => drop(native.exec(id, &["true"])?),
            "stopped" | "error" => {
                let reason = native.get(id)?["reason"].clone();
                assert!(reason["message"].is_string(), "{id} does not say why it ended: {reason}");
            }
            // A deletion that was under way goes on at once.
            "deleting" => {
                wait::until("a deletion to finish", CLEAN_LIMIT, || native.state(id).is_err().then_some(()))
            }
            other => panic!("{id} is left {other}"),
        }
    }
    let folders = wait::within(CLEAN_LIMIT, || {
        let folders = server.traces().folders.len();
        (folders <= native.list().ok()?.len()).then_some(folders)
    });
    assert!(folders.is_some(), "orphans: {} beside {:?}", server.traces(), native.list()?);
    Ok(())
}

#[test]
fn a_kill_during_create_leaves_no_orphan_and_no_half_made_sandbox() -> Result<()> {
    kill_during(Work::Create)
}

#[test]
fn a_kill_during_exec_leaves_every_sandbox_usable() -> Result<()> {
    kill_during(Work::Exec)
}

#[test]
fn a_kill_during_an_upload_leaves_every_sandbox_usable() -> Result<()> {
    kill_during(Work::Upload)
}

#[test]
fn a_kill_during_delete_leaves_no_half_deleted_sandbox() -> Result<()> {
    kill_during(Work::Delete)
}
