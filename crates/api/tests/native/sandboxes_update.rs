//! `PATCH /lazaret/v1/sandboxes/{id}`, and names that are to be unique.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server};
use crate::{at, core_id, sandbox, sandbox_with};

const GIB: u64 = 1 << 30;

async fn patch(server: &Server, id: &str, body: Value) -> Answer {
    server.call(Method::PATCH, &at(id, "")).json(&body).send().await
}

#[tokio::test]
async fn what_is_named_changes_and_the_rest_stays() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"labels": {"a": "1"}, "lease": {"idle_timeout_s": 60}})).await;
    let before = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!(before["public"], false);
    assert_eq!(patch(&server, &id, json!({})).await.expect(200), before);

    let changed = patch(&server, &id, json!({"labels": {"b": "2"}, "public": true})).await.expect(200);
    let mut want = before;
    want["labels"] = json!({"b": "2"});
    want["public"] = json!(true);
    assert_eq!(changed, want);
    let lease = json!({"archive_stopped_after_s": 7200});
    let changed = patch(&server, &id, json!({"lease": lease})).await.expect(200);
    assert_eq!(changed["lease"]["idle_timeout_s"], Value::Null, "a lease is replaced as a whole");
    assert_eq!(changed["lease"]["archive_stopped_after_s"], 7200);
    server.clock.advance(Duration::from_secs(3600));
    assert_eq!(server.get(&at(&id, "")).send().await.expect(200)["state"], "running");
}

#[tokio::test]
async fn bounds_hold_at_once_and_what_cannot_be_is_refused_by_field() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"resources": {"memory_bytes": GIB, "disk_bytes": 2 * GIB}})).await;
    let bounds = |bounds: Value| json!({"resources": bounds});
    let more = bounds(json!({"memory_bytes": 2 * GIB, "cpu_millis": 2000}));
    let changed = patch(&server, &id, more).await.expect(200);
    assert_eq!(
        (&changed["resources"]["memory_bytes"], &changed["resources"]["cpu_millis"]),
        (&json!(2 * GIB), &json!(2000))
    );
    let told = server.runtime.resources_of(core_id(&id)).expect("the runtime was told");
    assert_eq!((told.memory_bytes, told.cpu_millis, told.disk_bytes), (2 * GIB, 2000, 2 * GIB));

    let mut refused = Vec::new();
    for body in [
        bounds(json!({"memory_bytes": GIB})),
        bounds(json!({"disk_bytes": 3 * GIB})),
        bounds(json!({"disk_bytes": GIB})),
        bounds(json!({"memory_bytes": 1})),
        bounds(json!({"cpu_millis": 100_000})),
        json!({"lease": {"archive_stopped_after_s": 0}}),
        json!({"labels": {"": "x"}}),
        json!({"name": "other"}),
    ] {
        refused.push(patch(&server, &id, body).await.native_error());
    }
    insta::assert_snapshot!(refused.join("\n"));
    let now = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!(now["resources"], changed["resources"], "nothing of it was done");

    server.post(&at(&id, "/stop")).send().await.expect(200);
    let grown = patch(&server, &id, bounds(json!({"disk_bytes": 3 * GIB}))).await.expect(200);
    assert_eq!(grown["resources"]["disk_bytes"], 3 * GIB);
    let shrunk = patch(&server, &id, bounds(json!({"disk_bytes": GIB}))).await.native_error();
    assert_eq!(
        shrunk,
        "400 invalid resources.disk_bytes: resources.disk_bytes: a disk does not shrink from 3221225472"
    );
}

#[tokio::test]
async fn one_that_has_expired_stays_as_it_was() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"lease": {"idle_timeout_s": 60, "idle_action": "expire"}})).await;
    server.clock.advance(Duration::from_secs(60));
    let refused = patch(&server, &id, json!({"public": true})).await.native_error();
    assert_eq!(refused, "409 refused -: sandbox is expired: cannot change");
}

#[tokio::test]
async fn a_unique_name_is_one_sandboxes_alone_until_that_is_gone() {
    let server = Server::start().await;
    let create = async |unique: bool| {
        let body = json!({"name": "box", "unique_name": unique});
        server.post("/lazaret/v1/sandboxes").json(&body).send().await
    };
    let first = create(false).await.expect(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(create(true).await.native_error(), "409 already_exists -: sandbox box already exists");
    let second = create(false).await.expect(201)["id"].as_str().unwrap().to_owned();
    server.delete(&at(&first, "")).send().await;
    assert_eq!(create(true).await.status, 409, "the other one has it");
    server.delete(&at(&second, "")).send().await;
    let both = tokio::join!(create(true), create(true));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "of two at once one has it");
    let stranger = server.other_account("stranger").await;
    let body = json!({"name": "box", "unique_name": true});
    let theirs = server.post("/lazaret/v1/sandboxes").key(&stranger).json(&body).send().await;
    assert_eq!(theirs.status, 201, "another account's names are its own");
}

#[tokio::test]
async fn an_empty_change_needs_the_sandbox_all_the_same() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.delete(&at(&id, "")).send().await;
    assert_eq!(patch(&server, &id, json!({})).await.status, 404);
}
