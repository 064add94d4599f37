//! Every route of the native dialect, on one page.

use axum::http::Method;

use super::error::Native;
use super::operations;
use crate::routing::Routes;

/// Where the dialect is mounted.
pub(crate) const BASE: &str = "/lazaret/v1";

/// The routes.
pub(crate) fn routes() -> Routes<Native> {
    Routes::<Native>::under([""])
        .owns(BASE)
        .open(Method::GET, "/healthz", operations::health)
        .open(Method::GET, "/readyz", operations::readiness)
        .open(Method::GET, "/metrics", operations::metrics)
}
