//! `DELETE /v1/containers/{container_id}/files/{file_id}`.

use serde_json::json;

use crate::form::Form;
use crate::support::Server;
use crate::{container, failure, got, put, text, tree};

#[tokio::test]
async fn a_deleted_file_is_gone_from_the_list_and_from_the_container() {
    let server = Server::start().await;
    let id = container(&server).await;
    let file = text(&put(&server, &id, Form::new().file("file", "a", "1")).await, "id");
    let path = format!("/v1/containers/{id}/files/{file}");
    let answer = server.delete(&path).send().await.expect(200);
    assert_eq!(answer, json!({"id": file, "object": "container.file.deleted", "deleted": true}));
    assert_eq!(tree(&server, &id).await, Vec::<String>::new());
    let gone = format!("404 invalid_request_error - -: File {file} not found on container {id}.");
    for answer in [
        server.delete(&path).send().await,
        server.get(&path).send().await,
        server.get(&format!("{path}/content")).send().await,
    ] {
        assert_eq!(failure(&answer), gone);
    }
    let list = got(&server, &format!("/v1/containers/{id}/files"), "ContainerFileListResource").await;
    assert_eq!(list["data"], json!([]));
}

#[tokio::test]
async fn of_two_deletes_at_once_one_succeeds_and_the_other_finds_nothing() {
    let server = Server::start().await;
    let id = container(&server).await;
    for _ in 0..10 {
        let file = text(&put(&server, &id, Form::new().file("file", "a", "1")).await, "id");
        let path = format!("/v1/containers/{id}/files/{file}");
        let (a, b) = tokio::join!(server.delete(&path).send(), server.delete(&path).send());
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
    }
}
