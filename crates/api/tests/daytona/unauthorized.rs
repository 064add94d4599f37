//! No route answers a stranger, and none tells one account of another's sandbox: the table of routes is walked, so a new
//! route is covered when it is declared.

use lazaret_api::{Access, Route};

use crate::support::Server;
use crate::{failure, sandbox};

/// Routes that answer without a key. This list may only shrink.
const OPEN: [&str; 6] = [
    "GET /api/health",
    "GET /api/health/ready",
    "GET /api/config",
    "GET /api/openapi.json",
    "GET /api/toolbox/openapi.json",
    "GET /api/socket.io/",
];

fn daytona() -> impl Iterator<Item = Route> {
    lazaret_api::routes().into_iter().filter(|route| route.dialect.starts_with("daytona"))
}

/// The route's path with its parameters filled in, the first with `id`.
fn filled(route: &Route, id: &str) -> String {
    let path = route.path.replacen("{id}", id, 1);
    path.replace("{minutes}", "1")
        .replace("{public}", "true")
        .replace("{name}", "x")
        .replace("{organization}", "x")
        .replace("{region}", "x")
        .replace("{snapshot}", "x")
        .replace("{volume}", "x")
}

#[tokio::test]
async fn every_route_refuses_a_missing_and_a_wrong_key() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for route in daytona() {
        if route.access == Access::Open {
            open.push(format!("{} {}", route.method, route.path));
            continue;
        }
        let path = filled(&route, "00000000-0000-8000-8000-000000000000");
        let call = || server.call(route.method.clone(), &path);
        for answer in [call().no_key().send().await, call().key("no").send().await] {
            assert_eq!(answer.status, 401, "{} {path}", route.method);
            assert!(failure(&answer).ends_with(": Invalid credentials"), "{} {path}", route.method);
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
    for route in daytona().filter(|route| route.path.contains("{id}")) {
        let answer = async |id: &str| {
            let call = server.call(route.method.clone(), &filled(&route, id)).key(&stranger);
            let answer = call.json(&serde_json::json!({"labels": {}, "name": "x"})).send().await;
            assert_eq!(answer.status, 404, "{} {}: {:?}", route.method, route.path, answer.body);
            failure(&answer).replace(id, "ID")
        };
        assert_eq!(answer(&id).await, answer(missing).await, "{} {}", route.method, route.path);
    }
    let found = server.get(&format!("/lazaret/v1/sandboxes/{id}")).send().await;
    assert_eq!(found.status, 200, "its owner still has it");
}
