//! One request to the router of this process, and its answer.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{ADMIN_KEY, DEADLINE};

/// A request being put together.
pub struct Call {
    router: Router,
    request: Request<Body>,
}

impl Call {
    pub(super) fn new(router: Router, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a valid path");
        Self { router, request }.key(ADMIN_KEY)
    }

    /// With this key.
    pub fn key(self, key: &str) -> Self {
        self.header(AUTHORIZATION, &format!("Bearer {key}"))
    }

    /// Without any key.
    pub fn no_key(mut self) -> Self {
        self.request.headers_mut().remove(AUTHORIZATION);
        self
    }

    pub fn header(mut self, name: impl TryInto<HeaderName>, value: &str) -> Self {
        let name = name.try_into().ok().expect("a header name");
        self.request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        let text = body.to_string();
        self.header(CONTENT_TYPE, "application/json").body(text)
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// As if it came from this peer.
    pub fn peer(mut self, peer: &str) -> Self {
        let peer: std::net::SocketAddr = peer.parse().expect("an address");
        self.request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        self
    }

    /// The head of the answer, with its body still to come.
    pub async fn open(self) -> Response<Body> {
        let answer = tokio::time::timeout(DEADLINE, self.router.oneshot(self.request)).await;
        let Ok(answer) = answer.expect("the head of the answer comes in time");
        answer
    }

    /// The whole answer.
    pub async fn send(self) -> Answer {
        let (head, body) = self.open().await.into_parts();
        let body = tokio::time::timeout(DEADLINE, body.collect()).await;
        let body = body.expect("the body comes in time").expect("the body is whole").to_bytes();
        Answer { status: head.status, headers: head.headers, body }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The JSON body of an answer that must have this status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("an ASCII header"))
    }

    /// Status, code, field and message of a native error, in one line.
    pub fn native_error(&self) -> String {
        let body = self.json();
        let error = &body["error"];
        let text = |name: &str| error[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}: {}", self.status.as_u16(), text("code"), text("field"), text("message"))
    }
}
