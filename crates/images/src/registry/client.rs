//! One request at a registry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, NoProxy, Proxy, RequestBuilder, Response, StatusCode};

use lazaret_core::{Backoff, ImageReference};

use super::error::RegistryError;
use super::hosts::{Endpoint, Hosts, PublicResolver, authority};
use super::settings::RegistrySettings;

/// Redirects that are followed: a registry sends to its storage, and that perhaps to another region.
const REDIRECTS_MAX: usize = 5;

/// Authorisations that are kept; beyond, all are asked for again. Whoever names images decides how many there are.
const AUTHORISATIONS_MAX: usize = 256;

/// This machine's loopback, in the words of `NO_PROXY`.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Every registry, as the operator lets them be reached.
#[derive(Debug)]
pub(crate) struct Registries {
    http: Client,
    settings: RegistrySettings,
    hosts: Arc<Hosts>,
    /// `Authorization` by endpoint and repository.
    authorisations: Mutex<BTreeMap<(String, String), HeaderValue>>,
}

/// An image's repository on the machines that may have it, in the order in which they are asked.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub(super) registries: &'a Registries,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) image: &'a ImageReference,
}

impl Registries {
    /// A client with these settings.
    ///
    /// # Errors
    /// What is wrong with a proxy, or with the machine's trust anchors.
    pub(crate) fn new(settings: RegistrySettings) -> Result<Registries, reqwest::Error> {
        let hosts = Arc::new(Hosts::new(&settings));
        let judge = Arc::clone(&hosts);
        let mut http = Client::builder()
            .user_agent(concat!("lazaret/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.connect_timeout)
            .read_timeout(settings.stall_timeout)
            .dns_resolver(Arc::new(PublicResolver(Arc::clone(&hosts))))
            .redirect(Policy::custom(move |attempt| follow(&judge, attempt)))
            // The environment was read where settings are.
            .no_proxy();
        let proxies = &settings.proxies;
        let direct = format!("{LOOPBACK},{}", proxies.none.as_deref().unwrap_or_default());
        let direct = || NoProxy::from_string(&direct);
        if let Some(proxy) = &proxies.http {
            http = http.proxy(Proxy::http(proxy)?.no_proxy(direct()));
        }
        if let Some(proxy) = &proxies.https {
            http = http.proxy(Proxy::https(proxy)?.no_proxy(direct()));
        }
        Ok(Registries { http: http.build()?, settings, hosts, authorisations: Mutex::default() })
    }

    /// Where to ask for an image.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`].
    pub(crate) fn source<'a>(&'a self, image: &'a ImageReference) -> Result<Source<'a>, RegistryError> {
        let endpoints = self.hosts.endpoints(&self.settings, image)?;
        Ok(Source { registries: self, endpoints, image })
    }

    pub(super) fn settings(&self) -> &RegistrySettings {
        &self.settings
    }

    pub(super) fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub(super) fn http(&self) -> &Client {
        &self.http
    }

    /// Waits between attempts, by the settings.
    pub(super) fn backoff(&self) -> Backoff {
        let RegistrySettings { first_wait, longest_wait, attempts, .. } = self.settings;
        Backoff::new(first_wait, longest_wait, attempts)
    }

    /// One GET of `path` in a repository, authorised if the registry wants that. The answer is a success.
    ///
    /// # Errors
    /// [`RegistryError`], of which some are worth another attempt.
    pub(super) async fn get(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Response, RegistryError> {
        let url = endpoint.base.join(&format!("{repository}/{path}")).map_err(|_| {
            RegistryError::Malformed { host: endpoint.host.clone(), what: "a name that makes no address" }
        })?;
        let key = (endpoint.base.to_string(), repository.to_owned());
        let request = |authorisation: Option<&HeaderValue>| {
            let request = self.http.get(url.clone()).headers(headers.clone());
            match authorisation {
                Some(value) => request.header(header::AUTHORIZATION, value.clone()),
                None => request,
            }
        };
        let known = self.authorisations.lock().expect("no panic under this lock").get(&key).cloned();
        let response = self.send(&endpoint.host, request(known.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.judge_status(&endpoint.host, response, path);
        }
        let fresh = self.authorise(endpoint, repository, &response).await?;
        {
            let mut kept = self.authorisations.lock().expect("no panic under this lock");
            if kept.len() >= AUTHORISATIONS_MAX {
                kept.clear();
            }
            kept.insert(key, fresh.clone());
        }
        self.answer(&endpoint.host, request(Some(&fresh)), path).await
    }

    /// The successful answer to a request.
    ///
    /// # Errors
    /// [`RegistryError`]; `what` is what there is none of if the answer is 404.
    pub(super) async fn answer(
        &self,
        host: &str,
        request: RequestBuilder,
        what: &str,
    ) -> Result<Response, RegistryError> {
        let response = self.send(host, request).await?;
        self.judge_status(host, response, what)
    }

    async fn send(&self, host: &str, request: RequestBuilder) -> Result<Response, RegistryError> {
        request.send().await.map_err(|error| broken(host, self.settings.stall_timeout, error))
    }

    fn judge_status(&self, host: &str, response: Response, what: &str) -> Result<Response, RegistryError> {
        let host = host.to_owned();
        Err(match response.status() {
            status if status.is_success() => return Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => RegistryError::Denied { host },
            StatusCode::NOT_FOUND => RegistryError::NotFound { host, what: what.to_owned() },
            StatusCode::TOO_MANY_REQUESTS => {
                RegistryError::Throttled { host, retry_after: retry_after(response.headers()) }
            }
            status => RegistryError::Status { host, status: status.as_u16() },
        })
    }
}

/// What a broken connection, one that could not be made, or one that hangs is called.
pub(super) fn broken(host: &str, stall_timeout: Duration, error: reqwest::Error) -> RegistryError {
    let host = host.to_owned();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(now) = cause {
        if let Some(Redirected(host, why)) = now.downcast_ref() {
            return RegistryError::NotAllowed { host: host.clone(), why };
        }
        cause = now.source();
    }
    if error.is_timeout() && !error.is_connect() {
        return RegistryError::Stalled { host, after: stall_timeout };
    }
    RegistryError::Unreachable { host, source: Box::new(error.without_url()) }
}

/// A whole body of at most `max_bytes`.
///
/// # Errors
/// [`RegistryError::Malformed`] if it is longer; a broken or hanging connection.
pub(super) async fn bounded_body(
    host: &str,
    response: Response,
    max_bytes: u64,
    stall_timeout: Duration,
) -> Result<Bytes, RegistryError> {
    let too_long = || RegistryError::Malformed { host: host.to_owned(), what: "a document that is too long" };
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| broken(host, stall_timeout, error))?;
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

/// A redirect to where the server must not go.
#[derive(Debug, thiserror::Error)]
#[error("redirected to {0}, which {1}")]
struct Redirected(String, &'static str);

fn follow(hosts: &Hosts, attempt: Attempt<'_>) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS_MAX {
        let host = authority(attempt.url()).unwrap_or_default();
        return attempt.error(Redirected(host, "is one redirect too many"));
    }
    match hosts.judge(attempt.url()) {
        Err(RegistryError::NotAllowed { host, why }) => attempt.error(Redirected(host, why)),
        _ => attempt.follow(),
    }
}

/// Seconds only: a date would need this machine's clock to be right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
