//! What is refused before any sandbox is looked at, in the words of each of the two APIs.

use crate::failure;
use crate::support::Server;

const MISSING: &str = "68a00000-0000-8000-8000-0000000000ff";

#[tokio::test]
async fn unknown_paths_and_methods_are_told_of_in_the_shape_of_their_api() {
    let server = Server::start().await;
    let at = |path: &str| format!("/toolbox/{MISSING}{path}");
    let lines = [
        failure(&server.get("/api/sandbox/x/nothing/here?x=1").no_key().send().await),
        failure(&server.post("/api/health").no_key().send().await),
        failure(&server.get(&at("/nothing")).no_key().send().await),
        failure(&server.post(&at("/version")).no_key().send().await),
        failure(&server.get(&at("/version")).no_key().send().await),
        failure(&server.get(&at("/version")).key("wrong").send().await),
        failure(&server.get(&at("/version")).send().await),
    ];
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn only_a_refused_key_asks_for_another() {
    let server = Server::start().await;
    let path = format!("/toolbox/{MISSING}/version");
    let header = async |call: crate::support::Call| call.send().await.header("www-authenticate").to_owned();
    assert_eq!(header(server.get(&path).no_key()).await, "Bearer");
    assert_eq!(header(server.get(&path)).await, "");
}

#[tokio::test]
async fn the_server_says_that_it_is_there_without_a_key() {
    let server = Server::start().await;
    server.get("/api/health").no_key().send().await.expect(200);
}
