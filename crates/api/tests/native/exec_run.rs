//! `POST .../exec`, answered in one piece.

use serde_json::{Value, json};

use crate::support::{Answer, Server, eventually};
use crate::{at, sandbox, sandbox_with};

async fn exec(server: &Server, id: &str, body: &Value) -> Answer {
    server.post(&at(id, "/exec")).json(body).send().await
}

#[tokio::test]
async fn output_and_exit_code_come_back() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = exec(&server, &id, &json!({"command": ["echo", "hello", "there"]})).await.expect(200);
    insta::assert_json_snapshot!(answer);
    let failed = exec(&server, &id, &json!({"command": ["fail", "oh", "no"]})).await.expect(200);
    assert_eq!((&failed["exit_code"], &failed["stderr"]), (&json!(3), &json!("oh no\n")));
}

#[tokio::test]
async fn output_that_is_not_text_comes_to_the_base_64_as_well() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = exec(&server, &id, &json!({"command": ["bytes"]})).await.expect(200);
    assert_eq!((&answer["stdout"], &answer["stdout_base64"]), (&json!("\u{fffd}\u{fffd}"), &json!("//4=")));
    assert!(answer.get("stderr_base64").is_none());
}

#[tokio::test]
async fn input_is_read_as_text_or_bytes() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for body in
        [json!({"command": ["cat"], "stdin": "ab"}), json!({"command": ["cat"], "stdin_base64": "YWI="})]
    {
        assert_eq!(exec(&server, &id, &body).await.expect(200)["stdout"], "ab");
    }
}

#[tokio::test]
async fn a_timeout_kills_and_says_so() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = exec(&server, &id, &json!({"command": ["sleep"], "timeout_ms": 5})).await.expect(200);
    assert_eq!(
        (&answer["exit_code"], &answer["signal"], &answer["timed_out"]),
        (&Value::Null, &json!(9), &json!(true))
    );
}

#[tokio::test]
async fn output_beyond_the_limit_is_dropped_and_told() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let body = json!({"command": ["spew", "10000"], "output_limit_bytes": 5000});
    let answer = exec(&server, &id, &body).await.expect(200);
    assert_eq!((answer["stdout"].as_str().unwrap().len(), &answer["truncated"]), (5000, &json!(true)));
}

#[tokio::test]
async fn the_sandboxs_own_settings_hold_until_the_exec_overrides_them() {
    let server = Server::start().await;
    let body = json!({"env": {"A": "sandbox", "B": "sandbox"}, "cwd": "/tmp", "user": "1000"});
    let id = sandbox_with(&server, body).await;
    let run = async |body: Value| exec(&server, &id, &body).await.expect(200)["stdout"].clone();
    let env = run(json!({"command": ["env"], "env": {"B": "exec"}})).await;
    let env: Vec<_> = env.as_str().unwrap().lines().collect();
    assert!(["A=sandbox", "B=exec", "LANG=C.UTF-8"].iter().all(|line| env.contains(line)), "{env:?}");
    assert_eq!(run(json!({"command": ["pwd"]})).await, "/tmp\n");
    assert_eq!(run(json!({"command": ["pwd"], "cwd": "/etc"})).await, "/etc\n");
    assert_eq!(run(json!({"command": ["id"]})).await, "1000\n");
    assert_eq!(run(json!({"command": ["id"], "user": "nobody"})).await, "nobody\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_422_with_the_problem() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = exec(&server, &id, &json!({"command": ["nothere"]})).await;
    assert_eq!(answer.native_error(), "422 exec_failed -: nothere: program not found");
    assert_eq!(answer.json()["error"]["problem"], "program_not_found");
    let answer = exec(&server, &id, &json!({"command": ["true"], "user": "nobody-here"})).await;
    assert_eq!(answer.json()["error"]["problem"], "unknown_user");
}

#[tokio::test]
async fn a_bad_request_is_refused_naming_the_field() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let socket = "is for the WebSocket at .../exec/ws";
    for (body, want) in [
        (json!({}), "400 missing_field command: command: is missing".to_owned()),
        (json!({"command": []}), "400 invalid command: command: is empty".to_owned()),
        (
            json!({"command": "ls"}),
            "400 invalid command: command: must be a sequence, not string \"ls\"".to_owned(),
        ),
        (
            json!({"command": [5]}),
            "400 invalid command[0]: command[0]: must be a string, not integer `5`".to_owned(),
        ),
        (json!({"command": ["a\0"]}), "400 invalid command: command: has a NUL byte".to_owned()),
        (
            json!({"command": ["true"], "cwd": "x"}),
            "400 invalid cwd: cwd: is not an absolute path".to_owned(),
        ),
        (
            json!({"command": ["true"], "timeout_ms": 0}),
            "400 invalid timeout_ms: timeout_ms: must be from 1 to 86400000".to_owned(),
        ),
        (
            json!({"command": ["true"], "stdin_base64": "!"}),
            "400 invalid stdin_base64: stdin_base64: is not base 64".to_owned(),
        ),
        (
            json!({"command": ["true"], "stdin": "", "stdin_base64": ""}),
            "400 invalid stdin_base64: stdin_base64: cannot be given together with stdin".to_owned(),
        ),
        (
            json!({"command": ["true"], "tty": {"rows": 1, "cols": 1}}),
            format!("400 invalid tty: tty: {socket}"),
        ),
        (
            json!({"command": ["true"], "stdin_stream": true}),
            format!("400 invalid stdin_stream: stdin_stream: {socket}"),
        ),
        (
            json!({"command": ["true"], "background": true, "stdin": "x"}),
            "400 invalid stdin: stdin: cannot be given to an exec in the background".to_owned(),
        ),
    ] {
        assert_eq!(exec(&server, &id, &body).await.native_error(), want, "{body}");
    }
}

#[tokio::test]
async fn a_sandbox_that_dies_under_an_exec_is_a_503() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = exec(&server, &id, &json!({"command": ["crash"]})).await;
    assert_eq!(answer.native_error(), "503 unavailable -: temporarily unavailable");
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_process() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let call = server.post(&at(&id, "/exec")).json(&json!({"command": ["sleep"]})).open();
    {
        let mut call = std::pin::pin!(call);
        eventually("the process runs", || {
            let polled = futures_util::FutureExt::now_or_never(&mut call);
            assert!(polled.is_none(), "it goes on for ever");
            server.guest.running() == 1
        })
        .await;
    }
    eventually("the process is killed", || server.guest.running() == 0).await;
}
