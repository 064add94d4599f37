//! `/api` is not Daytona's alone.

use crate::support::Server;

#[tokio::test]
async fn paths_beneath_api_that_daytona_does_not_know_are_left_to_others() {
    let server = Server::start().await;
    for path in ["/api/containers", "/api/containers/x/exec", "/api/v1/environments", "/api/images"] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["error"]["code"], "unknown_path", "{path} is answered by the router itself");
    }
    let answer = server.get("/api/sandbox/x/y/z").send().await;
    assert_eq!(answer.json()["statusCode"], 404, "Daytona's own are answered in its shape");
}
