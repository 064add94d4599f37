//! Execs that outlive their connection.

use lazaret_protocol::{
    Attach, Background, ByteString, ErrorKind, Exec, ExecState, ExitStatus, HostMessage, RemoveExec,
    RequestBody, SignalExec,
};

use crate::support::{Client, Event, Sandbox, exec, sh, until};

fn background(id: &str, exec: Exec) -> RequestBody {
    let background = Background { id: id.into(), retain_bytes: None, label: None, spool_bytes: None };
    RequestBody::Exec(Box::new(Exec { background: Some(background), ..exec }))
}

fn start(sandbox: &Sandbox, id: &str, exec: Exec) -> u32 {
    let mut client = sandbox.request(background(id, exec));
    let pid = client.expect_started();
    assert_eq!(client.next(), None, "the guest closes the connection");
    pid
}

fn attach(sandbox: &Sandbox, id: &str, offset: u64) -> (Client, u64) {
    let mut client = sandbox.request(RequestBody::Attach(Attach { id: id.into(), offset }));
    match client.expect() {
        Event::Attached(offset) => (client, offset),
        other => panic!("not attached: {other:?}"),
    }
}

fn list(sandbox: &Sandbox) -> Vec<ExecState> {
    let mut client = sandbox.request(RequestBody::ListExecs);
    let mut states = Vec::new();
    loop {
        match client.expect() {
            Event::ExecState(state) => states.push(state),
            Event::Done => return states,
            other => panic!("{other:?} in a list"),
        }
    }
}

fn wait_for_end(sandbox: &Sandbox, id: &str) -> ExecState {
    until("the exec to end", || {
        list(sandbox).into_iter().find(|state| state.id == ByteString::from(id) && state.exited.is_some())
    })
}

#[test]
fn output_is_kept_and_read_again_from_any_offset() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", sh("printf 0123; sleep 0.1; printf 4567 >&2; exit 3"));
    wait_for_end(&sandbox, "a");
    for (offset, stdout, stderr) in [(0, "0123", "4567"), (2, "23", "4567"), (5, "", "567"), (8, "", "")] {
        let (mut client, from) = attach(&sandbox, "a", offset);
        let output = client.finish();
        assert_eq!((from, output.stdout.as_str(), output.stderr.as_str()), (offset, stdout, stderr));
        assert_eq!(output.exited.status, ExitStatus::Code(3));
    }
    let (_, from) = attach(&sandbox, "a", 1_000);
    assert_eq!(from, 8, "an offset that does not exist yet is the end");
}

#[test]
fn output_is_followed_as_it_comes_and_after_a_disconnect() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", sh("trap 'echo two; exit 0' USR1; echo one; while :; do sleep 0.05; done"));
    let (mut first, _) = attach(&sandbox, "a", 0);
    first.read_until("one\n");
    drop(first);
    let (mut second, offset) = attach(&sandbox, "a", 4);
    assert_eq!(offset, 4);
    let (mut third, _) = attach(&sandbox, "a", 0);
    second.signal(10);
    assert_eq!(second.finish().stdout, "two\n");
    assert_eq!(third.finish().stdout, "one\ntwo\n");
}

#[test]
fn a_reader_that_is_late_is_told_what_it_missed() {
    let sandbox = Sandbox::start();
    let request = Exec {
        background: Some(Background {
            id: "a".into(),
            retain_bytes: Some(1000),
            label: None,
            spool_bytes: None,
        }),
        ..sh("printf %5000s x; printf y >&2")
    };
    let mut client = sandbox.request(RequestBody::Exec(Box::new(request)));
    client.expect_started();
    let state = wait_for_end(&sandbox, "a");
    assert_eq!((state.oldest_offset, state.end_offset), (4001, 5001));
    let (mut client, offset) = attach(&sandbox, "a", 0);
    assert_eq!(offset, 4001);
    let output = client.finish();
    assert_eq!((output.stdout.len(), output.stderr.as_str()), (999, "y"));
}

