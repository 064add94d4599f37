//! The authorisation that a registry asks for.
//!
//! ```text
//!   request ─▶ 401 WWW-Authenticate: Basic   ─▶ the same request with name and password
//!                                    Bearer  ─▶ token service ─▶ the same request with the token
//! ```
//!
//! A name and a password go to the host that they were configured for, and to the token service it names, over TLS
//! unless the operator says otherwise. They never follow a redirect to another host: the HTTP client drops them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lazaret_core::Secret;
use reqwest::header::HeaderValue;
use reqwest::{Response, Url, header};
use serde::Deserialize;

use super::client::{Registries, bounded_body};
use super::error::RegistryError;
use super::hosts::Endpoint;
use super::settings::Credentials;

/// Largest answer of a token service: tokens have a few KiB.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// What a registry wants before it answers.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// What a token service answers; old ones call the token `token`, new ones `access_token`, some both.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registries {
    /// The value of the `Authorization` header that answers a registry's refusal.
    ///
    /// # Errors
    /// [`RegistryError::Denied`] where there is nothing to answer with; what the token service does.
    pub(super) async fn authorise(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        refusal: &Response,
    ) -> Result<HeaderValue, RegistryError> {
        let denied = || RegistryError::Denied { host: endpoint.host.clone() };
        let credentials = self.settings().credentials.get(&endpoint.host);
        match challenge(refusal).ok_or_else(denied)? {
            Challenge::Basic => basic(credentials.ok_or_else(denied)?),
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| format!("repository:{repository}:pull"));
                let mut realm = Url::parse(&realm).map_err(|_| RegistryError::Malformed {
                    host: endpoint.host.clone(),
                    what: "a challenge without a usable realm",
                })?;
                realm.query_pairs_mut().append_pair("scope", &scope);
                if let Some(service) = service {
                    realm.query_pairs_mut().append_pair("service", &service);
                }
                self.token(endpoint, realm, credentials).await
            }
        }
    }

    async fn token(
        &self,
        endpoint: &Endpoint,
        realm: Url,
        credentials: Option<&Credentials>,
    ) -> Result<HeaderValue, RegistryError> {
        let host = &endpoint.host;
        self.hosts().judge(&realm)?;
        let mut request = self.http().get(realm);
        if let Some(credentials) = credentials {
            request = request.header(header::AUTHORIZATION, basic(credentials)?);
        }
        let answer = self.answer(host, request, "token service").await.map_err(|error| match error {
            RegistryError::NotFound { host, .. } => RegistryError::Status { host, status: 404 },
            error => error,
        })?;
        let malformed = || RegistryError::Malformed { host: host.clone(), what: "no token" };
        let body = bounded_body(host, answer, TOKEN_BYTES_MAX, self.settings().stall_timeout).await?;
        let answer: TokenAnswer = serde_json::from_slice(&body).map_err(|_| malformed())?;
        let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
        sensitive(&format!("Bearer {}", token.ok_or_else(malformed)?)).ok_or_else(malformed)
    }
}

fn basic(credentials: &Credentials) -> Result<HeaderValue, RegistryError> {
    let Credentials { username, password } = credentials;
    let pair = STANDARD.encode(format!("{username}:{}", password.expose()));
    Ok(sensitive(&format!("Basic {pair}")).expect("base64 is a header value"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The first challenge of a refusal that can be answered; bearer before basic, as it gives away less.
fn challenge(refusal: &Response) -> Option<Challenge> {
    let values = refusal.headers().get_all(header::WWW_AUTHENTICATE);
    let mut basic = None;
    for value in values.iter().filter_map(|value| value.to_str().ok()) {
        for challenge in http_auth::parser::ChallengeParser::new(value).flatten() {
            let param = |wanted: &str| {
                let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = param("realm")
            {
                let (service, scope) = (param("service"), param("scope"));
                return Some(Challenge::Bearer { realm, service, scope });
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

/// What a password may not be seen as.
impl std::fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenAnswer").finish_non_exhaustive()
    }
}

/// The decoded `name:password` of docker's configuration file.
pub(super) fn decode_pair(encoded: &str) -> Option<Credentials> {
    let pair = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    let password = Secret::new(password.trim_end_matches('\0').to_owned());
    Some(Credentials { username: username.to_owned(), password })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> Option<Challenge> {
        let response = http::Response::builder().header("www-authenticate", header).body("").unwrap();
        challenge(&Response::from(response))
    }

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#;
        let want = Challenge::Bearer {
            realm: "https://auth.docker.io/token".to_owned(),
            service: Some("registry.docker.io".to_owned()),
            scope: Some("repository:library/debian:pull".to_owned()),
        };
        assert_eq!(of(hub), Some(want));
        assert_eq!(of(r#"Basic realm="x", charset="UTF-8""#), Some(Challenge::Basic));
        let both = of(r#"Basic realm="x", Bearer realm="https://t""#);
        assert!(matches!(both, Some(Challenge::Bearer { realm, .. }) if realm == "https://t"));
        for none in [r#"Negotiate"#, r#"Bearer service="x""#, "", "\"\"\"", "Bearer realm="] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
