//! A port inside a sandbox, beneath the API's own address.
//!
//! What a tenant's server answers is shown at the origin of the API here, so it gets neither cookies of that origin nor
//! the rights of a page of it: an answer is put into an origin of its own by its policy (`sandbox`). A host name of its
//! own per port, where pages have all rights of their own, is for other dialects over the same [`crate::port_proxy`].

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, COOKIE, SET_COOKIE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use lazaret_core::{Error, Kind};
use serde::de::IgnoredAny;

use super::error::ErrorBody;
use super::target::Target;
use crate::failure::Failure;
use crate::port_proxy::{Credentials, Destination, forward};
use crate::settings::App;

/// What a page of a sandbox may do: run, and nothing in the name of the API's origin.
const SANDBOXED: HeaderValue =
    HeaderValue::from_static("sandbox allow-scripts allow-forms allow-modals allow-popups allow-downloads");

/// Would let a worker of one port serve pages of another.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// Segments of this route before the path that is forwarded: `/lazaret/v1/sandboxes/{id}/ports/{port}`.
const PREFIX_SEGMENTS: usize = 6;

/// Ask an HTTP server inside the sandbox, with any method, also for an upgrade to a WebSocket. The path behind the port
/// and the query string are asked as they are; without a path, end with a slash. The key and cookies stay outside.
#[utoipa::path(get, path = "/lazaret/v1/sandboxes/{id}/ports/{port}/{path}", operation_id = "forward_to_port",
    tag = "ports",
    params(("id" = String, Path, description = "Any form of the id, or the name"),
        ("port" = u16, Path, description = "A TCP port on the sandbox's loopback"),
        ("path" = String, Path, description = "What the server inside is asked for; it may hold slashes")),
    responses((status = 200, description = "Whatever the server inside answers, with its status"),
        (status = 502, body = ErrorBody, description = "Nothing listens there, or what does is no HTTP server"),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn ask(
    State(app): State<App>,
    target: Target<IgnoredAny>,
    mut request: Request,
) -> Result<Response, Failure> {
    let Target { caller, id, params, .. } = target;
    let text = params.text("port", Kind::Sandbox)?;
    let port: u16 = text.parse().map_err(|_| Error::invalid("port", "must be a number from 1 to 65535"))?;
    let (prefix, path) = divide(request.uri().path());
    let path = match request.uri().query() {
        Some(query) => format!("/{path}?{query}"),
        None => format!("/{path}"),
    };
    let to = Destination {
        port,
        path: PathAndQuery::try_from(path).map_err(Error::internal)?,
        credentials: Credentials::Ours,
        prefix: prefix.to_owned(),
    };
    let stream = app.core.ingress.connect(&caller, id, port).await?;
    request.headers_mut().remove(COOKIE);
    let mut response = forward(stream, request, to, app.settings.stopping.clone()).await?;
    let headers = response.headers_mut();
    headers.remove(SET_COOKIE);
    headers.remove(SERVICE_WORKER_ALLOWED);
    // Beside its own, whose demands hold as well.
    headers.append(CONTENT_SECURITY_POLICY, SANDBOXED);
    Ok(response)
}

/// The part of a path that is this route's, and the rest without its slash, both as they were sent.
fn divide(path: &str) -> (&str, &str) {
    let mut slashes = path.match_indices('/').map(|(at, _)| at).skip(PREFIX_SEGMENTS);
    match slashes.next() {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_path_is_kept_as_it_was_sent() {
        let prefix = "/lazaret/v1/sandboxes/s/ports/80";
        for rest in ["", "a", "a/b%2Fc//d/", "..%2f"] {
            assert_eq!(divide(&format!("{prefix}/{rest}")), (prefix, rest));
        }
    }
}
