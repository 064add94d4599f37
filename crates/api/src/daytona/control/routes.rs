//! Every path of the control API.

use axum::http::Method;

use super::error::Control;
use super::server;
use crate::routing::Routes;

/// Paths beneath which everything is this API's, known or not. The rest of `/api` belongs to others.
const OWNED: [&str; 1] = ["/api/sandbox/{id}"];

/// The routes.
pub(crate) fn routes() -> Routes<Control> {
    let routes = Routes::<Control>::under(["/api"]);
    let routes = OWNED.into_iter().fold(routes, |routes, prefix| routes.owns(prefix));
    routes.open(Method::GET, "/health", server::health)
}
