//! `GET` and `DELETE /v1/files/{file_id}`, and its content.

use serde_json::json;

use crate::support::Server;
use crate::{failure, got, schema, text, upload};

#[tokio::test]
async fn a_file_comes_back_as_it_went_in_until_it_is_deleted() {
    let server = Server::start().await;
    let made = upload(&server, "in.csv", "a,b\n").await;
    let path = format!("/v1/files/{}", text(&made, "id"));
    assert_eq!(got(&server, &path, "OpenAIFile").await, made);
    let answer = server.get(&format!("{path}/content")).header("accept", "application/binary").send().await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"a,b\n"[..]));
    assert_eq!(answer.header("content-type"), "text/csv");
    let part = server.get(&format!("{path}/content")).header("range", "bytes=-2").send().await;
    assert_eq!((part.status.as_u16(), &part.body[..]), (206, &b"b\n"[..]));
    let deleted = schema::checked(&server.delete(&path).send().await, 200, "DeleteFileResponse");
    assert_eq!(deleted, json!({"id": made["id"], "object": "file", "deleted": true}));
    crate::support::eventually("its content is collected", || server.blob_files() == 0).await;
    let want = format!("404 invalid_request_error - id: No such File object: {}", text(&made, "id"));
    for answer in [
        server.get(&path).send().await,
        server.get(&format!("{path}/content")).send().await,
        server.delete(&path).send().await,
    ] {
        assert_eq!(failure(&answer), want);
    }
}

#[tokio::test]
async fn another_accounts_file_is_like_one_that_is_not_there() {
    let server = Server::start().await;
    let id = text(&upload(&server, "in.csv", "1").await, "id");
    let stranger = server.other_account("stranger").await;
    let call = |path: &str| server.get(&format!("/v1/files/{path}")).key(&stranger);
    assert_eq!(
        failure(&call(&id).send().await),
        format!("404 invalid_request_error - id: No such File object: {id}")
    );
    let absent = call("file-x").send().await;
    assert_eq!(failure(&absent), "404 invalid_request_error - id: No such File object: file-x");
}
