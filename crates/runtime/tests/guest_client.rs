//! The `Guest` port against the real guest in a real sandbox.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use lazaret_core::ports::Guest as _;
use lazaret_core::{
    Body, Error, ExecEvent, ExecExit, ExecId, ExecInput, ExecOutput, ExecProblem, ExecSession, ExecSpec,
    Existing, FileKind, FilePath, FileProblem, FileScope, Keep, Links, Owner, ReadRange, Removal, Resources,
    SandboxId, Stdin, TreeQuery, Tty, WriteOptions, body_from_bytes,
};
use lazaret_runtime::GuestClient;
use support::socket::Socket;
use support::{Host, PATIENCE};

/// A running sandbox and a client of its guest.
struct Ready {
    host: Host,
    id: SandboxId,
    guest: GuestClient,
}

impl Ready {
    async fn new() -> Self {
        Self::with(Resources::default()).await
    }

    async fn with(resources: Resources) -> Self {
        let host = Host::new();
        let mut spec = host.spec();
        spec.resources = Resources { disk_bytes: spec.resources.disk_bytes, ..resources };
        let id = host.start(spec).await.id;
        let socket = Socket(host.directory_of(id).join("guest.sock"));
        Self { host, id, guest: GuestClient::new(Arc::new(socket)) }
    }

    async fn start(&self, spec: ExecSpec) -> ExecSession {
        self.guest.exec(self.id, &spec).await.unwrap()
    }

    async fn run(&self, spec: ExecSpec) -> (String, String, ExecOutput) {
        finish(self.start(spec).await).await
    }

    async fn put(&self, name: &str, contents: &[u8]) {
        let body = body_from_bytes(contents.to_vec());
        let scope = FileScope::default();
        self.guest.write(self.id, &scope, &path(name), &WriteOptions::default(), body).await.unwrap();
    }

    async fn get(&self, scope: &FileScope, name: &str, range: ReadRange) -> Result<Vec<u8>, Error> {
        let (_, mut body) = self.guest.read(self.id, scope, &path(name), range).await?;
        let mut contents = Vec::new();
        while let Some(chunk) = body.next().await {
            contents.extend_from_slice(&chunk?);
        }
        Ok(contents)
    }
}

async fn next(session: &mut ExecSession) -> Option<ExecEvent> {
    let event = tokio::time::timeout(PATIENCE, session.events.recv()).await.expect("an event in time");
    event.map(|event| event.expect("no error"))
}

async fn finish(mut session: ExecSession) -> (String, String, ExecOutput) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    loop {
        match next(&mut session).await.expect("an end before the channel closes") {
            ExecEvent::Stdout(bytes) => stdout.extend_from_slice(&bytes),
            ExecEvent::Stderr(bytes) => stderr.extend_from_slice(&bytes),
            ExecEvent::Skipped(_) => {}
            ExecEvent::Exited(output) => {
                assert_eq!(next(&mut session).await, None, "the end is the last event");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                return (text(&stdout), text(&stderr), output);
            }
        }
    }
}

fn path(path: &str) -> FilePath {
    FilePath::new(path).unwrap()
}

fn command(words: &[&str]) -> ExecSpec {
    ExecSpec { command: words.iter().map(|word| (*word).to_owned()).collect(), ..ExecSpec::default() }
}

fn sh(script: &str) -> ExecSpec {
    command(&["sh", "-c", script])
}

fn beneath(root: &str) -> FileScope {
    FileScope { user: None, beneath: Some(path(root)) }
}

#[tokio::test]
async fn a_program_runs_with_all_that_its_spec_says() {
    let ready = Ready::new().await;
    let spec = ExecSpec {
        cwd: Some("/tmp".to_owned()),
        env: [("GREETING".to_owned(), "hello".to_owned())].into(),
        user: Some("nobody".to_owned()),
        ..sh("pwd; id -u; echo $GREETING; echo oops >&2; exit 7")
    };
    let (stdout, stderr, output) = ready.run(spec).await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("/tmp\n65534\nhello\n", "oops\n"));
    assert_eq!(output.exit, ExecExit::Code(7));
    assert!(!output.timed_out && !output.truncated && output.duration > Duration::ZERO);
    ready.host.finish().await;
}

