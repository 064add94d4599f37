//! Port 80, and 443 where secrets are put in: every request is read, judged by its Host, and written anew.
//!
//! ```text
//!   sandbox ──bytes──▶ hyper server ──Request──▶ judge ──▶ hyper client ──bytes──▶ the name's server
//! ```
//!
//! Because what leaves is written by us, a request that two readers would read in two ways (smuggling) leaves as the one
//! that was judged. A connection may carry requests to several names, each judged; what it may not do is become
//! something else, except a WebSocket with the host that agreed to it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use lazaret_core::{DomainName, Service};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::Passage;
use super::dial::DialError;
use crate::judge::{Grant, Refusal};
use crate::limits;
use crate::secrets::{Scrubbed, Substitutes, Unfit};
use crate::tenant::Open;

type Body = BoxBody<Bytes, hyper::Error>;

/// Headers that belong to one connection and not to the request (RFC 9110, section 7.6.1).
const OF_THE_CONNECTION: [HeaderName; 7] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
/// Older ones, which no registry has.
const OF_THE_CONNECTION_BY_HABIT: [&str; 2] = ["keep-alive", "proxy-connection"];

/// The one protocol that a connection may change to.
const WEBSOCKET: &str = "websocket";

/// A connection that may be spoken over, plain or not.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// What is between a sandbox and one host alone.
pub(super) struct Confidence {
    /// The host that was answered for; every request must name it.
    pub(super) host: DomainName,
    /// What is put into them.
    pub(super) substitutes: Arc<Substitutes>,
}

/// A sandbox's connection, and the one to the server that it spoke with last.
struct Conversation {
    passage: Passage,
    confidence: Option<Confidence>,
    open: Mutex<Option<Open>>,
    websocket: Mutex<Option<AbortOnDropHandle<()>>>,
    server: tokio::sync::Mutex<Option<Server>>,
}

struct Server {
    name: DomainName,
    sender: SendRequest<Incoming>,
    _connection: AbortOnDropHandle<()>,
}

/// Carries requests until the client has no more.
pub(super) async fn carry(passage: Passage, near: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    converse(passage, near, None, None).await;
}

/// The same for requests that came over TLS, which leave over TLS with the secrets in them.
pub(super) async fn carry_confidential(
    passage: Passage,
    near: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    confidence: Confidence,
    open: Open,
) {
    converse(passage, near, Some(confidence), Some(open)).await;
}

