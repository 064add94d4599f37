//! An operator finds out who was refused, and a flood of refusals stays a few lines.

use std::time::Duration;

use lazaret_core::{Scope, limits};
use serde_json::{Value, json};

use crate::sandbox;
use crate::support::Server;

const AUDIT: &str = "/lazaret/v1/audit";

/// Every refusal that the audit tells of, without its place and time.
async fn refusals(server: &Server) -> Vec<Value> {
    let answer = server.get(AUDIT).send().await.expect(200);
    let events = answer["events"].as_array().expect("a list").iter();
    events
        .map(|event| {
            assert_eq!((event["type"].as_str(), &event["sandbox_id"]), (Some("access_denied"), &Value::Null));
            json!([event["refusal"], event["account_id"].is_string(), event["peer"], event["count"]])
        })
        .collect()
}

#[tokio::test]
async fn every_refusal_that_matters_is_in_the_audit_with_who_it_was() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let other = server.other_account("other").await;
    let reader = server.key_with(&[Scope::SandboxesRead]).await;
    let path = format!("/lazaret/v1/sandboxes/{id}");

    server.get(&path).no_key().peer("192.0.2.1:9").send().await.expect(401);
    server.get(&path).key("guess").peer("192.0.2.2:9").send().await.expect(401);
    server.delete(&path).key(&reader).peer("192.0.2.3:9").send().await.expect(403);
    server.get(&path).key(&other).peer("192.0.2.4:9").send().await.expect(404);
    server.get("/lazaret/v1/sandboxes/nobodys").key(&other).send().await.expect(404);

    let want = [
        json!(["key", false, "192.0.2.1", 1]),
        json!(["key", false, "192.0.2.2", 1]),
        json!(["scope", true, "192.0.2.3", 1]),
        json!(["other_account", true, null, 1]),
    ];
    assert_eq!(refusals(&server).await, want);
    let events = server.get("/lazaret/v1/events").send().await.expect(200);
    assert!(!events.to_string().contains("access_denied"), "a tenant's log is not the operator's: {events}");
}

#[tokio::test]
async fn a_flood_of_refusals_is_counted() {
    let server = Server::start().await;
    for _ in 0..30 {
        server.get(AUDIT).key("guess").peer("192.0.2.1:9").send().await.expect(401);
    }
    assert_eq!(refusals(&server).await, [json!(["key", false, "192.0.2.1", 1])]);
    server.clock.advance(limits::AUDIT_INTERVAL + Duration::from_secs(1));
    server.services.reconcile().await;
    let told = refusals(&server).await;
    assert_eq!(told.last(), Some(&json!(["key", false, "192.0.2.1", 29])));
}

#[tokio::test]
async fn the_audit_is_for_admins() {
    let server = Server::start().await;
    let everyday = server.key_with(&Scope::DEFAULT).await;
    server.get(AUDIT).key(&everyday).send().await.expect(403);
    server.get("/lazaret/v1/audit?limit=0").send().await.expect(400);
}
