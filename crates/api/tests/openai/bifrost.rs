//! Bifrost's fields: there where a request is Bifrost's, and nowhere else.

use serde_json::{Value, json};

use crate::form::Form;
use crate::support::{Answer, Call, Server};
use crate::{container, put, schema, text, upload};

/// The body with what differs between runs replaced.
fn steady(answer: &Answer, id: &str) -> Value {
    let body = answer.json().to_string().replace(id, "cntr_...");
    let mut body: Value = serde_json::from_str(&body).unwrap();
    if body["extra_fields"]["latency"].is_u64() {
        body["extra_fields"]["latency"] = json!("ms");
    }
    body
}

#[tokio::test]
async fn a_request_is_bifrosts_by_provider_header_or_path() {
    let server = Server::start().await;
    let id = container(&server).await;
    let path = format!("/v1/containers/{id}");
    let calls: [(Call, Option<&str>); 9] = [
        (server.get(&path), None),
        (server.get(&format!("/containers/{id}")), None),
        (server.get(&format!("{path}?provider=azure")), Some("azure")),
        (server.get(&format!("{path}?provider=")), Some("openai")),
        (server.get(&format!("{path}?x-model-provider=azure")), Some("azure")),
        (server.get(&path).header("x-model-provider", "groq"), Some("groq")),
        (server.get(&path).header("x-bf-vk", "whatever"), Some("openai")),
        (server.get(&format!("/openai/v1/containers/{id}")), Some("openai")),
        (server.get(&format!("/openai/containers/{id}?provider=azure")), Some("azure")),
    ];
    for (call, provider) in calls {
        let answer = call.send().await;
        let body = schema::checked(&answer, 200, "ContainerResource");
        assert_eq!(body.get("extra_fields").is_some(), provider.is_some(), "{body}");
        assert_eq!(body["extra_fields"]["provider"].as_str(), provider);
    }
}

#[tokio::test]
async fn objects_lists_deletions_and_errors_have_extra_fields_and_elements_do_not() {
    let server = Server::start().await;
    let call = |call: Call| call.header("x-bf-test", "1");
    let asked = json!({"provider": "openai", "name": "c", "metadata": {"a": "b"}});
    let made = server.post("/v1/containers").json(&asked).send().await;
    let id = text(&made.json(), "id");
    let path = format!("/v1/containers/{id}");
    container(&server).await;
    let form = || Form::new().text("file_path", "/test-file.txt").file("file", "file", "hello");
    let file = form().send(call(server.post(&format!("{path}/files")))).await;
    let one = format!("{path}/files/{}", text(&file.json(), "id"));
    let answers = [
        made,
        call(server.get("/v1/containers?limit=1")).send().await,
        call(server.get(&path)).send().await,
        file,
        call(server.get(&format!("{path}/files"))).send().await,
        call(server.get(&one)).send().await,
        call(server.delete(&one)).send().await,
        call(server.get(&format!("{one}/content"))).send().await,
        call(server.delete(&path)).send().await,
        call(server.get(&path)).send().await,
    ];
    let second = text(&answers[1].json(), "last_id");
    let shown: Vec<_> = answers.iter().map(|answer| (answer.status.as_u16(), steady(answer, &id))).collect();
    let text = serde_json::to_string_pretty(&shown).unwrap().replace(&second, "cntr_second");
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_provider_of_a_form_or_body_counts_too_even_if_the_rest_is_wrong() {
    let server = Server::start().await;
    let id = container(&server).await;
    let files = format!("/v1/containers/{id}/files");
    let form = Form::new().file("file", "a", "1").text("provider", "azure");
    assert_eq!(put(&server, &id, form).await["extra_fields"]["provider"], "azure");
    let up = upload(&server, "a", "1").await;
    for (body, status) in
        [(json!({"provider": "azure", "file_id": up["id"]}), 200), (json!({"provider": "azure"}), 400)]
    {
        let answer = server.post(&files).json(&body).send().await.expect(status);
        assert_eq!(answer["extra_fields"]["provider"], "azure");
    }
    let wrong = json!({"provider": "azure", "name": "c", "memory_limit": "2g"});
    let answer = server.post("/v1/containers").json(&wrong).send().await.expect(400);
    insta::assert_json_snapshot!(answer);
    let uploaded = Form::new().file("file", "a", "1").text("purpose", "vision").text("provider", "x");
    let body = uploaded.send(server.post("/v1/files")).await.expect(200);
    assert_eq!(body["extra_fields"]["request_type"], "file_upload");
}

#[tokio::test]
async fn a_limit_that_makes_no_sense_is_bifrosts_default() {
    let server = Server::start().await;
    for name in 0..21 {
        server.post("/v1/containers").json(&json!({"name": name.to_string()})).send().await.expect(200);
    }
    for (limit, want) in
        [("0", 20), ("-5", 20), ("many", 20), ("1000", 21), ("3", 3), ("99999999999999999999", 20)]
    {
        let path = format!("/v1/containers?provider=openai&limit={limit}");
        let list = server.get(&path).send().await.expect(200);
        assert_eq!(list["data"].as_array().unwrap().len(), want, "{limit}");
        let after = list.get("after").map(|after| after == &list["last_id"]);
        assert_eq!(after, (want < 21).then_some(true), "its cursor is there where there is more");
    }
}

#[tokio::test]
async fn a_container_made_in_one_dialect_is_seen_in_the_other() {
    let server = Server::start().await;
    let asked = json!({"provider": "openai", "name": "shared", "metadata": {"a": "b"}});
    let made = server.post("/openai/v1/containers").json(&asked).send().await.expect(200);
    let seen = server.get(&format!("/v1/containers/{}", text(&made, "id"))).send().await;
    let seen = schema::checked(&seen, 200, "ContainerResource");
    assert_eq!((seen.get("extra_fields"), &seen["metadata"]), (None, &json!({"a": "b"})));
}

#[tokio::test]
async fn a_provider_can_be_demanded_on_bifrosts_native_routes() {
    let server = Server::start_with(|settings| settings.openai.require_provider = true).await;
    let message = |answer: &Answer| {
        (answer.status.as_u16(), answer.json()["error"]["message"].as_str().map(str::to_owned))
    };
    let says = |status: u16, text: &str| (status, Some(text.to_owned()));
    let create = async |body: Value| server.post("/v1/containers").json(&body).send().await;
    assert_eq!(message(&create(json!({"name": "c"})).await), says(400, "provider is required"));
    let made = create(json!({"name": "c", "provider": "azure"})).await.expect(200);
    let path = format!("/containers/{}", text(&made, "id"));
    let query = says(400, "provider query parameter is required");
    assert_eq!(message(&server.get(&format!("/v1{path}")).send().await), query);
    assert_eq!(message(&server.get(&format!("/v1{path}?provider=")).send().await), query);
    let file = Form::new().file("file", "a", "1").send(server.post(&format!("/v1{path}/files"))).await;
    assert_eq!(message(&file), query);
    assert_eq!(server.get(&format!("/v1{path}?provider=openai")).send().await.status, 200);
    assert_eq!(server.get(&format!("/openai/v1{path}")).send().await.status, 200, "which has a default");
    let other = create(json!({"name": "c", "provider": "anthropic"})).await;
    assert_eq!(other.expect(400)["error"]["code"], "unsupported_operation");
}
