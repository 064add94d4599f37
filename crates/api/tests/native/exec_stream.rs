//! `POST .../exec` as server-sent events.

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{Server, eventually};
use crate::{at, sandbox};

#[tokio::test]
async fn events_tell_of_start_output_and_end_in_order() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let call = server.post(&at(&id, "/exec")).header("accept", "text/event-stream");
    let answer = call.json(&json!({"command": ["cat"], "stdin": "hello"})).send().await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_refusal_before_the_start_has_its_status() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let call = server.post(&at(&id, "/exec")).header("accept", "text/event-stream");
    let answer = call.json(&json!({"command": ["nothere"]})).send().await;
    assert_eq!(answer.native_error(), "422 exec_failed -: nothere: program not found");
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let call = server.post(&at(&id, "/exec")).header("accept", "text/event-stream");
    let answer = call.json(&json!({"command": ["crash"]})).send().await;
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn a_client_that_leaves_the_stream_ends_the_process_and_the_use() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let call = server.post(&at(&id, "/exec")).header("accept", "text/event-stream");
    let answer = call.json(&json!({"command": ["sleep"]})).open().await;
    let mut body = answer.into_body().into_data_stream();
    let first = body.next().await.expect("an event").expect("a whole chunk");
    assert!(first.starts_with(b"event: started"), "{first:?}");
    assert_eq!(server.guest.running(), 1);
    drop(body);
    eventually("the process is killed", || server.guest.running() == 0).await;
}
