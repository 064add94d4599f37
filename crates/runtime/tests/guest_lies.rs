//! The client against guests that break the protocol: every lie ends in an error, soon and in bounded memory.

mod support;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use lazaret_core::ports::Guest as _;
use lazaret_core::{
    Body, Error, ExecSpec, FilePath, FileScope, Links, ReadRange, SandboxId, TreeQuery, WriteOptions,
};
use lazaret_protocol::guest_message::{Hello, ListEnd};
use lazaret_protocol::{Entry, ExecState, FileKind, GuestMessage, Match, Metadata, Started};
use lazaret_runtime::GuestClient;
use support::PATIENCE;
use support::socket::Socket;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// How long the clients of these tests wait for a guest.
const SHORT: Duration = Duration::from_millis(200);

const SANDBOX: SandboxId = SandboxId::from_bytes([1; 16]);

/// A guest that reads a request and answers the same bytes whatever it says.
struct Liar {
    _directory: tempfile::TempDir,
    client: GuestClient,
}

/// What it does after its answer.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Wait,
}

impl Liar {
    fn new(answer: Vec<u8>, then: Then) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("guest.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(&answer).await;
                    if let Then::Wait = then {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        let client = GuestClient::new(Arc::new(Socket(socket))).with_patience(SHORT);
        Self { _directory: directory, client }
    }

    fn saying(messages: &[GuestMessage<'_>], then: Then) -> Self {
        let mut answer = Vec::new();
        for message in messages {
            message.encode(&mut answer).unwrap();
        }
        Self::new(answer, then)
    }
}

fn metadata() -> Metadata {
    Metadata {
        kind: FileKind::File,
        size: u64::MAX,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime_s: i64::MIN,
        mtime_ns: u32::MAX,
        inode: 0,
        link_target: None,
    }
}

fn path() -> FilePath {
    FilePath::new("/data").unwrap()
}

/// What each operation makes of a guest.
async fn outcomes(client: &GuestClient) -> Vec<(&'static str, Result<(), Error>)> {
    let scope = FileScope::default();
    let body = || -> Body { stream::repeat_with(|| Ok(vec![0; 65_536].into())).take(4).boxed() };
    let spec = ExecSpec { command: vec!["true".to_owned()], ..ExecSpec::default() };
    let read = async {
        let (_, mut body) = client.read(SANDBOX, &scope, &path(), ReadRange::default()).await?;
        while let Some(chunk) = body.next().await {
            chunk?;
        }
        Ok(())
    };
    let all = async {
        vec![
            ("exec", client.exec(SANDBOX, &spec).await.map(drop)),
            ("list_execs", client.list_execs(SANDBOX).await.map(drop)),
            ("stat", client.stat(SANDBOX, &scope, &path(), Links::Kept).await.map(drop)),
            ("list", client.list(SANDBOX, &scope, &path(), 10).await.map(drop)),
            ("tree", client.tree(SANDBOX, &scope, &path(), &TreeQuery::default(), 10).await.map(drop)),
            ("find_text", client.find_text(SANDBOX, &scope, &path(), b"x", 10).await.map(drop)),
            ("replace_text", client.replace_text(SANDBOX, &scope, &path(), b"x", b"y").await.map(drop)),
            ("read", read.await),
            (
                "write",
                client.write(SANDBOX, &scope, &path(), &WriteOptions::default(), body()).await.map(drop),
            ),
            ("remove", client.remove(SANDBOX, &scope, &path(), true).await),
        ]
    };
    tokio::time::timeout(PATIENCE, all).await.expect("every operation ends")
}

async fn assert_all_unavailable(liar: Liar) {
    for (operation, outcome) in outcomes(&liar.client).await {
        assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{operation}: {outcome:?}");
    }
}

#[tokio::test]
async fn silence_ends() {
    assert_all_unavailable(Liar::new(Vec::new(), Then::Wait)).await;
}

#[tokio::test]
async fn a_closed_connection_is_no_answer() {
    assert_all_unavailable(Liar::new(Vec::new(), Then::Close)).await;
}

#[tokio::test]
async fn half_a_frame_is_no_answer() {
    assert_all_unavailable(Liar::new(b"\x05\0\0\0\x84\xa1".to_vec(), Then::Wait)).await;
    assert_all_unavailable(Liar::new(b"\x05\0\0\0\x84\xa1".to_vec(), Then::Close)).await;
}

#[tokio::test]
async fn frames_that_are_too_long_or_unknown_or_no_messages_are_refused() {
    for answer in [
        b"\xff\xff\xff\xff\x84".as_slice(),
        b"\x01\0\x01\0\x85",
        b"\0\0\0\0\xff",
        b"\0\0\0\0\x01",
        b"\x02\0\0\0\x84\xff\xff",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ] {
        assert_all_unavailable(Liar::new(answer.to_vec(), Then::Wait)).await;
    }
}

#[tokio::test]
async fn a_message_out_of_place_is_refused() {
    assert_all_unavailable(Liar::saying(
        &[GuestMessage::Hello(Hello { version: 1, oldest_host: 1 })],
        Then::Wait,
    ))
    .await;
    assert_all_unavailable(Liar::saying(&[GuestMessage::Data(b"x")], Then::Wait)).await;
}

#[tokio::test]
async fn more_of_a_file_than_was_asked_for_is_refused() {
    let liar = Liar::saying(&[GuestMessage::Metadata(metadata()), GuestMessage::Data(b"12345")], Then::Wait);
    let range = ReadRange { offset: 0, length: Some(4) };
    let (_, mut body) = liar.client.read(SANDBOX, &FileScope::default(), &path(), range).await.unwrap();
    let got = body.next().await;
    assert!(matches!(got, Some(Err(Error::Unavailable { .. }))), "{got:?}");
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_download_that_stops_in_the_middle_is_an_error() {
    for then in [Then::Close, Then::Wait] {
        let liar = Liar::saying(&[GuestMessage::Metadata(metadata()), GuestMessage::Data(b"12345")], then);
        let range = ReadRange::default();
        let (_, mut body) = liar.client.read(SANDBOX, &FileScope::default(), &path(), range).await.unwrap();
        assert_eq!(body.next().await.unwrap().unwrap(), b"12345".as_slice());
        assert!(matches!(body.next().await, Some(Err(Error::Unavailable { .. }))));
    }
}

#[tokio::test]
async fn listings_with_impossible_names_or_too_many_are_refused() {
    let entry = |path: &[u8]| Entry { path: path.into(), metadata: metadata() };
    let end = GuestMessage::ListEnd(ListEnd { truncated: false });
    for name in [b"".as_slice(), b".", b"..", b"a/b", b"/etc/passwd", b"a\0b"] {
        let liar = Liar::saying(&[GuestMessage::Entries(vec![entry(name)]), end.clone()], Then::Close);
        let got = liar.client.list(SANDBOX, &FileScope::default(), &path(), 10).await;
        assert!(matches!(got, Err(Error::Unavailable { .. })), "{name:?}: {got:?}");
    }
    for name in [b"../x".as_slice(), b"a/../b", b"/x", b"a//b", b"a/"] {
        let liar = Liar::saying(&[GuestMessage::Entries(vec![entry(name)]), end.clone()], Then::Close);
        let got = liar.client.walk(SANDBOX, &FileScope::default(), &path(), 10).await;
        assert!(matches!(got, Err(Error::Unavailable { .. })), "{name:?}: {got:?}");
    }
    let liar = Liar::saying(&[GuestMessage::Entries(vec![entry(b"a"), entry(b"b")]), end], Then::Close);
    let got = liar.client.list(SANDBOX, &FileScope::default(), &path(), 1).await;
    assert!(matches!(got, Err(Error::Unavailable { .. })), "{got:?}");
}

#[tokio::test]
async fn matches_in_impossible_files_or_too_many_are_refused() {
    let found = |path: &[u8]| Match { path: path.into(), line: 1, text: "x".into() };
    let end = GuestMessage::ListEnd(ListEnd { truncated: false });
    for name in [b"../x".as_slice(), b"/etc/passwd", b"a//b", b"a\0b"] {
        let liar = Liar::saying(&[GuestMessage::Matches(vec![found(name)]), end.clone()], Then::Close);
        let got = liar.client.find_text(SANDBOX, &FileScope::default(), &path(), b"x", 10).await;
        assert!(matches!(got, Err(Error::Unavailable { .. })), "{name:?}: {got:?}");
    }
    let liar = Liar::saying(&[GuestMessage::Matches(vec![found(b"a"), found(b"b")]), end], Then::Close);
    let got = liar.client.find_text(SANDBOX, &FileScope::default(), &path(), b"x", 1).await;
    assert!(matches!(got, Err(Error::Unavailable { .. })), "{got:?}");
}

#[tokio::test]
async fn a_listing_of_very_long_paths_is_cut() {
    let long = vec![b'x'; 4000];
    let frame = GuestMessage::Entries(vec![Entry { path: long.into(), metadata: metadata() }; 15]);
    let mut messages = vec![frame; 700];
    messages.push(GuestMessage::ListEnd(ListEnd { truncated: false }));
    let liar = Liar::saying(&messages, Then::Close);
    let listing = liar.client.list(SANDBOX, &FileScope::default(), &path(), 1_000_000).await.unwrap();
    assert!(listing.truncated);
    assert!(listing.entries.len() < 15 * 700);
}

#[tokio::test]
async fn background_execs_with_strange_ids_or_without_end_are_refused() {
    let state = |id: &[u8]| {
        GuestMessage::ExecState(ExecState {
            id: id.into(),
            pid: 1,
            oldest_offset: u64::MAX,
            end_offset: 0,
            exited: None,
            argv: vec![],
            label: None,
        })
    };
    for messages in [vec![state(b"short"), GuestMessage::Done], vec![state(&[1; 16]); 2000]] {
        let liar = Liar::saying(&messages, Then::Close);
        let got = liar.client.list_execs(SANDBOX).await;
        assert!(matches!(got, Err(Error::Unavailable { .. })), "{got:?}");
    }
}

#[tokio::test]
async fn a_session_that_breaks_the_protocol_ends_with_an_error_and_one_that_closes_just_ends() {
    let spec = ExecSpec { command: vec!["true".to_owned()], ..ExecSpec::default() };
    let started = GuestMessage::Started(Started { pid: 1 });
    let liar = Liar::saying(&[started.clone(), GuestMessage::Done], Then::Wait);
    let mut session = liar.client.exec(SANDBOX, &spec).await.unwrap();
    assert!(matches!(session.events.recv().await, Some(Err(Error::Unavailable { .. }))));
    assert!(session.events.recv().await.is_none());
    let liar = Liar::saying(&[started], Then::Close);
    let mut session = liar.client.exec(SANDBOX, &spec).await.unwrap();
    assert!(session.events.recv().await.is_none());
}
