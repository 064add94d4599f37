//! `/lazaret/v1/images` and below.

use lazaret_core::Scope;
use serde_json::json;

use crate::support::Server;

const PATH: &str = "/lazaret/v1/images";

#[tokio::test]
async fn an_imported_image_is_listed_used_and_removed() {
    let server = Server::start().await;
    let import = format!("{PATH}/import?name=local%2Fx:1&source=rootfs-tar");
    let made = server.post(&import).body("tar").send().await.expect(201);
    insta::assert_json_snapshot!("an_image", made);
    let listed = server.get(PATH).send().await.expect(200);
    assert_eq!(listed["images"][0]["built_in"], true);
    assert_eq!(listed["images"][1], made);

    let sandbox = crate::sandbox_with(&server, json!({"image": "local/x:1"})).await;
    let in_use = server.delete(&format!("{PATH}/local/x:1")).send().await;
    let want = format!("409 in_use -: image local/x:1 is in use by sandbox {}", sandbox.replace('-', ""));
    assert_eq!(in_use.native_error(), want);
    server.delete(&crate::at(&sandbox, "")).send().await.expect(204);
    server.delete(&format!("{PATH}/local%2Fx:1")).send().await.expect(204);
    let gone = server.delete(&format!("{PATH}/local/x:1")).send().await;
    assert_eq!(gone.native_error(), "404 not_found -: image local/x:1 not found");
}

#[tokio::test]
async fn what_is_no_image_or_too_large_is_refused() {
    let server = Server::start_with(|settings| settings.image_max_bytes = 10).await;
    let import = format!("{PATH}/import");
    let empty = server.post(&import).send().await;
    assert_eq!(empty.native_error(), "400 invalid body: body: is no archive that Detect could read");
    let large = server.post(&import).body("x".repeat(11)).send().await;
    assert_eq!(large.native_error(), "413 too_large -: limit reached: size of the image");
    let source = server.post(&format!("{import}?source=zip")).body("x").send().await;
    assert_eq!(source.json()["error"]["field"], "source");
    let built_in = server.delete(&format!("{PATH}/host")).send().await;
    assert_eq!(built_in.native_error(), "409 in_use -: image host is in use by the server itself");
}

#[tokio::test]
async fn an_image_is_pulled_in_one_answer_or_with_its_progress() {
    let server = Server::start().await;
    let pull = |reference| server.post(&format!("{PATH}/pull")).json(&json!({ "reference": reference }));
    let made = pull("registry.test/a/b").send().await.expect(201);
    assert_eq!(made["names"], json!(["registry.test/a/b:latest"]));

    let stream = pull("registry.test/a/b:2").header("accept", "text/event-stream").send().await;
    let text = String::from_utf8(stream.body.to_vec()).unwrap();
    let layers = r#""bytes":9,"fetched_bytes":9,"step":"shared"},{"digest""#;
    assert!(text.contains("event: progress\ndata: ") && text.contains(layers), "{text}");
    assert!(text.contains("event: image\ndata: {\"digest\":\"sha256:0707"), "{text}");

    let elsewhere = pull("other.test/a").send().await;
    assert_eq!(elsewhere.native_error(), "502 upstream_failed -: other.test: cannot be reached");
    let stream = pull("other.test/a").header("accept", "text/event-stream").send().await;
    let text = String::from_utf8(stream.body.to_vec()).unwrap();
    assert!(text.contains("\"problem\":\"unreachable\""), "{text}");
    for (reference, want) in [
        ("host", "400 invalid reference: reference: the name belongs to the built-in image"),
        (
            "No",
            "400 invalid reference: reference: an image name is made of lower-case letters, digits and single \
             separators '.', '_', '-' and '/'",
        ),
    ] {
        assert_eq!(pull(reference).send().await.native_error(), want);
    }

    let events = server.get("/lazaret/v1/events").send().await.expect(200);
    let steps: Vec<_> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["reference"] == "registry.test/a/b:latest")
        .map(|event| event["step"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(steps, ["started", "layer_ready", "layer_fetched", "layer_ready", "finished"]);
}

#[tokio::test]
async fn a_sandbox_whose_image_is_elsewhere_gets_it_unless_the_operator_says_never() {
    let server = Server::start().await;
    crate::sandbox_with(&server, json!({"image": "registry.test/a"})).await;
    let sandboxes = "/lazaret/v1/sandboxes";
    let made = server.post(sandboxes).json(&json!({"image": "debian"})).send().await;
    assert_eq!(made.native_error(), "502 upstream_failed -: docker.io: cannot be reached");
    let digits = server.post(sandboxes).json(&json!({"image": "0123456789ab"})).send().await;
    assert_eq!(digits.native_error(), "404 not_found -: image 0123456789ab not found");
}

#[tokio::test]
async fn importing_takes_its_scope() {
    let server = Server::start().await;
    let key = server.key_with(&Scope::DEFAULT).await;
    let answer = server.post(&format!("{PATH}/import")).key(&key).body("tar").send().await;
    assert_eq!(answer.native_error(), "403 forbidden -: the API key lacks the scope images:write");
}