#[tokio::test]
async fn input_signals_and_limits_reach_the_program() {
    let ready = Ready::new().await;
    let session = ready.start(ExecSpec { stdin: Stdin::Stream, ..command(&["wc", "-c"]) }).await;
    session.input.send(ExecInput::Stdin(Bytes::from(vec![b'x'; 300_000]))).await.unwrap();
    session.input.send(ExecInput::StdinEnd).await.unwrap();
    assert_eq!(finish(session).await.0.trim(), "300000");

    // Whoever drops its end of the input has ended it.
    let mut session = ready.start(ExecSpec { stdin: Stdin::Stream, ..command(&["cat"]) }).await;
    let (input, _) = tokio::sync::mpsc::channel(1);
    drop(std::mem::replace(&mut session.input, input));
    assert_eq!(finish(session).await.2.exit, ExecExit::Code(0));

    let session = ready.start(command(&["sleep", "1000"])).await;
    session.input.send(ExecInput::Signal(15)).await.unwrap();
    assert_eq!(finish(session).await.2.exit, ExecExit::Signal(15));

    let timeout = Some(Duration::from_millis(50));
    let (_, _, output) = ready.run(ExecSpec { timeout, ..command(&["sleep", "1000"]) }).await;
    assert!(output.timed_out);

    let limited = ExecSpec { output_limit_bytes: Some(10), ..sh("printf 0123456789abc") };
    let (stdout, _, output) = ready.run(limited).await;
    assert_eq!((stdout.as_str(), output.truncated), ("0123456789", true));
    ready.host.finish().await;
}

#[tokio::test]
async fn a_terminal_has_its_size_and_takes_another() {
    let ready = Ready::new().await;
    let tty = Tty { rows: 30, cols: 100, term: "vt100".to_owned() };
    let script = "stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut session = ready.start(ExecSpec { tty: Some(tty), ..command(&["bash", "-c", script]) }).await;
    let mut seen = String::new();
    while !seen.contains("ready") {
        match next(&mut session).await {
            Some(ExecEvent::Stdout(bytes)) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            other => panic!("{other:?} after {seen}"),
        }
    }
    assert!(seen.starts_with("30 100"), "{seen}");
    session.input.send(ExecInput::Resize { rows: 40, cols: 120 }).await.unwrap();
    let (stdout, _, output) = finish(session).await;
    assert!(stdout.contains("40 120"), "{stdout}");
    assert_eq!(output.exit, ExecExit::Code(3));
    ready.host.finish().await;
}

