//! Every row of the contract's table of errors, and the order in which they are told.

use std::sync::Arc;

use lazaret_core::{Limit, Scope};
use serde_json::{Value, json};

use crate::form::Form;
use crate::support::{Answer, Server};
use crate::{container, failure, text};

fn told(answers: &[(&str, Answer)]) -> String {
    let lines: Vec<_> = answers.iter().map(|(what, answer)| format!("{what}: {}", failure(answer))).collect();
    lines.join("\n")
}

#[tokio::test]
async fn who_asks_and_where() {
    let server = Server::start().await;
    let reader = server.key_with(&[Scope::SandboxesRead]).await;
    let list = || server.get("/v1/containers");
    let answers = [
        ("no key", list().no_key().send().await),
        ("a key in the query", server.get("/v1/containers?api_key=My%20API%20Key").no_key().send().await),
        ("a short wrong key", list().key("nope").send().await),
        ("a long wrong key", list().key("sk-proj-0123456789abcdef").send().await),
        (
            "a key that may only read",
            server.post("/v1/containers").key(&reader).json(&json!({"name": "c"})).send().await,
        ),
        ("unknown route", server.get("/v1/nothing/here?x=1").no_key().send().await),
        ("unknown method", server.put("/v1/containers").no_key().send().await),
        ("no method of one", server.post("/v1/containers/cntr_x").send().await),
    ];
    insta::assert_snapshot!(told(&answers));
    assert_eq!(answers[0].1.header("www-authenticate"), "Bearer");
    let whole = answers[2].1.json();
    insta::assert_json_snapshot!("the_envelope", whole);
}

