//! Bytes on their way through the core: a stream with back-pressure, never a whole file in memory.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::{Error, Limit, Result};

/// A stream of chunks. It ends after the last chunk, or with the one error that cut it short.
pub type Body = BoxStream<'static, Result<Bytes>>;

/// A body of one chunk.
pub fn body_from_bytes(bytes: impl Into<Bytes>) -> Body {
    let bytes = bytes.into();
    stream::once(async move { Ok(bytes) }).boxed()
}

/// The whole body in memory.
///
/// # Errors
/// [`Error::LimitReached`] with `limit` once more than `max_bytes` have come; the body's own error if it has one.
pub async fn collect(mut body: Body, max_bytes: u64, limit: Limit) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if (whole.len() + chunk.len()) as u64 > max_bytes {
            return Err(Error::LimitReached(limit));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
