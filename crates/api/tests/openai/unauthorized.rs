//! No route answers a stranger: the table of routes is walked, so a new route is covered when it is declared.

use crate::failure;
use crate::support::Server;

#[tokio::test]
async fn every_route_under_every_prefix_refuses_a_missing_and_a_wrong_key() {
    let server = Server::start().await;
    let mut walked = 0;
    for route in lazaret_api::routes().into_iter().filter(|route| route.dialect == "openai") {
        let path = route.path.replace("{container_id}", "cntr_x").replace("{file_id}", "cfile_x");
        for (key, want) in [
            (None, "401 invalid_request_error - -: You didn't provide an API key."),
            (
                Some("nope"),
                "401 invalid_request_error invalid_api_key -: Incorrect API key provided: ********.",
            ),
        ] {
            let call = server.call(route.method.clone(), &path).no_key();
            let call = if let Some(key) = key { call.key(key) } else { call };
            let said = failure(&call.send().await);
            assert!(said.starts_with(want), "{} {path}: {said}", route.method);
        }
        walked += 1;
    }
    assert_eq!(walked, 4 * 14, "nine of containers and five of files, under four prefixes");
}

#[tokio::test]
async fn a_key_may_come_in_each_of_the_headers_that_clients_use() {
    let server = Server::start().await;
    for (name, value) in [
        ("authorization", "Bearer My API Key"),
        ("authorization", "bearer My API Key"),
        ("api-key", "My API Key"),
        ("x-api-key", "My API Key"),
        ("x-bf-vk", "My API Key"),
    ] {
        let call =
            server.get("/v1/containers").no_key().header(name, value).header("openai-beta", "containers=v1");
        assert_eq!(call.send().await.status, 200, "{name}: {value}");
    }
}
