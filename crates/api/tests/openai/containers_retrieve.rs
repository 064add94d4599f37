//! `GET /v1/containers/{container_id}`.

use std::time::Duration;

use serde_json::json;

use crate::support::Server;
use crate::{container, failure, got, text};

#[tokio::test]
async fn looking_at_a_container_counts_as_use_and_shows_it() {
    let server = Server::start().await;
    let id = container(&server).await;
    server.clock.advance(Duration::from_secs(50));
    let shown = got(&server, &format!("/v1/containers/{id}"), "ContainerResource").await;
    let (created, active) =
        (shown["created_at"].as_i64().unwrap(), shown["last_active_at"].as_i64().unwrap());
    assert_eq!(active - created, 50);
    assert_eq!(id.len(), 53);
    assert_eq!(
        i64::from_str_radix(&id["cntr_".len()..][..8], 16),
        Ok(created),
        "an id begins with its second"
    );
}

#[tokio::test]
async fn whatever_is_not_a_container_of_the_account_is_not_found_in_the_literal_text() {
    let server = Server::start().await;
    let id = container(&server).await;
    let stranger = server.other_account("stranger").await;
    let foreign = server.get(&format!("/v1/containers/{id}")).key(&stranger).send().await;
    assert_eq!(
        failure(&foreign),
        format!("404 invalid_request_error - -: Container with id '{id}' not found.")
    );
    for (path, shown) in [
        ("cntr_none", "cntr_none"),
        ("a%2Fb", "a/b"),
        ("..%2f", "../"),
        ("%00", "\0"),
        ("%ff", "\u{fffd}"),
        ("no%20such%20thing%3F", "no such thing?"),
    ] {
        let answer = server.get(&format!("/v1/containers/{path}")).send().await;
        let want = format!("404 invalid_request_error - -: Container with id '{shown}' not found.");
        assert_eq!(failure(&answer), want);
    }
}

#[tokio::test]
async fn a_sandbox_made_elsewhere_is_a_container_here() {
    let server = Server::start().await;
    let native = json!({"name": "box", "resources": {"memory_bytes": 268_435_456}});
    server.post("/lazaret/v1/sandboxes").json(&native).send().await.expect(201);
    let list = got(&server, "/v1/containers?name=box", "ContainerListResource").await;
    let shown =
        got(&server, &format!("/v1/containers/{}", text(&list["data"][0], "id")), "ContainerResource").await;
    assert_eq!((&shown["memory_limit"], &shown["status"]), (&json!("1g"), &json!("running")));
}
