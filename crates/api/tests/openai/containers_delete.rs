//! `DELETE /v1/containers/{container_id}`.

use serde_json::json;

use crate::support::Server;
use crate::{container, failure, got};

#[tokio::test]
async fn a_deleted_container_is_gone_from_everywhere() {
    let server = Server::start().await;
    let id = container(&server).await;
    let path = format!("/v1/containers/{id}");
    // Python sends a content type and no body.
    let call = server.delete(&path).header("content-type", "application/json").header("accept", "*/*");
    assert_eq!(
        call.send().await.expect(200),
        json!({"id": id, "object": "container.deleted", "deleted": true})
    );
    assert_eq!(server.runtime.count(), 0);
    let gone = format!("404 invalid_request_error - -: Container with id '{id}' not found.");
    for answer in [
        server.get(&path).send().await,
        server.delete(&path).send().await,
        server.get(&format!("{path}/files")).send().await,
        server.delete(&format!("{path}/files/cfile_x")).send().await,
    ] {
        assert_eq!(failure(&answer), gone);
    }
    assert_eq!(got(&server, "/v1/containers", "ContainerListResource").await["data"], json!([]));
}

#[tokio::test]
async fn of_two_deletes_at_once_one_succeeds_and_the_other_finds_nothing() {
    let server = Server::start().await;
    for _ in 0..20 {
        let path = format!("/v1/containers/{}", container(&server).await);
        let (a, b) = tokio::join!(server.delete(&path).send(), server.delete(&path).send());
        let mut statuses = [a.status.as_u16(), b.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
    }
    assert_eq!(server.runtime.count(), 0);
}

#[tokio::test]
async fn another_accounts_container_stays() {
    let server = Server::start().await;
    let id = container(&server).await;
    let stranger = server.other_account("stranger").await;
    let answer = server.delete(&format!("/v1/containers/{id}")).key(&stranger).send().await;
    assert_eq!(answer.status, 404);
    got(&server, &format!("/v1/containers/{id}"), "ContainerResource").await;
}
