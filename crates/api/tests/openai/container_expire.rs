//! Containers that nobody uses: `expires_after` counts from the last use.

use std::time::Duration;

use lazaret_core::services::Execs;
use lazaret_core::{ExecSpec, Stdin};
use serde_json::{Value, json};

use crate::form::Form;
use crate::support::Server;
use crate::{container, core_id, failure, got, put, schema, text, upload};

const MINUTE: Duration = Duration::from_secs(60);
const EXPIRED: &str = "400 invalid_request_error - -: Container is expired.";

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A container that expires after a minute.
async fn brief(server: &Server) -> String {
    let asked = json!({"name": "c", "expires_after": {"anchor": "last_active_at", "minutes": 1}});
    text(&server.post("/v1/containers").json(&asked).send().await.expect(200), "id")
}

/// Its status as a list shows it, which is no use.
async fn status(server: &Server, id: &str) -> String {
    let list = got(server, "/v1/containers", "ContainerListResource").await;
    let found = list["data"].as_array().unwrap().iter().find(|item| item["id"] == id).expect("it is listed");
    text(found, "status")
}

#[tokio::test]
async fn it_runs_for_59_seconds_and_has_expired_after_60() {
    let server = Server::start().await;
    let id = brief(&server).await;
    server.clock.advance(seconds(59));
    assert_eq!(status(&server, &id).await, "running");
    server.clock.advance(seconds(1));
    assert_eq!(status(&server, &id).await, "expired", "no reconciler had a chance");
}

#[tokio::test]
async fn a_look_at_it_after_50_seconds_gives_it_another_minute() {
    let server = Server::start().await;
    let id = brief(&server).await;
    let path = format!("/v1/containers/{id}");
    server.clock.advance(seconds(50));
    got(&server, &path, "ContainerResource").await;
    server.clock.advance(seconds(59));
    assert_eq!(status(&server, &id).await, "running");
    server.clock.advance(seconds(1));
    assert_eq!(got(&server, &path, "ContainerResource").await["status"], "expired");
}

#[tokio::test]
async fn an_expired_container_shows_itself_refuses_everything_else_and_can_be_deleted() {
    let server = Server::start().await;
    let id = brief(&server).await;
    let path = format!("/v1/containers/{id}");
    let file = put(&server, &id, Form::new().file("file", "a.txt", "hello")).await;
    let file = format!("{path}/files/{}", text(&file, "id"));
    server.clock.advance(MINUTE);
    let before = got(&server, &path, "ContainerResource").await;
    server.clock.advance(MINUTE);
    let after = got(&server, &path, "ContainerResource").await;
    assert_eq!(after, before, "looking at it is no use any more");
    assert_eq!(server.runtime.count(), 0, "its processes and files are gone");
    // Told of before anything else that is wrong with these.
    let form = Form::new().text("file_path", "/../x").file("file", "a", "1");
    for answer in [
        server.get(&format!("{file}/content")).send().await,
        server.get(&file).send().await,
        server.delete(&file).send().await,
        server.get(&format!("{path}/files?limit=0")).send().await,
        server.get(&format!("{path}/files/nonsense")).send().await,
        server.post(&format!("{path}/files")).json(&json!({})).send().await,
        form.send(server.post(&format!("{path}/files"))).await,
    ] {
        assert_eq!(failure(&answer), EXPIRED);
    }
    assert_eq!(status(&server, &id).await, "expired");
    assert_eq!(server.delete(&path).send().await.expect(200)["deleted"], true);
    assert_eq!(server.get(&path).send().await.status, 404);
    assert_eq!(server.delete(&path).send().await.status, 404);
}