#[test]
fn with_a_spool_a_reader_that_comes_late_misses_nothing() {
    const BYTES: usize = 3_000_000;
    let sandbox = Sandbox::start();
    let background = Background {
        id: "a".into(),
        retain_bytes: None,
        label: Some("log".into()),
        spool_bytes: Some(1 << 26),
    };
    let script = format!("seq 1 1000000 | head -c {BYTES}; printf end >&2");
    let request = Exec { background: Some(background), ..sh(&script) };
    sandbox.request(RequestBody::Exec(Box::new(request))).expect_started();
    let state = wait_for_end(&sandbox, "a");
    assert_eq!((state.oldest_offset, state.end_offset), (0, BYTES as u64 + 3));
    assert_eq!(state.label, Some("log".into()));
    let (mut client, _) = attach(&sandbox, "a", 0);
    let output = client.finish();
    let want: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    assert!(output.stdout == want[..BYTES], "every byte in its place");
    assert_eq!(output.stderr, "end");
}

#[test]
fn a_gentle_removal_asks_first_and_kills_what_does_not_end() {
    let sandbox = Sandbox::start();
    let path = sandbox.path("asked");
    let gentle = |grace_ms, script: &str| {
        let exec = Exec { kill_grace_ms: Some(grace_ms), ..sh(script) };
        let pid = start(&sandbox, "a", exec);
        let (mut client, _) = attach(&sandbox, "a", 0);
        client.read_until("ready\n");
        sandbox.done(RequestBody::RemoveExec(RemoveExec { id: "a".into(), gently: Some(true) }));
        (pid, client.finish().exited.status)
    };
    let polite = format!("trap 'echo asked > {path}; exit 4' TERM; echo ready; while :; do sleep 0.05; done");
    assert_eq!(gentle(20_000, &polite).1, ExitStatus::Code(4));
    assert_eq!(std::fs::read_to_string(&path).expect("it was asked"), "asked\n");
    let deaf = "trap '' TERM; sleep 1000 & echo ready; while :; do sleep 0.05; done";
    let (pid, status) = gentle(50, deaf);
    assert_eq!(status, ExitStatus::Signal(9));
    sandbox.wait_until_gone(pid);
    assert!(list(&sandbox).is_empty());
}

#[test]
fn a_slow_reader_is_told_of_a_gap_and_never_stops_the_program() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", sh("head -c 20000000 /dev/zero"));
    let (mut client, mut offset) = attach(&sandbox, "a", 0);
    wait_for_end(&sandbox, "a");
    let mut skipped = false;
    loop {
        match client.expect() {
            Event::Stdout(bytes) => offset += bytes.len() as u64,
            Event::Skipped(to) => {
                assert!(to > offset);
                (offset, skipped) = (to, true);
            }
            Event::Exited(_) => break,
            other => panic!("{other:?} in a stream"),
        }
    }
    assert_eq!(offset, 20_000_000);
    assert!(skipped);
}

#[test]
fn input_goes_in_through_an_attached_connection() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", Exec { stdin: true, ..exec(&["wc", "-c"]) });
    let (mut client, _) = attach(&sandbox, "a", 0);
    for _ in 0..20 {
        client.send(&HostMessage::Stdin(&[b'x'; 60_000]));
    }
    client.send(&HostMessage::StdinEnd);
    assert_eq!(client.finish().stdout.trim(), "1200000");
}

#[test]
fn detaching_does_nothing_to_the_program_and_removing_kills_its_group() {
    let sandbox = Sandbox::start();
    let pid = start(&sandbox, "a", sh("trap '' TERM HUP; sleep 1000 & echo $!; wait"));
    let (mut client, _) = attach(&sandbox, "a", 0);
    let child = client.read_until("\n").trim().parse().expect("the child's pid");
    drop(client);
    let states = list(&sandbox);
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].pid, &states[0].exited), (pid, &None));
    assert_eq!(states[0].argv[..2], ["sh".into(), "-c".into()]);
    sandbox.done(RequestBody::RemoveExec(RemoveExec { id: "a".into(), gently: None }));
    sandbox.wait_until_gone(pid);
    sandbox.wait_until_gone(child);
    assert_eq!(list(&sandbox), []);
}

