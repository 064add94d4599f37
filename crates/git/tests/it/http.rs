//! Remotes over HTTP: a server that speaks git, one that asks for a password, one that moves, one that has only files.

use lazaret_protocol::git::{Add, Answer, Clone, CommitStaged, Operation, Problem, Pull, Push, Request};

use crate::support::{HttpServer, Place, clone, refused, with_password};

fn committed(place: &Place, repository: &str, file: &str) {
    place.write(&format!("{repository}/{file}"), "content\n");
    let path = place.at(repository);
    place.done(Operation::Add(Add { path: path.clone(), files: vec![".".to_owned()] }));
    let commit = CommitStaged {
        path,
        message: file.to_owned(),
        author: "Ada".to_owned(),
        email: "ada@example.org".to_owned(),
        allow_empty: false,
    };
    assert!(matches!(place.run(Operation::Commit(commit)), Answer::Committed(_)));
}

fn push(place: &Place, repository: &str) -> Operation {
    Operation::Push(Push { path: place.at(repository), remote: None, branch: None, set_upstream: false })
}

#[test]
fn a_repository_is_cloned_pushed_to_and_pulled_from_over_http() {
    let place = Place::new();
    place.repository("src");
    place.bare("src", "hub.git");
    let server = HttpServer::git(&place.path("."), &[]);
    let url = format!("{}/hub.git", server.url);
    for name in ["one", "two"] {
        place.done(Operation::Clone(Box::new(clone(&url, &place.at(name)))));
    }
    assert_eq!(place.git("one", &["fsck", "--strict"]), "");
    assert_eq!(place.git("one", &["config", "remote.origin.url"]), url);
    committed(&place, "one", "d");
    place.done(push(&place, "one"));
    place.done(push(&place, "one"));
    assert_eq!(place.git("hub.git", &["rev-parse", "main"]), place.git("one", &["rev-parse", "main"]));
    let pull = Operation::Pull(Pull { path: place.at("two"), remote: None, branch: None });
    place.done(pull);
    assert_eq!(place.read("two/d"), "content\n");

    // Behind, the server's own refusal.
    place.git("two", &["reset", "-q", "--hard", "HEAD~1"]);
    committed(&place, "two", "e");
    place.fails(push(&place, "two"), Problem::PushRejected);

    // The machine's git reads and writes what was made here.
    place.git("one", &["pull", "-q"]);
    let depth = Clone { depth: Some(1), ..clone(&url, &place.at("shallow")) };
    place.done(Operation::Clone(Box::new(depth)));
    assert_eq!(place.git("shallow", &["rev-list", "--count", "HEAD"]), "1");
    let hash = place.git("src", &["rev-parse", "side"]);
    let commit = Clone { commit: Some(hash.clone()), depth: Some(1), ..clone(&url, &place.at("commit")) };
    place.done(Operation::Clone(Box::new(commit)));
    assert_eq!(place.git("commit", &["rev-parse", "HEAD"]), hash);
}

#[test]
fn a_password_opens_the_server_and_stays_out_of_every_file_and_sentence() {
    let place = Place::new();
    place.repository("src");
    place.bare("src", "hub.git");
    let server = HttpServer::git(&place.path("."), &["ada", "hunter2"]);
    let url = format!("{}/hub.git", server.url);
    let cloned = |into: &str, url: &str| Operation::Clone(Box::new(clone(url, &place.at(into))));

    let detail = place.fails(cloned("no", &url), Problem::AuthFailed);
    assert!(detail.contains("asks for credentials"), "{detail}");
    let wrong = with_password(cloned("no", &url), "ada", "wrong-password");
    let detail = refused(place.ask(&wrong), Problem::AuthFailed);
    assert!(!detail.contains("wrong-password"), "{detail}");
    assert!(!place.path("no").exists());

    assert_eq!(place.ask(&with_password(cloned("yes", &url), "ada", "hunter2")), Answer::Done);
    committed(&place, "yes", "d");
    place.fails(push(&place, "yes"), Problem::AuthFailed);
    assert_eq!(place.ask(&with_password(push(&place, "yes"), "ada", "hunter2")), Answer::Done);

    let with_user = url.replace("http://", "http://ada:hunter2@");
    place.done(cloned("in-url", &with_user));
    assert_eq!(place.git("in-url", &["config", "remote.origin.url"]), url);
    for repository in ["yes", "in-url", "home"] {
        let found =
            std::process::Command::new("grep").args(["-r", "hunter2"]).arg(place.path(repository)).output();
        assert_eq!(String::from_utf8_lossy(&found.expect("grep").stdout), "");
    }
}

