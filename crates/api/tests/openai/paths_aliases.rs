//! The same routes under every prefix, with or without a slash at the end.

use crate::support::Server;
use crate::{container, failure, schema};

#[tokio::test]
async fn every_prefix_and_a_trailing_slash_reach_the_same_container() {
    let server = Server::start().await;
    let id = container(&server).await;
    for prefix in ["/v1", "", "/openai/v1", "/openai"] {
        for slash in ["", "/"] {
            let one = server.get(&format!("{prefix}/containers/{id}{slash}")).send().await;
            assert_eq!(schema::checked(&one, 200, "ContainerResource")["id"], id);
            let all = server.get(&format!("{prefix}/containers{slash}?limit=1")).send().await;
            schema::checked(&all, 200, "ContainerListResource");
            let files = server.get(&format!("{prefix}/containers/{id}/files{slash}")).send().await;
            schema::checked(&files, 200, "ContainerFileListResource");
            let uploads = server.get(&format!("{prefix}/files{slash}")).send().await;
            schema::checked(&uploads, 200, "ListFilesResponse");
            let missing = server.get(&format!("{prefix}/containers/cntr_x{slash}")).send().await;
            assert_eq!(
                failure(&missing),
                "404 invalid_request_error - -: Container with id 'cntr_x' not found."
            );
        }
    }
}

#[tokio::test]
async fn an_encoded_slash_does_not_change_the_route() {
    let server = Server::start().await;
    let id = container(&server).await;
    let answer = server.get(&format!("/v1/containers/{id}%2Ffiles")).send().await;
    let want = format!("404 invalid_request_error - -: Container with id '{id}/files' not found.");
    assert_eq!(failure(&answer), want);
}
