//! What this server does not do, told as that: screens.

use axum::http::{Method, StatusCode};

use super::error::{Toolbox, worded};
use super::target::Target;
use crate::failure::Failure;
use crate::routing::Routes;

pub(super) fn routes(mut routes: Routes<Toolbox>) -> Routes<Toolbox> {
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        routes = routes.on(method, "/computeruse/{*path}", screens);
    }
    routes
}

async fn screens(_target: Target) -> Failure {
    worded(StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "sandboxes here have no screen")
}
