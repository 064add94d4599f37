//! HTTP with the sandbox's network, certificates and proxy settings.
//!
//! Credentials go to the origin of the first request and to no other: a redirect to another host goes without them, and
//! one from `https` to `http` is not followed.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lazaret_protocol::git::{Credentials, Problem};
use ureq::Agent;
use ureq::http::{Response, StatusCode, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::environment;
use crate::failure::{Failure, Outcome};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);

/// How long a remote may be silent. Large repositories are counted before the first byte of them comes.
const SILENCE: Duration = Duration::from_secs(120);

/// Redirects in a row.
const REDIRECTS_MAX: usize = 5;

/// Largest file of certificates, in bytes; those of distributions have some 200 KiB.
const CERTIFICATES_MAX: u64 = 4 * 1024 * 1024;

/// Where distributions keep the authorities that a system trusts. Whatever the tenant has added there is meant.
const SYSTEM_CERTIFICATES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Servers tell git from browsers by this.
const USER_AGENT: &str = concat!("git/2 (lazaret ", env!("CARGO_PKG_VERSION"), ")");

/// Whether HTTP leads there.
pub(super) fn is_http(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}

/// The body of an answer.
pub(super) type Body = Box<dyn Read + Send>;

/// A client for one remote.
pub(super) struct Client {
    agent: OnceLock<Agent>,
    insecure_skip_tls: bool,
    credentials: Mutex<Option<Credentials>>,
    /// Scheme and authority of the first request.
    origin: OnceLock<String>,
    /// The remote is a server of files that knows nothing of git.
    is_dumb: AtomicBool,
}

impl Client {
    pub(super) fn new(credentials: Option<Credentials>, insecure_skip_tls: bool) -> Self {
        Self {
            agent: OnceLock::new(),
            insecure_skip_tls,
            credentials: Mutex::new(credentials),
            origin: OnceLock::new(),
            is_dumb: AtomicBool::new(false),
        }
    }

    /// Whether the remote has turned out to be a server of files.
    pub(super) fn is_dumb(&self) -> bool {
        self.is_dumb.load(Ordering::Relaxed)
    }

    pub(super) fn note_dumb(&self) {
        self.is_dumb.store(true, Ordering::Relaxed);
    }

    /// Uses these, if there are no others.
    pub(super) fn use_credentials(&self, credentials: Credentials) {
        self.credentials.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(credentials);
    }

    /// The answer to a GET and the URL that gave it.
    ///
    /// # Errors
    /// What the status means, or why there is none. A file that is not there is `None`.
    pub(super) fn get(&self, url: &str) -> Outcome<Option<(String, Response<ureq::Body>)>> {
        let mut url = url.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let agent = self.agent()?;
            let mut request = agent.get(&url).header(header::CACHE_CONTROL, "no-cache");
            if let Some(authorization) = self.authorization(&url) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let response = request.call().map_err(|error| unreached(&url, &error))?;
            let status = response.status();
            if status.is_redirection() {
                url = redirected(&url, &response)?;
            } else if status == StatusCode::NOT_FOUND || status == StatusCode::GONE {
                return Ok(None);
            } else {
                return match self.refusal(&url, status) {
                    None => Ok(Some((url, response))),
                    Some(failure) => Err(failure),
                };
            }
        }
        Err(Failure::new(Problem::TransportFailed, format!("{url}: too many redirects")))
    }

    /// The body of the answer to a POST of `bytes` bytes from `body`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn post(
        &self,
        url: &str,
        service: &str,
        body: impl Read + 'static,
        bytes: u64,
    ) -> Outcome<Body> {
        let agent = self.agent()?;
        let mut request = agent
            .post(url)
            .header(header::CONTENT_TYPE, format!("application/x-{service}-request"))
            .header(header::ACCEPT, format!("application/x-{service}-result"))
            .header(header::CONTENT_LENGTH, bytes);
        if let Some(authorization) = self.authorization(url) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let body = ureq::SendBody::from_owned_reader(body);
        let response = request.send(body).map_err(|error| unreached(url, &error))?;
        if let Some(failure) = self.refusal(url, response.status()) {
            return Err(failure);
        }
        Ok(unlimited(response))
    }

    fn agent(&self) -> Outcome<&Agent> {
        if let Some(agent) = self.agent.get() {
            return Ok(agent);
        }
        let tls = TlsConfig::builder()
            .root_certs(root_certificates()?)
            .disable_verification(self.insecure_skip_tls)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(USER_AGENT)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .build();
        Ok(self.agent.get_or_init(|| config.new_agent()))
    }

    /// The header for a request to `url`; `None` if there are no credentials, or none for that origin.
    fn authorization(&self, url: &str) -> Option<String> {
        let origin = origin(url);
        if self.origin.get_or_init(|| origin.to_owned()) != origin {
            return None;
        }
        let credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner);
        let Credentials { username, password } = credentials.as_ref()?;
        Some(format!("Basic {}", BASE64.encode(format!("{username}:{password}"))))
    }

    /// What a status that is no success means.
    fn refusal(&self, url: &str, status: StatusCode) -> Option<Failure> {
        if status.is_success() {
            return None;
        }
        let (problem, sentence) = match status {
            StatusCode::UNAUTHORIZED if self.authorization(url).is_some() => {
                (Problem::AuthFailed, "the remote refused the credentials".to_owned())
            }
            StatusCode::UNAUTHORIZED => (Problem::AuthFailed, "the remote asks for credentials".to_owned()),
            StatusCode::FORBIDDEN => (Problem::AccessDenied, "the remote denied access".to_owned()),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                (Problem::RepoNotFound, "the remote has no such repository".to_owned())
            }
            other => {
                (Problem::TransportFailed, format!("the remote answered with status {}", other.as_u16()))
            }
        };
        Some(Failure::new(problem, format!("{url}: {sentence}")))
    }
}

