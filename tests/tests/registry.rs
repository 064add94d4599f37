//! Images from a registry, on the command line and through the API: pulled, run, shared, mirrored.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::thread;

use anyhow::{Context, Result, ensure};
use lazaret_tests::registry::{Registry, busybox_layer, debian_layer, small_layer, write_docker_archive};
use lazaret_tests::{Server, binary};
use serde_json::json;

/// Creates that want the same absent image at once.
const CREATES: usize = 20;

/// A server that asks `registry` before Docker's.
fn server_with_mirror(registry: &Registry) -> Result<Server> {
    let mut settings = String::new();
    writeln!(settings, "[images.mirrors]\n\"docker.io\" = [\"{}\"]", registry.host())?;
    Server::start_configured(&binary(), &[], &settings)
}

fn said(output: std::process::Output) -> Result<String> {
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {talk}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_debian_is_pulled_by_name_and_run_through_the_mirror() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("debian.tar");
    write_docker_archive(&archive, &[debian_layer()?])?;
    let registry = Registry::start()?;
    registry.push(&archive, "library/debian:bookworm")?;

    let server = server_with_mirror(&registry)?;
    let name = format!("{}/library/debian:bookworm", registry.host());
    let (code, text) = on_a_terminal(&server, &["image", "pull", &name], (24, 100))?;
    assert_eq!(code, Some(0), "{text}");
    let layer = debian_layer()?.metadata()?.len();
    assert!(text.trim_end().ends_with(&name), "{text}");
    for shown in ["MiB", "fetching", "[=", "unpacking"] {
        assert!(text.contains(shown), "no {shown} while {layer} bytes are pulled: {text}");
    }
    // Once more, with nobody who watches: a name for scripts and nothing else.
    assert_eq!(said(server.command().args(["image", "pull", &name]).output()?)?, format!("{name}\n"));
    let program = ["run", "--rm", "--image", "debian:bookworm", "--", "python3", "-c"];
    let script = "import platform; print(platform.freedesktop_os_release()['VERSION_CODENAME'])";
    assert_eq!(said(server.command().args(program).arg(script).output()?)?, "bookworm\n");

    let listed = said(server.command().args(["image", "ls"]).output()?)?;
    for shown in [&name, "debian:bookworm ", "host ", "docker.io/library/ubuntu:24.04", "not here"] {
        assert!(listed.contains(shown), "no {shown} in\n{listed}");
    }
    let missing =
        server.command().args(["image", "pull", &format!("{}/no/such:1", registry.host())]).output()?;
    let talk = String::from_utf8(missing.stderr)?;
    assert!(!missing.status.success() && talk.contains("not found"), "{talk}");
    Ok(())
}

#[test]
fn an_image_of_busybox_alone_takes_commands_terminals_and_files() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    write_docker_archive(&archive, &[busybox_layer(directory.path())?])?;
    let registry = Registry::start()?;
    registry.push(&archive, "library/busybox:1.37")?;
    let server = server_with_mirror(&registry)?;

    // Twenty creates of an image that is not here: one pull.
    let made = thread::scope(|scope| {
        let create = || server.native().create(&json!({ "image": "busybox" }));
        let creates: Vec<_> = (0..CREATES).map(|_| scope.spawn(create)).collect();
        creates.into_iter().map(|create| create.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let events = server.client().get("/lazaret/v1/events?limit=1000")?.json();
    let events = events["events"].as_array().context("events")?;
    let started = events.iter().filter(|event| event["step"] == "started").count();
    assert_eq!(started, 1, "{events:?}");
    let finished = events.iter().filter(|event| event["step"] == "finished").count();
    assert_eq!(finished, 1);

    let id = &made[0];
    let command = |args: &[&str]| said(server.command().args(args).output()?);
    assert_eq!(command(&["exec", id, "--", "busybox", "echo", "hi"])?, "hi\n");
    let file = directory.path().join("note");
    std::fs::write(&file, "from outside\n")?;
    let inside = format!("{id}:/tmp/note");
    command(&["cp", file.to_str().context("a path")?, &inside])?;
    assert_eq!(command(&["exec", id, "--", "cat", "/tmp/note"])?, "from outside\n");
    std::fs::remove_file(&file)?;
    command(&["cp", &inside, file.to_str().context("a path")?])?;
    assert_eq!(std::fs::read_to_string(&file)?, "from outside\n");

    let (code, text) =
        on_a_terminal(&server, &["exec", "-it", id, "--", "sh", "-c", "stty size; exit 7"], (31, 97))?;
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("31 97"), "{text}");
    Ok(())
}

#[test]
fn a_name_that_no_registry_gives_fails_with_the_reason_and_never_pulls_where_that_is_forbidden() -> Result<()>
{
    let registry = Registry::start()?;
    let settings = format!("[images]\npull = \"never\"\nplain_http = [\"{0}\"]\n", registry.host());
    let server = Server::start_configured(&binary(), &[], &settings)?;
    let absent = json!({ "image": format!("{}/absent:1", registry.host()) });
    let answer = server.client().post("/lazaret/v1/sandboxes", &absent)?;
    assert_eq!((answer.status, answer.json()["error"]["code"].clone()), (404, json!("not_found")));

    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    write_docker_archive(&archive, &[small_layer(directory.path(), 1)?])?;
    registry.push(&archive, "absent:1")?;
    let answer = server.client().post("/lazaret/v1/sandboxes", &absent)?;
    assert_eq!(answer.status, 404, "{answer}");
    let pulled = server
        .client()
        .post("/lazaret/v1/images/pull", &json!({ "reference": "169.254.169.254/latest/meta-data" }))?;
    assert_eq!((pulled.status, pulled.json()["error"]["problem"].clone()), (403, json!("not_allowed")));
    Ok(())
}

/// Runs the command line client on a terminal of so many rows and columns; its exit code and what it wrote there.
fn on_a_terminal(
    server: &Server,
    arguments: &[&str],
    (rows, columns): (u16, u16),
) -> Result<(Option<i32>, String)> {
    let (pty, slave) = pty_process::blocking::open()?;
    pty.resize(pty_process::Size::new(rows, columns))?;
    let plain = server.command();
    let mut terminal = pty_process::blocking::Command::new(plain.get_program()).env("TERM", "xterm");
    for (name, value) in plain.get_envs() {
        terminal = terminal.env(name, value.context("a variable that is set")?);
    }
    let mut child = terminal.args(arguments).spawn(slave)?;
    let text = read_to_end(pty);
    Ok((child.wait()?.code(), text))
}

/// What is written to a terminal until the other side closes it.
fn read_to_end(mut pty: pty_process::blocking::Pty) -> String {
    let mut text = Vec::new();
    // The last read of a terminal whose other side is gone is an error.
    let _ = std::io::Read::read_to_end(&mut pty, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
