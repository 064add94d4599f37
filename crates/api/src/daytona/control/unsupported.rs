//! What clients may ask for and this server does not do: each is told by its name, with a 501, so that nobody takes it for
//! done or waits for it. Lists of what there is none of are empty, and as such in the document; the rest is not in it.

use axum::http::Method;
use lazaret_core::Error;
use serde::Serialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::error::{Control, ErrorBody};
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

pub(super) fn routes(routes: Routes<Control>) -> Routes<Control> {
    let routes = OF_A_SANDBOX.into_iter().fold(routes, |routes, (method, path, what)| {
        routes.on(method, path, move |_target: Target| async move { refusal(what) })
    });
    let routes = OF_AN_ACCOUNT.into_iter().fold(routes, |routes, (method, path, what)| {
        routes.on(method, path, move |_asked: Asked| async move { refusal(what) })
    });
    routes.on(Method::GET, "/secret", secrets).on(Method::GET, "/warm-pools", warm_pools).on(
        Method::GET,
        "/docker-registry",
        registries,
    )
}

fn refusal(what: &str) -> Failure {
    Error::Unsupported { what: what.to_owned() }.into()
}

/// What there is none of.
#[derive(Debug, Serialize)]
pub(super) struct Empty([(); 0]);

impl PartialSchema for Empty {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().max_items(Some(0)).into()
    }
}

impl ToSchema for Empty {}

/// The secrets of the organization: none.
#[utoipa::path(get, path = "/secret", operation_id = "listSecrets", tag = "account",
    responses((status = 200, body = Empty), (status = "default", body = ErrorBody)))]
pub(super) async fn secrets(_asked: Asked) -> Json<Empty> {
    Json(Empty([]))
}

/// The pools of sandboxes that wait: none.
#[utoipa::path(get, path = "/warm-pools", operation_id = "listWarmPools", tag = "account",
    responses((status = 200, body = Empty), (status = "default", body = ErrorBody)))]
pub(super) async fn warm_pools(_asked: Asked) -> Json<Empty> {
    Json(Empty([]))
}

/// The registries of the organization: none.
#[utoipa::path(get, path = "/docker-registry", operation_id = "listRegistries", tag = "account",
    responses((status = 200, body = Empty), (status = "default", body = ErrorBody)))]
pub(super) async fn registries(_asked: Asked) -> Json<Empty> {
    Json(Empty([]))
}
