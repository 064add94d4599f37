//! Requests for files that are signed with the sandbox's key, and need none of the account.

use std::time::Duration;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use lazaret_core::Clock;

use crate::support::{Answer, Server};
use crate::toolbox_files::form;
use crate::{core_id, failure, sandbox, toolbox};

struct World {
    server: Server,
    id: String,
    key: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start().await;
        let id = sandbox(&server).await;
        let key = server.get(&format!("/api/sandbox/{id}/signing-key")).send().await.expect(200);
        Self { key: key.as_str().expect("a text").to_owned(), server, id }
    }

    /// As the clients sign it.
    fn query(&self, method: &str, path: &str, expires: i64) -> String {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(self.key.as_bytes()).unwrap();
        mac.update(format!("v1:files:{method}:{path}:{expires}").as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        format!("path={}&expires={expires}&signature=v1_{signature}", path.replace(' ', "+"))
    }

    async fn download(&self, query: &str) -> Answer {
        self.server.get(&toolbox(&self.id, &format!("/files/download?{query}"))).no_key().send().await
    }

    async fn upload(&self, query: &str) -> Answer {
        let (kind, body) = form(&[("file", Some("x"), "uploaded")]);
        let path = toolbox(&self.id, &format!("/files/upload-v2?{query}"));
        self.server.post(&path).no_key().header("content-type", &kind).body(body).send().await
    }
}

#[tokio::test]
async fn a_signed_request_reads_or_writes_its_file_without_a_key() {
    let world = World::new().await;
    world.server.guest.plant(core_id(&world.id), "/data/a file", "content");
    for path in ["/data/a file", "data/a file"] {
        let answer = world.download(&world.query("GET", path, 0)).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"content"[..]), "{path}");
    }
    let answer = world.upload(&world.query("POST", "data/new", 0)).await.expect(200);
    assert_eq!((answer["name"].as_str(), answer["path"].as_str()), (Some("new"), Some("data/new")));
    assert!(world.server.guest.has(core_id(&world.id), "/data/new"));
    let missing = world.download(&world.query("GET", "data/none", 0)).await;
    assert_eq!(
        failure(&missing),
        "404 FILE_NOT_FOUND GET /files/download: /data/none: no such file or directory"
    );
}

#[tokio::test]
async fn a_signature_is_of_one_method_one_path_one_sandbox_and_until_its_end() {
    let world = World::new().await;
    world.server.guest.plant(core_id(&world.id), "/a", "a");
    world.server.guest.plant(core_id(&world.id), "/b", "b");
    let now = world.server.clock.now().unix_seconds();
    let good = world.query("GET", "/a", now + 60);
    assert_eq!(world.download(&good).await.status, 200);
    let refused = async |query: String| {
        let line = failure(&world.download(&query).await);
        assert_eq!(line, "401 UNAUTHORIZED GET /files/download: Invalid credentials", "{query}");
    };
    refused(good.replace("path=/a", "path=/b")).await;
    refused(good.replace(&(now + 60).to_string(), &(now + 61).to_string())).await;
    refused(good.replace(&(now + 60).to_string(), "0")).await;
    refused(good.replace("v1_", "v2_")).await;
    refused(good.replace("v1_", "")).await;
    refused(format!("{}A", good)).await;
    refused(good.split("&signature").next().unwrap().to_owned() + "&signature=").await;
    refused(good.replace("&expires", "&expired")).await;
    refused(world.query("GET", "/a", now)).await;
    refused(world.query("GET", "/a", -1)).await;
    refused(world.query("POST", "/a", 0)).await;
    assert_eq!(world.upload(&world.query("GET", "/new", 0)).await.status, 401);
    assert!(!world.server.guest.has(core_id(&world.id), "/new"));
    let other = sandbox(&world.server).await;
    world.server.guest.plant(core_id(&other), "/a", "theirs");
    let answer = world.server.get(&toolbox(&other, &format!("/files/download?{good}"))).no_key().send().await;
    assert_eq!(answer.status, 401);
    // No other route takes a signature.
    for (method, path) in [(Method::GET, "/files/info"), (Method::POST, "/files/upload")] {
        let path = toolbox(&world.id, &format!("{path}?{good}"));
        assert_eq!(world.server.call(method, &path).no_key().send().await.status, 401, "{path}");
    }
    world.server.clock.advance(Duration::from_secs(60));
    refused(good).await;
}

#[tokio::test]
async fn a_rotation_of_the_key_ends_what_was_signed_and_a_restart_does_not() {
    let world = World::new().await;
    world.server.guest.plant(core_id(&world.id), "/a", "a");
    let signed = world.query("GET", "/a", 0);
    for verb in ["stop", "start"] {
        world.server.post(&format!("/lazaret/v1/sandboxes/{}/{verb}", world.id)).send().await.expect(200);
    }
    world.server.guest.plant(core_id(&world.id), "/a", "a");
    assert_eq!(world.download(&signed).await.status, 200);
    world.server.post(&format!("/api/sandbox/{}/signing-key/rotate", world.id)).send().await.expect(200);
    assert_eq!(world.download(&signed).await.status, 401);
}
