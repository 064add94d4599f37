//! `GET /v1/files`.

use std::time::Duration;

use serde_json::json;

use crate::form::Form;
use crate::support::Server;
use crate::{column, failure, got, text, upload};

#[tokio::test]
async fn files_are_listed_by_purpose_and_page() {
    let server = Server::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c"] {
        ids.push(text(&upload(&server, name, name).await, "id"));
    }
    let form = Form::new().text("purpose", "vision").file("file", "d", "d");
    let vision = text(&form.send(server.post("/v1/files")).await.expect(200), "id");
    let list = got(&server, "/v1/files?purpose=vision", "ListFilesResponse").await;
    assert_eq!(column(&list, "id"), [vision]);
    let page = got(&server, "/v1/files?purpose=user_data&order=asc&limit=2", "ListFilesResponse").await;
    assert_eq!((column(&page, "id"), &page["has_more"]), (ids[..2].to_vec(), &json!(true)));
    let rest = format!("/v1/files?purpose=user_data&order=asc&after={}", ids[1]);
    server.delete(&format!("/v1/files/{}", ids[1])).send().await.expect(200);
    let page = got(&server, &rest, "ListFilesResponse").await;
    assert_eq!((column(&page, "id"), &page["has_more"]), (ids[2..].to_vec(), &json!(false)));
}

#[tokio::test]
async fn a_page_is_never_empty_because_files_have_expired() {
    let server = Server::start().await;
    let kept = text(&upload(&server, "kept", "1").await, "id");
    for name in ["a", "b", "c"] {
        let form = Form::new()
            .text("purpose", "user_data")
            .text("expires_after[anchor]", "created_at")
            .text("expires_after[seconds]", "3600")
            .file("file", name, name);
        form.send(server.post("/v1/files")).await.expect(200);
    }
    server.clock.advance(Duration::from_secs(3600));
    let list = got(&server, "/v1/files?limit=1", "ListFilesResponse").await;
    assert_eq!((column(&list, "id"), &list["has_more"]), (vec![kept], &json!(false)));
}

#[tokio::test]
async fn the_limit_of_files_is_its_own() {
    let server = Server::start().await;
    got(&server, "/v1/files?limit=10000", "ListFilesResponse").await;
    let answer = server.get("/v1/files?limit=10001").send().await;
    let want = "400 invalid_request_error integer_above_max_value limit: Invalid 'limit': integer above maximum \
                value. Expected a value <= 10000, but got 10001 instead.";
    assert_eq!(failure(&answer), want);
}