#[tokio::test]
async fn why_a_program_does_not_start_is_an_error_of_the_core() {
    let ready = Ready::new().await;
    ready.put("/tmp/plain", b"text").await;
    let long = "x".repeat(200_000);
    let huge = "y".repeat(2_000_000);
    for (spec, what, problem) in [
        (command(&["no-such"]), "no-such", ExecProblem::ProgramNotFound),
        (command(&["/tmp/plain"]), "/tmp/plain", ExecProblem::NotExecutable),
        (
            ExecSpec { cwd: Some("/no/such".to_owned()), ..command(&["true"]) },
            "/no/such",
            ExecProblem::BadWorkingDirectory,
        ),
        (ExecSpec { user: Some("eve".to_owned()), ..command(&["true"]) }, "eve", ExecProblem::UnknownUser),
        (command(&["true", &long]), "true", ExecProblem::ArgumentsTooLong),
        (command(&["true", &huge]), "true", ExecProblem::ArgumentsTooLong),
    ] {
        match ready.guest.exec(ready.id, &spec).await {
            Err(Error::Exec { what: got, problem: got_problem }) => {
                assert_eq!((got.as_str(), got_problem), (what, problem));
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    ready.host.finish().await;
}

#[tokio::test]
async fn dropping_the_session_ends_the_program() {
    let ready = Ready::new().await;
    let script = "trap 'touch /tmp/ended; exit' TERM; echo ready; while :; do sleep 0.02; done";
    let mut session = ready.start(sh(script)).await;
    assert_eq!(next(&mut session).await, Some(ExecEvent::Stdout(Bytes::from_static(b"ready\n"))));
    drop(session);
    support::eventually("the program ended", async || {
        ready.guest.stat(ready.id, &FileScope::default(), &path("/tmp/ended"), Links::Kept).await.is_ok()
    })
    .await;
    ready.host.finish().await;
}

#[tokio::test]
async fn a_background_exec_goes_on_and_is_attached_to_again() {
    let ready = Ready::new().await;
    let id = ExecId::from_bytes([7; 16]);
    let spec = sh("trap 'printf 4567; exit 5' USR1; printf 0123; while :; do sleep 0.02; done");
    let mut first = ready.guest.exec_background(ready.id, id, &spec, &Keep::default()).await.unwrap();
    assert!(first.pid > 0);
    assert_eq!(next(&mut first).await, Some(ExecEvent::Stdout(Bytes::from_static(b"0123"))));
    drop(first);
    let listed = ready.guest.list_execs(ready.id).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].id, listed[0].command[0].as_str(), &listed[0].output), (id, "sh", &None));
    assert_eq!(listed[0].started_at.unix_seconds(), 0x0707_0707);

    let second = ready.guest.attach(ready.id, id, 2).await.unwrap();
    assert_eq!(second.pid, listed[0].pid);
    second.input.send(ExecInput::Signal(10)).await.unwrap();
    let (stdout, _, output) = finish(second).await;
    assert_eq!((stdout.as_str(), output.exit, output.truncated), ("234567", ExecExit::Code(5), false));

    ready.guest.remove_exec(ready.id, id, Removal::Kill).await.unwrap();
    assert!(matches!(
        ready.guest.remove_exec(ready.id, id, Removal::Kill).await,
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(ready.guest.attach(ready.id, id, 0).await.map(drop), Err(Error::NotFound { .. })));
    ready.host.finish().await;
}

#[tokio::test]
async fn output_that_nobody_read_in_time_is_told_as_truncated() {
    let ready = Ready::new().await;
    let id = ExecId::from_bytes([1; 16]);
    drop(
        ready
            .guest
            .exec_background(ready.id, id, &sh("head -c 3000000 /dev/zero"), &Keep::default())
            .await
            .unwrap(),
    );
    support::eventually("the exec ended", async || {
        ready.guest.list_execs(ready.id).await.unwrap()[0].output.is_some()
    })
    .await;
    let (stdout, _, output) = finish(ready.guest.attach(ready.id, id, 0).await.unwrap()).await;
    assert!(stdout.len() < 3_000_000);
    assert!(output.truncated);
    ready.host.finish().await;
}

#[tokio::test]
async fn files_go_in_come_out_and_are_listed() {
    let ready = Ready::new().await;
    let scope = FileScope::default();
    let contents: Vec<u8> = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    let chunks: Vec<_> = contents.chunks(100_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let body: Body = stream::iter(chunks).boxed();
    let options = WriteOptions { mode: 0o640, parents: true };
    let entry = ready.guest.write(ready.id, &scope, &path("/data/a/file"), &options, body).await.unwrap();
    assert_eq!((entry.bytes, entry.mode, entry.kind), (2_000_000, 0o640, FileKind::File));
    let all = ReadRange::default();
    assert_eq!(ready.get(&scope, "/data/a/file", all).await.unwrap(), contents);
    let part = ReadRange { offset: 1000, length: Some(200_000) };
    assert_eq!(ready.get(&scope, "/data/a/file", part).await.unwrap(), contents[1000..201_000]);

    ready.run(sh("cd /data; printf x > \"$(printf '\\377')\"; ln -s a link; mkfifo fifo")).await;
    let listing = ready.guest.list(ready.id, &scope, &path("/data"), 100).await.unwrap();
    let mut names: Vec<_> =
        listing.entries.iter().map(|entry| (entry.path.file_name(), entry.kind)).collect();
    names.sort_by_key(|(name, _)| *name);
    let want = [
        (b"a".as_slice(), FileKind::Directory),
        (b"fifo", FileKind::Other),
        (b"link", FileKind::Link),
        (b"\xff", FileKind::File),
    ];
    assert_eq!((names.as_slice(), listing.truncated), (want.as_slice(), false));
    let walk = ready.guest.walk(ready.id, &beneath("/data"), &path("/data"), 1).await.unwrap();
    assert_eq!((walk.entries.len(), walk.truncated), (1, true));
    let walk = ready.guest.walk(ready.id, &beneath("/data"), &path("/data"), 9).await.unwrap();
    assert_eq!(walk.entries.len(), 2);
    assert!(walk.entries.iter().any(|entry| entry.path == path("/data/a/file")));
    ready.host.finish().await;
}

#[tokio::test]
async fn trees_are_searched_and_texts_replaced() {
    let ready = Ready::new().await;
    let (guest, id, scope) = (&ready.guest, ready.id, FileScope::default());
    ready.put("/data/a/one.txt", b"first\nneedle\n").await;
    ready.put("/data/two.rs", b"needle").await;
    let query = TreeQuery { depth: Some(1), ..TreeQuery::default() };
    let top = guest.tree(id, &scope, &path("/data"), &query, 10).await.unwrap();
    assert_eq!((top.entries.len(), top.truncated), (2, false));
    let query = TreeQuery { name: Some("*.txt".to_owned()), ..TreeQuery::default() };
    let texts = guest.tree(id, &scope, &path("/data"), &query, 10).await.unwrap();
    assert_eq!(texts.entries.iter().map(|entry| &entry.path).collect::<Vec<_>>(), [&path("/data/a/one.txt")]);
    let found = guest.find_text(id, &scope, &path("/data"), b"needle", 10).await.unwrap();
    let mut lines: Vec<_> = found.lines.iter().map(|found| (found.path.to_text(), found.line)).collect();
    lines.sort();
    assert_eq!(lines, [("/data/a/one.txt".to_owned(), 2), ("/data/two.rs".to_owned(), 1)]);
    let count = guest.replace_text(id, &scope, &path("/data/two.rs"), b"ee", b"oo").await.unwrap();
    let content = ready.get(&scope, "/data/two.rs", ReadRange::default()).await.unwrap();
    assert_eq!((count, content.as_slice()), (1, b"noodle".as_slice()));
    let bad = TreeQuery { name: Some("[".to_owned()), ..TreeQuery::default() };
    let refused = guest.tree(id, &scope, &path("/data"), &bad, 10).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "pattern", .. })), "{refused:?}");
    ready.host.finish().await;
}

