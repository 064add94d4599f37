//! The bytes of every released message, so that old guests and new hosts keep understanding each other.
//!
//! `golden/v1.txt` has one line per message: a name and its bytes in hexadecimal. A released line is never
//! changed; a new version of the protocol gets a file of its own, and the older files are still read.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lazaret_protocol::guest_message::{Hello, Link, ListEnd, Replaced, Skipped, Written};
use lazaret_protocol::host_message::{Resize, Signal};
use lazaret_protocol::*;

const V1: &str = include_str!("golden/v1.txt");
const V2: &str = include_str!("golden/v2.txt");
const V3: &str = include_str!("golden/v3.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string");
        out
    })
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "whole bytes");
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn golden(text: &str) -> BTreeMap<&str, &str> {
    text.lines().map(|line| line.split_once(' ').expect("a name and bytes")).collect()
}

fn target() -> Target {
    Target { path: "out.csv".into(), beneath: Some("/mnt/data".into()), user: Some("1000:100".into()) }
}

fn request(body: RequestBody) -> HostMessage<'static> {
    // Spelt out, because `Request::new` would follow the current version.
    HostMessage::Request(Request { version: 1, needs: 1, body: Some(body) })
}

fn host_messages() -> Vec<(&'static str, HostMessage<'static>)> {
    let id = || ByteString::from("exec-1");
    let exec = Exec {
        argv: vec!["sh".into(), "-c".into(), vec![0xff, 0xfe].into()],
        env: vec!["A=1".into()],
        cwd: Some("/tmp".into()),
        user: Some("nobody".into()),
        tty: Some(Tty { rows: 24, columns: 80, term: Some("xterm".into()) }),
        stdin: true,
        timeout_ms: Some(30_000),
        kill_grace_ms: Some(500),
        output_limit_bytes: Some(1 << 20),
        background: Some(Background { id: id(), retain_bytes: Some(65_536), label: None, spool_bytes: None }),
        stderr: None,
    };
    let least = Exec { argv: vec!["true".into()], ..Exec::default() };
    vec![
        ("request.hello", request(RequestBody::Hello)),
        ("request.exec", request(RequestBody::Exec(Box::new(exec)))),
        ("request.exec_least", request(RequestBody::Exec(Box::new(least)))),
        ("request.attach", request(RequestBody::Attach(Attach { id: id(), offset: 70_000 }))),
        ("request.list_execs", request(RequestBody::ListExecs)),
        ("request.signal_exec", request(RequestBody::SignalExec(SignalExec { id: id(), signal: 15 }))),
        ("request.remove_exec", request(RequestBody::RemoveExec(RemoveExec { id: id(), gently: None }))),
        ("request.stat", request(RequestBody::Stat(Stat { target: target(), follow: true }))),
        ("request.list", request(RequestBody::List(List { target: target(), limit: 1000 }))),
        ("request.walk", request(RequestBody::Walk(Walk { target: target(), limit: 1000, selection: None }))),
        ("request.read", request(RequestBody::Read(Read { target: target(), offset: 5, len: Some(9) }))),
        (
            "request.write",
            request(RequestBody::Write(Write {
                target: target(),
                disposition: Disposition::CreateNew,
                mode: Some(0o600),
                parents: true,
            })),
        ),
        (
            "request.mkdir",
            request(RequestBody::Mkdir(Mkdir { target: target(), mode: Some(0o700), parents: true })),
        ),
        (
            "request.rename",
            request(RequestBody::Rename(Rename { target: target(), to: "b".into(), replace: true })),
        ),
        ("request.remove", request(RequestBody::Remove(Remove { target: target(), recursive: true }))),
        ("request.chmod", request(RequestBody::Chmod(Chmod { target: target(), mode: 0o4755 }))),
        (
            "request.chown",
            request(RequestBody::Chown(Chown { target: target(), owner: "daemon:sys".into(), only: None })),
        ),
        (
            "request.symlink",
            request(RequestBody::Symlink(Symlink { target: target(), points_to: "../x".into() })),
        ),
        ("request.readlink", request(RequestBody::Readlink(Readlink { target: Target::absolute("/bin") }))),
        ("stdin", HostMessage::Stdin(b"input")),
        ("stdin_end", HostMessage::StdinEnd),
        ("signal", HostMessage::Signal(Signal { number: 9 })),
        ("resize", HostMessage::Resize(Resize { rows: 50, columns: 132 })),
        ("host_data", HostMessage::Data(b"upload")),
        ("commit", HostMessage::Commit),
    ]
}

