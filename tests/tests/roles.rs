//! Roles in real images: packages from a repository of the tests' own, what is told when they cannot be had, and a server that
//! dies while a role is applied.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use lazaret_tests::internet::Internet;
use lazaret_tests::registry::{busybox_layer, debian_layer, write_docker_archive};
use lazaret_tests::{Native, Server, binary, wait};
use serde_json::{Value, json};

/// Longest that a role may take that installs some small packages, on a machine busy with other tests.
const APPLIED_LIMIT: Duration = Duration::from_secs(90);
/// Longest until a script has begun.
const SOON: Duration = Duration::from_secs(20);

/// Roles of the tests' own.
const ROLES: &str = r#"
[roles.greeter]
packages = { apt = ["lazaret-hello"], apk = ["hello"] }
script = "lazaret-hello > /greeting; id -u >> /greeting; env | grep LAZARET_ROLE >> /greeting; true"
[roles.gap]
packages = { apt = ["lazaret-hello", "lazaret-no-such", "lazaret-second"] }
[roles.nothing]
packages = { apt = ["lazaret-no-such"] }
[roles.alpine]
packages = { apk = ["hello"] }
[roles.broken]
script = "echo 'E: no luck' >&2; exit 3"
[roles.late]
script = "busybox sleep 1; echo ready > /tmp/file"
[roles.gate]
script = "busybox mkfifo /tmp/gate; read line < /tmp/gate; echo got $line > /tmp/passed"
"#;

/// Writes a tree as a layer.
fn layer(directory: &Path, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let (root, packed) = (directory.join(name), directory.join(format!("{name}.tar")));
    fs::create_dir_all(&root)?;
    fill(&root)?;
    let done = Command::new("tar")
        .args(["--owner=0", "--group=0", "-cf"])
        .arg(&packed)
        .arg("-C")
        .arg(&root)
        .arg(".")
        .status()?;
    ensure!(done.success(), "tar: {done}");
    Ok(packed)
}

/// A flat repository at `/srv/repo` with two packages of one program each, and nothing else for apt to look at.
fn repository(root: &Path) -> Result<()> {
    let repo = root.join("srv/repo");
    fs::create_dir_all(&repo)?;
    for name in ["lazaret-hello", "lazaret-second"] {
        let package = tempfile::tempdir()?;
        let program = package.path().join("usr/bin").join(name);
        fs::create_dir_all(package.path().join("DEBIAN"))?;
        fs::create_dir_all(program.parent().context("a file in a directory")?)?;
        let control = format!(
            "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: Tests <tests@example.org>\n\
             Description: a program of the tests\n"
        );
        fs::write(package.path().join("DEBIAN/control"), control)?;
        fs::write(&program, format!("#!/bin/sh\necho greetings from {name}\n"))?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(package.path(), fs::Permissions::from_mode(0o755))?;
        let built = Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .arg(package.path())
            .arg(repo.join(format!("{name}_1.0_all.deb")))
            .output()
            .context("run dpkg-deb")?;
        ensure!(built.status.success(), "dpkg-deb: {}", String::from_utf8_lossy(&built.stderr));
    }
    let index = Command::new("dpkg-scanpackages").args(["--multiversion", "."]).current_dir(&repo).output();
    fs::write(repo.join("Packages"), index.context("run dpkg-scanpackages")?.stdout)?;
    sources(root, "deb [trusted=yes] file:/srv/repo ./\n")
}

/// Where apt looks, and nowhere else.
fn sources(root: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(root.join("etc/apt"))?;
    Ok(fs::write(root.join("etc/apt/sources.list"), text)?)
}

fn said(server: &Server, arguments: &[&str]) -> Result<Output> {
    Ok(server.command().args(arguments).output()?)
}

fn import(server: &Server, name: &str, layers: &[PathBuf]) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let archive = directory.path().join("image.tar");
    write_docker_archive(&archive, layers)?;
    let path = archive.to_str().context("a path")?;
    let done = said(server, &["image", "import", path, "--name", name])?;
    ensure!(done.status.success(), "import: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn busybox(server: &Server) -> Result<()> {
    let directory = tempfile::tempdir()?;
    import(server, "busybox:1", &[busybox_layer(directory.path())?])
}

/// The role of a sandbox, once it is not being applied any more.
fn settled(native: &Native, id: &str) -> Value {
    wait::until("the role", APPLIED_LIMIT, || {
        let role = native.get(id).ok()?["role"].clone();
        (role["status"] != "applying").then_some(role)
    })
}

