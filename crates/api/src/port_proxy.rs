//! HTTP to a port inside a sandbox, for routes and hosts of any dialect.
//!
//! ```text
//!   client ──request──▶ headers for the next hop ──▶ HTTP/1.1 over the port's stream ──▶ the tenant's server
//!          ◀─response── headers for this hop     ◀──
//!          ◀═══════════ after 101: bytes both ways, without a look ═══════════▶
//! ```
//!
//! One connection a request: a tenant's server that keeps none alive, or lies about where an answer ends, harms nobody
//! else's. Bodies stream in both directions. What is here deliberately not: who may (the core), which cookies and origins
//! the answer may touch (the route or host that forwards), and anything but HTTP.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, HOST, UPGRADE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version};
use axum::response::Response;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lazaret_core::services::PortStream;
use tokio_util::sync::CancellationToken;

use crate::auth;
use crate::failure::{Failure, Rejection};

/// How long a tenant's server may take to begin its answer, the request's body included. Answers of a model stream; what
/// is silent for longer is taken for stuck.
const HEAD_PATIENCE: Duration = Duration::from_secs(300);

/// Headers that are about one hop (RFC 9110, section 7.6.1), besides those that `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    HeaderName::from_static("te"),
    HeaderName::from_static("trailer"),
    HeaderName::from_static("transfer-encoding"),
    UPGRADE,
];

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Where a request goes.
pub(crate) struct Destination {
    /// The port, for `Host`.
    pub(crate) port: u16,
    /// What the tenant's server is asked for.
    pub(crate) path: PathAndQuery,
    /// Whose the request's credentials are.
    pub(crate) credentials: Credentials,
    /// What stands before that path in the client's world, for servers that make links; empty for none.
    pub(crate) prefix: String,
}

/// Whose the credentials in a request's headers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// This server's: they stay here.
    Ours,
    /// The tenant's: whoever forwards has taken this server's out.
    Theirs,
}

/// Forwards a request over `stream` and returns the answer as it comes.
///
/// # Errors
/// [`Rejection::PortFailed`] if the tenant's server does not answer with HTTP.
pub(crate) async fn forward(
    stream: PortStream,
    mut request: Request,
    to: Destination,
    stopping: CancellationToken,
) -> Result<Response, Failure> {
    let port = to.port;
    let failed = |problem| Failure::from(Rejection::PortFailed { port, problem });
    let upgrade = asked_upgrade(request.headers());
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    change_request(&mut request, to, upgrade)?;

    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| failed(NO_HTTP))?;
    // Ends with the answer's body, or when either side is dropped.
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to a port ended early");
        }
    });
    let answer = tokio::time::timeout(HEAD_PATIENCE, sender.send_request(request)).await;
    let mut answer = answer.map_err(|_| failed("did not begin to answer in time"))?.map_err(|error| {
        tracing::debug!(%error, "a port did not answer");
        failed(NO_HTTP)
    })?;

    let agreed = asked_upgrade(answer.headers());
    let switched = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    strip_hop(answer.headers_mut());
    if switched {
        let (Some(client), Some(protocol)) = (client, agreed) else { return Err(failed(NO_HTTP)) };
        let inside = hyper::upgrade::on(&mut answer);
        tokio::spawn(splice(client, inside, stopping));
        put_upgrade(answer.headers_mut(), protocol);
    }
    *answer.version_mut() = Version::HTTP_11;
    Ok(answer.map(Body::new))
}

const NO_HTTP: &str = "does not answer in HTTP";

/// Passes bytes on until one side ends, or the server does.
async fn splice(
    client: hyper::upgrade::OnUpgrade,
    inside: hyper::upgrade::OnUpgrade,
    stopping: CancellationToken,
) {
    let converse = async {
        let (client, inside) = tokio::try_join!(client, inside)?;
        let copied =
            tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(inside)).await;
        // How such a conversation ends is its parties' affair.
        drop(copied);
        Ok::<_, hyper::Error>(())
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        ended = converse => if let Err(error) = ended {
            tracing::debug!(%error, "a switch of protocols did not happen");
        }
    }
}

fn change_request(
    request: &mut Request,
    to: Destination,
    upgrade: Option<HeaderValue>,
) -> Result<(), Failure> {
    let headers = request.headers_mut();
    strip_hop(headers);
    if to.credentials == Credentials::Ours {
        auth::remove_key(headers);
    }
    if let Some(upgrade) = upgrade {
        put_upgrade(headers, upgrade);
    }
    let own =
        HeaderValue::from_str(&format!("localhost:{}", to.port)).map_err(lazaret_core::Error::internal)?;
    // Servers for development answer to few names besides this one.
    if let Some(asked) = headers.insert(HOST, own) {
        headers.insert(FORWARDED_HOST, asked);
    }
    match HeaderValue::from_str(&to.prefix) {
        Ok(prefix) if !prefix.is_empty() => headers.insert(FORWARDED_PREFIX, prefix),
        _ => headers.remove(FORWARDED_PREFIX),
    };
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from(to.path);
    request.extensions_mut().clear();
    Ok(())
}

/// The protocol that the sender wants to change to.
fn asked_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = |value: &HeaderValue| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case("upgrade")))
    };
    headers.get_all(CONNECTION).iter().any(wants).then(|| headers.get(UPGRADE).cloned()).flatten()
}

fn put_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Removes what is about the last hop.
fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn what_is_about_one_hop_goes_no_further_and_what_names_it_cannot_hide_it() {
        let mut got = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "Keep-Alive"),
            ("keep-alive", "timeout=5"),
            ("x-private", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept", "text/html"),
        ]);
        strip_hop(&mut got);
        assert_eq!(got, headers(&[("accept", "text/html")]));
    }

    #[test]
    fn an_upgrade_is_asked_for_by_both_headers() {
        let upgrade = [("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")];
        assert_eq!(asked_upgrade(&headers(&upgrade)), Some(HeaderValue::from_static("websocket")));
        assert_eq!(asked_upgrade(&headers(&upgrade[..1])), None);
        assert_eq!(asked_upgrade(&headers(&upgrade[1..])), None);
    }

    #[test]
    fn the_key_stays_here_and_the_next_server_is_asked_by_its_own_name() {
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = headers(&[
            ("host", "sandboxes.example"),
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("x-forwarded-prefix", "/forged"),
            ("x-tenant", "kept"),
        ]);
        let path = PathAndQuery::from_static("/a?b=c");
        let to = Destination { port: 8000, path, credentials: Credentials::Ours, prefix: String::new() };
        change_request(&mut request, to, None).unwrap();
        let want =
            [("host", "localhost:8000"), ("x-forwarded-host", "sandboxes.example"), ("x-tenant", "kept")];
        assert_eq!(*request.headers(), headers(&want));
        assert_eq!(request.uri(), "/a?b=c");
    }
}