#[tokio::test]
async fn a_directory_of_the_image_moves_and_so_does_a_file_to_another_file_system() {
    let ready = Ready::new().await;
    let (guest, id, scope) = (&ready.guest, ready.id, FileScope::default());
    guest.rename(id, &scope, &path("/etc"), &path("/moved"), Existing::Kept).await.unwrap();
    guest.stat(id, &scope, &path("/moved/passwd"), Links::Kept).await.unwrap();
    ready.put("/file", b"content").await;
    guest.rename(id, &scope, &path("/file"), &path("/dev/shm/file"), Existing::Kept).await.unwrap();
    let content = ready.get(&scope, "/dev/shm/file", ReadRange::default()).await.unwrap();
    assert_eq!(content, b"content");
    ready.put("/file", b"other").await;
    let kept = guest.rename(id, &scope, &path("/file"), &path("/dev/shm/file"), Existing::Kept).await;
    assert!(matches!(kept, Err(Error::File { problem: FileProblem::AlreadyExists, .. })), "{kept:?}");
    ready.host.finish().await;
}

#[tokio::test]
async fn names_modes_and_owners_change() {
    let ready = Ready::new().await;
    let (guest, id, scope) = (&ready.guest, ready.id, FileScope::default());
    guest.mkdir(id, &scope, &path("/a/b/c"), 0o700, true).await.unwrap();
    guest.mkdir(id, &scope, &path("/a/b/c"), 0o700, true).await.unwrap();
    ready.put("/a/file", b"x").await;
    guest.rename(id, &scope, &path("/a/file"), &path("/a/b/file"), Existing::Kept).await.unwrap();
    guest.chmod(id, &scope, &path("/a/b/file"), 0o4711).await.unwrap();
    guest.chown(id, &scope, &path("/a/b/file"), &Owner::ids(1000, 65_535)).await.unwrap();
    let user = Owner { user: Some("7".to_owned()), group: None };
    guest.chown(id, &scope, &path("/a/b/file"), &user).await.unwrap();
    let entry = guest.stat(id, &scope, &path("/a/b/file"), Links::Kept).await.unwrap();
    assert_eq!((entry.uid, entry.gid), (7, 65_535));
    let nobody = Owner { user: None, group: Some("no-such-group".to_owned()) };
    let refused = guest.chown(id, &scope, &path("/a/b/file"), &nobody).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "user", .. })), "{refused:?}");
    guest.chown(id, &scope, &path("/a/b/file"), &Owner::ids(1000, 65_535)).await.unwrap();
    // A change of owner takes the set-user-id bit, as always.
    let entry = guest.stat(id, &scope, &path("/a/b/file"), Links::Kept).await.unwrap();
    assert_eq!((entry.uid, entry.gid, entry.mode), (1000, 65_535, 0o711));
    assert!(guest.remove(id, &scope, &path("/a"), false).await.is_err_and(|error| {
        matches!(error, Error::File { problem: FileProblem::DirectoryNotEmpty, .. })
    }));
    guest.remove(id, &scope, &path("/a"), true).await.unwrap();
    let gone = guest.stat(id, &scope, &path("/a"), Links::Kept).await;
    assert!(matches!(gone, Err(Error::File { problem: FileProblem::NotFound, .. })), "{gone:?}");
    ready.host.finish().await;
}

