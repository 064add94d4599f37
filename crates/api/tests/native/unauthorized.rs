//! No route answers a stranger, and none tells one account of another's sandbox: the table of routes is walked, so a new
//! route is covered when it is declared.

use lazaret_api::{Access, Route};
use serde_json::json;

use crate::sandbox;
use crate::support::Server;

/// Routes that answer without a key. This list may only shrink.
const OPEN: [&str; 4] = ["GET /healthz", "GET /readyz", "GET /metrics", "GET /lazaret/v1/openapi.json"];

fn native() -> impl Iterator<Item = Route> {
    lazaret_api::routes().into_iter().filter(|route| route.dialect == "native")
}

/// The route's path with its parameters filled in, the first with `id`.
fn filled(route: &Route, id: &str) -> String {
    let path = route.path.replacen("{id}", id, 1);
    let other = "00000000-0000-8000-8000-000000000000";
    path.replace("{exec}", other)
        .replace("{context}", other)
        .replace("{command}", other)
        .replace("{port}", "8000")
        .replace("{key}", other)
        .replace("{template}", other)
        .replace("{volume}", other)
        .replace("{*path}", "etc/hostname")
        .replace("{*name}", "host")
}

/// What a route of git needs in its query.
fn git_query(route: &Route) -> &'static str {
    match (route.method.as_str(), route.path.rsplit_once("/git/").map(|(_, last)| last)) {
        ("GET", Some("config")) => "?key=a.b",
        ("GET", Some(_)) => "?path=/r",
        ("DELETE", Some(_)) => "?path=/r&name=x",
        _ => "",
    }
}

/// What a route of git needs in its body.
fn git_body(route: &Route) -> Option<serde_json::Value> {
    let (_, last) =
        route.path.rsplit_once("/git/").filter(|_| route.method == "POST" || route.method == "PUT")?;
    Some(match last {
        "clone" => json!({"url": "x", "path": "/r"}),
        "branches" => json!({"path": "/r", "name": "x"}),
        "checkout" => json!({"path": "/r", "target": "x"}),
        "add" | "restore" => json!({"path": "/r", "files": ["."]}),
        "commit" => json!({"path": "/r", "message": "m", "author": "a", "email": "e"}),
        "remotes" => json!({"path": "/r", "name": "x", "url": "u"}),
        "config" => json!({"values": {}}),
        _ => json!({"path": "/r"}),
    })
}

#[tokio::test]
async fn every_route_refuses_a_missing_and_a_wrong_key() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for route in native() {
        let path = filled(&route, "00000000-0000-8000-8000-000000000000");
        if route.access == Access::Open {
            open.push(format!("{} {}", route.method, route.path));
            continue;
        }
        let call = || server.call(route.method.clone(), &path);
        for (why, answer) in
            [("none", call().no_key().send().await), ("wrong", call().key("no").send().await)]
        {
            assert_eq!(answer.status, 401, "{} {path} with key: {why}", route.method);
            assert!(answer.header("x-request-id").starts_with("req_"), "{} {path}", route.method);
            if route.method != "HEAD" {
                assert_eq!(answer.json()["error"]["code"], "unauthenticated", "{path}");
            }
        }
        let in_query = server.call(route.method.clone(), &format!("{path}?api-key=My%20API%20Key")).no_key();
        assert_eq!(in_query.send().await.status, 401, "a key in the query string is not looked at");
    }
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn another_accounts_sandbox_looks_like_a_missing_one_on_every_route() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    let stranger = server.other_account("stranger").await;
    let missing = "68a00000-0000-8000-8000-0000000000ff";
    for route in native().filter(|route| route.path.contains("/sandboxes/{id}")) {
        let call = |id: &str| {
            let path = filled(&route, id) + git_query(&route);
            let call = server.call(route.method.clone(), &path).key(&stranger);
            let call = match git_body(&route) {
                Some(body) => call.json(&body),
                None => call,
            };
            let call = match route.path.rsplit('/').next() {
                Some("network") => call.json(&json!({"type": "disabled"})),
                Some("exec") => call.json(&json!({"command": ["true"]})),
                Some("execute") => call.json(&json!({"code": ""})),
                Some("run") => call.json(&json!({"language": "python", "code": ""})),
                Some("{*path}") if route.method == "POST" => call.json(&json!({"op": "mkdir"})),
                Some("sessions" | "terminals") if route.method == "POST" => call.json(&json!({"name": "a"})),
                Some("commands") => call.json(&json!({"command": "true"})),
                Some("input") => call.json(&json!({"data": ""})),
                Some("size") => call.json(&json!({"rows": 1, "cols": 1})),
                _ => call,
            };
            if route.path.ends_with("/ws") {
                // Without a connection that can be upgraded, that is what is refused: see exec_socket.rs.
                return None;
            }
            Some(call)
        };
        let (Some(foreign), Some(absent)) = (call(&id), call(missing)) else { continue };
        let (foreign, absent) = (foreign.send().await, absent.send().await);
        assert_eq!(foreign.status, 404, "{} {}: {:?}", route.method, route.path, foreign.body);
        assert_eq!(absent.status, 404, "{} {}", route.method, route.path);
        if route.method != "HEAD" {
            let same = |answer: &crate::support::Answer, id: &str| answer.native_error().replace(id, "ID");
            assert_eq!(same(&foreign, &id), same(&absent, missing));
        }
    }
    assert_eq!(server.get(&crate::at(&id, "")).send().await.status, 200, "its owner still has it");
}

#[tokio::test]
async fn every_route_refuses_query_keys_that_it_does_not_have() {
    let server = Server::start().await;
    let id = sandbox(&server).await;
    // What a server inside is asked for is its own affair.
    let refuses = |route: &Route| !route.path.ends_with("/ws") && !route.path.contains("/ports/");
    for route in native().filter(|route| route.access == Access::Key && refuses(route)) {
        let path = format!("{}?made_up=1", filled(&route, &id));
        let answer = server.call(route.method.clone(), &path).send().await;
        assert_eq!(answer.status, 400, "{} {path}", route.method);
        if route.method != "HEAD" {
            assert_eq!(answer.json()["error"]["field"], "made_up", "{} {path}", route.method);
        }
    }
    assert_eq!(server.get(&crate::at(&id, "")).send().await.status, 200, "nothing was done");
}