/// The whole body, of any length; memory and disk are the sandbox's to limit.
pub(super) fn unlimited(response: Response<ureq::Body>) -> Body {
    Box::new(response.into_body().into_with_config().limit(u64::MAX).reader())
}

/// Scheme and authority.
fn origin(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

/// Where a redirect leads.
fn redirected(from: &str, response: &Response<ureq::Body>) -> Outcome<String> {
    let refuse = |why: &str| Err(Failure::new(Problem::TransportFailed, format!("{from}: {why}")));
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else { return refuse("a redirect to nowhere") };
    let to = if location.starts_with('/') && !location.starts_with("//") {
        format!("{}{location}", origin(from))
    } else {
        location.to_owned()
    };
    if !is_http(&to) || origin(&to).contains('@') {
        return refuse("a redirect to what is no HTTP URL");
    }
    if from.starts_with("https://") && !to.starts_with("https://") {
        return refuse("a redirect from https to http, which is not followed");
    }
    Ok(to)
}

fn unreached(url: &str, error: &ureq::Error) -> Failure {
    let problem = match error {
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Problem::UnsupportedUrl,
        _ => Problem::TransportFailed,
    };
    Failure::new(problem, format!("{url}: {error}"))
}

/// Those of the environment, else those of the image, else those that this program was built with.
fn root_certificates() -> Outcome<RootCerts> {
    if let Some(path) = environment::certificate_file() {
        let found = read_certificates(&path).ok().flatten();
        return found.ok_or_else(|| {
            let sentence = format!("{} holds no certificate", path.display());
            Failure::new(Problem::TransportFailed, sentence)
        });
    }
    let of_image =
        SYSTEM_CERTIFICATES.iter().find_map(|path| read_certificates(Path::new(path)).ok().flatten());
    Ok(of_image.unwrap_or(RootCerts::WebPki))
}

fn read_certificates(path: &Path) -> std::io::Result<Option<RootCerts>> {
    let mut pem = Vec::new();
    std::fs::File::open(path)?.take(CERTIFICATES_MAX).read_to_end(&mut pem)?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    Ok((!certificates.is_empty()).then(|| RootCerts::new_with_certs(&certificates)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_for_the_first_origin_alone() {
        let credentials = Credentials { username: "u".to_owned(), password: "p".to_owned() };
        let client = Client::new(Some(credentials), false);
        assert_eq!(client.authorization("https://a.org/x").as_deref(), Some("Basic dTpw"));
        for other in ["http://a.org/x", "https://b.org/x", "https://a.org:444/x", "https://a.org.b.org/x"] {
            assert_eq!(client.authorization(other), None, "{other}");
        }
        assert_eq!(client.authorization("https://a.org/y/z").as_deref(), Some("Basic dTpw"));
    }

    #[test]
    fn a_redirect_does_not_lead_from_https_to_http_or_elsewhere() {
        let to = |location: &str| {
            let response =
                Response::builder().header(header::LOCATION, location).body(ureq::Body::builder().data(""));
            redirected("https://a.org/x", &response.expect("a response"))
        };
        assert_eq!(to("/y").expect("the same host"), "https://a.org/y");
        assert_eq!(to("https://b.org/y").expect("another host"), "https://b.org/y");
        for location in ["http://a.org/y", "file:///etc/passwd", "//b.org/y", "https://u@b.org/"] {
            assert_eq!(to(location).expect_err(location).problem, Problem::TransportFailed);
        }
    }
}