fn role(id: &str, status: &str, message: &str) -> Value {
    let message = if message.is_empty() { Value::Null } else { json!(message) };
    json!({ "id": id, "status": status, "message": message })
}

/// The events of a sandbox's role, each as a few words.
fn told(native: &Native, id: &str) -> Result<Vec<String>> {
    let answer = native.client().get("/lazaret/v1/events?limit=1000")?.expect(200);
    let events = answer["events"].as_array().context("a list of events")?;
    let of_role = events.iter().filter(|e| e["type"] == "role_progress" && e["sandbox_id"] == id);
    let words = |event: &Value| {
        let mut words = event["step"].as_str().unwrap_or_default().to_owned();
        if event["wanted"].is_u64() {
            let _infallible = write!(words, " {}/{}", event["installed"], event["wanted"]);
        }
        words
    };
    Ok(of_role.map(words).collect())
}

/// Waits until the script of the role `gate` waits.
fn at_the_gate(native: &Native, id: &str) {
    wait::until("the role's script", SOON, || native.shell(id, "[ -p /tmp/gate ]").ok());
}

#[test]
fn packages_are_installed_by_the_images_package_manager_and_missing_ones_are_named() -> Result<()> {
    // The rest of the world goes away in a moment, and the image's parts come from there.
    let debian = debian_layer()?;
    let directory = tempfile::tempdir()?;
    let ours = layer(directory.path(), "ours", repository)?;
    let broken = layer(directory.path(), "broken", |root| {
        sources(root, "deb [trusted=yes] http://allowed.example/ ./\n")
    })?;
    let internet = Internet::enter()?;
    let server = Server::start_configured(&binary(), &[], &format!("{}{ROLES}", internet.settings()))?;
    import(&server, "debian:ours", &[debian.clone(), ours])?;
    import(&server, "debian:broken", &[debian, broken])?;
    let native = server.native();
    let create = |image: &str, role: &str| {
        let network = json!({ "type": "allowlist", "domains": ["allowed.example"] });
        native.create(&json!({ "image": image, "role": role, "network": network }))
    };

    let id = create("debian:ours", "greeter")?;
    assert_eq!(native.shell(&id, "echo usable")?, "usable\n", "while the role is applied");
    assert_eq!(settled(&native, &id), role("greeter", "applied", ""), "{}", server.log_tail());
    let greeting = native.shell(&id, "cat /greeting")?;
    assert_eq!(greeting, "greetings from lazaret-hello\n0\n", "the script ran as root, after the packages");
    let want = ["started", "index", "packages 0/1", "packages 1/1", "script", "applied"];
    assert_eq!(told(&native, &id)?, want);

    let id = create("debian:ours", "gap")?;
    let missing = "packages not installed: lazaret-no-such";
    assert_eq!(settled(&native, &id), role("gap", "applied", missing));
    assert_eq!(
        native.shell(&id, "lazaret-hello; lazaret-second")?.lines().count(),
        2,
        "the others are there"
    );

    let id = create("debian:ours", "nothing")?;
    assert_eq!(settled(&native, &id), role("nothing", "failed", missing));
    let id = create("debian:ours", "alpine")?;
    assert_eq!(settled(&native, &id), role("alpine", "failed", "the role has no packages for apt"));

    let id = create("debian:broken", "greeter")?;
    let failed = settled(&native, &id);
    assert_eq!(failed["status"], "failed");
    let message = failed["message"].as_str().context("a message")?;
    assert!(message.starts_with("the package index could not be read: E: "), "{message}");
    assert_eq!(native.state(&id)?, "running");
    Ok(())
}

#[test]
fn an_image_without_a_package_manager_and_a_sandbox_without_a_network_say_so_and_run() -> Result<()> {
    let internet = Internet::enter()?;
    let server = Server::start_configured(&binary(), &[], &format!("{}{ROLES}", internet.settings()))?;
    busybox(&server)?;
    let native = server.native();
    let network = json!({ "type": "allowlist", "domains": ["allowed.example"] });
    let id = native.create(&json!({ "image": "busybox:1", "role": "python", "network": network }))?;
    assert_eq!(settled(&native, &id), role("python", "failed", "no package manager in the image"));
    assert_eq!(native.shell(&id, "echo runs")?, "runs\n");

    for (body, message) in [
        (json!({ "image": "busybox:1", "role": "python" }), "no network: the sandbox's policy is disabled"),
        (
            json!({ "role": "python" }),
            "nothing can be installed in the image host: its /usr is the host's own",
        ),
    ] {
        let answer = native.client().post("/lazaret/v1/sandboxes", &body)?;
        ensure!(answer.status == 201, "{answer}");
        let made = answer.json();
        assert_eq!(made["role"], role("python", "failed", message), "at once");
        assert_eq!(native.shell(made["id"].as_str().context("an id")?, "echo runs")?, "runs\n");
    }
    let refused = native.client().post("/lazaret/v1/sandboxes", &json!({ "role": "pyhton" }))?;
    assert!(refused.status == 400 && refused.to_string().contains("barebone, broken, "), "{refused}");
    Ok(())
}

