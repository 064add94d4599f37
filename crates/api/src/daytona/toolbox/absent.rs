//! What this server does not do, told as that: language servers, and screens.

use axum::http::{Method, StatusCode};

use super::error::{Toolbox, worded};
use super::target::Target;
use crate::failure::Failure;
use crate::routing::Routes;

pub(super) fn routes(mut routes: Routes<Toolbox>) -> Routes<Toolbox> {
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        routes = routes.on(method.clone(), "/lsp/{*path}", language_servers).on(
            method,
            "/computeruse/{*path}",
            screens,
        );
    }
    routes
}

async fn language_servers(_target: Target) -> Failure {
    let message = "language servers are not run here; start one as a session or in a terminal";
    worded(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", message)
}

async fn screens(_target: Target) -> Failure {
    worded(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "sandboxes here have no screen")
}
