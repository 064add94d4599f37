//! Building an image from a Dockerfile, in one answer or as server-sent events.
//!
//! ```text
//!   event: step                                        event: stdout | stderr      event: image | error
//!   data: {"number":2,"total":5,"line":3,              data: {"data_base64":"..."}  data: {...}
//!          "text":"RUN make","cached":false}           event: warning               (then the stream ends)
//!                                                      data: {"message":"..."}
//! ```
//!
//! The context is received before the answer begins, so what is wrong with it or with the Dockerfile's form is a refusal like
//! any other. A client that hangs up cancels the build.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use lazaret_core::services::Build;
use lazaret_core::{
    BuildEvent, BuildSource, BuildSpec, CacheUse, DockerfilePlacement, EgressPolicy, Error, Limit, limits,
};

use super::wire;
use crate::body::{Upload, limited};
use crate::extract::Json;
use crate::failure::Failure;
use crate::native::error::ErrorBody;
use crate::native::execs::events::{KEEP_ALIVE, event, failed};
use crate::native::execs::wants_events;
use crate::native::execs::wire::Chunk;
use crate::native::sandboxes::wire::{Network, NetworkKind};
use crate::native::target::Asked;
use crate::settings::App;

/// Values for `ARG`s as a JSON object. A header, since a query string is written into many a log.
const ARGUMENTS: &str = "lazaret-build-args";

/// Where the Dockerfile is if nobody says.
const DOCKERFILE: &str = "Dockerfile";

/// Build an image from a Dockerfile. The body is a tar of the context, compressed with gzip or zstd or not at all; whoever
/// packs it applies `.dockerignore`. With `Accept: text/event-stream` the answer is a stream of `step`, `stdout`, `stderr`
/// and `warning` events that ends with `image` or `error`.
#[utoipa::path(post, path = "/lazaret/v1/images/build", operation_id = "build_image", tag = "images",
    params(wire::BuildQuery,
        ("lazaret-build-args" = Option<String>, Header, description = "Values for `ARG`s: a JSON object of strings")),
    request_body(content = String, content_type = "application/x-tar"),
    responses(
        (status = 200, description = "What happens, as it happens", content_type = "text/event-stream", body = String),
        (status = 201, body = wire::Image),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn build(
    State(app): State<App>,
    asked: Asked<wire::BuildQuery>,
    headers: HeaderMap,
    upload: Upload,
) -> Result<Response, Failure> {
    let Asked { caller, query, .. } = asked;
    let archive = limited(upload.into_body(), limits::BUILD_CONTEXT_MAX_BYTES, Limit::ImageSize);
    let spec = BuildSpec { arguments: arguments(&headers)?, ..spec(query, archive)? };
    let build = app.core.builds.begin(&caller, spec).await?;
    if wants_events(&headers) {
        return Ok(follow(build));
    }
    let image = build.wait().await?;
    Ok((StatusCode::CREATED, Json(wire::Image::from(image))).into_response())
}

fn spec(query: wire::BuildQuery, archive: lazaret_core::Body) -> Result<BuildSpec, Failure> {
    let wire::BuildQuery { name, dockerfile, beside, target, no_cache, network, domain, cidr, timeout_ms } =
        query;
    let kind = match (network, domain.is_empty() && cidr.is_empty()) {
        (Some(kind), _) => kind,
        (None, true) => NetworkKind::Disabled,
        (None, false) => NetworkKind::Allowlist,
    };
    let network = EgressPolicy::try_from(Network { kind, domains: domain, cidrs: cidr })?;
    let placement = if beside { DockerfilePlacement::Beside } else { DockerfilePlacement::InContext };
    let dockerfile = dockerfile.unwrap_or_else(|| DOCKERFILE.to_owned());
    Ok(BuildSpec {
        source: BuildSource::Context { archive, dockerfile, placement },
        name,
        target,
        arguments: BTreeMap::new(),
        cache: if no_cache { CacheUse::Refreshed } else { CacheUse::Taken },
        network: Some(network),
        resources: None,
        timeout: timeout_ms.map(Duration::from_millis),
    })
}

/// The header's object; nothing of it is ever repeated.
fn arguments(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Failure> {
    let Some(value) = headers.get(ARGUMENTS) else { return Ok(BTreeMap::new()) };
    let reason = "the header lazaret-build-args is not a JSON object of strings";
    let parsed = serde_json::from_slice(value.as_bytes());
    parsed.map_err(|_| Error::invalid("build_args", reason).into())
}

fn follow(build: Build) -> Response {
    let events = stream::unfold(Some(build), |build| async move {
        let mut build = build?;
        if let Some(told) = build.next().await {
            return Some((told_event(told), Some(build)));
        }
        let last = match build.wait().await {
            Ok(image) => event("image", &wire::Image::from(image)),
            Err(error) => failed(error),
        };
        Some((last, None))
    });
    Sse::new(events.map(Ok::<Event, Infallible>))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn told_event(told: BuildEvent) -> Event {
    match told {
        BuildEvent::Step { number, total, line, text, cached } => {
            event("step", &wire::BuildStep { number, total, line, text, cached })
        }
        BuildEvent::Stdout(bytes) => event("stdout", &Chunk::from(bytes)),
        BuildEvent::Stderr(bytes) => event("stderr", &Chunk::from(bytes)),
        BuildEvent::Warning(message) => event("warning", &wire::BuildWarning { message }),
    }
}
