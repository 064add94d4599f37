//! `ps`, `inspect`, `stats`, `events`, `image`, `account`, `key`: what is told of what there is.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use lazaret_tests::Server;

use crate::{fail, lazaret, succeed};

#[test]
fn sandboxes_are_listed_filtered_and_named_by_the_first_digits_of_their_ids() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "one", "-l", "team=data"]);
    succeed(&server, &["create", "--name", "two", "--memory", "64m"]);
    succeed(&server, &["stop", "two"]);
    let names = |arguments: &[&str]| {
        let table = succeed(&server, &[&["ps"], arguments].concat());
        table
            .lines()
            .skip(1)
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["one"]);
    assert_eq!(names(&["-a"]), ["two", "one"]);
    assert_eq!(names(&["-f", "state=stopped"]), ["two"]);
    assert_eq!(names(&["-a", "-l", "team=data"]), ["one"]);
    let short = succeed(&server, &["ps", "-q"]);
    assert!(succeed(&server, &["inspect", short.trim()]).contains(r#""name": "one""#));
    assert!(succeed(&server, &["stats", "--no-stream", short.trim()]).contains("one "));
    succeed(&server, &["rm", "two"]);
    let (code, talk) = fail(&server, &["rm", "one"]);
    assert_eq!(code, 1);
    assert!(talk.starts_with("error: sandbox one is running\nhint: "), "{talk}");
    succeed(&server, &["rm", "-f", short.trim()]);
    assert_eq!(names(&["-a"]), [""; 0]);
}

#[test]
fn events_are_followed_as_they_happen() {
    let server = Server::start();
    let mut following =
        lazaret(&server, &["events", "-f"]).stdout(Stdio::piped()).spawn().expect("start lazaret");
    let id = succeed(&server, &["create", "--name", "box"]);
    succeed(&server, &["rm", "-f", "box"]);
    let short: String = id.chars().filter(|c| *c != '-').take(12).collect();
    let mut lines = BufReader::new(following.stdout.take().expect("a pipe")).lines();
    for what in ["running", "deleted (requested)"] {
        let told = lines.by_ref().map(|line| line.expect("a line")).find(|line| line.contains(what));
        assert!(told.is_some_and(|line| line.contains(&short)), "{what}");
    }
    following.kill().expect("end lazaret");
    following.wait().expect("reap lazaret");
}

#[test]
fn a_key_of_another_account_lets_in_and_shows_nothing_of_ours() {
    let server = Server::start();
    succeed(&server, &["create", "--name", "ours"]);
    let account = succeed(&server, &["account", "create", "others"]);
    let key =
        succeed(&server, &["key", "create", "--account", account.trim(), "--name", "ci", "--expires", "1d"]);
    let theirs = |arguments: &[&str]| {
        let output =
            lazaret(&server, arguments).env("LAZARET_API_KEY", key.trim()).output().expect("start lazaret");
        (output.status.code(), String::from_utf8(output.stdout).expect("text"))
    };
    assert_eq!(theirs(&["ps", "-aq"]), (Some(0), String::new()));
    assert_eq!(theirs(&["inspect", "ours"]).0, Some(1));
    assert_eq!(theirs(&["account", "ls"]).0, Some(1));
    succeed(&server, &["account", "rm", account.trim()]);
    assert_eq!(theirs(&["ps"]).0, Some(1));
}

#[test]
fn an_image_is_imported_from_a_stream_used_and_removed() {
    let server = Server::start();
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("mark"), "from the archive").expect("write a file");
    let mut tar = std::process::Command::new("tar")
        .arg("c")
        .args(["-C".as_ref(), dir.path().as_os_str(), ".".as_ref()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("start tar");
    let stream = tar.stdout.take().expect("a pipe");
    let imported = lazaret(&server, &["image", "import", "--name", "mark:1", "-"]).stdin(stream).output();
    assert_eq!(imported.expect("start lazaret").stdout, b"mark:1\n");
    assert!(tar.wait().expect("reap tar").success());
    succeed(&server, &["create", "--image", "mark:1", "--name", "box"]);
    assert_eq!(succeed(&server, &["cp", "box:/mark", "/dev/stdout"]), "from the archive");
    succeed(&server, &["rm", "-f", "box"]);
    succeed(&server, &["image", "rm", "mark:1"]);
    assert!(!succeed(&server, &["image", "ls"]).contains("mark:1"));
}