#[tokio::test]
async fn a_confined_path_never_leaves_its_root() {
    let ready = Ready::new().await;
    ready.put("/data/inside", b"inside").await;
    ready.put("/outside", b"outside").await;
    ready.run(sh("ln -s /outside /data/link; ln -s / /data/root; ln -s /etc/shadow /data/shadow")).await;
    let all = ReadRange::default();
    assert_eq!(ready.get(&beneath("/data"), "/data/inside", all).await.unwrap(), b"inside");
    for name in
        ["/data/link", "/data/root/outside", "/data/shadow", "/data/../outside", "/outside", "/database"]
    {
        let got = ready.get(&beneath("/data"), name, all).await;
        assert!(matches!(got, Err(Error::File { problem: FileProblem::OutsideRoot, .. })), "{name}: {got:?}");
    }
    // Without confinement, links lead where they do for the tenant: never to the host.
    assert_eq!(ready.get(&FileScope::default(), "/data/link", all).await.unwrap(), b"outside");
    let shadow = ready.get(&FileScope::default(), "/data/shadow", all).await;
    assert!(matches!(shadow, Err(Error::File { problem: FileProblem::NotFound, .. })), "{shadow:?}");
    ready.host.finish().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_changes_nothing_and_a_full_disk_is_told() {
    let ready = Ready::new().await;
    let scope = FileScope::default();
    ready.put("/file", b"old").await;
    let broken: Body =
        stream::iter([Ok(Bytes::from(vec![0; 300_000])), Err(Error::invalid("body", "ended too early"))])
            .boxed();
    let options = WriteOptions::default();
    let got = ready.guest.write(ready.id, &scope, &path("/file"), &options, broken).await;
    assert!(matches!(got, Err(Error::Invalid { field: "body", .. })), "{got:?}");
    assert_eq!(ready.get(&scope, "/file", ReadRange::default()).await.unwrap(), b"old");

    // The sandbox has 64 MiB of disk.
    let endless: Body = stream::repeat_with(|| Ok(Bytes::from(vec![7; 1 << 20]))).take(200).boxed();
    let got = ready.guest.write(ready.id, &scope, &path("/file"), &options, endless).await;
    assert!(matches!(got, Err(Error::File { problem: FileProblem::NoSpace, .. })), "{got:?}");
    assert_eq!(ready.get(&scope, "/file", ReadRange::default()).await.unwrap(), b"old");
    ready.put("/file", b"new").await;
    ready.host.finish().await;
}

#[tokio::test]
async fn a_user_writes_and_changes_what_is_its_own() {
    let ready = Ready::new().await;
    let nobody = FileScope { user: Some("nobody".to_owned()), beneath: None };
    let (guest, id, options) = (&ready.guest, ready.id, WriteOptions::default());
    ready.run(sh("chmod 1777 /tmp")).await;
    let entry =
        guest.write(id, &nobody, &path("/tmp/a/file"), &options, body_from_bytes("mine")).await.unwrap();
    assert_eq!((entry.uid, entry.bytes), (65_534, 4));
    guest.chmod(id, &nobody, &path("/tmp/a/file"), 0o600).await.unwrap();
    assert_eq!(ready.get(&nobody, "/tmp/a/file", ReadRange::default()).await.unwrap(), b"mine");
    let refused = guest.write(id, &nobody, &path("/etc/passwd"), &options, body_from_bytes("x")).await;
    assert!(
        matches!(refused, Err(Error::File { problem: FileProblem::PermissionDenied, .. })),
        "{refused:?}"
    );
    let unmapped = FileScope { user: Some("70000".to_owned()), beneath: None };
    let refused = guest.stat(id, &unmapped, &path("/tmp"), Links::Kept).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "user", .. })), "{refused:?}");
    let spec = ExecSpec { user: Some("70000".to_owned()), ..command(&["true"]) };
    let refused = guest.exec(id, &spec).await;
    assert!(matches!(refused, Err(Error::Exec { problem: ExecProblem::UnknownUser, .. })), "{refused:?}");
    ready.host.finish().await;
}

