//! HTTP towards the native API: addresses, the key, bounded answers, and errors a person can act on.
//!
//! Every request goes through [`Client::send`], so that a refusal of the server, in whatever request, becomes one
//! [`ServerError`]. JSON answers are read whole and bounded in size and time; streams have neither bound.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::StreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;

use crate::failure::{Failure, words};
use crate::globals::{Endpoint, is_this_machine};
use crate::server_error::ServerError;

/// Where the native API is mounted.
const BASE: &str = "/lazaret/v1";
/// How long a TCP connection may take to be made. A server far away answers within one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an ordinary request may take: long enough for a start on a busy host, short enough not to seem hung.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// A peer that vanished is noticed after a few of these.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Largest JSON answer. An exec's two streams of 10 MiB, escaped or in base64, stay below it.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;
/// Largest answer of a tool: a file of 100 MiB in base64, twice, as the protocol says everything twice.
const LONG_ANSWER_MAX_BYTES: usize = 384 * 1024 * 1024;
/// Largest error body; what is longer is no error of ours.
const ERROR_MAX_BYTES: usize = 64 * 1024;

/// Bytes that may stand unescaped in one segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A connection pool to one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
}

impl Client {
    /// A client of `endpoint`. Nothing is sent yet.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lazaret-cli/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            // A WebSocket needs HTTP/1.1, and one protocol is easier to reason about than two.
            .http1_only()
            // The API does not redirect; a redirect would carry the key to a place nobody chose.
            .redirect(reqwest::redirect::Policy::none());
        if endpoint.url.scheme() == "http" {
            // Reading the host's certificates costs more than most requests.
            builder = builder.tls_built_in_root_certs(false);
        }
        if is_this_machine(&endpoint.url) {
            builder = builder.no_proxy();
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self { http, endpoint })
    }

    /// A request to `path`, whose segments are encoded here and may hold any bytes.
    pub(crate) fn request(&self, method: Method, path: &[&[u8]]) -> Result<RequestBuilder> {
        let mut url = self.endpoint.url.as_str().trim_end_matches('/').to_owned();
        url.push_str(BASE);
        for segment in path {
            // A URL parser takes `.` and `..` out of a path, encoded or not, and would address something else.
            if matches!(*segment, b"." | b"..") {
                return Err(Failure::new("'.' and '..' name nothing on the server").into());
            }
            url.push('/');
            url.extend(percent_encode(segment, SEGMENT));
        }
        let url: Url = url.parse().context("cannot build the address of the request")?;
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.endpoint.key {
            request = request.bearer_auth(key);
        }
        Ok(request)
    }

    /// A POST to an absolute path outside the native API.
    pub(crate) fn post_to(&self, path: &str) -> Result<RequestBuilder> {
        let url = format!("{}{path}", self.endpoint.url.as_str().trim_end_matches('/'));
        let url: Url = url.parse().context("cannot build the address of the request")?;
        let request = self.http.post(url);
        Ok(match &self.endpoint.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        })
    }

    /// A GET of `path`.
    pub(crate) fn get(&self, path: &[&str]) -> Result<RequestBuilder> {
        self.request(Method::GET, &bytes(path))
    }

    /// A POST to `path`.
    pub(crate) fn post(&self, path: &[&str]) -> Result<RequestBuilder> {
        self.request(Method::POST, &bytes(path))
    }

    /// A DELETE of `path`.
    pub(crate) fn delete(&self, path: &[&str]) -> Result<RequestBuilder> {
        self.request(Method::DELETE, &bytes(path))
    }

    /// Sends `request` and gives the answer's head; the body is still to be read, without a time limit.
    ///
    /// # Errors
    /// [`ServerError`] if the server refused, [`Failure`] if it could not be talked to.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        Err(self.refusal(response).await.into())
    }

    /// Sends `request` and parses the JSON that comes back.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        self.json_within(Some(REQUEST_TIMEOUT), request).await
    }

    /// The same for a request whose work may take long: `limit` bounds it all, `None` nothing.
    pub(crate) async fn json_within<T: DeserializeOwned>(
        &self,
        limit: Option<Duration>,
        request: RequestBuilder,
    ) -> Result<T> {
        let request = match limit {
            Some(limit) => request.timeout(limit),
            None => request,
        };
        let response = self.send(request).await?;
        let body = read_bounded(response, ANSWER_MAX_BYTES).await.map_err(|error| match error {
            ReadError::Http(error) => self.unreachable(error),
            ReadError::TooLong => Failure::new("the server's answer is longer than 64 MiB"),
        })?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::new("the server's answer is not what this program expects")
                .source(error)
                .hint("are `lazaret` and the server of the same version? `lazaret --version` and GET /lazaret/v1/server tell")
                .into()
        })
    }

    /// Sends `request`, whose answer is JSON or nothing, in as much time and of as much length as the server gives it.
    pub(crate) async fn json_or_nothing(&self, request: RequestBuilder) -> Result<Option<serde_json::Value>> {
        let response = self.send(request).await?;
        let body = read_bounded(response, LONG_ANSWER_MAX_BYTES).await.map_err(|error| match error {
            ReadError::Http(error) => self.unreachable(error),
            ReadError::TooLong => Failure::new("the server's answer is longer than 384 MiB"),
        })?;
        if body.is_empty() {
            return Ok(None);
        }
        let answer = serde_json::from_slice(&body);
        Ok(Some(answer.map_err(|error| Failure::new("the server's answer is not JSON").source(error))?))
    }

    /// Sends `request`, whose answer has no body worth reading.
    pub(crate) async fn empty(&self, request: RequestBuilder) -> Result<()> {
        self.send(request.timeout(REQUEST_TIMEOUT)).await.map(drop)
    }

    /// What to say of a request that got no answer.
    pub(crate) fn unreachable(&self, error: reqwest::Error) -> Failure {
        let server = self.endpoint.url.as_str().trim_end_matches('/');
        let error = error.without_url();
        if error.is_connect() {
            return Failure::new(format!("no server answers at {server}"))
                .hint("start one with `lazaret serve`, or name another with --url or LAZARET_URL")
                .source(innermost(&error));
        }
        if error.is_timeout() {
            return Failure::new(format!("the server at {server} did not answer in time"))
                .hint("it may still be at work: look with `lazaret ps -a` and in the server's log");
        }
        Failure::new(format!("the connection to {server} broke"))
            .hint("is the server still running? its log says why it stopped")
            .source(innermost(&error))
    }

    async fn refusal(&self, response: Response) -> ServerError {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(|seconds| format!("try again in {seconds} seconds"));
        let body = read_bounded(response, ERROR_MAX_BYTES).await.unwrap_or_default();
        let (mut error, request_id) = ServerError::parse(status, &body);
        // Ours comes first: only this side knows where the key came from.
        error.hint = self.advice(status, request_id).or(error.hint).or(retry_after);
        error
    }

    fn advice(&self, status: StatusCode, request_id: Option<String>) -> Option<String> {
        match status {
            StatusCode::UNAUTHORIZED => Some(self.endpoint.key_advice.clone()),
            StatusCode::FORBIDDEN => {
                Some("use a key that has the scope; `lazaret key create --scope` makes one".into())
            }
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                request_id.map(|id| format!("the server's log says more under request id {id}"))
            }
            _ => None,
        }
    }
}

