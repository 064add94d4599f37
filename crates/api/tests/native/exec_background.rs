//! Execs in the background: start, list, attach by offset, remove.

use serde_json::json;

use crate::support::{Server, eventually};
use crate::{at, sandbox};

async fn start(server: &Server, id: &str, command: &[&str]) -> String {
    let body = json!({"command": command, "background": true});
    let made = server.post(&at(id, "/exec")).json(&body).send().await.expect(202);
    assert_eq!(made["pid"], 7);
    made["exec_id"].as_str().unwrap().to_owned()
}

async fn follow(server: &Server, id: &str, exec: &str, offset: u64) -> String {
    let answer = server.get(&at(id, &format!("/execs/{exec}/output?offset={offset}"))).send().await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn its_output_is_followed_from_any_offset() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let exec = start(&server, &id, &["echo", "hello"]).await;
    insta::assert_snapshot!("from_the_start", follow(&server, &id, &exec, 0).await);
    insta::assert_snapshot!("from_the_third_byte", follow(&server, &id, &exec, 2).await);
}

#[tokio::test]
async fn it_is_listed_while_it_runs_and_after() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let (done, running) = (start(&server, &id, &["echo", "x"]).await, start(&server, &id, &["sleep"]).await);
    follow(&server, &id, &done, 0).await;
    insta::assert_json_snapshot!(server.get(&at(&id, "/execs")).send().await.expect(200));
    server.delete(&at(&id, &format!("/execs/{running}"))).send().await.expect(204);
    eventually("the process is killed", || server.guest.running() == 0).await;
    let answer = server.delete(&at(&id, &format!("/execs/{running}"))).send().await;
    assert_eq!(answer.native_error(), format!("404 not_found -: exec {running} not found"));
}

#[tokio::test]
async fn an_exec_that_never_was_is_404() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for exec in ["68a00000-0000-8000-8000-0000000000ff", "x", "%ff"] {
        let answer = server.get(&at(&id, &format!("/execs/{exec}/output"))).send().await;
        assert_eq!(answer.status, 404, "{exec}");
    }
}