#[tokio::test]
async fn without_a_process_left_execs_are_refused_and_files_are_served() {
    let ready = Ready::with(Resources { pids: 24, ..Resources::default() }).await;
    let id = ExecId::from_bytes([3; 16]);
    let script = "import os, time\n\
                  while True:\n \
                  try:\n  \
                  if os.fork() == 0: time.sleep(1000)\n \
                  except OSError: time.sleep(0.01)";
    let bomb = command(&["python3", "-c", script]);
    drop(ready.guest.exec_background(ready.id, id, &bomb, &Keep::default()).await.unwrap());
    support::eventually("the sandbox is at its limit", async || {
        match ready.guest.exec(ready.id, &command(&["true"])).await {
            Err(Error::Exec { problem: ExecProblem::TooManyProcesses, .. }) => true,
            Ok(session) => {
                finish(session).await;
                false
            }
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
    ready.put("/tmp/file", b"still served").await;
    let contents = ready.get(&FileScope::default(), "/tmp/file", ReadRange::default()).await.unwrap();
    assert_eq!(contents, b"still served");
    // Removing the exec kills all of it, and there is room again.
    ready.guest.remove_exec(ready.id, id, Removal::Kill).await.unwrap();
    support::eventually("there is room again", async || {
        match ready.guest.exec(ready.id, &command(&["true"])).await {
            Ok(session) => finish(session).await.2.exit == ExecExit::Code(0),
            Err(_) => false,
        }
    })
    .await;
    ready.host.finish().await;
}

#[tokio::test]
async fn an_idle_guest_is_small_even_after_work() {
    use lazaret_core::ports::Runtime as _;
    let host = Host::new();
    let spec = host.spec();
    host.runtime().create(&spec).await.unwrap();
    let pid = host.runtime().start(&spec).await.unwrap().pid;
    let guest = GuestClient::new(Arc::new(Socket(host.directory_of(spec.id).join("guest.sock"))));
    let ready = Ready { host, id: spec.id, guest };
    for _ in 0..20 {
        ready.put("/tmp/file", &[7; 300_000]).await;
        ready.get(&FileScope::default(), "/tmp/file", ReadRange::default()).await.unwrap();
        ready.run(sh("echo hello; seq 1 1000")).await;
    }
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let kib = |field: &str| -> u64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // The program's own pages are shared with every other sandbox; what it has written is not.
    assert!((50..2048).contains(&kib("Pss:")), "{rollup}");
    assert!(kib("Pss_Anon:") < 512, "{rollup}");
    ready.host.finish().await;
}

#[tokio::test]
async fn a_guest_that_dies_ends_the_session_without_an_exit() {
    let ready = Ready::new().await;
    let mut session = ready.start(command(&["sleep", "1000"])).await;
    lazaret_core::ports::Runtime::stop(ready.host.runtime(), ready.id, Duration::ZERO).await.unwrap();
    assert_eq!(next(&mut session).await, None);
    ready.host.finish().await;
}
