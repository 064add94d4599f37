//! `POST .../run`.

use serde_json::json;

use crate::support::Server;
use crate::{at, core_id, sandbox};

#[tokio::test]
async fn a_snippet_runs_and_leaves_no_file() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let body = json!({"language": "python", "code": "print(1)"});
    let answer = server.post(&at(&id, "/run")).json(&body).send().await.expect(200);
    // The guest of these tests prints the script instead of running it.
    assert_eq!((&answer["stdout"], &answer["exit_code"]), (&json!("print(1)"), &json!(0)));
    let left = server.get(&at(&id, "/files/tmp?list=true")).send().await.expect(200);
    assert_eq!(left["entries"], json!([]));
    assert!(server.guest.has(core_id(&id), "/tmp"));
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    for (body, want) in [
        (
            json!({"language": "javascript", "code": "1"}),
            "422 exec_failed -: javascript needs node: the image has no interpreter for this language",
        ),
        (
            json!({"language": "cobol", "code": "1"}),
            "400 invalid language: language: 'cobol' is not one of python, javascript, typescript",
        ),
        (
            json!({"language": "typescript", "code": "syntax error"}),
            "400 invalid code: code: 1:8: unexpected word",
        ),
        (json!({"language": "python"}), "400 missing_field code: code: is missing"),
        (
            json!({"language": "python", "code": "x".repeat(4 * 1024 * 1024 + 1)}),
            "400 invalid code: code: is longer than 4194304 bytes",
        ),
    ] {
        let answer = server.post(&at(&id, "/run")).json(&body).send().await;
        assert_eq!(answer.native_error(), want);
    }
}