fn guest_messages() -> Vec<(&'static str, GuestMessage<'static>)> {
    let exited =
        Exited { status: ExitStatus::Signal(9), timed_out: true, truncated: true, duration_us: 1_234_567 };
    let coded = Exited { status: ExitStatus::Code(3), timed_out: false, truncated: false, duration_us: 900 };
    let metadata = Metadata {
        kind: FileKind::File,
        size: 5_000_000_000,
        mode: 0o644,
        uid: 1000,
        gid: 100,
        mtime_s: -1,
        mtime_ns: 999_999_999,
        inode: 77,
        link_target: None,
    };
    let directory = Metadata { kind: FileKind::Directory, ..metadata.clone() };
    let link = Metadata { kind: FileKind::Symlink, link_target: Some("a".into()), ..metadata.clone() };
    vec![
        (
            "failure",
            GuestMessage::Failure(
                Failure::new(ErrorKind::NotFound, "no such file").with_errno(2).with_path("/x"),
            ),
        ),
        ("done", GuestMessage::Done),
        ("hello", GuestMessage::Hello(Hello { version: 1, oldest_host: 1 })),
        ("started", GuestMessage::Started(Started { pid: 42 })),
        ("stdout", GuestMessage::Stdout(b"out")),
        ("stderr", GuestMessage::Stderr(b"err")),
        ("exited_signal", GuestMessage::Exited(exited.clone())),
        ("exited_code", GuestMessage::Exited(coded)),
        ("attached", GuestMessage::Attached(Attached { offset: 12, pid: 42 })),
        ("skipped", GuestMessage::Skipped(Skipped { offset: 9_999 })),
        (
            "exec_state",
            GuestMessage::ExecState(ExecState {
                id: "exec-1".into(),
                pid: 42,
                oldest_offset: 10,
                end_offset: 20,
                exited: Some(exited),
                argv: vec!["sleep".into(), "9".into()],
                label: None,
            }),
        ),
        ("metadata", GuestMessage::Metadata(metadata.clone())),
        (
            "entries",
            GuestMessage::Entries(vec![
                Entry { path: "a".into(), metadata: metadata.clone() },
                Entry { path: vec![0xff].into(), metadata: directory },
                Entry { path: "l".into(), metadata: link },
            ]),
        ),
        ("list_end", GuestMessage::ListEnd(ListEnd { truncated: true })),
        ("guest_data", GuestMessage::Data(b"download")),
        ("written", GuestMessage::Written(Written { bytes: 6, metadata })),
        ("link", GuestMessage::Link(Link { points_to: "usr/bin".into() })),
    ]
}

fn host_messages_of_version_2() -> Vec<(&'static str, HostMessage<'static>)> {
    let request = Request { version: 2, needs: 2, body: Some(RequestBody::Dial(Dial { port: 8080 })) };
    vec![("request.dial", HostMessage::Request(request))]
}

fn guest_messages_of_version_2() -> Vec<(&'static str, GuestMessage<'static>)> {
    let refused = Failure::new(ErrorKind::ConnectionRefused, "cannot connect to port 8080").with_errno(111);
    vec![("connected", GuestMessage::Connected), ("failure.refused", GuestMessage::Failure(refused))]
}

fn host_messages_of_version_3() -> Vec<(&'static str, HostMessage<'static>)> {
    let request = |body| HostMessage::Request(Request { version: 3, needs: 3, body: Some(body) });
    let selection = Selection { depth: Some(2), name: Some("*.rs".into()), follow: true };
    let walk = Walk { target: Target::absolute("/srv"), limit: 10, selection: Some(selection) };
    let group =
        Chown { target: Target::absolute("/srv/a"), owner: "users".to_owned(), only: Some(OwnerPart::Group) };
    let find = Find { target: Target::absolute("/srv"), text: "fn main".into(), limit: 10 };
    let replace =
        ReplaceText { target: Target::absolute("/srv/a"), text: "old".into(), with: vec![0xff].into() };
    let moved = Rename { target: Target::absolute("/srv/a"), to: "/tmp/a".into(), replace: false };
    let background = Background {
        id: "exec-1".into(),
        retain_bytes: None,
        label: Some("session\nbuild".into()),
        spool_bytes: Some(1 << 28),
    };
    let exec = Exec {
        argv: vec!["sh".into()],
        background: Some(background),
        stderr: Some(Stderr::WithStdout),
        ..Exec::default()
    };
    let remove = RemoveExec { id: "exec-1".into(), gently: Some(true) };
    vec![
        ("request.walk_selection", request(RequestBody::Walk(walk))),
        ("request.chown_group", request(RequestBody::Chown(group))),
        ("request.find", request(RequestBody::Find(find))),
        ("request.replace_text", request(RequestBody::ReplaceText(replace))),
        ("request.move", request(RequestBody::Move(moved))),
        ("request.exec_spooled", request(RequestBody::Exec(Box::new(exec)))),
        ("request.remove_exec_gently", request(RequestBody::RemoveExec(remove))),
    ]
}

