//! `/api/volumes`, and sandboxes that mount them.

use serde_json::{Value, json};

use crate::support::Server;
use crate::{failure, made};

#[tokio::test]
async fn a_volume_has_every_field_of_the_contract_and_is_found_by_id_and_name() {
    let server = Server::start().await;
    let volume = server.post("/api/volumes").json(&json!({"name": "v"})).send().await.expect(200);
    let organization = server.get("/api/users/me").send().await.expect(200)["id"].clone();
    for (field, want) in [
        ("name", json!("v")),
        ("organizationId", organization),
        ("state", json!("ready")),
        ("lastUsedAt", Value::Null),
        ("errorReason", Value::Null),
    ] {
        assert_eq!(volume[field], want, "{field}");
    }
    assert!(volume["createdAt"].is_string() && volume["updatedAt"].is_string());
    let id = volume["id"].as_str().unwrap();
    for path in [format!("/api/volumes/{id}"), "/api/volumes/by-name/v".to_owned()] {
        assert_eq!(server.get(&path).send().await.expect(200), volume);
    }
    assert_eq!(server.get("/api/volumes?includeDeleted=true").send().await.expect(200), json!([volume]));
    let again = server.post("/api/volumes").json(&json!({"name": "v"})).send().await;
    assert_eq!(failure(&again), "409 Conflict /api/volumes: volume v already exists");
    let missing = server.get("/api/volumes/by-name/w").send().await;
    assert_eq!(failure(&missing), "404 Not Found /api/volumes/by-name/w: volume w not found");
    assert_eq!(server.delete(&format!("/api/volumes/{id}")).send().await.status, 200);
    assert_eq!(server.get("/api/volumes").send().await.expect(200), json!([]));
}

#[tokio::test]
async fn a_sandbox_shows_its_volumes_by_id_and_keeps_them() {
    let server = Server::start().await;
    let volume = server.post("/api/volumes").json(&json!({"name": "v"})).send().await.expect(200);
    let id = volume["id"].as_str().unwrap();
    let mounts = json!([
        {"volumeId": "v", "mountPath": "/data", "subpath": "a"},
        {"volumeId": id, "mountPath": "/all", "subpath": ""},
    ]);
    let sandbox = made(&server, json!({"name": "box", "volumes": mounts})).await;
    let want = json!([
        {"volumeId": id, "mountPath": "/data", "subpath": "a"},
        {"volumeId": id, "mountPath": "/all"},
    ]);
    assert_eq!(sandbox["volumes"], want);
    let refused = failure(&server.delete(&format!("/api/volumes/{id}")).send().await);
    assert!(
        refused.starts_with("409 Conflict") && refused.contains("volume v is in use by sandbox"),
        "{refused}"
    );
    server.delete("/api/sandbox/box").send().await.expect(200);
    assert_eq!(server.delete(&format!("/api/volumes/{id}")).send().await.status, 200);
}
