//! Verbs of the control API, their refusals, and what happens by itself.

use std::time::Duration;

use lazaret_core::Error;
use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, id_of, made};

const MINUTE: Duration = Duration::from_secs(60);

async fn post(server: &Server, id: &str, path: &str) -> Value {
    server.post(&format!("/api/sandbox/{id}/{path}")).send().await.expect(200)
}

async fn refusal(server: &Server, id: &str, path: &str) -> String {
    let said = failure(&server.post(&format!("/api/sandbox/{id}/{path}")).send().await);
    said.replace(&format!(" /api/sandbox/{id}"), "")
}

async fn state(server: &Server, id: &str) -> Value {
    let answer = server.get(&format!("/api/sandbox/{id}")).send().await;
    if answer.status == 404 { json!(404) } else { answer.expect(200)["state"].clone() }
}

#[tokio::test]
async fn each_verb_ends_in_its_state_by_id_and_by_name() {
    let server = Server::start().await;
    made(&server, json!({"name": "box"})).await;
    for (path, want, desired) in [
        ("start", "started", "started"),
        ("pause", "paused", "paused"),
        ("start", "started", "started"),
        ("stop?force=true", "stopped", "stopped"),
        ("archive", "archived", "archived"),
        ("start", "started", "started"),
        ("pause", "paused", "paused"),
        ("stop", "stopped", "stopped"),
    ] {
        let sandbox = post(&server, "box", path).await;
        assert_eq!((&sandbox["state"], &sandbox["desiredState"]), (&json!(want), &json!(desired)), "{path}");
        assert_eq!(state(&server, "box").await, want, "{path}");
    }
}

#[tokio::test]
async fn a_verb_that_does_not_fit_the_state_is_refused_in_the_contracts_words() {
    let server = Server::start().await;
    let id = id_of(&made(&server, json!({})).await);
    let mut lines = vec![refusal(&server, &id, "archive").await, refusal(&server, &id, "recover").await];
    lines.push(refusal(&server, &id, "fork").await);
    post(&server, &id, "stop").await;
    for path in ["stop", "pause"] {
        lines.push(refusal(&server, &id, path).await);
    }
    server.runtime.fail_next_start(Error::invalid("image", "is torn"));
    lines.push(refusal(&server, &id, "start").await);
    assert_eq!(state(&server, &id).await, "error");
    for path in ["start", "stop", "archive"] {
        lines.push(refusal(&server, &id, path).await);
    }
    let broken = server.get(&format!("/api/sandbox/{id}")).send().await.expect(200);
    assert_eq!(
        (&broken["recoverable"], &broken["errorReason"]),
        (&json!(true), &json!("could not be started: image: is torn"))
    );
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(post(&server, &id, "recover").await["state"], "started");

    let ephemeral = id_of(&made(&server, json!({"autoDeleteInterval": 0})).await);
    assert_eq!(
        refusal(&server, &ephemeral, "archive").await,
        "400 Bad Request/archive: Ephemeral sandboxes cannot be archived"
    );
}

#[tokio::test]
async fn an_idle_sandbox_stops_is_archived_and_deleted_each_at_its_time() {
    let server = Server::start().await;
    let body = json!({"autoStopInterval": 30, "autoArchiveInterval": 60, "autoDeleteInterval": 120});
    let id = id_of(&made(&server, body).await);
    server.clock.advance(29 * MINUTE);
    server.post(&format!("/api/sandbox/{id}/last-activity")).send().await.expect(201);
    for (minutes, want) in [
        (29, json!("started")),
        (1, json!("stopped")),
        (59, json!("stopped")),
        (1, json!("archived")),
        (119, json!("archived")),
        (1, json!(404)),
    ] {
        server.clock.advance(minutes * MINUTE);
        server.services.reconcile().await;
        assert_eq!(state(&server, &id).await, want, "after {minutes} more");
    }
}

#[tokio::test]
async fn an_ephemeral_sandbox_goes_as_it_stops() {
    let server = Server::start().await;
    let id = id_of(&made(&server, json!({"autoDeleteInterval": 0})).await);
    let stopped = post(&server, &id, "stop").await;
    assert_eq!((&stopped["state"], &stopped["desiredState"]), (&json!("destroying"), &json!("destroyed")));
    assert_eq!(state(&server, &id).await, 404);
}

#[tokio::test]
async fn the_end_of_a_life_is_a_404_and_can_be_put_off() {
    let server = Server::start().await;
    let body = json!({"ttlMinutes": 5, "autoStopInterval": 0});
    let (short, long) = (made(&server, body.clone()).await, made(&server, body).await);
    let (short, long) = (id_of(&short), id_of(&long));
    server.clock.advance(4 * MINUTE);
    assert_eq!(post(&server, &long, "ttl/5").await["autoDestroyAt"], "2025-08-15T23:29:00.000Z");
    server.clock.advance(MINUTE);
    assert_eq!(state(&server, &short).await, 404);
    assert_eq!(state(&server, &long).await, "started");
    assert_eq!(post(&server, &long, "ttl/0").await.get("autoDestroyAt"), None);
    server.clock.advance(14 * MINUTE);
    assert_eq!(state(&server, &long).await, "started");
}

#[tokio::test]
async fn a_fork_has_a_name_of_its_own_and_no_relatives() {
    let server = Server::start().await;
    let id = id_of(&made(&server, json!({"name": "one"})).await);
    post(&server, &id, "stop").await;
    let fork = |name: &str| server.post("/api/sandbox/one/fork").json(&json!({"name": name}));
    let made = fork("two").send().await.expect(200);
    assert_eq!((&made["name"], &made["state"]), (&json!("two"), &json!("started")));
    assert_eq!(fork("two").send().await.status, 409);
    for path in ["forks", "ancestors"] {
        assert_eq!(server.get(&format!("/api/sandbox/one/{path}")).send().await.expect(200), json!([]));
    }
    assert_eq!(server.get("/api/sandbox/two/parent").send().await.status, 404);
}

#[tokio::test]
async fn two_sandboxes_of_one_name_are_told_apart_by_their_ids() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.post("/lazaret/v1/sandboxes").json(&json!({"name": "same"})).send().await.expect(201);
    }
    let said = failure(&server.get("/api/sandbox/same").send().await);
    assert_eq!(said, "409 Conflict /api/sandbox/same: 2 sandboxes are called same");
}