async fn converse(
    passage: Passage,
    near: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    confidence: Option<Confidence>,
    open: Option<Open>,
) {
    let conversation = Arc::new(Conversation {
        passage,
        confidence,
        open: Mutex::new(open),
        websocket: Mutex::default(),
        server: tokio::sync::Mutex::default(),
    });
    let service = service_fn(|request| {
        let conversation = Arc::clone(&conversation);
        async move { Ok::<_, Infallible>(conversation.answer(request).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::OPENING_TIMEOUT)
        .max_buf_size(limits::HEAD_MAX_BYTES)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(near), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        if error.is_parse() {
            conversation.passage.deny(&conversation.passage.to.to_string(), Refusal::NotHttp);
        }
        tracing::debug!(%error, "a sandbox's HTTP connection ended");
    }
    let websocket = conversation.websocket.lock().expect("no panic under this lock").take();
    if let Some(carried) = websocket
        && let Err(error) = carried.await
    {
        tracing::debug!(%error, "carrying a WebSocket failed");
    }
}

impl Conversation {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let name = match self.judge(&request) {
            Ok(name) => name,
            Err((destination, refusal)) => {
                self.passage.deny(&destination, refusal);
                let status =
                    if refusal == Refusal::Name { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
                return refusal_page(status, &format!("{}: {}", refusal.text(), destination.escape_debug()));
            }
        };
        match self.forward(name, request).await {
            Ok(response) => response,
            Err(failure) => {
                tracing::debug!(error = %failure, "carrying a request");
                refusal_page(StatusCode::BAD_GATEWAY, &failure.to_string())
            }
        }
    }

    /// The allowed name that a request is for, or what it wanted and why not.
    fn judge(&self, request: &Request<Incoming>) -> Result<DomainName, (String, Refusal)> {
        let to = self.passage.to;
        if request.method() == Method::CONNECT {
            return Err((request.uri().to_string(), Refusal::Connect));
        }
        let host = single_host(request.headers()).ok_or_else(|| (to.to_string(), Refusal::NoHost))?;
        let scheme = if self.confidence.is_some() { "https" } else { "http" };
        if !agrees(request.uri(), scheme, host) {
            return Err((format!("{} with host {host}", request.uri()), Refusal::HostMismatch));
        }
        let named = |refusal| (host.to_owned(), refusal);
        let (name, port) = split_port(host).ok_or_else(|| named(Refusal::NoHost))?;
        if port.is_some_and(|port| port != to.port()) {
            return Err(named(Refusal::HostMismatch));
        }
        let name = DomainName::from_wire(name.as_bytes()).map_err(|_| named(Refusal::Name))?;
        if self.confidence.as_ref().is_some_and(|confidence| confidence.host != name) {
            return Err(named(Refusal::HostMismatch));
        }
        let grant = Grant::Name(name.clone(), Service::of(to.port()));
        let mut open = self.open.lock().expect("no panic under this lock");
        let allowed = match &*open {
            Some(open) => open.change(grant),
            None => {
                *open = self.passage.admitted.open(grant, &self.passage.end);
                open.is_some()
            }
        };
        if allowed { Ok(name) } else { Err(named(Refusal::Name)) }
    }

    async fn forward(
        &self,
        name: DomainName,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, ForwardError> {
        let near = wants_websocket(&request).then(|| hyper::upgrade::on(&mut request));
        let mut request = rewrite(request, near.is_some());
        if let Some(confidence) = &self.confidence {
            // What comes back is looked through, so it has to come as it is.
            request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            confidence.substitutes.put_in(request.headers_mut())?;
        }
        let mut response = self.exchange(&name, request).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let near = near.filter(|_| is_websocket(response.headers())).ok_or(ForwardError::Switched)?;
            let far = hyper::upgrade::on(&mut response);
            let carried = AbortOnDropHandle::new(tokio::spawn(join_ends(near, far)));
            *self.websocket.lock().expect("no panic under this lock") = Some(carried);
        }
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        strip(response.headers_mut());
        if switched {
            keep_upgrade(response.headers_mut());
        }
        *response.version_mut() = Version::HTTP_11;
        Ok(match &self.confidence {
            Some(confidence) => {
                Scrubbed::response(response, Arc::clone(&confidence.substitutes)).map(BodyExt::boxed)
            }
            None => response.map(BodyExt::boxed),
        })
    }

    /// Sends a request over the connection that is there, or a new one.
    async fn exchange(
        &self,
        name: &DomainName,
        mut request: Request<Incoming>,
    ) -> Result<Response<Incoming>, ForwardError> {
        let mut place = self.server.lock().await;
        if let Some(server) = place.as_mut().filter(|server| server.name == *name)
            && server.sender.ready().await.is_ok()
        {
            match server.sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                // The server closed the connection while it was idle, and has not seen the request.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(ForwardError::Exchange(failed.into_error())),
                },
            }
        }
        let server = place.insert(self.connect(name).await?);
        server.sender.send_request(request).await.map_err(ForwardError::Exchange)
    }

    async fn connect(&self, name: &DomainName) -> Result<Server, ForwardError> {
        let to = self.passage.to;
        let dialled = self.passage.proxy.dial(name, to.port(), to.ip()).await;
        let stream = dialled.inspect_err(|error| {
            if matches!(error, DialError::Private) {
                self.passage.deny(name.as_str(), Refusal::PrivateAddress);
            }
        })?;
        let stream: Box<dyn Stream> = match &self.confidence {
            Some(confidence) => {
                let upstream = &self.passage.proxy.upstream;
                let connected = timeout(limits::OPENING_TIMEOUT, upstream.connect(&confidence.host, stream));
                let late = |_| ForwardError::Handshake(std::io::ErrorKind::TimedOut.into());
                Box::new(connected.await.map_err(late)?.map_err(ForwardError::Handshake)?)
            }
            None => Box::new(stream),
        };
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(limits::HEAD_MAX_BYTES)
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ForwardError::Exchange)?;
        let connection = tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a server ended");
            }
        });
        Ok(Server { name: name.clone(), sender, _connection: AbortOnDropHandle::new(connection) })
    }
}

/// Carries a WebSocket's bytes.
async fn join_ends(near: OnUpgrade, far: OnUpgrade) {
    let (near, far) = match tokio::try_join!(near, far) {
        Ok(ends) => ends,
        Err(error) => return tracing::debug!(%error, "a WebSocket did not come about"),
    };
    if let Err(error) = copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await {
        tracing::debug!(%error, "a sandbox's WebSocket broke");
    }
}