#[test]
fn an_attached_reader_hears_of_the_end_when_the_exec_is_removed() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", exec(&["sleep", "1000"]));
    let (mut client, _) = attach(&sandbox, "a", 0);
    sandbox.done(RequestBody::RemoveExec(RemoveExec { id: "a".into(), gently: None }));
    assert_eq!(client.finish().exited.status, ExitStatus::Signal(9));
}

#[test]
fn signals_and_timeouts_work_without_a_reader() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", exec(&["sleep", "1000"]));
    sandbox.done(RequestBody::SignalExec(SignalExec { id: "a".into(), signal: 2 }));
    let state = wait_for_end(&sandbox, "a");
    assert_eq!(state.exited.map(|exited| exited.status), Some(ExitStatus::Signal(2)));
    let failure = sandbox.refused(RequestBody::SignalExec(SignalExec { id: "a".into(), signal: 2 }));
    assert_eq!(failure.kind, ErrorKind::ExecEnded);
    start(&sandbox, "b", Exec { timeout_ms: Some(50), ..exec(&["sleep", "1000"]) });
    assert!(wait_for_end(&sandbox, "b").exited.is_some_and(|exited| exited.timed_out));
}

#[test]
fn ids_are_unique_bounded_and_known() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", exec(&["sleep", "1000"]));
    let kind = |body| sandbox.refused(body).kind;
    assert_eq!(kind(background("a", exec(&["true"]))), ErrorKind::ExecExists);
    assert_eq!(kind(background("", exec(&["true"]))), ErrorKind::BadRequest);
    assert_eq!(kind(background(&"x".repeat(65), exec(&["true"]))), ErrorKind::BadRequest);
    assert_eq!(kind(RequestBody::Attach(Attach { id: "b".into(), offset: 0 })), ErrorKind::UnknownExec);
    assert_eq!(
        kind(RequestBody::RemoveExec(RemoveExec { id: "b".into(), gently: None })),
        ErrorKind::UnknownExec
    );
    assert_eq!(
        kind(RequestBody::SignalExec(SignalExec { id: "b".into(), signal: 9 })),
        ErrorKind::UnknownExec
    );
    assert_eq!(
        kind(RequestBody::SignalExec(SignalExec { id: "a".into(), signal: 0 })),
        ErrorKind::BadRequest
    );
}

#[test]
fn an_ended_exec_makes_room_and_running_ones_do_not() {
    let sandbox = Sandbox::start();
    for index in 0..64 {
        start(&sandbox, &format!("{index:03}"), exec(&["sleep", "1000"]));
    }
    assert_eq!(sandbox.refused(background("one more", exec(&["true"]))).kind, ErrorKind::TooManyExecs);
    sandbox.done(RequestBody::SignalExec(SignalExec { id: "007".into(), signal: 9 }));
    wait_for_end(&sandbox, "007");
    start(&sandbox, "one more", exec(&["true"]));
    let ids: Vec<_> = list(&sandbox).into_iter().map(|state| state.id).collect();
    assert_eq!(ids.len(), 64);
    assert!(!ids.contains(&"007".into()) && ids.contains(&"one more".into()));
}

#[test]
fn a_program_that_prints_for_ever_costs_bounded_memory() {
    let sandbox = Sandbox::start();
    start(&sandbox, "a", exec(&["yes"]));
    until("it to have printed 100 MB", || {
        list(&sandbox).first().is_some_and(|state| state.end_offset > 100_000_000).then_some(())
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.guest_pid())).expect("a process");
    let rss = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("its memory");
    let kib: u64 = rss.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 4096, "{kib} KiB");
}
