//! Shells that stay, in a real sandbox: their state, their logs, and that the next server has them.

#![forbid(unsafe_code)]

use std::time::Duration;

use anyhow::Result;
use lazaret_tests::{Native, Server, wait};
use serde_json::{Value, json};

/// How long anything may take that a busy machine does slowly.
const LIMIT: Duration = Duration::from_secs(20);

/// One sandbox and its sessions.
struct World {
    server: Server,
    id: String,
}

impl World {
    fn new() -> Result<Self> {
        let server = Server::start();
        let id = server.native().create(&json!({}))?;
        Ok(Self { server, id })
    }

    fn path(&self, rest: &str) -> String {
        format!("/lazaret/v1/sandboxes/{}{rest}", self.id)
    }

    fn native(&self) -> Native {
        self.server.native()
    }

    fn get(&self, rest: &str) -> Result<Value> {
        Ok(self.native().client().get(&self.path(rest))?.expect(200))
    }

    fn session(&self, name: &str) -> Result<()> {
        self.native().client().post(&self.path("/sessions"), &json!({"name": name}))?.expect(201);
        Ok(())
    }

    fn run(&self, session: &str, command: &str) -> Result<Value> {
        let path = self.path(&format!("/sessions/{session}/commands"));
        Ok(self.native().client().post(&path, &json!({"command": command}))?.expect(200))
    }

    /// Starts a command in the background and gives its path.
    fn start(&self, session: &str, command: &str) -> Result<String> {
        let path = format!("/sessions/{session}/commands");
        let body = json!({"command": command, "background": true, "echo": true});
        let answer = self.native().client().post(&self.path(&path), &body)?.expect(202);
        Ok(format!("{path}/{}", answer["id"].as_str().expect("an id")))
    }

    fn send(&self, command: &str, data: &str) -> Result<u16> {
        let path = self.path(&format!("{command}/input"));
        Ok(self.native().client().post(&path, &json!({"data": data}))?.status)
    }

    fn wait_for_output(&self, command: &str, text: &str) {
        wait::until(text, LIMIT, || {
            let log = self.get(&format!("{command}/log")).ok()?;
            log["stdout"].as_str()?.contains(text).then_some(())
        });
    }
}

fn parts(done: &Value) -> (i64, &str, &str) {
    let text = |key: &str| done[key].as_str().expect("text");
    (done["exit_code"].as_i64().unwrap_or(-1), text("stdout"), text("stderr"))
}

#[test]
fn a_session_keeps_its_state_and_tells_the_streams_apart() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    for (command, want) in [
        ("export K=v; cd /tmp; f() { echo \"f $1\"; }; echo a; echo b >&2", (0, "a\n", "b\n")),
        ("echo $K $PWD; f x", (0, "v /tmp\nf x\n", "")),
        ("(exit 4)", (4, "", "")),
        ("echo 'two\nlines'; # a comment", (0, "two\nlines\n", "")),
        ("cat; read x; echo \"[$x]\"", (0, "[]\n", "")),
        ("printf 'no newline'", (0, "no newline", "")),
        ("cat <<'END'\nhere $K\nEND", (0, "here $K\n", "")),
    ] {
        assert_eq!(parts(&world.run("s", command)?), want, "{command}");
    }
    let broken = world.run("s", "if")?;
    assert_eq!(broken["exit_code"], 2, "an error of syntax ends nothing: {broken}");
    assert_eq!(parts(&world.run("s", "echo $K; exec >/dev/null; echo lost")?), (0, "v\n", ""));
    assert_eq!(parts(&world.run("s", "echo lost; echo told >&2")?), (0, "", "told\n"));
    let again = world.native().client().post(&world.path("/sessions"), &json!({"name": "s"}))?;
    assert_eq!(again.status, 409);
    Ok(())
}

#[test]
fn commands_wait_for_their_turn_and_input_reaches_the_one_that_reads() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    let first = world.start("s", "echo ready; read a; echo got $a; read b; (exit 3)")?;
    let second = world.start("s", "echo second; read c; echo $c")?;
    world.wait_for_output(&first, "ready");
    assert_eq!(world.get(&second)?["running"], true);
    assert_eq!(world.send(&second, "too early")?, 400);
    assert_eq!(world.send(&first, "ping")?, 204);
    world.wait_for_output(&first, "got ping");
    assert_eq!(world.send(&first, "last")?, 204);
    let log = world.get(&format!("{first}/log?follow=true"))?;
    assert_eq!(parts(&log), (3, "ready\nping\ngot ping\nlast\n", ""), "what is sent is repeated");
    assert_eq!(world.send(&first, "too late")?, 410);
    world.wait_for_output(&second, "second");
    assert_eq!(world.send(&second, "x")?, 204);
    assert_eq!(parts(&world.get(&format!("{second}/log?follow=true"))?).0, 0);
    let none = world.run("s", "read z; echo \"[$z]\"")?;
    assert_eq!(parts(&none), (0, "[]\n", ""), "nothing is left over for a command that reads nothing");
    Ok(())
}