fn guest_messages_of_version_3() -> Vec<(&'static str, GuestMessage<'static>)> {
    let found = Match { path: "a/b.rs".into(), line: 7, text: vec![b'x', 0xff].into() };
    let state = ExecState {
        id: "exec-1".into(),
        pid: 42,
        oldest_offset: 10,
        end_offset: 20,
        exited: None,
        argv: vec!["sh".into()],
        label: Some("session\nbuild".into()),
    };
    vec![
        ("matches", GuestMessage::Matches(vec![found])),
        ("replaced", GuestMessage::Replaced(Replaced { count: 3 })),
        ("failure.pattern", GuestMessage::Failure(Failure::new(ErrorKind::BadPattern, "the glob is empty"))),
        ("exec_state.labelled", GuestMessage::ExecState(state)),
    ]
}

#[test]
fn the_bytes_of_version_3_are_still_written_and_read() {
    check(V3, host_messages_of_version_3(), guest_messages_of_version_3());
}

#[test]
fn an_exec_needs_version_3_only_for_what_is_new_in_it() {
    let background = |label, spool_bytes| {
        let background = Background { id: "a".into(), retain_bytes: None, label, spool_bytes };
        Exec { background: Some(background), ..Exec::default() }
    };
    for (exec, want) in [
        (Exec::default(), 1),
        (background(None, None), 1),
        (background(Some("x".into()), None), 3),
        (background(None, Some(1)), 3),
        (Exec { stderr: Some(Stderr::WithStdout), ..Exec::default() }, 3),
    ] {
        assert_eq!(RequestBody::Exec(Box::new(exec.clone())).needs(), want, "{exec:?}");
    }
}

#[test]
fn the_bytes_of_version_1_are_still_written_and_read() {
    check(V1, host_messages(), guest_messages());
}

#[test]
fn the_bytes_of_version_2_are_still_written_and_read() {
    check(V2, host_messages_of_version_2(), guest_messages_of_version_2());
}

fn check(
    text: &str,
    host_messages: Vec<(&'static str, HostMessage<'static>)>,
    guest_messages: Vec<(&'static str, GuestMessage<'static>)>,
) {
    let golden = golden(text);
    let mut actual = String::new();
    let mut names = 0;
    for (name, message) in host_messages {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("fits");
        writeln!(actual, "{name} {}", hex(&bytes)).expect("writing to a string");
        if let Some(old) = golden.get(name) {
            let old = unhex(old);
            let mut input = old.as_slice();
            let mut decoder = Decoder::<HostKind>::new();
            let frame = decoder.next(&mut input).expect("valid").expect("whole");
            assert_eq!(HostMessage::decode(frame), Ok(message), "{name}");
        }
        names += 1;
    }
    for (name, message) in guest_messages {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).expect("fits");
        writeln!(actual, "{name} {}", hex(&bytes)).expect("writing to a string");
        if let Some(old) = golden.get(name) {
            let old = unhex(old);
            let mut input = old.as_slice();
            let mut decoder = Decoder::<GuestKind>::new();
            let frame = decoder.next(&mut input).expect("valid").expect("whole");
            assert_eq!(GuestMessage::decode(frame), Ok(message), "{name}");
        }
        names += 1;
    }
    assert_eq!(actual, text);
    assert_eq!(names, golden.len(), "names are unique");
}

#[test]
fn fields_of_a_later_version_are_skipped() {
    // {0: 42, 99: "later"} as a Started frame.
    let bytes = unhex("0c00000084a200182a1863656c61746572");
    let mut input = bytes.as_slice();
    let mut decoder = Decoder::<GuestKind>::new();
    let frame = decoder.next(&mut input).expect("valid").expect("whole");
    assert_eq!(GuestMessage::decode(frame), Ok(GuestMessage::Started(Started { pid: 42 })));
}

#[test]
fn a_request_of_a_later_version_reads_as_one_without_a_body() {
    // {0: 7, 1: 7, 2: [500, []]}
    let bytes = unhex("0b00000001a30007010702821901f480");
    let mut input = bytes.as_slice();
    let mut decoder = Decoder::<HostKind>::new();
    let frame = decoder.next(&mut input).expect("valid").expect("whole");
    let want = HostMessage::Request(Request { version: 7, needs: 7, body: None });
    assert_eq!(HostMessage::decode(frame), Ok(want));
}

#[test]
fn bytes_after_the_value_are_refused() {
    let bytes = unhex("0500000084a100182a00");
    let mut input = bytes.as_slice();
    let mut decoder = Decoder::<GuestKind>::new();
    let frame = decoder.next(&mut input).expect("valid").expect("whole");
    assert_eq!(GuestMessage::decode(frame), Err(FrameError::Malformed { kind: 0x84 }));
}
