//! Names and paths that misbehave, through the file API of the native dialect.

#![forbid(unsafe_code)]

use anyhow::Result;
use lazaret_tests::{Native, Server};
use serde_json::json;

#[test]
fn a_link_to_the_hosts_shadow_file_reads_what_the_sandbox_itself_has_there() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    native.shell(&id, "ln -s /etc/shadow /tmp/link; ln -s /../../../../etc/shadow /tmp/climbing")?;
    let host = std::fs::read("/etc/shadow")?;
    for path in ["/tmp/link", "/tmp/climbing", "/../../../../../etc/shadow", "/proc/1/root/etc/shadow"] {
        let answer = native.client().get(&Native::file_url(&id, path.as_bytes()))?;
        assert_ne!(answer.body, host, "{path} reached the host");
        assert!([200, 400, 403, 404, 422].contains(&answer.status), "{path}: {answer}");
    }
    Ok(())
}

#[test]
fn a_link_planted_in_a_sandbox_does_not_lead_a_write_out_of_it() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let outside = server.data_dir().join("planted");
    native.shell(&id, &format!("ln -s {} /tmp/link", outside.display()))?;
    // It may succeed inside, where that folder does not exist, or fail; it must not appear outside.
    let _ = native.client().put(&Native::file_url(&id, b"/tmp/link"), b"x")?;
    assert!(!outside.exists());
    Ok(())
}

#[test]
fn a_file_name_that_is_not_utf8_is_listed_read_and_deleted() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let name = b"/tmp/odd/n\xff\xfe\n.bin";
    native.shell(&id, "mkdir /tmp/odd")?;
    let written = native.client().put(&Native::file_url(&id, name), b"content")?;
    assert_eq!(written.status, 200, "{written}");
    let listed =
        native.client().get(&format!("{}?list=true", Native::file_url(&id, b"/tmp/odd")))?.expect(200);
    assert_eq!(listed["entries"].as_array().map(Vec::len), Some(1), "{listed}");
    assert!(listed["entries"][0]["path_base64"].is_string(), "{listed}");
    let read = native.client().get(&Native::file_url(&id, name))?;
    assert_eq!((read.status, read.body.as_slice()), (200, b"content".as_slice()));
    let deleted = native.client().delete(&Native::file_url(&id, name))?;
    assert_eq!(deleted.status, 204, "{deleted}");
    assert_eq!(native.shell(&id, "ls -A /tmp/odd | wc -l")?.trim(), "0");
    Ok(())
}

#[test]
fn paths_with_nul_or_of_four_kibibytes_and_more_are_refused_by_name() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({}))?;
    let long = vec![b'a'; 5_000];
    for path in [b"/tmp/a\0b".as_slice(), &long] {
        let answer = native.client().put(&Native::file_url(&id, path), b"x")?;
        assert!([400, 414, 422].contains(&answer.status), "{answer}");
        assert!(answer.json()["error"]["message"].is_string(), "{answer}");
    }
    Ok(())
}

#[test]
fn sandbox_names_with_control_characters_or_too_long_are_refused_with_the_field() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    for name in ["a\nb", "a\0b", "\u{1b}[31m", &"n".repeat(4096)] {
        let answer = client.post("/lazaret/v1/sandboxes", &json!({ "name": name }))?;
        assert_eq!(answer.expect(400)["error"]["field"], "name", "{name:?}: {answer}");
    }
    assert_eq!(server.native().list()?, [""; 0]);
    Ok(())
}

#[test]
fn an_upload_named_like_a_way_out_lands_in_the_containers_data_folder() -> Result<()> {
    let server = Server::start();
    let client = server.client();
    let container = client.post("/v1/containers", &json!({ "name": "names" }))?.expect(200);
    let id = container["id"].as_str().expect("an id").to_owned();
    for name in ["../../etc/passwd", "..", "a/b/../../c", "line\\nbreak"] {
        let boundary = "lazaret-boundary";
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\nx\r\n--{boundary}--\r\n"
        );
        let headers = [("content-type", format!("multipart/form-data; boundary={boundary}"))];
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut bytes = body.as_bytes();
        let body = ureq::SendBody::from_reader(&mut bytes);
        let answer =
            client.send(ureq::http::Method::POST, &format!("/v1/containers/{id}/files"), &headers, body)?;
        let path = answer.expect(200)["path"].as_str().expect("a path").to_owned();
        assert!(path.starts_with("/mnt/data/") && !path.contains("/../"), "{name:?} became {path:?}");
    }
    Ok(())
}

#[test]
fn names_with_terminal_sequences_reach_no_operators_terminal_raw() -> Result<()> {
    /// What a terminal obeys: sets its title, clears it, moves its cursor; and the 8-bit form of the same.
    const TRICK: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}1;1H";
    let server = Server::start();
    let native = server.native();
    let id = native.create(&json!({ "name": "tricks" }))?;
    let make = "import os, sys\nos.makedirs('/tmp/names')\nopen('/tmp/names/' + sys.argv[1], 'w').close()\nopen('/tmp/names/locked', 'w').close()";
    native.exec(&id, &["python3", "-c", make, TRICK])?;
    let background = native.background(&id, &["sh", "-c", &format!("# {TRICK}\nsleep 1000")])?;
    let folder = tempfile::tempdir()?;
    let down = folder.path().join("down").to_string_lossy().into_owned();
    let (from, missing) = ("tricks:/tmp/names".to_owned(), format!("tricks:/tmp/{TRICK}"));
    let calls: [&[&str]; 9] = [
        &["cp", &from, &down],
        &["cp", &missing, &down],
        &["exec", "tricks", "--", TRICK],
        &["exec", "--user", TRICK, "tricks", "--", "true"],
        &["logs", "tricks"],
        &["inspect", TRICK],
        &["ps"],
        &["image", "rm", TRICK],
        &["run", "--image", TRICK, "--", "true"],
    ];
    for arguments in calls {
        let output = server.command().args(arguments).output()?;
        for (stream, bytes) in [("output", &output.stdout), ("error", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            let raw = text.chars().find(|c| c.is_control() && !"\n\r\t".contains(*c));
            assert_eq!(raw, None, "{arguments:?} writes {raw:?} to its standard {stream}: {text:?}");
        }
    }
    let log = server.log();
    assert!(!log.contains('\u{1b}') && !log.contains('\u{9b}'), "the log holds it raw");
    native.client().delete(&format!("/lazaret/v1/sandboxes/{id}/execs/{background}"))?;
    Ok(())
}
