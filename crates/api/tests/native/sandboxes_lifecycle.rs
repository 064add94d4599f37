//! Start, stop, pause, resume, delete, and what a sandbox uses.

use std::time::Duration;

use serde_json::json;

use crate::support::{Server, eventually};
use crate::{at, core_id, sandbox, sandbox_with};

#[tokio::test]
async fn each_verb_ends_in_its_state_and_may_be_repeated() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for (verb, state) in [
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "running"),
        ("stop", "stopped"),
        ("stop", "stopped"),
        ("start", "running"),
        ("start", "running"),
    ] {
        let sandbox = server.post(&at(&id, &format!("/{verb}"))).send().await.expect(200);
        assert_eq!(sandbox["state"], state, "{verb}");
    }
    let stopped = server.post(&at(&id, "/stop")).json(&json!({"grace_ms": 0})).send().await.expect(200);
    assert_eq!(stopped["reason"], json!({"code": "requested", "message": "requested"}));
}

#[tokio::test]
async fn a_verb_that_the_state_does_not_allow_is_409() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.post(&at(&id, "/stop")).send().await.expect(200);
    for (path, want) in [
        ("/pause", "409 refused -: sandbox is stopped: cannot pause"),
        ("/resume", "409 refused -: sandbox is stopped: cannot resume"),
    ] {
        assert_eq!(server.post(&at(&id, path)).send().await.native_error(), want);
    }
    for path in ["/stats", "/execs", "/files/etc/hostname"] {
        let want = "409 refused -: sandbox is stopped: cannot use it";
        assert_eq!(server.get(&at(&id, path)).send().await.native_error(), want, "{path}");
    }
}

#[tokio::test]
async fn a_grace_beyond_the_limit_is_refused() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = server.post(&at(&id, "/stop")).json(&json!({"grace_ms": 600_001})).send().await;
    assert_eq!(answer.native_error(), "400 invalid grace_ms: grace_ms: must be at most 600000 ms");
}

#[tokio::test]
async fn a_deleted_sandbox_is_gone_at_once_and_the_second_delete_is_404() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let both = tokio::join!(server.delete(&at(&id, "")).send(), server.delete(&at(&id, "")).send());
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404], "one of two deletes at once wins");
    assert_eq!(server.get(&at(&id, "")).send().await.status, 404);
    assert_eq!(server.runtime.count(), 0);
}

#[tokio::test]
async fn a_guest_that_dies_is_told_with_its_reason() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.runtime.kill(core_id(&id));
    let mut listed = json!(null);
    let wait = async {
        while listed["state"] != "stopped" {
            tokio::task::yield_now().await;
            listed = server.get(&at(&id, "")).send().await.expect(200);
        }
    };
    tokio::time::timeout(crate::support::DEADLINE, wait).await.expect("it stops");
    assert_eq!(listed["reason"]["code"], "guest_died");
}

#[tokio::test]
async fn an_idle_sandbox_expires_and_stays_listed() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"lease": {"idle_timeout_s": 60, "idle_action": "expire"}})).await;
    server.clock.advance(Duration::from_secs(59));
    assert_eq!(server.get(&at(&id, "")).send().await.expect(200)["state"], "running");
    server.clock.advance(Duration::from_secs(1));
    let sandbox = server.get(&at(&id, "")).send().await.expect(200);
    assert_eq!((&sandbox["state"], &sandbox["reason"]["code"]), (&json!("expired"), &json!("idle")));
    let listed = server.get("/lazaret/v1/sandboxes?state=expired").send().await.expect(200);
    assert_eq!(listed["sandboxes"][0]["id"], id.as_str());
    eventually("the runtime has let go of it", || server.runtime.count() == 0).await;
}

#[tokio::test]
async fn stats_are_what_the_runtime_says() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    insta::assert_json_snapshot!(server.get(&at(&id, "/stats")).send().await.expect(200));
}
