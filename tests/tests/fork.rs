//! Forks on a real host: the disk of the other, and a life of its own.

#![forbid(unsafe_code)]

use anyhow::{Result, ensure};
use lazaret_tests::Server;
use serde_json::json;

#[test]
fn a_fork_begins_with_the_disk_of_the_stopped_one_and_goes_its_own_way() -> Result<()> {
    let server = Server::start();
    let run = |id: &str, script: &str| -> Result<String> {
        let body = json!({ "command": ["sh", "-c", script] });
        let answer = server.client().post(&format!("/lazaret/v1/sandboxes/{id}/exec"), &body)?;
        ensure!(answer.status == 200, "{answer}");
        Ok(answer.json()["stdout"].as_str().unwrap_or_default().to_owned())
    };
    let origin = server.native().create(&json!({ "name": "origin" }))?;
    run(&origin, "echo kept > /root/note; chmod 640 /root/note; rm /etc/os-release")?;
    server.native().apply(&origin, "stop")?;

    let answer = server.client().post(&format!("/lazaret/v1/sandboxes/{origin}/fork"), &json!({}))?;
    ensure!(answer.status == 201, "{answer}");
    let fork = answer.json()["id"].as_str().unwrap_or_default().to_owned();
    let look = "cat /root/note; stat -c %a /root/note; test -e /etc/os-release || echo gone; hostname";
    let seen = run(&fork, look)?;
    assert!(seen.starts_with("kept\n640\ngone\n"), "{seen}");
    assert!(!seen.ends_with("origin\n"), "a fork has a name of its own: {seen}");

    run(&fork, "echo changed > /root/note")?;
    server.native().apply(&origin, "start")?;
    assert_eq!(run(&origin, "cat /root/note")?, "kept\n");
    server.native().delete(&origin)?;
    assert_eq!(run(&fork, "cat /root/note")?, "changed\n");
    Ok(())
}
