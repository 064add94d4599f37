//! Fetching an image from a registry, in one answer or as server-sent events.
//!
//! ```text
//!   event: progress                                                   event: image | error
//!   data: {"layers":[{"digest":"sha256:...","bytes":9,"fetched_bytes":3,"step":"fetching"}]}     data: {...}
//!                                                                     (then the stream ends)
//! ```
//!
//! A client that hangs up gives its place up: the pull goes on only if somebody else waits for it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use lazaret_core::PullProgress;
use lazaret_core::services::Pull;
use tokio::sync::watch;

use super::wire;
use crate::extract::Json;
use crate::failure::Failure;
use crate::native::error::{ErrorBody, problem};
use crate::native::execs::events::{KEEP_ALIVE, event};
use crate::native::execs::wants_events;
use crate::native::execs::wire::Failed;
use crate::native::target::Asked;
use crate::settings::App;

/// Between two reports: more than a person sees, and enough for a bar that moves.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

/// Fetch an image from its registry or a mirror of it. With `Accept: text/event-stream` the answer is a stream of
/// `progress` events that ends with `image` or `error`.
#[utoipa::path(post, path = "/lazaret/v1/images/pull", operation_id = "pull_image", tag = "images",
    request_body = wire::Pull,
    responses(
        (status = 200, description = "Progress as it happens", content_type = "text/event-stream", body = String),
        (status = 201, body = wire::Image),
        (status = "default", body = ErrorBody)))]
pub(crate) async fn pull(
    State(app): State<App>,
    asked: Asked,
    headers: HeaderMap,
    Json(pull): Json<wire::Pull>,
) -> Result<Response, Failure> {
    let pull = app.core.images.pull(&asked.caller, &pull.reference)?;
    if wants_events(&headers) {
        return Ok(follow(pull));
    }
    let image = pull.wait().await?;
    Ok((StatusCode::CREATED, Json(wire::Image::from(image))).into_response())
}

/// What a follower is at.
enum Follower {
    Reporting(Pull, watch::Receiver<PullProgress>),
    Ended,
}

fn follow(pull: Pull) -> Response {
    let mut progress = pull.progress();
    // Where a pull is when somebody joins it is a report, if it is anywhere yet.
    if !progress.borrow().layers.is_empty() {
        progress.mark_changed();
    }
    let events = stream::unfold(Follower::Reporting(pull, progress), |follower| async move {
        let Follower::Reporting(pull, mut progress) = follower else { return None };
        let news = tokio::select! {
            biased;
            _ended = pull.wait() => progress.has_changed().unwrap_or(false),
            Ok(()) = progress.changed() => true,
        };
        if news {
            let report = wire::PullProgress::from(&*progress.borrow_and_update());
            // A short wait that the end cuts short: reports in between would only be overtaken.
            let _ = tokio::time::timeout(REPORT_INTERVAL, pull.wait()).await;
            return Some((event("progress", &report), Follower::Reporting(pull, progress)));
        }
        let last = match pull.wait().await {
            Ok(image) => event("image", &wire::Image::from(image)),
            Err(error) => event("error", &Failed { error: problem(&error.into()) }),
        };
        Some((last, Follower::Ended))
    });
    let events = futures_util::StreamExt::map(events, Ok::<Event, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
