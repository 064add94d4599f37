//! `GET /version`, `/work-dir`, `/user-home-dir` of the toolbox.

use serde_json::json;

use crate::support::Server;
use crate::{core_id, failure, sandbox, sandbox_with, toolbox};

#[tokio::test]
async fn directories_are_those_of_the_sandbox_then_of_its_image_then_of_its_user() {
    let server = Server::start().await;
    let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
    for (body, work_dir, home) in [
        (json!({}), "/root", "/root"),
        (json!({"user": "ada"}), "/home/ada", "/home/ada"),
        (json!({"user": "1000:0", "cwd": "/srv"}), "/srv", "/home/ada"),
        (json!({"user": "4711"}), "/", "/"),
    ] {
        let id = sandbox_with(&server, body.clone()).await;
        server.guest.plant(core_id(&id), "/etc/passwd", passwd);
        for (path, want) in [("/work-dir", work_dir), ("/user-home-dir", home)] {
            let answer = server.get(&toolbox(&id, path)).send().await.expect(200);
            assert_eq!(answer, json!({"dir": want}), "{path} of {body}");
        }
    }
}

#[tokio::test]
async fn a_home_is_looked_up_again_after_a_restart() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let home = async || server.get(&toolbox(&id, "/user-home-dir")).send().await.expect(200)["dir"].clone();
    assert_eq!(home().await, "/", "an image without users");
    server.guest.plant(core_id(&id), "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    assert_eq!(home().await, "/", "it is not looked up at every request");
    for verb in ["stop", "start"] {
        server.post(&format!("/lazaret/v1/sandboxes/{id}/{verb}")).send().await.expect(200);
    }
    server.guest.plant(core_id(&id), "/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    assert_eq!(home().await, "/root");
}

#[tokio::test]
async fn the_version_is_the_servers() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let answer = server.get(&toolbox(&id, "/version?x=1")).send().await.expect(200);
    assert_eq!(answer, json!({"version": "0.0.0-test"}));
}

#[tokio::test]
async fn a_sandbox_is_known_by_its_id_alone_and_has_to_run() {
    let server = Server::start().await;
    let id = sandbox_with(&server, json!({"name": "box"})).await;
    let version = |id: &str| server.get(&toolbox(id, "/version"));
    assert_eq!(
        failure(&version("box").send().await),
        "404 NOT_FOUND GET /version: Sandbox with ID or name box not found"
    );
    server.post(&format!("/lazaret/v1/sandboxes/{id}/stop")).send().await.expect(200);
    assert_eq!(
        failure(&version(&id).send().await),
        "400 BAD_REQUEST GET /version: bad request: the sandbox is stopped. Is the Sandbox started?"
    );
}