#[test]
fn a_role_goes_on_through_a_kill_of_the_server_and_the_next_one_tells_how_it_ended() -> Result<()> {
    let mut server = Server::start_configured(&binary(), &[], ROLES)?;
    busybox(&server)?;
    let native = server.native();
    let waiting = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    let done_meanwhile = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    let paused = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    for id in [&waiting, &done_meanwhile, &paused] {
        at_the_gate(&native, id);
    }
    native.background(&done_meanwhile, &["/bin/sh", "-c", "busybox sleep 1; echo now > /tmp/gate"])?;
    native.apply(&paused, "pause")?;

    server.kill();
    server.start_again();
    let native = server.native();
    assert_eq!(native.get(&waiting)?["role"]["status"], "applying");
    assert_eq!(settled(&native, &done_meanwhile), role("gate", "applied", ""));
    assert_eq!(native.get(&waiting)?["role"]["status"], "applying", "it is not done");
    native.shell(&waiting, "echo late > /tmp/gate")?;
    assert_eq!(settled(&native, &waiting), role("gate", "applied", ""));
    assert_eq!(native.shell(&waiting, "cat /tmp/passed")?, "got late\n", "it was begun once");
    assert_eq!(told(&native, &waiting)?.last().map(String::as_str), Some("applied"));
    native.apply(&paused, "resume")?;
    native.shell(&paused, "echo thawed > /tmp/gate")?;
    assert_eq!(settled(&native, &paused), role("gate", "applied", ""));

    // Of an ordinary end of the server, and of a sandbox that ends without one.
    let id = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    let gone = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    at_the_gate(&native, &id);
    at_the_gate(&native, &gone);
    assert!(server.stop(), "SIGTERM is an ordinary end");
    kill_guest(&server, &gone)?;
    server.start_again();
    let native = server.native();
    let stopped = native.get(&gone)?;
    assert_eq!(stopped["role"], role("gate", "failed", "interrupted: the sandbox has stopped"), "{stopped}");
    native.shell(&id, "echo again > /tmp/gate")?;
    assert_eq!(settled(&native, &id), role("gate", "applied", ""));
    Ok(())
}

/// Kills every process of a sandbox, its first one included.
fn kill_guest(server: &Server, id: &str) -> Result<()> {
    let processes = lazaret_tests::Traces::of_sandboxes(server.data_dir(), &[id.to_owned()]).processes;
    ensure!(!processes.is_empty(), "the sandbox has no processes");
    for process in &processes {
        let pid = process.split(' ').next().context("a process id")?;
        // Those beneath the first end with it.
        let _ = Command::new("kill").args(["-KILL", pid]).output()?;
    }
    let gone = || {
        let left = lazaret_tests::Traces::of_sandboxes(server.data_dir(), &[id.to_owned()]).processes;
        left.is_empty().then_some(())
    };
    wait::within(SOON, gone).context("processes live on")
}

#[test]
fn deleting_and_stopping_a_sandbox_ends_its_role_and_leaves_nothing() -> Result<()> {
    let server = Server::start_configured(&binary(), &[], ROLES)?;
    busybox(&server)?;
    let native = server.native();
    let deleted = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    at_the_gate(&native, &deleted);
    native.delete(&deleted)?;
    // The server's end in this test checks that nothing of it is on the host; here, that nobody waits for it.
    assert!(!told(&native, &deleted)?.iter().any(|step| step == "applied"));

    let id = native.create(&json!({ "image": "busybox:1", "role": "gate" }))?;
    at_the_gate(&native, &id);
    let want = role("gate", "failed", "interrupted: the sandbox has stopped");
    assert_eq!(native.apply(&id, "stop")?["role"], want);
    let answer = native.client().post(&format!("/lazaret/v1/sandboxes/{id}/fork"), &json!({}))?;
    ensure!(answer.status == 201, "{answer}");
    assert_eq!(answer.json()["role"], want, "a fork has what its origin has");
    assert_eq!(native.apply(&id, "start")?["role"], want, "it is not tried again");
    native.shell(&id, "[ ! -e /tmp/passed ]")?;
    assert_eq!(told(&native, &id)?, ["started", "script", "failed"]);
    Ok(())
}

