//! HTTP as a plain client speaks it: one kept-alive connection per client, every status an answer.

use std::io::Read;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};

/// Longest a whole exchange may take; a suite that needs longer says so.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Largest answer that is read into memory.
const ANSWER_MAX_BYTES: u64 = 64 << 20;

/// A status, its headers and a body that was read to the end.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `x-request-id`, if the server sent one.
    pub request_id: Option<String>,
    /// `content-type`, if the server sent one.
    pub content_type: Option<String>,
    /// The body, whatever the status.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is not JSON, showing what it is.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// The body as JSON of an answer that must have this status.
    ///
    /// # Panics
    /// If the status is another, showing the whole answer.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

/// A caller of one server, with one key.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

impl Client {
    /// A client for the server at `base` (without a trailing slash), with `key` or anonymous.
    pub fn new(base: &str, key: Option<&str>) -> Client {
        Client::with_timeout(base, key, TIMEOUT)
    }

    /// As [`Client::new`], giving up on an exchange after `timeout`.
    pub fn with_timeout(base: &str, key: Option<&str>, timeout: Duration) -> Client {
        let config =
            Agent::config_builder().http_status_as_error(false).timeout_global(Some(timeout)).build();
        Client {
            agent: config.into(),
            base: base.to_owned(),
            authorization: key.map(|key| format!("Bearer {key}")),
        }
    }

    /// GET without a body.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], SendBody::none())
    }

    /// DELETE without a body.
    pub fn delete(&self, path: &str) -> Result<Answer> {
        self.send(Method::DELETE, path, &[], SendBody::none())
    }

    /// POST with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let bytes = serde_json::to_vec(body)?;
        self.send(Method::POST, path, &[("content-type", "application/json")], bytes.as_slice().as_body())
    }

    /// PUT with the bytes of `body`.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<Answer> {
        self.send(Method::PUT, path, &[], { body }.as_body())
    }

    /// Any method, headers and body.
    ///
    /// # Errors
    /// If the exchange itself fails; a 4xx or 5xx is an answer.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: SendBody,
    ) -> Result<Answer> {
        let what = format!("{method} {path}");
        let mut response = self.open(method, path, headers, body)?;
        let header = |name| {
            response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (request_id, content_type) = (header("x-request-id"), header("content-type"));
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_MAX_BYTES).read_to_vec();
        let body = body.with_context(|| format!("read the answer to {what}"))?;
        Ok(Answer { status, request_id, content_type, body })
    }

    /// Sends a request and leaves the answer's body to be streamed.
    pub fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        mut body: SendBody,
    ) -> Result<Response<Body>> {
        let what = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.as_body()).with_context(|| format!("make {what}"))?;
        self.agent.run(request).with_context(|| what)
    }

    /// Streams a GET's body away and returns its length; anything but 200 is an error.
    pub fn drain(&self, path: &str) -> Result<u64> {
        let mut response = self.open(Method::GET, path, &[], SendBody::none())?;
        if response.status() != 200 {
            bail!("GET {path}: {}", response.status());
        }
        let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0_u8; 256 << 10];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(total),
                read => total += u64::try_from(read)?,
            }
        }
    }
}