/// Why a request that was allowed has no answer.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("the server has no certificate for this name that is trusted here, or broke off")]
    Handshake(#[source] std::io::Error),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the server did not answer as HTTP")]
    Exchange(#[source] hyper::Error),
    #[error("the server changed to a protocol that nobody asked for")]
    Switched,
}

/// The value of the Host header, if there is one and no second.
fn single_host(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::HOST).iter();
    let only = values.next()?;
    values.next().is_none().then(|| only.to_str().ok())?
}

/// Whether a target that names a server itself names the same one, by the scheme that is spoken.
fn agrees(target: &Uri, scheme: &str, host: &str) -> bool {
    let same = target.scheme_str().is_none_or(|named| named.eq_ignore_ascii_case(scheme));
    same && target.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host))
}

/// Name and port of a Host; `None` where the port is no number. An address in brackets is a name that nobody allows.
fn split_port(host: &str) -> Option<(&str, Option<u16>)> {
    match host.rsplit_once(':') {
        None => Some((host, None)),
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            port.parse().ok().map(|port| (name, Some(port)))
        }
        Some(_) => Some((host, None)),
    }
}

fn wants_websocket(request: &Request<Incoming>) -> bool {
    let asks = header_words(request.headers(), &header::CONNECTION).any(|word| word == "upgrade");
    asks && request.method() == Method::GET && is_websocket(request.headers())
}

fn is_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = header_words(headers, &header::UPGRADE);
    protocols.next().is_some_and(|word| word == WEBSOCKET) && protocols.next().is_none()
}

/// The words of a header that is a list, in lower case.
fn header_words(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase())
}

/// The request as the server gets it: its own target, no header of the sandbox's connection.
fn rewrite(mut request: Request<Incoming>, websocket: bool) -> Request<Incoming> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    // The parts of a target that was parsed are a target.
    *request.uri_mut() = target.parse().unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
    strip(request.headers_mut());
    // Answered here already, by asking for the body.
    request.headers_mut().remove(header::EXPECT);
    if websocket {
        keep_upgrade(request.headers_mut());
    }
    request
}

fn strip(headers: &mut HeaderMap) {
    for named in header_words(headers, &header::CONNECTION).collect::<Vec<_>>() {
        // Nobody may have the header removed that was judged.
        if named != header::HOST.as_str() {
            headers.remove(named.as_str());
        }
    }
    for name in &OF_THE_CONNECTION {
        headers.remove(name);
    }
    for name in OF_THE_CONNECTION_BY_HABIT {
        headers.remove(name);
    }
}

fn keep_upgrade(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

/// What a person sees who runs curl in a sandbox.
fn refusal_page(status: StatusCode, why: &str) -> Response<Body> {
    let text = format!("lazaret: the network of this sandbox: {why}\n");
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_host_or_none() {
        let headers = |hosts: &[&'static str]| {
            hosts.iter().map(|host| (header::HOST, HeaderValue::from_static(host))).collect::<HeaderMap>()
        };
        assert_eq!(single_host(&headers(&["a.example"])), Some("a.example"));
        assert_eq!(single_host(&headers(&[])), None);
        assert_eq!(single_host(&headers(&["a.example", "a.example"])), None);
    }

    #[test]
    fn a_whole_address_as_the_target_must_name_the_host() {
        for (target, host, want) in [
            ("/path", "a.example", true),
            ("*", "a.example", true),
            ("http://a.example/path", "A.example", true),
            ("http://a.example:80/", "a.example", false),
            ("http://b.example/", "a.example", false),
            ("http://a.example@b.example/", "a.example", false),
            ("https://a.example/", "a.example", false),
        ] {
            assert_eq!(agrees(&target.parse().unwrap(), "http", host), want, "{target} for {host}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_perhaps_a_port() {
        for (host, want) in [
            ("a.example", Some(("a.example", None))),
            ("a.example:80", Some(("a.example", Some(80)))),
            ("a.example:", None),
            ("a.example:99999", None),
            ("a.example:80:80", Some(("a.example:80", Some(80)))),
            ("[::1]", Some(("[::1]", None))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
        ] {
            assert_eq!(split_port(host), want, "{host}");
        }
    }

    #[test]
    fn headers_of_the_connection_stay_on_it_and_the_judged_host_stays_put() {
        let mut headers: HeaderMap = [
            ("host", "a.example"),
            ("connection", "X-Own, host, keep-alive"),
            ("x-own", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "accept"]);
    }
}
