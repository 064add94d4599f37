//! Bodies on their way between axum and the core: streams both ways, never a whole file in memory.

use std::pin::pin;
use std::time::Duration;

use axum::body::{Body as HttpBody, BodyDataStream};
use axum::extract::{FromRequest, Request};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use lazaret_core::{Body, Error};
use tokio::sync::watch;

use crate::failure::{Failure, Part, Rejection};
use crate::settings::App;

/// Longest wait for the next bytes of an answer that has begun. They come from a guest, which may have stopped.
const STALL_MAX: Duration = Duration::from_secs(120);

/// The request's body as the core takes it. It ends in an error if the client goes away or falls silent, so that the
/// core keeps nothing of it.
pub(crate) struct Upload {
    body: Body,
    /// Changes with every chunk; closes with the body.
    moved: watch::Receiver<()>,
}

impl FromRequest<App> for Upload {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        Ok(Self::new(into_core(request.into_body(), app.settings.body_idle_timeout)))
    }
}

impl Upload {
    fn new(body: Body) -> Self {
        let (sender, moved) = watch::channel(());
        Self { body: body.inspect(move |_| sender.send_replace(())).boxed(), moved }
    }

    /// The bytes, for a taker that is trusted to take them.
    pub(crate) fn into_body(self) -> Body {
        self.body
    }

    /// What `work` makes of the bytes. It is given up once it has taken none for `longest`, and when it does not come
    /// to an end within `longest` of the last: a guest takes them, and it may have stopped.
    pub(crate) async fn given_to<T, F>(
        mut self,
        longest: Duration,
        work: impl FnOnce(Body) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = lazaret_core::Result<T>>,
    {
        let mut work = pin!(work(self.body));
        loop {
            tokio::select! {
                done = &mut work => return Ok(done?),
                moved = tokio::time::timeout(longest, self.moved.changed()) => match moved {
                    Ok(Ok(())) => {}
                    Ok(Err(_all_taken)) => break,
                    Err(_elapsed) => return Err(Rejection::TimedOut.into()),
                },
            }
        }
        Ok(tokio::time::timeout(longest, work).await.map_err(|_| Rejection::TimedOut)??)
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

/// The bytes of the core for a response. An error, or bytes that do not come, breaks the connection, so that the client
/// does not take a part for the whole; nobody else would tell of it, so it is logged here.
pub(crate) fn from_core(body: Body) -> HttpBody {
    HttpBody::from_stream(stream::unfold(Some(body), |body| async {
        let mut body = body?;
        let chunk = match tokio::time::timeout(STALL_MAX, body.next()).await {
            Ok(chunk) => chunk?,
            Err(elapsed) => Err(Error::Unavailable { retry_after: None, source: elapsed.into() }),
        };
        match chunk {
            Ok(chunk) => Some((Ok(chunk), Some(body))),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "an answer was cut short");
                Some((Err(error), None))
            }
        }
    }))
}

/// A whole request body of at most `max_bytes`, or why not.
pub(crate) async fn collect(
    body: HttpBody,
    max_bytes: usize,
    within: Duration,
) -> Result<bytes::Bytes, Rejection> {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lazaret_core::{Limit, body_from_bytes};

    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);

    fn pieces(pause: Duration) -> Body {
        stream::unfold(3_u8, move |left| async move {
            tokio::time::sleep(pause).await;
            left.checked_sub(1).map(|left| (Ok(Bytes::from_static(b"x")), left))
        })
        .boxed()
    }

    async fn taken(body: Body) -> Result<Bytes, String> {
        let work = |body| lazaret_core::collect(body, 100, Limit::AnswerBytes);
        Upload::new(body).given_to(LONGEST, work).await.map_err(|failure| failure.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn work_may_last_as_long_as_bytes_keep_moving() {
        assert_eq!(taken(pieces(LONGEST.mul_f32(0.9))).await, Ok(Bytes::from_static(b"xxx")));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_takes_no_bytes_or_never_ends_is_given_up() {
        let gives_up = async |ends: bool| {
            let upload = Upload::new(body_from_bytes("x"));
            let work = async |mut body: Body| {
                if ends {
                    body.next().await;
                    drop(body);
                }
                std::future::pending::<lazaret_core::Result<()>>().await
            };
            upload.given_to(LONGEST, work).await.map_err(|failure| failure.to_string())
        };
        for ends in [false, true] {
            assert_eq!(gives_up(ends).await, Err("the answer took too long".to_owned()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_bytes_stop_coming_breaks_off() {
        let stalled = stream::iter([Ok(Bytes::from_static(b"x"))]).chain(stream::pending()).boxed();
        let mut answer = from_core(stalled).into_data_stream();
        assert_eq!(answer.next().await.unwrap().unwrap(), "x");
        assert_eq!(answer.next().await.unwrap().unwrap_err().to_string(), "temporarily unavailable");
        assert!(answer.next().await.is_none());
    }

    #[tokio::test]
    async fn a_limited_body_ends_with_the_first_byte_too_many() {
        let check = async |max: u64| {
            let body = limited(pieces(Duration::ZERO), max, Limit::ImageSize);
            lazaret_core::collect(body, 100, Limit::AnswerBytes).await.map_err(|error| error.to_string())
        };
        assert_eq!(check(3).await, Ok(Bytes::from_static(b"xxx")));
        assert_eq!(check(2).await, Err("limit reached: size of the image".to_owned()));
    }
}
