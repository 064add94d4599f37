//! Templates on a real host: what a stopped sandbox had become, given to others.

#![forbid(unsafe_code)]

use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lazaret_tests::registry::busybox_layer;
use lazaret_tests::{Client, Native, Server, wait};
use serde_json::{Value, json};

/// Longest that a template may take to be ready, or a start command to show.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// Enough that making an image of it takes longer than killing the server does.
const LARGE: &str =
    "busybox dd if=/dev/urandom of=/srv/large bs=1M count=256 2>/dev/null; busybox md5sum /srv/large";

fn import_busybox(native: &Native) -> Result<()> {
    let directory = tempfile::tempdir()?;
    native.import_rootfs("busybox:1", File::open(busybox_layer(directory.path())?)?)
}

fn template(native: &Native, name: &str) -> Result<Value> {
    let answer = native.client().get(&format!("/lazaret/v1/templates/{name}"))?;
    ensure!(answer.status == 200, "{answer}");
    Ok(answer.json())
}

fn said(server: &Server, arguments: &[&str]) -> Result<String> {
    let output = server.command().args(arguments).output()?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {}: {talk}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_template_of_a_stopped_sandbox_gives_others_what_it_had_become() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    import_busybox(&native)?;
    let origin = native.create(&json!({ "name": "box", "image": "busybox:1", "env": { "KEPT": "yes" } }))?;
    let set_up = "cd /srv 2>/dev/null || busybox mkdir /srv; echo built > /srv/file; busybox chown 7:9 /srv/file; \
                  busybox ln /srv/file /srv/second; busybox rm /bin/tty; echo 'origin only' > /etc/hostname";
    native.shell(&origin, set_up)?;
    said(&server, &["stop", "box"])?;
    let start = "echo started > /tmp/started; exec busybox sleep 1000";
    let create = ["template", "create", "mine", "--sandbox", "box", "--", "/bin/sh", "-c", start];
    assert_eq!(said(&server, &create)?, "mine\n");
    said(&server, &["rm", "box"])?;

    let look = "cat /srv/second; busybox stat -c '%u:%g %h' /srv/file; ls /bin/tty 2>/dev/null || echo gone; \
                echo $KEPT; cat /etc/hostname";
    let seen =
        said(&server, &["run", "--rm", "--template", "mine", "--name", "second", "--", "sh", "-c", look])?;
    assert_eq!(seen, "built\n7:9 2\ngone\nyes\nsecond\n");
    let listed = said(&server, &["template", "ls"])?;
    assert!(listed.contains("mine") && listed.contains("active") && listed.contains("a sandbox"), "{listed}");

    let id = native.create(&json!({ "template": "mine" }))?;
    let started = || native.read(&id, "/tmp/started").ok();
    assert_eq!(wait::until("the start command", READY_LIMIT, started), b"started\n");
    let execs = native.client().get(&format!("/lazaret/v1/sandboxes/{id}/execs"))?.json();
    assert_eq!(
        execs["execs"][0]["id"],
        json!(id),
        "its output is to be had by the sandbox's own id: {execs}"
    );
    native.shell(&id, "busybox rm /tmp/started")?;
    native.apply(&id, "stop")?;
    native.apply(&id, "start")?;
    wait::until("the start command of another start", READY_LIMIT, started);

    said(&server, &["template", "rm", "mine"])?;
    assert_eq!(native.shell(&id, "cat /srv/file")?, "built\n", "its sandboxes go on");
    native.apply(&id, "stop")?;
    native.apply(&id, "start")?;
    Ok(())
}