#[tokio::test]
async fn what_a_creation_can_have_wrong() {
    let server = Server::start().await;
    let create = async |body: Value| server.post("/v1/containers").json(&body).send().await;
    let with = |key: &str, value: Value| {
        let mut body = json!({"name": "n"});
        body[key] = value;
        body
    };
    let after =
        |anchor: Value, minutes: Value| with("expires_after", json!({"anchor": anchor, "minutes": minutes}));
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(""))).collect();
    let policy = |policy: Value| with("network_policy", policy);
    let secrets = |secrets: Value| {
        policy(json!({"type": "allowlist", "allowed_domains": ["pypi.org"], "domain_secrets": secrets}))
    };
    let secret =
        |domain: &str, name: &str, value: &str| json!([{"domain": domain, "name": name, "value": value}]);
    let raw = |body: &'static str| {
        server.post("/v1/containers").header("content-type", "application/json").body(body)
    };
    let answers = [
        ("no name", create(json!({})).await),
        ("null name", create(json!({"name": null})).await),
        ("name of a number", create(json!({"name": 5})).await),
        ("name of a list", create(json!({"name": []})).await),
        ("empty name", create(json!({"name": ""})).await),
        ("name of spaces", create(json!({"name": " "})).await),
        ("name of 4 KiB", create(json!({"name": "x".repeat(4096)})).await),
        ("name with a newline", create(json!({"name": "a\nb"})).await),
        ("name with NUL", create(json!({"name": "a\0b"})).await),
        ("2g", create(with("memory_limit", json!("2g"))).await),
        ("memory of a number", create(with("memory_limit", json!(1))).await),
        ("0 minutes", create(after(json!("last_active_at"), json!(0))).await),
        ("-1 minutes", create(after(json!("last_active_at"), json!(-1))).await),
        ("1441 minutes", create(after(json!("last_active_at"), json!(1441))).await),
        ("1.5 minutes", create(after(json!("last_active_at"), json!(1.5))).await),
        ("minutes as text", create(after(json!("last_active_at"), json!("20"))).await),
        ("another anchor", create(after(json!("created_at"), json!(20))).await),
        ("no anchor", create(with("expires_after", json!({"minutes": 20}))).await),
        ("no minutes", create(with("expires_after", json!({"anchor": "last_active_at"}))).await),
        ("expiry of a list", create(with("expires_after", json!(["last_active_at", 20]))).await),
        ("expiry of a number", create(with("expires_after", json!(20))).await),
        ("file_ids of text", create(with("file_ids", json!("file-x"))).await),
        ("file_ids with a number", create(with("file_ids", json!(["file-x", 7]))).await),
        ("501 file_ids", create(with("file_ids", json!(vec!["file-x"; 501]))).await),
        ("unknown file", create(with("file_ids", json!(["file-x"]))).await),
        ("65 metadata", create(with("metadata", Value::Object(many))).await),
        ("metadata of a number", create(with("metadata", json!({"a": 1}))).await),
        ("metadata of a list", create(with("metadata", json!([]))).await),
        ("long metadata", create(with("metadata", json!({"a": "x".repeat(513)}))).await),
        ("skills", create(with("skills", json!([{"type": "skill_reference", "skill_id": "x"}]))).await),
        ("no policy type", create(policy(json!({}))).await),
        ("open policy", create(policy(json!({"type": "internet"}))).await),
        ("no domains", create(policy(json!({"type": "allowlist"}))).await),
        ("empty domains", create(policy(json!({"type": "allowlist", "allowed_domains": []}))).await),
        (
            "a domain that is none",
            create(policy(json!({"type": "allowlist", "allowed_domains": ["pypi.org", "127.0.0.1"]}))).await,
        ),
        (
            "257 domains",
            create(policy(json!({"type": "allowlist", "allowed_domains": vec!["a.example"; 257]}))).await,
        ),
        ("allowlist", create(policy(json!({"type": "allowlist", "allowed_domains": ["pypi.org"]}))).await),
        (
            "secrets",
            create(policy(json!({
                "type": "allowlist", "allowed_domains": ["pypi.org"],
                "domain_secrets": [{"domain": "pypi.org", "name": "K", "value": "hunter2"}],
            })))
            .await,
        ),
        ("secrets of text", create(secrets(json!("hunter2"))).await),
        ("no secrets", create(secrets(json!([]))).await),
        ("65 secrets", create(secrets(json!(vec!["hunter2"; 65]))).await),
        ("secret without a domain", create(secrets(json!([{"name": "K", "value": "hunter2"}]))).await),
        ("secret without a name", create(secrets(secret("pypi.org", "", "hunter2"))).await),
        (
            "secret of a number",
            create(secrets(json!([{"domain": "pypi.org", "name": "K", "value": 5}]))).await,
        ),
        ("secret of 16 KiB", create(secrets(secret("pypi.org", "K", &"hunter2".repeat(2341)))).await),
        ("secret of two lines", create(secrets(secret("pypi.org", "K", "hunter2\n"))).await),
        ("secret of a hyphen", create(secrets(secret("pypi.org", "K-K", "hunter2"))).await),
        ("secret for everybody", create(secrets(secret("*", "K", "hunter2"))).await),
        ("secret for another", create(secrets(secret("evil.example", "K", "hunter2"))).await),
        (
            "secrets of no use",
            create(policy(json!({"type": "disabled", "domain_secrets": ["hunter2"]}))).await,
        ),
        ("provider of a number", create(with("provider", json!(5))).await),
        ("no body", server.post("/v1/containers").send().await),
        ("half a body", raw("{\"name\":").send().await),
        ("not UTF-8", raw("").body(&b"{\"name\":\"\xff\"}"[..]).send().await),
        ("a list", raw("[\"n\",null,null,null,null,null,null]").send().await),
        ("a number", raw("5").send().await),
        ("two", raw("{\"name\":\"a\"} {}").send().await),
        ("name twice", raw("{\"name\":\"a\",\"name\":\"b\"}").send().await),
        (
            "deep",
            raw(Box::leak(format!("{{\"name\":\"a\",\"x\":{}", "[".repeat(1000)).into_boxed_str()))
                .send()
                .await,
        ),
        ("a form", Form::new().text("name", "n").send(server.post("/v1/containers")).await),
    ];
    let lines = told(&answers);
    assert!(!lines.contains("hunter2"), "a secret is never told: {lines}");
    insta::assert_snapshot!(lines);
    assert_eq!(server.runtime.count(), 0);
}

#[tokio::test]
async fn the_hosted_maximum_of_minutes_can_be_set() {
    let server = Server::start_with(|settings| settings.openai.expires_minutes_max = 20).await;
    let body = json!({"name": "n", "expires_after": {"anchor": "last_active_at", "minutes": 60}});
    let want = "400 invalid_request_error integer_above_max_value expires_after.minutes: Invalid \
                'expires_after.minutes': integer above maximum value. Expected a value <= 20, but got 60 instead.";
    assert_eq!(failure(&server.post("/v1/containers").json(&body).send().await), want);
}