#[tokio::test]
async fn what_succeeds_is_use_and_what_fails_is_not() {
    let server = Server::start().await;
    let up = upload(&server, "in.csv", "1").await;
    let id = container(&server).await;
    let path = format!("/v1/containers/{id}");
    let file = text(&put(&server, &id, Form::new().file("file", "a", "1")).await, "id");
    let file = format!("{path}/files/{file}");
    let active = async || {
        let list = got(&server, "/v1/containers", "ContainerListResource").await;
        list["data"][0]["last_active_at"].as_i64().unwrap()
    };
    let calls: [(&str, crate::support::Call, u16); 11] = [
        ("a list of files", server.get(&format!("{path}/files")), 200),
        ("a file", server.get(&file), 200),
        ("its content", server.get(&format!("{file}/content")), 200),
        ("a copy", server.post(&format!("{path}/files")).json(&json!({"file_id": up["id"]})), 200),
        ("a copy of nothing", server.post(&format!("{path}/files")).json(&json!({"file_id": "file-x"})), 404),
        ("a body that is no JSON", server.post(&format!("{path}/files")).body("{"), 400),
        ("a cursor that never was", server.get(&format!("{path}/files?after=cfile_x")), 404),
        ("a file that is not there", server.get(&format!("{path}/files/cfile_x")), 404),
        (
            "the content of nothing",
            server.get(&format!("{path}/files/cfile_{}/content", "0".repeat(32))),
            404,
        ),
        ("the end of a file", server.delete(&file), 200),
        ("the end of nothing", server.delete(&file), 404),
    ];
    for (what, call, status) in calls {
        let before = active().await;
        server.clock.advance(seconds(10));
        assert_eq!(call.send().await.status.as_u16(), status, "{what}");
        let used = active().await - before;
        // What came before and did not count is caught up by the next that does.
        assert_eq!(used > 0, status == 200, "{what}: {used}");
    }
}

#[tokio::test]
async fn a_failed_upload_is_no_use() {
    let server = Server::start().await;
    let id = brief(&server).await;
    server.clock.advance(seconds(59));
    let form = Form::new().file("file", "a", "1").text("file_path", "../..");
    let answer = form.send(server.post(&format!("/v1/containers/{id}/files"))).await;
    assert_eq!(answer.status, 400);
    server.clock.advance(seconds(1));
    assert_eq!(status(&server, &id).await, "expired");
}

fn sleeper() -> ExecSpec {
    ExecSpec { command: vec!["sleep".to_owned()], stdin: Stdin::Stream, ..ExecSpec::default() }
}

#[tokio::test]
async fn a_run_keeps_it_alive_and_its_end_begins_the_minute_anew() {
    let server = Server::start().await;
    let id = brief(&server).await;
    let admin = server.admin().await;
    let execs: &Execs = &server.services.execs;
    let session = execs.start(&admin, core_id(&id), sleeper()).await.unwrap();
    server.clock.advance(10 * MINUTE);
    assert_eq!(status(&server, &id).await, "running");
    drop(session);
    server.clock.advance(seconds(59));
    assert_eq!(status(&server, &id).await, "running");
    server.clock.advance(seconds(1));
    assert_eq!(status(&server, &id).await, "expired");
}

#[tokio::test]
async fn a_run_in_the_background_does_the_same() {
    let server = Server::start().await;
    let id = brief(&server).await;
    let admin = server.admin().await;
    let execs = &server.services.execs;
    let (exec, session) = execs.start_background(&admin, core_id(&id), sleeper()).await.unwrap();
    drop(session);
    server.clock.advance(10 * MINUTE);
    assert_eq!(status(&server, &id).await, "running", "nobody is attached, and it runs");
    execs.remove(&admin, core_id(&id), exec).await.unwrap();
    server.clock.advance(MINUTE);
    assert_eq!(status(&server, &id).await, "expired");
}

#[tokio::test]
async fn an_expired_container_is_forgotten_after_thirty_days() {
    let server = Server::start().await;
    let id = brief(&server).await;
    let path = format!("/v1/containers/{id}");
    server.clock.advance(MINUTE);
    assert_eq!(got(&server, &path, "ContainerResource").await["status"], "expired");
    server.clock.advance(seconds(30 * 24 * 3600 - 1));
    schema::checked(&server.get(&path).send().await, 200, "ContainerResource");
    server.clock.advance(seconds(1));
    let answer: Value = server.get(&path).send().await.expect(404);
    assert_eq!(answer["error"]["message"], format!("Container with id '{id}' not found."));
}

#[tokio::test]
async fn a_jump_of_the_wall_clock_expires_nothing() {
    let server = Server::start().await;
    let id = brief(&server).await;
    server.clock.jump_to(crate::support::START.after(seconds(24 * 3600)));
    assert_eq!(status(&server, &id).await, "running");
    server.clock.advance(MINUTE);
    assert_eq!(status(&server, &id).await, "expired");
}
