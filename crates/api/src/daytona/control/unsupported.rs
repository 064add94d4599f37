//! What clients may ask for and this server does not do: each is told by its name, with a 501, so that nobody takes it for
//! done or waits for it.

use axum::http::Method;
use lazaret_core::Error;

use super::error::Control;
use super::target::{Asked, Target};
use crate::extract::Json;
use crate::failure::Failure;
use crate::routing::Routes;

/// Of one sandbox.
const OF_A_SANDBOX: [(Method, &str, &str); 8] = [
    (Method::POST, "/sandbox/{id}/ssh-access", "SSH access; `lazaret exec -it` opens a terminal"),
    (Method::DELETE, "/sandbox/{id}/ssh-access", "SSH access; `lazaret exec -it` opens a terminal"),
    (Method::POST, "/sandbox/{id}/backup", "backups; an archived sandbox keeps its disk"),
    (Method::GET, "/sandbox/{id}/build-logs", "builds of sandboxes"),
    (Method::GET, "/sandbox/{id}/build-logs-url", "builds of sandboxes"),
    (Method::PUT, "/sandbox/{id}/secrets", "secrets of sandboxes"),
    (Method::GET, "/sandbox/{id}/telemetry/logs", "telemetry"),
    (Method::GET, "/sandbox/{id}/telemetry/metrics", "telemetry; the toolbox has the current metrics"),
];

/// Of the account.
const OF_AN_ACCOUNT: [(Method, &str, &str); 5] = [
    (Method::GET, "/sandbox/ssh-access/validate", "SSH access"),
    (Method::GET, "/object-storage/push-access", "build contexts; `lazaret image build` takes them"),
    (Method::POST, "/secret", "secrets of an organization"),
    (Method::POST, "/warm-pools", "warm pools"),
    (
        Method::GET,
        "/docker-registry/registry-push-access",
        "a registry of its own; `lazaret image import` takes archives",
    ),
];

/// Lists of things that there are none of.
const EMPTY: [&str; 3] = ["/secret", "/warm-pools", "/docker-registry"];

pub(super) fn routes(routes: Routes<Control>) -> Routes<Control> {
    let routes = OF_A_SANDBOX.into_iter().fold(routes, |routes, (method, path, what)| {
        routes.on(method, path, move |_target: Target| async move { refusal(what) })
    });
    let routes = OF_AN_ACCOUNT.into_iter().fold(routes, |routes, (method, path, what)| {
        routes.on(method, path, move |_asked: Asked| async move { refusal(what) })
    });
    EMPTY.into_iter().fold(routes, |routes, path| routes.on(Method::GET, path, nothing))
}

fn refusal(what: &str) -> Failure {
    Error::Unsupported { what: what.to_owned() }.into()
}

async fn nothing(_asked: Asked) -> Json<[(); 0]> {
    Json([])
}
