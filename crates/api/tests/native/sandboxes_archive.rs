//! `POST /lazaret/v1/sandboxes/{id}/archive`, and the leases that pack away and delete.

use std::time::Duration;

use lazaret_core::Error;
use serde_json::{Value, json};

use crate::support::Server;
use crate::{at, core_id, sandbox, sandbox_with};

const HOUR: Duration = Duration::from_secs(3600);

async fn state(server: &Server, id: &str) -> Value {
    let answer = server.get(&at(id, "")).send().await;
    if answer.status == 404 { json!("deleted") } else { answer.expect(200)["state"].clone() }
}

async fn verb(server: &Server, id: &str, verb: &str) -> Value {
    server.post(&at(id, &format!("/{verb}"))).send().await.expect(200)
}

#[tokio::test]
async fn a_stopped_sandbox_is_packed_away_and_comes_back_with_a_start() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let running = server.post(&at(&id, "/archive")).send().await;
    assert_eq!(running.native_error(), "409 refused -: sandbox is running: cannot archive");
    verb(&server, &id, "stop").await;
    for _ in 0..2 {
        let packed = verb(&server, &id, "archive").await;
        assert_eq!((&packed["state"], &packed["reason"]["code"]), (&json!("archived"), &json!("requested")));
        assert!(server.runtime.is_archived(core_id(&id)));
    }
    for (path, want) in [
        ("/fork", "409 refused -: sandbox is archived: cannot fork"),
        ("/pause", "409 refused -: sandbox is archived: cannot pause"),
    ] {
        assert_eq!(server.post(&at(&id, path)).send().await.native_error(), want);
    }
    let larger = json!({"resources": {"disk_bytes": 20_u64 << 30}});
    let refused = server.call(axum::http::Method::PATCH, &at(&id, "")).json(&larger).send().await;
    assert_eq!(refused.native_error(), "409 refused -: sandbox is archived: cannot resize");
    assert_eq!(verb(&server, &id, "start").await["state"], "running");
    assert!(!server.runtime.is_archived(core_id(&id)));
}

#[tokio::test]
async fn a_packing_that_fails_leaves_it_stopped_as_it_was() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let stopped = verb(&server, &id, "stop").await;
    server.runtime.fail_next_archive(Error::internal("no space"));
    server.post(&at(&id, "/archive")).send().await.expect(500);
    let now = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!((&now["state"], &now["reason"]), (&json!("stopped"), &stopped["reason"]));
    assert_eq!(verb(&server, &id, "archive").await["state"], "archived");
}

#[tokio::test]
async fn a_stopped_sandbox_is_packed_away_and_later_deleted_at_its_time() {
    let server = Server::start().await;
    let lease = json!({"archive_stopped_after_s": 3600, "delete_stopped_after_s": 7200});
    let id = sandbox_with(&server, json!({"lease": lease})).await;
    server.clock.advance(5 * HOUR);
    assert_eq!(state(&server, &id).await, "running", "neither is for one that runs");
    verb(&server, &id, "stop").await;
    for (passed, want) in [
        (Duration::ZERO, "stopped"),
        (HOUR, "archived"),
        (2 * HOUR - Duration::from_secs(1), "archived"),
        (Duration::from_secs(1), "deleted"),
    ] {
        server.clock.advance(passed);
        assert_eq!(state(&server, &id).await, want, "after {passed:?} more");
    }
}

#[tokio::test]
async fn one_that_is_deleted_as_it_stops_is_gone_with_its_processes() {
    let server = Server::start().await;
    let body = json!({"lease": {"idle_timeout_s": 60, "delete_stopped_after_s": 0}});
    let (asked, idle) = (sandbox_with(&server, body.clone()).await, sandbox_with(&server, body).await);
    verb(&server, &asked, "stop").await;
    assert_eq!(state(&server, &asked).await, "deleted");
    server.clock.advance(Duration::from_secs(60));
    server.services.reconcile().await;
    server.services.reconcile().await;
    assert_eq!(server.runtime.count(), 0);
    assert_eq!(state(&server, &idle).await, "deleted");
}
