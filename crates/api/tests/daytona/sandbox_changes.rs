//! Labels, intervals, bounds, network and the public flag.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Server};
use crate::{failure, id_of, made};

async fn ask(server: &Server, method: Method, path: &str, body: Value) -> Answer {
    let call = server.call(method, &format!("/api/sandbox/box{path}"));
    if body.is_null() { call.send().await } else { call.json(&body).send().await }
}

#[tokio::test]
async fn what_is_set_reads_back_and_stays() {
    let server = Server::start().await;
    made(&server, json!({"name": "box", "labels": {"a": "1"}})).await;
    for (method, path, body, field, want) in [
        (
            Method::PUT,
            "/labels",
            json!({"labels": {"b": "2", "n": 3}}),
            "labels",
            json!({"b": "2", "n": "3"}),
        ),
        (Method::POST, "/public/true", Value::Null, "public", json!(true)),
        (Method::POST, "/public/false", Value::Null, "public", json!(false)),
        (Method::POST, "/autostop/0", Value::Null, "autoStopInterval", json!(0)),
        (Method::POST, "/autopause/9", Value::Null, "autoPauseInterval", json!(9)),
        // The pause interval is not the stop interval, which is off already.
        (Method::POST, "/autostop/0", Value::Null, "autoPauseInterval", json!(9)),
        (Method::POST, "/autostop/7", Value::Null, "autoStopInterval", json!(7)),
        (Method::POST, "/autoarchive/0", Value::Null, "autoArchiveInterval", json!(43_200)),
        (Method::POST, "/autoarchive/60", Value::Null, "autoArchiveInterval", json!(60)),
        (Method::POST, "/autodelete/-1", Value::Null, "autoDeleteInterval", json!(-1)),
        (Method::POST, "/autodelete/5", Value::Null, "autoDeleteInterval", json!(5)),
        (Method::POST, "/resize", json!({"cpu": 2, "memory": 2}), "cpu", json!(2)),
        (Method::POST, "/network-settings", json!({"networkBlockAll": true}), "networkBlockAll", json!(true)),
        (Method::POST, "/network-settings", json!({"domainAllowList": ""}), "networkBlockAll", json!(true)),
    ] {
        let changed = ask(&server, method, path, body).await.expect(200);
        assert_eq!(changed[field], want, "{path}");
        let shown = server.get("/api/sandbox/box").send().await.expect(200);
        assert_eq!(shown, changed, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_set_is_refused() {
    let server = Server::start().await;
    let id = id_of(&made(&server, json!({"name": "box", "cpu": 2, "memory": 2, "disk": 4})).await);
    let mut lines = Vec::new();
    for (path, body) in [
        ("/autostop/-1", Value::Null),
        ("/autostop/x", Value::Null),
        ("/autoarchive/-1", Value::Null),
        ("/ttl/-1", Value::Null),
        ("/public/maybe", Value::Null),
        ("/resize", json!({})),
        ("/resize", json!({"cpu": 2})),
        ("/resize", json!({"cpu": 1})),
        ("/resize", json!({"memory": 1})),
        ("/resize", json!({"disk": 5})),
        ("/resize", json!({"disk": 0})),
        ("/network-settings", json!({})),
        ("/network-settings", json!({"networkAllowList": "x"})),
    ] {
        let answer = ask(&server, Method::POST, path, body.clone()).await;
        lines.push(format!("{path} {body}: {}", failure(&answer)));
    }
    let labels = ask(&server, Method::PUT, "/labels", json!({"labels": {"a": {}}})).await;
    lines.push(failure(&labels));
    insta::assert_snapshot!(lines.join("\n"));

    server.post(&format!("/api/sandbox/{id}/stop")).send().await.expect(200);
    let grown = ask(&server, Method::POST, "/resize", json!({"cpu": 1, "disk": 5})).await.expect(200);
    assert_eq!((&grown["cpu"], &grown["disk"]), (&json!(1), &json!(5)));
}