#[tokio::test]
async fn what_a_list_can_have_wrong() {
    let server = Server::start().await;
    let list = async |query: &str| server.get(&format!("/v1/containers?{query}")).send().await;
    let answers = [
        ("0", list("limit=0").await),
        ("-1", list("limit=-1").await),
        ("101", list("limit=101").await),
        ("1e3", list("limit=1e3").await),
        ("text", list("limit=all").await),
        ("order", list("order=newest").await),
        ("cursor", list("after=nobody").await),
    ];
    insta::assert_snapshot!(told(&answers));
    for query in ["", "limit=", "limit=0&limit=5", "after=&order="] {
        assert_eq!(list(query).await.status, 200, "{query}");
    }
}

#[tokio::test]
async fn a_body_larger_than_any_json_is_refused() {
    let server = Server::start_with(|settings| settings.json_max_bytes = 1000).await;
    let answer = server.post("/v1/containers").json(&json!({"name": "x".repeat(1000)})).send().await;
    assert_eq!(failure(&answer), "413 invalid_request_error - -: The body is larger than 1000 bytes.");
}

#[tokio::test]
async fn what_the_server_cannot_do_now_or_at_all() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for (what, error) in [
        ("a quota", lazaret_core::Error::LimitReached(Limit::Sandboxes)),
        ("no capacity", lazaret_core::Error::LimitReached(Limit::IdRanges)),
        (
            "later",
            lazaret_core::Error::Unavailable {
                retry_after: Some(std::time::Duration::from_secs(7)),
                source: "the spawner is away".into(),
            },
        ),
        ("a bug", lazaret_core::Error::internal("mount /secret: EPERM")),
    ] {
        server.runtime.fail_next_start(error);
        answers.push((what, server.post("/v1/containers").json(&json!({"name": "c"})).send().await));
    }
    insta::assert_snapshot!(told(&answers));
    let header =
        |name: &str| answers.iter().map(|(_, answer)| answer.header(name).to_owned()).collect::<Vec<_>>();
    assert_eq!(header("retry-after"), ["", "1", "7", ""]);
    assert_eq!(header("x-should-retry"), ["false", "", "", ""]);
}

#[tokio::test]
async fn the_route_is_told_of_before_the_key_and_the_container_before_the_body() {
    let server = Server::start().await;
    let path = |id: &str| format!("/v1/containers/{id}/files");
    let id = container(&server).await;
    let bad = |id: &str| server.post(&path(id)).header("content-type", "application/xml").body("<a/>");
    let answers = [
        ("route", server.get("/v1/containers/x/nothing").key("wrong").send().await),
        ("key", bad("cntr_x").key("wrong").send().await),
        ("container", bad("cntr_x").send().await),
        ("file", server.get(&format!("{}/x?limit=0", path(&id))).send().await),
        ("body", bad(&id).send().await),
    ];
    insta::assert_snapshot!(told(&answers).replace(&id, "cntr_..."));
}

#[tokio::test]
async fn a_state_that_the_contract_does_not_have_is_a_400_since_clients_retry_a_409() {
    let server = Server::start().await;
    let id = container(&server).await;
    let native = |verb: &str| server.post(&format!("/lazaret/v1/sandboxes/{id}/{verb}"));
    native("pause").send().await.expect(200);
    let shown = server.get(&format!("/v1/containers/{id}")).send().await.expect(200);
    assert_eq!(shown["status"], "paused");
    let answer = server.get(&format!("/v1/containers/{id}/files")).send().await;
    assert_eq!(failure(&answer), "400 invalid_request_error - -: Container is paused.");
    native("resume").send().await.expect(200);
    native("stop").send().await.expect(200);
    let answer = server.get(&format!("/v1/containers/{id}/files")).send().await;
    assert_eq!(failure(&answer), "400 invalid_request_error - -: Container is stopped.");
}

#[tokio::test]
async fn ids_are_of_the_contracts_form_and_never_the_same_twice() {
    let server = Arc::new(Server::start().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let server = Arc::clone(&server);
        tasks.spawn(async move { container(&server).await });
    }
    let mut ids = tasks.join_all().await;
    for id in &ids {
        let digits = id.strip_prefix("cntr_").unwrap();
        assert!(digits.len() == 48 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    let list = server.get("/v1/containers?limit=1").send().await.expect(200);
    assert!(ids.contains(&text(&list["data"][0], "id")));
}