enum ReadError {
    Http(reqwest::Error),
    TooLong,
}

async fn read_bounded(response: Response, max_bytes: usize) -> Result<Vec<u8>, ReadError> {
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(ReadError::Http)?;
        if body.len() + chunk.len() > max_bytes {
            return Err(ReadError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The cause at the bottom, which is the one that says something ("connection refused").
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    words(cause)
}

fn bytes<'a>(path: &[&'a str]) -> Vec<&'a [u8]> {
    path.iter().map(|segment| segment.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(url: &str) -> Client {
        let endpoint = Endpoint { url: url.parse().unwrap(), key: None, key_advice: String::new() };
        Client::new(endpoint).unwrap()
    }

    #[test]
    fn segments_are_encoded_byte_by_byte_below_the_base_path() {
        let request = client("http://127.0.0.1:1/proxy/")
            .request(Method::GET, &[b"sandboxes", b"a/b c", b"\xff%.txt"])
            .unwrap();
        let url = request.build().unwrap().url().to_string();
        assert_eq!(url, "http://127.0.0.1:1/proxy/lazaret/v1/sandboxes/a%2Fb%20c/%FF%25.txt");
    }

    #[test]
    fn a_segment_that_would_climb_is_refused() {
        let error = client("http://127.0.0.1:1").delete(&["sandboxes", ".."]).unwrap_err();
        assert_eq!(error.to_string(), "'.' and '..' name nothing on the server");
    }
}
