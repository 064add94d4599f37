//! The messages of the git program: their released bytes, and what hostile bytes do to their reader.
//!
//! `golden/git_v1.txt` has one line per message, as `golden/v1.txt` has for the guest's. A released line is never changed.

use std::fmt::Write as _;

use lazaret_protocol::git::*;
use lazaret_protocol::{Decoder, Exec, HostKind, HostMessage, RequestBody, RunProgram, program};
use proptest::prelude::*;

const GOLDEN: &str = include_str!("golden/git_v1.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string");
        out
    })
}

fn requests() -> Vec<(&'static str, Request)> {
    let path = || "/r".to_owned();
    let some = |text: &str| Some(text.to_owned());
    let clone = Clone { url: "u".into(), path: path(), branch: some("b"), commit: some("c"), depth: Some(1) };
    let credentials = Some(Credentials { username: "n".into(), password: "p".into() });
    let operations = [
        ("init", Operation::Init(Init { path: path(), bare: true, initial_branch: some("m") })),
        ("status", Operation::Status(path())),
        ("branches", Operation::Branches(path())),
        (
            "create_branch",
            Operation::CreateBranch(CreateBranch { path: path(), name: "b".into(), switch: true }),
        ),
        ("delete_branch", Operation::DeleteBranch(DeleteBranch { path: path(), name: "b".into() })),
        ("checkout", Operation::Checkout(Checkout { path: path(), target: "b".into() })),
        ("add", Operation::Add(Add { path: path(), files: vec![".".into()] })),
        (
            "commit",
            Operation::Commit(CommitStaged {
                path: path(),
                message: "m".into(),
                author: "a".into(),
                email: "e".into(),
                allow_empty: true,
            }),
        ),
        (
            "push",
            Operation::Push(Push { path: path(), remote: some("o"), branch: some("b"), set_upstream: true }),
        ),
        ("pull", Operation::Pull(Pull { path: path(), remote: some("o"), branch: None })),
        ("log", Operation::Log(Log { path: path(), limit: 5 })),
        ("remotes", Operation::Remotes(path())),
        (
            "add_remote",
            Operation::AddRemote(AddRemote {
                path: path(),
                name: "o".into(),
                url: "u".into(),
                overwrite: true,
                fetch: true,
            }),
        ),
        (
            "reset",
            Operation::Reset(Reset { path: path(), mode: ResetMode::Keep, target: some("t"), files: vec![] }),
        ),
        (
            "restore",
            Operation::Restore(Restore {
                path: path(),
                files: vec!["a".into()],
                staged: true,
                worktree: false,
                source: some("s"),
            }),
        ),
        (
            "get_config",
            Operation::GetConfig(GetConfig { scope: ConfigScope::Local, path: some("/r"), key: "k".into() }),
        ),
        (
            "set_config",
            Operation::SetConfig(SetConfig {
                scope: ConfigScope::System,
                path: None,
                entries: vec![("k".into(), "v".into())],
            }),
        ),
    ];
    let clone =
        Request { credentials, insecure_skip_tls: true, ..Request::new(Operation::Clone(Box::new(clone))) };
    let others = operations.into_iter().map(|(name, operation)| (name, Request::new(operation)));
    std::iter::once(("clone", clone)).chain(others).collect()
}

fn answers() -> Vec<(&'static str, Answer)> {
    let file = FileStatus {
        path: "b".into(),
        old_path: Some("a".into()),
        staged: Change::Renamed,
        worktree: Change::Unmodified,
    };
    let status = Status {
        branch: Some("m".into()),
        ahead: 1,
        published: true,
        files: vec![file],
        ..Status::default()
    };
    let commit =
        Commit { hash: "h".into(), author: "a".into(), email: "e".into(), message: "m".into(), time_s: -1 };
    vec![
        ("done", Answer::Done),
        ("failed", Answer::Failed(Failed { problem: Problem::NoSpace, detail: "full".into() })),
        ("status", Answer::Status(status)),
        ("branches", Answer::Branches(Branches { names: vec!["m".into()], current: None })),
        ("committed", Answer::Committed("h".into())),
        ("history", Answer::History(History { commits: vec![commit], truncated: true })),
        ("remotes", Answer::Remotes(Remotes { remotes: vec![Remote { name: "o".into(), url: "u".into() }] })),
        ("value", Answer::Value(Some("v".into()))),
    ]
}

#[test]
fn the_bytes_of_version_1_are_still_written_and_read() {
    let mut actual = String::new();
    for (name, request) in requests() {
        let bytes = encode(&request, REQUEST_MAX).expect("a request");
        assert_eq!(decode::<Request>(&bytes), Ok(request), "{name}");
        writeln!(actual, "request.{name} {}", hex(&bytes)).expect("writing to a string");
    }
    for (name, answer) in answers() {
        let bytes = encode(&answer, ANSWER_MAX).expect("an answer");
        assert_eq!(decode::<Answer>(&bytes), Ok(answer), "{name}");
        writeln!(actual, "answer.{name} {}", hex(&bytes)).expect("writing to a string");
    }
    let exec = Exec { argv: vec!["lazaret-git".into()], stdin: true, ..Exec::default() };
    let run = RequestBody::RunProgram(Box::new(RunProgram { name: program::GIT.into(), exec }));
    assert_eq!(run.needs(), 2);
    let message = HostMessage::Request(lazaret_protocol::Request { version: 2, needs: 2, body: Some(run) });
    let mut bytes = Vec::new();
    message.encode(&mut bytes).expect("fits");
    let mut input = bytes.as_slice();
    let mut decoder = Decoder::<HostKind>::new();
    let frame = decoder.next(&mut input).expect("valid").expect("whole");
    assert_eq!(HostMessage::decode(frame), Ok(message));
    writeln!(actual, "guest.run_program {}", hex(&bytes)).expect("writing to a string");
    assert_eq!(actual, GOLDEN, "\n{actual}");
}

#[test]
fn a_newer_programs_problem_and_a_newer_hosts_operation_are_not_mistaken_for_another() {
    // [1, [{0: 9999, 1: "x"}]]
    assert_eq!(
        decode::<Answer>(b"\x82\x01\x81\xa2\x00\x19\x27\x0f\x01\x61x"),
        Ok(Answer::Failed(Failed { problem: Problem::Other, detail: "x".into() }))
    );
    // {0: 2, 1: 2, 2: [500, []]}
    let request = decode::<Request>(b"\xa3\x00\x02\x01\x02\x02\x82\x19\x01\xf4\x80").expect("a request");
    assert_eq!((request.needs, request.operation), (2, None));
}

#[test]
fn bytes_after_a_message_and_messages_past_their_limit_are_refused() {
    let mut bytes = encode(&Answer::Done, ANSWER_MAX).expect("an answer");
    bytes.push(0);
    assert_eq!(decode::<Answer>(&bytes), Err(Malformed));
    let long = Answer::Committed("x".repeat(100));
    assert_eq!(encode(&long, 50), Err(Malformed));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused_and_never_more(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(answer) = decode::<Answer>(&bytes) {
            prop_assert!(encode(&answer, ANSWER_MAX).is_ok_and(|_| true));
        }
        let _ = decode::<Request>(&bytes);
    }
}
