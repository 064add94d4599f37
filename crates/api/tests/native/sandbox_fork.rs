//! `POST /lazaret/v1/sandboxes/{id}/fork`.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn a_stopped_sandbox_is_forked_and_one_that_runs_is_not() {
    let server = Server::start().await;
    let origin = crate::sandbox_with(
        &server,
        json!({"name": "one", "env": {"A": "1"}, "labels": {"team": "x"}, "resources": {"pids": 77}}),
    )
    .await;
    let fork = crate::at(&origin, "/fork");
    let running = server.post(&fork).send().await;
    assert_eq!(running.native_error(), "409 refused -: sandbox is running: cannot fork");
    server.post(&crate::at(&origin, "/stop")).json(&json!({"grace_ms": 0})).send().await.expect(200);

    let made = server.post(&fork).json(&json!({"name": "two"})).send().await.expect(201);
    let origin = server.get(&crate::at(&origin, "")).send().await.expect(200);
    assert_eq!((made["state"].as_str(), made["name"].as_str()), (Some("running"), Some("two")));
    assert_eq!(origin["state"], "stopped");
    assert_ne!(made["id"], origin["id"]);
    for kept in ["image", "image_digest", "resources", "env", "labels", "lease"] {
        assert_eq!(made[kept], origin[kept], "{kept}");
    }
    let long = server.post(&fork).json(&json!({"name": "x".repeat(300)})).send().await;
    assert!(long.native_error().starts_with("400 invalid name"), "{}", long.native_error());
}
