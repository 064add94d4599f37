//! `POST /lazaret/v1/sandboxes`.

use lazaret_core::{Error, body_from_bytes};
use serde_json::json;

use crate::support::Server;
use crate::{at, core_id};

const PATH: &str = "/lazaret/v1/sandboxes";

#[tokio::test]
async fn a_sandbox_with_nothing_said_has_the_servers_defaults() {
    let server = Server::start().await;
    let answer = server.post(PATH).send().await;
    insta::assert_json_snapshot!(answer.expect(201));
}

#[tokio::test]
async fn a_sandbox_has_what_was_asked_for() {
    let server = Server::start().await;
    let asked = json!({
        "name": "Report 7", "image": "host", "resources": {"memory_bytes": 268_435_456, "pids": 64},
        "env": {"A": "1"}, "cwd": "/work", "user": "1000", "network": {"type": "disabled"},
        "labels": {"team": "red"},
        "lease": {"idle_timeout_s": 60, "idle_action": "expire", "delete_stopped_after_s": 3600, "life_s": 7200},
    });
    let made = server.post(PATH).json(&asked).send().await.expect(201);
    insta::assert_json_snapshot!(made);
    let id = made["id"].as_str().unwrap();
    assert!(server.guest.has(core_id(id), "/work"), "the working directory is made");
    assert_eq!(server.get(&at(id, "")).send().await.expect(200), made);
}

#[tokio::test]
async fn uploaded_files_are_there_when_the_answer_comes() {
    let server = Server::start().await;
    let upload = lazaret_core::services::NewUpload {
        filename: "in.csv".to_owned(),
        purpose: "user_data".to_owned(),
        expires_in: None,
    };
    let (uploads, admin) = (&server.services.uploads, server.admin().await);
    let staged = uploads.stage(&admin, body_from_bytes("a,b\n1,2\n")).await.unwrap();
    let upload = uploads.create(&admin, upload, staged).await.unwrap();
    let asked = json!({"files": [{"upload": upload.id.to_string(), "path": "/mnt/data/in.csv"}]});
    let made = server.post(PATH).json(&asked).send().await.expect(201);
    let content = server.get(&at(made["id"].as_str().unwrap(), "/files/mnt/data/in.csv")).send().await;
    assert_eq!(content.body, "a,b\n1,2\n");
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing() {
    let server = Server::start().await;
    server.runtime.fail_next_start(Error::internal("no loop device"));
    let answer = server.post(PATH).send().await;
    assert_eq!(answer.native_error(), "500 internal -: internal error");
    assert!(!String::from_utf8_lossy(&answer.body).contains("loop device"));
    assert_eq!(server.runtime.count(), 0);
    let listed = server.get(PATH).send().await.expect(200);
    assert_eq!(listed, json!({"sandboxes": [], "has_more": false}));
}

#[tokio::test]
async fn a_policy_that_the_runtime_lacks_is_501() {
    let server = Server::start().await;
    let answer = server.post(PATH).json(&json!({"network": {"type": "internet"}})).send().await;
    assert_eq!(server.runtime.count(), 0);
    assert_eq!(
        answer.native_error(),
        "501 unsupported -: not supported: a network policy other than disabled"
    );
}