#[test]
fn an_image_that_lies_about_its_role_gets_no_more_than_a_line_of_text() -> Result<()> {
    let server = Server::start_configured(&binary(), &[], ROLES)?;
    let directory = tempfile::tempdir()?;
    let lies = layer(directory.path(), "lies", |root| {
        let script = "#!/bin/busybox ash\n\
             printf '@role manager apt\\n@role packages 4000000000\\n@role applied\\n@role missing \\033[2Jx\\n'\n\
             i=0; while [ $i -lt 20000 ]; do echo \"@role packages $i\"; echo '@role script'; i=$((i + 1)); done\n\
             busybox dd if=/dev/zero bs=1M count=8 2>/dev/null\n\
             printf '\\n@role index\\n@role script\\n'\n\
             busybox dd if=/dev/zero bs=1M count=1 >&2 2>/dev/null\n\
             printf '\\n\\033]0;owned\\007all is \\r\\033[31mwell\\n' >&2\n\
             exit 14\n";
        fs::create_dir_all(root.join("bin"))?;
        fs::write(root.join("bin/sh"), script)?;
        Ok(fs::set_permissions(root.join("bin/sh"), fs::Permissions::from_mode(0o755))?)
    })?;
    import(&server, "liar:1", &[busybox_layer(directory.path())?, lies])?;
    let native = server.native();
    let id = native.create(&json!({ "image": "liar:1", "role": "broken" }))?;
    let failed = settled(&native, &id);
    let message = failed["message"].as_str().context("a message")?;
    assert!(message.starts_with("the script failed: ]0;ownedall is "), "{failed}");
    assert!(!message.contains(char::is_control) && message.chars().count() < 240, "{message:?}");
    assert_eq!(told(&native, &id)?, ["started", "script", "failed"]);
    assert_eq!(native.state(&id)?, "running");
    Ok(())
}

#[test]
fn the_command_line_waits_for_the_role_and_goes_on_without_one_that_fails() -> Result<()> {
    let server = Server::start_configured(&binary(), &[], ROLES)?;
    busybox(&server)?;
    let run = ["run", "--rm", "--image", "busybox:1", "--role"];
    let late = said(&server, &[&run[..], &["late", "--", "cat", "/tmp/file"]].concat())?;
    assert_eq!(String::from_utf8_lossy(&late.stdout), "ready\n", "{late:?}");
    assert_eq!(String::from_utf8_lossy(&late.stderr), "");

    let broken = said(&server, &[&run[..], &["broken", "--", "echo", "runs"]].concat())?;
    assert!(broken.status.success(), "{broken:?}");
    assert_eq!(String::from_utf8_lossy(&broken.stdout), "runs\n");
    let warning = "warning: role broken: it was not applied: the script failed: E: no luck\n";
    assert_eq!(String::from_utf8_lossy(&broken.stderr), warning);

    let unknown = said(&server, &[&run[..], &["pyhton", "--", "true"]].concat())?;
    let talk = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && talk.contains("'pyhton' is not one of alpine, barebone"), "{talk}");

    let created = said(&server, &["create", "--image", "busybox:1", "--role", "late"])?;
    let id = String::from_utf8(created.stdout)?.trim().to_owned();
    assert_eq!(server.native().get(&id)?["role"], role("late", "applied", ""), "it was waited for");
    let created = said(&server, &["create", "--json", "--image", "busybox:1", "--role", "broken"])?;
    let document: Value = serde_json::from_slice(&created.stdout)?;
    assert_eq!(document["role"], role("broken", "failed", "the script failed: E: no luck"));
    let detached = said(&server, &["create", "--image", "busybox:1", "--role", "gate", "--detach"])?;
    let id = String::from_utf8(detached.stdout)?.trim().to_owned();
    assert_eq!(server.native().get(&id)?["role"]["status"], "applying");

    let listed = String::from_utf8(said(&server, &["role", "ls"])?.stdout)?;
    for id in
        ["barebone", "devops", "gate", "go", "neovim", "node", "overemployed", "python", "rust", "standard"]
    {
        assert!(listed.lines().any(|line| line.starts_with(id)), "{id}: {listed}");
    }
    let events = String::from_utf8(said(&server, &["events"])?.stdout)?;
    assert!(events.contains("role_progress broken failed (the script failed: E: no luck)"), "{events}");
    Ok(())
}
