//! `GET /lazaret/v1/events`, listed and streamed.

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, Server};
use crate::{at, sandbox};

const PATH: &str = "/lazaret/v1/events";

/// The next event of a stream: its id and its data.
async fn next(stream: &mut BodyDataStream) -> (u64, Value) {
    let chunk = tokio::time::timeout(DEADLINE, stream.next()).await.expect("an event comes");
    let text = String::from_utf8(chunk.expect("no end").expect("no error").to_vec()).unwrap();
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    (field("id: ").parse().unwrap(), serde_json::from_str(&field("data: ")).unwrap())
}

#[tokio::test]
async fn a_list_tells_of_every_state_in_order_and_from_any_place() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    server.post(&at(&id, "/stop")).send().await.expect(200);
    server.delete(&at(&id, "")).send().await.expect(204);
    let all = server.get(PATH).send().await.expect(200);
    insta::assert_json_snapshot!(all);
    let third = all["events"][2]["sequence"].as_u64().unwrap();
    let rest = server.get(&format!("{PATH}?after={third}&limit=1")).send().await.expect(200);
    assert_eq!(rest["events"][0], all["events"][3]);
    assert_eq!(rest["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_goes_on_and_resumes_behind_the_last_event_seen() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let open = async |last: Option<&str>| {
        let call = server.get(PATH).header("accept", "text/event-stream");
        let call = match last {
            Some(last) => call.header("last-event-id", last),
            None => call,
        };
        call.open().await.into_body().into_data_stream()
    };
    let mut fresh = open(None).await;
    let mut resumed = open(Some("0")).await;
    assert_eq!(next(&mut resumed).await.1["state"], "running", "what was missed comes first");
    server.post(&at(&id, "/pause")).send().await.expect(200);
    for stream in [&mut fresh, &mut resumed] {
        let (sequence, event) = next(stream).await;
        assert_eq!((event["state"].as_str(), event["sequence"].as_u64()), (Some("paused"), Some(sequence)));
    }
}

#[tokio::test]
async fn nobody_sees_another_accounts_events() {
    let server = Server::start().await;
    let stranger = server.other_account("stranger").await;
    let call = server.get(PATH).key(&stranger).header("accept", "text/event-stream");
    let mut stream = call.open().await.into_body().into_data_stream();
    sandbox(&server).await;
    let own = server.post("/lazaret/v1/sandboxes").key(&stranger).send().await.expect(201);
    assert_eq!(next(&mut stream).await.1["sandbox_id"], own["id"], "the first event is their own");
    let listed = server.get(PATH).key(&stranger).send().await.expect(200);
    assert_eq!(listed["events"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn streams_without_an_end_end_when_the_server_stops() {
    let stopping = CancellationToken::new();
    let server = Server::start_with(|settings| settings.stopping = stopping.clone()).await;
    let id = sandbox(&server).await;
    let body = json!({"command": ["sleep"], "background": true});
    let exec = server.post(&at(&id, "/exec")).json(&body).send().await.expect(202);
    let output = at(&id, &format!("/execs/{}/output", exec["exec_id"].as_str().unwrap()));
    let watching = server.get(PATH).header("accept", "text/event-stream").open().await;
    let following = server.get(&output).open().await;
    stopping.cancel();
    for stream in [watching, following] {
        let rest = stream.into_body().into_data_stream().count();
        tokio::time::timeout(DEADLINE, rest).await.expect("the stream ends");
    }
    assert_eq!(server.guest.running(), 1, "the exec goes on");
}

#[tokio::test]
async fn a_bad_place_is_refused() {
    let server = Server::start().await;
    for (query, want) in [
        ("?limit=0", "400 invalid limit: limit: must be from 1 to 1000, not 0"),
        ("?after=x", "400 invalid after: after: invalid digit found in string"),
        ("?since=1", "400 unknown_field since: since: is not a known field"),
    ] {
        assert_eq!(server.get(&format!("{PATH}{query}")).send().await.native_error(), want);
    }
    let call = server.get(PATH).header("accept", "text/event-stream").header("last-event-id", "x");
    let want = "400 invalid last-event-id: last-event-id: is not the id of an event";
    assert_eq!(call.send().await.native_error(), want);
}
