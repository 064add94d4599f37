//! Bodies on their way between axum and the core: streams both ways, never a whole file in memory.

use std::time::Duration;

use axum::body::{Body as HttpBody, BodyDataStream};
use axum::extract::{FromRequest, Request};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use lazaret_core::{Body, Error};

use crate::failure::Failure;
use crate::settings::App;

/// The request's body as the core takes it. It ends in an error if the client goes away or falls silent, so that the
/// core keeps nothing of it.
pub(crate) struct Upload(pub(crate) Body);

impl FromRequest<App> for Upload {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        Ok(Self(into_core(request.into_body(), app.settings.body_idle_timeout)))
    }
}

/// The bytes of `body` for the core, with at most `idle` between two chunks.
pub(crate) fn into_core(body: HttpBody, idle: Duration) -> Body {
    stream::try_unfold(body.into_data_stream(), move |mut chunks: BodyDataStream| async move {
        match tokio::time::timeout(idle, chunks.next()).await {
            Ok(None) => Ok(None),
            Ok(Some(Ok(chunk))) => Ok(Some((chunk, chunks))),
            Ok(Some(Err(_broken))) => Err(Error::invalid("body", "ended before it was complete")),
            Err(_elapsed) => {
                Err(Error::invalid("body", format!("no bytes came for {} seconds", idle.as_secs())))
            }
        }
    })
    .boxed()
}

/// The bytes of the core for a response. An error breaks the connection, so that the client does not take a part for the
/// whole; nobody else would tell of it, so it is logged here.
pub(crate) fn from_core(body: Body) -> HttpBody {
    HttpBody::from_stream(body.inspect(|chunk| {
        if let Err(error) = chunk {
            tracing::warn!(error = error as &dyn std::error::Error, "an answer was cut short");
        }
    }))
}

/// A whole request body of at most `max_bytes`, or why not.
pub(crate) async fn collect(
    body: HttpBody,
    max_bytes: usize,
    within: Duration,
) -> Result<bytes::Bytes, crate::failure::Rejection> {
    use crate::failure::{Part, Rejection};
    let too_large = || Rejection::TooLarge { max_bytes: u64::try_from(max_bytes).unwrap_or(u64::MAX) };
    if axum::body::HttpBody::size_hint(&body).lower() > u64::try_from(max_bytes).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let whole = http_body_util::Limited::new(body, max_bytes).collect();
    match tokio::time::timeout(within, whole).await {
        Err(_elapsed) => Err(Rejection::SlowBody),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Ok(Err(_broken)) => Err(Rejection::Malformed {
            part: Part::Body,
            reason: "it ended before it was complete".to_owned(),
        }),
    }
}

/// The same body, which ends in [`Error::LimitReached`] once more than `max_bytes` have come.
pub(crate) fn limited(body: Body, max_bytes: u64, limit: lazaret_core::Limit) -> Body {
    let mut left = max_bytes;
    body.map(move |chunk| {
        let chunk = chunk?;
        left = left.checked_sub(chunk.len() as u64).ok_or(Error::LimitReached(limit))?;
        Ok(chunk)
    })
    .boxed()
}