#[test]
fn a_template_that_the_server_died_over_is_made_by_the_next_one() -> Result<()> {
    let mut server = Server::start();
    let native = server.native();
    import_busybox(&native)?;
    let origin = native.create(&json!({ "name": "box", "image": "busybox:1" }))?;
    native.shell(&origin, "busybox mkdir -p /srv")?;
    let sum =
        native.exec_with(&origin, &json!({ "command": ["/bin/sh", "-c", LARGE], "timeout_ms": 60_000 }))?;
    let sum = sum["stdout"].as_str().context("a sum")?.to_owned();
    native.apply(&origin, "stop")?;
    let new = json!({ "name": "large", "sandbox": "box" });
    let made = native.client().post("/lazaret/v1/templates", &new)?;
    ensure!(made.status == 201 && made.json()["state"] == "committing", "{made}");

    server.kill();
    server.start_again();
    let native = server.native();
    let ready = || {
        let template = template(&native, "large").ok()?;
        (template["state"] != "committing").then_some(template)
    };
    let ready = wait::until("the template", READY_LIMIT, ready);
    assert_eq!(ready["state"], "active", "{ready}");
    let id = native.create(&json!({ "template": "large" }))?;
    assert_eq!(native.shell(&id, "busybox md5sum /srv/large")?, sum);
    native.apply(&origin, "start")?;
    Ok(())
}

#[test]
fn a_template_of_the_hosts_own_image_works_and_one_of_a_sandbox_on_it_says_why_it_cannot() -> Result<()> {
    let server = Server::start();
    let native = server.native();
    said(&server, &["template", "create", "tools", "--image", "host", "--env", "A=1", "--memory", "256m"])?;
    assert_eq!(said(&server, &["run", "--rm", "--template", "tools", "--", "sh", "-c", "echo $A"])?, "1\n");

    let origin = native.create(&json!({}))?;
    native.apply(&origin, "stop")?;
    let refused = server.command().args(["template", "create", "mine", "--sandbox", &origin]).output()?;
    let talk = String::from_utf8(refused.stderr)?;
    assert!(!refused.status.success() && talk.contains("the host's own /usr"), "{talk}");
    assert_eq!(template(&native, "mine")?["state"], "error");
    Ok(())
}

#[test]
fn what_a_sandbox_had_become_is_no_other_accounts_to_see_or_to_start_from() -> Result<()> {
    let server = Server::start();
    let admin = server.native();
    import_busybox(&admin)?;
    let account = |name: &str| -> Result<Native> {
        Ok(Native::new(Client::new(&server.url(), Some(&server.key_of_new_account(name)?))))
    };
    let (owner, stranger) = (account("owner")?, account("stranger")?);
    let origin = owner.create(&json!({ "image": "busybox:1" }))?;
    owner.shell(&origin, "echo of one account > /secret")?;
    owner.apply(&origin, "stop")?;
    let new = json!({ "name": "mine", "sandbox": origin });
    owner.client().post("/lazaret/v1/templates", &new)?.expect(201);
    let ready = || Some(template(&owner, "mine").ok()?).filter(|made| made["state"] == "active");
    let made = wait::until("the template to be ready", READY_LIMIT, ready);
    let digest = made["image_digest"].as_str().context("a digest")?;

    let digests = |native: &Native| -> Result<Vec<String>> {
        let listed = native.client().get("/lazaret/v1/images")?.expect(200);
        let images = listed["images"].as_array().context("a list of images")?;
        Ok(images.iter().filter_map(|image| Some(image["digest"].as_str()?.to_owned())).collect())
    };
    let knows =
        |native: &Native| Ok::<_, anyhow::Error>(digests(native)?.iter().any(|known| known == digest));
    assert!(
        knows(&owner)? && knows(&admin)?,
        "its account has it, and the operator sees what takes the disk"
    );
    assert!(!knows(&stranger)?);
    // As a digest that never was: whole, and by its start.
    let never = "0".repeat(64);
    for (of_owner, of_nobody) in [(digest, never.as_str()), (&digest[7..19], &never[..12])] {
        let refused = |image: &str| {
            stranger.client().post("/lazaret/v1/sandboxes", &json!({ "image": image })).map(|answer| {
                let error = answer.json()["error"].to_string();
                (answer.status, error.replace(image.trim_start_matches("sha256:"), "<digest>"))
            })
        };
        let (foreign, unknown) = (refused(of_owner)?, refused(of_nobody)?);
        assert_eq!(foreign.0, 404, "{foreign:?}");
        assert_eq!(foreign.1.replace("sha256:", ""), unknown.1, "the answers tell them apart");
    }
    let id = owner.create(&json!({ "image": digest }))?;
    assert_eq!(owner.shell(&id, "cat /secret")?, "of one account\n");
    for sandbox in [&id, &origin] {
        owner.delete(sandbox)?;
    }
    Ok(())
}