#[test]
fn an_exit_ends_the_session_and_later_commands_are_told_so() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    let done = world.run("s", "echo bye; exit 5")?;
    assert_eq!((parts(&done), &done["session_ended"]), ((5, "bye\n", ""), &json!(true)));
    let path = world.path("/sessions/s/commands");
    let late = world.native().client().post(&path, &json!({"command": "true"}))?;
    assert_eq!(late.status, 410, "{late}");
    assert_eq!(world.get("/sessions/s")?["exit_code"], 5);
    world.native().client().delete(&world.path("/sessions/s"))?.expect(204);
    assert_eq!(world.native().client().get(&world.path("/sessions/s"))?.status, 404);
    Ok(())
}

#[test]
fn a_deleted_session_takes_what_it_runs_with_it() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    let command = world
        .start("s", "trap 'echo asked > /tmp/asked; exit' TERM; echo on; while :; do sleep 0.1; done")?;
    world.wait_for_output(&command, "on");
    let child = world.start("s", "never")?;
    assert_eq!(world.get(&child)?["running"], true);
    world.native().client().delete(&world.path("/sessions/s"))?.expect(204);
    let asked = || {
        world.native().shell(&world.id, "cat /tmp/asked 2>/dev/null").ok().filter(|text| text == "asked\n")
    };
    wait::until("the command to be asked", LIMIT, asked);
    wait::until("its processes to be gone", LIMIT, || {
        let left = world.native().shell(&world.id, "ps ax -o args= | grep -c '[l]azaret-session' || true");
        (left.ok()?.trim() == "0").then_some(())
    });
    Ok(())
}

#[test]
fn a_hundred_thousand_lines_are_followed_from_the_start_without_loss() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    let command = world.start("s", "seq 1 400000; echo end >&2")?;
    wait::until("the command to end", LIMIT, || {
        (world.get(&command).ok()?["running"] == false).then_some(())
    });
    let log = world.get(&format!("{command}/log"))?;
    let want: String = (1..=400_000).map(|number| format!("{number}\n")).collect();
    assert!(log["stdout"] == want, "every line, from the first one");
    assert_eq!((&log["stderr"], &log["truncated"]), (&json!("end\n"), &json!(false)));
    Ok(())
}

#[test]
fn the_next_server_finds_sessions_with_their_logs_and_terminals() -> Result<()> {
    let mut world = World::new()?;
    world.session("s")?;
    world.run("s", "export K=kept; echo 'quoted'; echo e >&2; (exit 7)")?;
    let running = world.start("s", "echo waiting; read x; echo got $x")?;
    world.wait_for_output(&running, "waiting");
    let terminal = json!({"name": "t", "rows": 30, "cols": 100, "cwd": "/tmp", "env": {"A": "b"}});
    world.native().client().post(&world.path("/terminals"), &terminal)?.expect(201);
    world.server.kill();
    world.server.start_again();
    let session = world.get("/sessions/s")?;
    assert_eq!(session["running"], true, "{session}");
    let commands = session["commands"].as_array().expect("commands");
    let told: Vec<_> = commands.iter().map(|command| (&command["command"], &command["exit_code"])).collect();
    assert_eq!(told[0], (&json!("export K=kept; echo 'quoted'; echo e >&2; (exit 7)"), &json!(7)));
    assert_eq!(commands[1]["running"], true);
    let first = commands[0]["id"].as_str().expect("an id");
    let log = world.get(&format!("/sessions/s/commands/{first}/log"))?;
    assert_eq!(parts(&log), (7, "quoted\n", "e\n"));
    assert_eq!(world.send(&running, "on")?, 204);
    assert_eq!(parts(&world.get(&format!("{running}/log?follow=true"))?), (0, "waiting\ngot on\n", ""));
    assert_eq!(parts(&world.run("s", "echo $K")?), (0, "kept\n", ""));
    let found = world.get("/terminals/t")?;
    assert_eq!((&found["rows"], &found["cols"], &found["cwd"]), (&json!(30), &json!(100), &json!("/tmp")));
    Ok(())
}

#[test]
fn sessions_and_terminals_end_with_the_sandboxs_run() -> Result<()> {
    let world = World::new()?;
    world.session("s")?;
    world.native().client().post(&world.path("/terminals"), &json!({"name": "t"}))?.expect(201);
    world.native().apply(&world.id, "stop")?;
    world.native().apply(&world.id, "start")?;
    assert_eq!(world.get("/sessions")?, json!({"sessions": []}));
    assert_eq!(world.get("/terminals")?, json!({"terminals": []}));
    world.session("s")?;
    assert_eq!(parts(&world.run("s", "echo new")?), (0, "new\n", ""));
    Ok(())
}

#[test]
fn an_idle_session_keeps_no_sandbox_from_its_idle_time() -> Result<()> {
    let server = Server::start();
    let id = server.native().create(&json!({"lease": {"idle_timeout_s": 1, "idle_action": "stop"}}))?;
    let world = World { server, id };
    world.session("s")?;
    world.start("s", "sleep 3")?;
    let ((), took) = wait::timed(|| {
        wait::until("the sandbox to stop", LIMIT, || {
            (world.native().state(&world.id).ok()? == "stopped").then_some(())
        });
    });
    assert!(took >= Duration::from_secs(3), "a command that runs is a use: it stopped after {took:?}");
    Ok(())
}
