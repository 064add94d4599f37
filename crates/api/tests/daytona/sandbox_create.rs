//! `POST /api/sandbox`.

use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, made};

const GIB: u64 = 1 << 30;

#[tokio::test]
async fn the_least_that_a_client_sends_makes_a_sandbox_with_every_field() {
    let server = Server::start().await;
    let answer = server.post("/api/sandbox").header("host", "box.test:3000").json(&json!({"name": "one"}));
    insta::assert_json_snapshot!(answer.send().await.expect(200));
}

#[tokio::test]
async fn what_is_given_is_what_it_gets_and_the_native_api_sees_the_same() {
    let server = Server::start().await;
    let sandbox = made(
        &server,
        json!({
            "name": "two", "user": "1000", "env": {"A": "x", "N": 1, "B": true}, "labels": {"suite": "s"},
            "public": true, "networkBlockAll": true, "cpu": 2, "memory": 3, "disk": 4,
            "autoStopInterval": 30, "autoArchiveInterval": 60, "autoDeleteInterval": 120, "ttlMinutes": 600,
            "volumes": [], "target": "us", "queueTimeout": 5, "made_up": {"x": 1},
            "buildInfo": {"dockerfileContent": "FROM host\n"},
        }),
    )
    .await;
    for (field, want) in [
        ("user", json!("1000")),
        ("env", json!({"A": "x", "N": "1", "B": "true"})),
        ("public", json!(true)),
        ("networkBlockAll", json!(true)),
        ("cpu", json!(2)),
        ("memory", json!(3)),
        ("disk", json!(4)),
        ("autoStopInterval", json!(30)),
        ("autoArchiveInterval", json!(60)),
        ("autoDeleteInterval", json!(120)),
        ("autoDestroyAt", json!("2025-08-16T09:20:00.000Z")),
        ("snapshot", json!("host")),
        ("state", json!("started")),
    ] {
        assert_eq!(sandbox[field], want, "{field}");
    }
    let native = server.get(&format!("/lazaret/v1/sandboxes/{}", sandbox["id"].as_str().unwrap()));
    let native = native.send().await.expect(200);
    assert_eq!(native["resources"]["memory_bytes"], 3 * GIB);
    assert_eq!(
        native["lease"],
        json!({
            "idle_timeout_s": 1800, "idle_action": "stop", "archive_stopped_after_s": 3600,
            "delete_stopped_after_s": 7200, "life_s": 36000,
        })
    );
}

#[tokio::test]
async fn a_user_that_the_contract_has_for_its_default_is_the_images_own() {
    let server = Server::start().await;
    let sandbox = made(&server, json!({"user": "daytona"})).await;
    assert_eq!(sandbox["user"], "root");
}

#[tokio::test]
async fn a_name_is_one_sandboxes_alone_until_that_is_deleted() {
    let server = Server::start().await;
    let first = made(&server, json!({"name": "box"})).await;
    let again = async || server.post("/api/sandbox").json(&json!({"name": "box"})).send().await;
    assert_eq!(failure(&again().await), "409 Conflict /api/sandbox: Sandbox with name box already exists");
    let id = first["id"].as_str().unwrap();
    let gone = server.delete(&format!("/api/sandbox/{id}")).send().await.expect(200);
    assert_eq!((&gone["name"], &gone["state"]), (&json!("box"), &json!("destroyed")));
    assert_eq!(again().await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_is_refused_and_nothing_is_made() {
    let server = Server::start().await;
    let mut lines = Vec::new();
    for body in [
        json!({"snapshot": "no-such"}),
        json!({"snapshot": "host", "buildInfo": {"dockerfileContent": "FROM host"}}),
        json!({"buildInfo": {"dockerfileContent": "FROM host\nNONSENSE x"}}),
        json!({"buildInfo": {"dockerfileContent": "FROM host", "contextHashes": ["a"]}}),
        json!({"name": "<b>x</b>"}),
        json!({"name": "see www.example.org"}),
        json!({"name": ""}),
        json!({"autoStopInterval": -1}),
        json!({"autoArchiveInterval": -1}),
        json!({"autoStopInterval": 1, "autoPauseInterval": 1}),
        json!({"env": {"A": null}}),
        json!({"labels": {"A": ["x"]}}),
        json!({"labels": ["x"]}),
        json!({"cpu": 0}),
        json!({"cpu": 1.5}),
        json!({"memory": 100_000}),
        json!({"networkAllowList": "nonsense"}),
        json!({"networkAllowList": "0.0.0.0/0"}),
        json!({"gpu": 1}),
        json!({"kvm": true}),
        json!({"volumes": [{"volumeId": "v", "mountPath": "/v"}]}),
        json!({"secrets": [{"A": "b"}]}),
        json!([]),
    ] {
        let answer = server.post("/api/sandbox").json(&body).send().await;
        lines.push(format!("{body}: {}", failure(&answer)));
    }
    let torn = server.post("/api/sandbox").header("content-type", "application/json").body("{\"name\":");
    lines.push(failure(&torn.send().await));
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(server.runtime.count(), 0);
    let listed: Value = server.get("/api/sandbox").send().await.expect(200);
    assert_eq!(listed, json!({"items": [], "nextCursor": null}));
}
