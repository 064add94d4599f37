//! Processes where nothing can run: an image without a shell, and what is refused before anything would.

use serde_json::json;

use crate::support::Server;
use crate::{failure, sandbox, toolbox};

#[tokio::test]
async fn an_image_without_a_shell_is_told_of_in_the_place_of_output_or_as_a_bad_request() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let at = |path: &str| server.post(&toolbox(&id, path));
    let done = at("/process/execute").json(&json!({"command": "true"})).send().await.expect(200);
    assert_eq!(done, json!({"exitCode": -1, "result": "sh: program not found"}));
    let lines = [
        failure(&at("/process/session").json(&json!({"sessionId": "s"})).send().await),
        failure(&at("/process/pty").json(&json!({"id": "p"})).send().await),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn what_is_not_there_or_makes_no_sense_is_told_by_name() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let command = "/process/session/s/command/68a00000-0000-8000-8000-0000000000ff";
    let get = async |path: &str| failure(&server.get(&toolbox(&id, path)).send().await);
    let post = async |path: &str, body| failure(&server.post(&toolbox(&id, path)).json(&body).send().await);
    let lines = [
        get("/process/session/s").await,
        get(command).await,
        get(&format!("{command}/logs")).await,
        get("/process/session/entrypoint").await,
        get("/process/session/entrypoint/logs").await,
        get("/process/pty/p").await,
        get("/process/pty/create-connect?id=p").await,
        get("/process/interpreter/execute").await,
        get("/port/x/in-use").await,
        get("/computeruse/status").await,
        post("/process/execute", json!({"command": "true", "timeout": -1})).await,
        post("/process/execute", json!({"command": "true", "envs": {"A": []}})).await,
        post("/process/execute", json!({})).await,
        post("/process/session", json!({"sessionId": ""})).await,
        post("/process/session/s/exec", json!({"command": "true"})).await,
        post("/process/pty", json!({"id": "p", "cols": 0})).await,
        post("/process/pty", json!({"id": "p", "rows": 70_000})).await,
        post("/process/interpreter/context", json!({"language": "cobol"})).await,
        failure(&server.delete(&toolbox(&id, "/process/interpreter/context/default")).send().await),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_terminal_without_an_id_is_told_that_it_needs_one() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for body in [json!({}), json!({"id": "", "rows": 3})] {
        let refused = server.post(&toolbox(&id, "/process/pty")).json(&body).send().await;
        assert_eq!(failure(&refused), "400 BAD_REQUEST POST /process/pty: id is required");
    }
}

#[tokio::test]
async fn lists_are_empty_before_anything_is_made() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let get = async |path: &str| server.get(&toolbox(&id, path)).send().await.expect(200);
    assert_eq!(get("/process/session").await, json!([]));
    assert_eq!(get("/process/pty").await, json!({"sessions": []}));
    assert_eq!(get("/process/interpreter/context").await, json!({"contexts": []}));
}