#[test]
fn a_redirect_is_followed_and_a_missing_repository_is_told() {
    let place = Place::new();
    place.repository("src");
    place.bare("src", "hub.git");
    let server = HttpServer::git(&place.path("."), &[]);
    let moved = format!("{}/moved/hub.git", server.url);
    place.done(Operation::Clone(Box::new(clone(&moved, &place.at("one")))));
    committed(&place, "one", "d");
    place.done(push(&place, "one"));
    let missing = format!("{}/nope.git", server.url);
    place.fails(Operation::Clone(Box::new(clone(&missing, &place.at("no")))), Problem::RepoNotFound);
    let url = server.url.clone();
    drop(server);
    place.fails(
        Operation::Clone(Box::new(clone(&format!("{url}/hub.git"), &place.at("no")))),
        Problem::TransportFailed,
    );
}

#[test]
fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let place = Place::new();
    place.repository("src");
    place.bare("src", "hub.git");
    // The second server wants just the credentials that were meant for the first.
    let second = HttpServer::git(&place.path("."), &["ada", "hunter2"]);
    let target = second.url.clone();
    let first = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = first.local_addr().expect("an address");
    let redirecting = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = first.accept().expect("a connection");
        let mut head = [0; 4096];
        let read = stream.read(&mut head).expect("a request");
        let location = format!("{target}/hub.git/info/refs?service=git-upload-pack");
        let answer = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).expect("the program reads");
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let operation = Operation::Clone(Box::new(clone(&format!("http://{address}/hub.git"), &place.at("no"))));
    refused(place.ask(&with_password(operation, "ada", "hunter2")), Problem::AuthFailed);
    let head = redirecting.join().expect("the first server");
    assert!(head.to_lowercase().contains("authorization: basic"), "{head}");
}

#[test]
fn a_server_of_files_is_enough_to_read_from() {
    let place = Place::new();
    place.repository("src");
    place.git("src", &["tag", "-a", "v1", "-m", "first"]);
    place.git("src", &["update-server-info"]);
    let server = HttpServer::files(&place.path("src/.git"));
    place.done(Operation::Clone(Box::new(clone(&server.url, &place.at("loose")))));
    assert_eq!(place.read("loose/a"), "one\n");
    assert_eq!(place.git("loose", &["fsck", "--strict"]), "");
    assert_eq!(place.git("loose", &["status", "--porcelain", "-b"]), "## main...origin/main");

    place.write("src/d", "four\n");
    place.git("src", &["add", "."]);
    place.git("src", &["commit", "-q", "-m", "add d"]);
    place.git("src", &["gc", "-q"]);
    place.git("src", &["update-server-info"]);
    place.done(Operation::Pull(Pull { path: place.at("loose"), remote: None, branch: None }));
    assert_eq!(place.read("loose/d"), "four\n");
    place.done(Operation::Clone(Box::new(Clone {
        branch: Some("v1".to_owned()),
        ..clone(&server.url, &place.at("packed"))
    })));
    assert_eq!(place.git("packed", &["describe", "--tags"]), "v1");
    place.fails(push(&place, "loose"), Problem::RemoteRejected);
    let nothing = HttpServer::files(&place.path("home"));
    place.fails(Operation::Clone(Box::new(clone(&nothing.url, &place.at("no")))), Problem::RepoNotFound);
}

#[test]
fn asked_to_end_a_clone_removes_what_it_had_made() {
    use std::io::{Read as _, Write as _};
    let place = Place::new();
    // A server that promises a repository and then says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    let bytes = lazaret_protocol::git::encode(
        &Request::new(Operation::Clone(Box::new(clone(&url, &place.at("new"))))),
        usize::MAX,
    );
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_lazaret-git"))
        .env_clear()
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program");
    program.stdin.take().expect("a pipe").write_all(&bytes.expect("a request")).expect("the program reads");
    let (mut stream, _) = listener.accept().expect("a connection");
    let _ = stream.read(&mut [0; 4096]).expect("a request");
    assert!(place.path("new").exists());
    let pid = rustix::process::Pid::from_child(&program);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a running program");
    let output = program.wait_with_output().expect("the program ends");
    drop(stream);
    // It may have had the time for an answer.
    if output.status.success() {
        refused(lazaret_protocol::git::decode(&output.stdout).expect("an answer"), Problem::Cancelled);
    }
    assert!(!place.path("new").exists());
}
