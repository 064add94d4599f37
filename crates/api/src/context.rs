//! What is known of a request apart from its body: its id, its route, its peer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Uri};
use lazaret_core::{AccountId, Timestamp};
use uuid::Uuid;

use crate::failure::Failure;

/// Name of the header that carries the id of a request, on every answer.
pub(crate) const REQUEST_ID_HEADER: &str = "x-request-id";

/// `req_` and 32 hexadecimal digits; always our own, whatever the client sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId(Uuid);

impl RequestId {
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_str(&self.to_string()).expect("hexadecimal digits are a header value")
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "req_{}", self.0.simple())
    }
}

/// A request's circumstances; a handler takes it as an argument where it needs it.
#[derive(Clone)]
pub(crate) struct RequestContext(pub(crate) Arc<Circumstances>);

/// What [`RequestContext`] points at.
pub(crate) struct Circumstances {
    pub(crate) id: RequestId,
    /// When its head came.
    pub(crate) received_at: Timestamp,
    pub(crate) method: Method,
    /// As it came, percent-encoded.
    pub(crate) uri: Uri,
    /// The route's path with its parameters in braces; from a closed set.
    pub(crate) template: Arc<str>,
    /// The client's address, where the server knows it.
    pub(crate) peer: Option<SocketAddr>,
    /// The account of the request's key, once that is known.
    pub(crate) account: OnceLock<AccountId>,
    /// JSON bodies must say that they are JSON.
    pub(crate) strict_media_type: bool,
}

impl std::ops::Deref for RequestContext {
    type Target = Circumstances;

    fn deref(&self) -> &Circumstances {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        Ok(Self::of(parts))
    }
}

impl RequestContext {
    /// The context that the dialect's layer put here.
    pub(crate) fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().expect("every route is behind its dialect's layer").clone()
    }
}
