//! Who is asking: the key in the request's headers, looked up by the core.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use lazaret_core::{Caller, Error};

use crate::context::RequestContext;
use crate::failure::{Failure, Rejection};
use crate::settings::App;

/// Headers that carry a bare key, besides `Authorization`: Azure's clients send the first, Bifrost's the others.
const KEY_HEADERS: [&str; 3] = ["api-key", "x-api-key", "x-bf-vk"];

/// The key of a request: all that follows `Bearer `, which may have spaces, or a bare key header. A key in the query
/// string is not looked at, since query strings end in logs.
pub(crate) fn key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(text).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    let found = bearer.or_else(|| KEY_HEADERS.iter().find_map(|name| headers.get(*name).and_then(text)));
    found.map(str::trim).filter(|key| !key.is_empty())
}

/// Everything in the headers that may be a key, with the header that it is in.
pub(crate) fn candidates(headers: &HeaderMap) -> Vec<(HeaderName, String)> {
    let bearer = headers.get(AUTHORIZATION).and_then(text).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| (AUTHORIZATION, key.trim().to_owned()))
    });
    let bare = KEY_HEADERS.iter().filter_map(|name| {
        let value = headers.get(*name).and_then(text)?;
        Some((HeaderName::from_static(name), value.trim().to_owned()))
    });
    bearer.into_iter().chain(bare).filter(|(_, key)| !key.is_empty()).collect()
}

/// Takes the key out of headers that go on to a stranger; other kinds of `Authorization` are the stranger's.
pub(crate) fn remove_key(headers: &mut HeaderMap) {
    let is_bearer = |value: &HeaderValue| {
        let scheme = value.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"bearer")
    };
    if headers.get_all(AUTHORIZATION).iter().any(is_bearer) {
        headers.remove(AUTHORIZATION);
    }
    for name in KEY_HEADERS {
        headers.remove(name);
    }
}

fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// The caller of a request, if its key has not sent too many. A refusal is logged for the operator: who tried, never
/// with what; and not for ever, since a stranger could fill the log.
pub(crate) async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    context: &RequestContext,
) -> Result<Caller, Failure> {
    let too_many = |retry_after| Rejection::TooMany { retry_after };
    let (refused, why) = match key(headers) {
        None => (Failure::from(Rejection::MissingKey), "there is no API key"),
        Some(key) => match app.core.accounts.authenticate(key).await {
            Ok(caller) => {
                // Set once: a request is authenticated once.
                let _ = context.account.set(caller.account);
                app.rates.request(caller.key).map_err(too_many)?;
                return Ok(caller);
            }
            Err(error @ Error::Unauthenticated) => (error.into(), "the API key is not valid"),
            Err(error) => return Err(error.into()),
        },
    };
    let peer = context.peer;
    if let Some(peer) = peer {
        app.rates.refusal(peer.ip()).map_err(too_many)?;
    }
    tracing::info!(peer = ?peer, "refused: {why}");
    Err(refused)
}

/// The caller, whom the dialect's layer has authenticated. On a route that is open to all there is none.
pub(crate) struct Authenticated(pub(crate) Caller);

impl FromRequestParts<App> for Authenticated {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, Failure> {
        let caller = parts.extensions.remove::<Caller>();
        Ok(Self(caller.ok_or(Rejection::MissingKey)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(headers: &[(&'static str, &'static str)], want: Option<&str>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(key(&headers), want, "{headers:?}");
    }

    #[test]
    fn a_key_is_all_that_follows_bearer_or_a_bare_header() {
        check(&[("authorization", "Bearer My API Key")], Some("My API Key"));
        check(&[("authorization", "bearer k")], Some("k"));
        check(&[("authorization", "Basic dTpw"), ("x-api-key", "k")], Some("k"));
        check(&[("api-key", "a")], Some("a"));
        check(&[("x-bf-vk", "v")], Some("v"));
        check(&[("authorization", "Bearer a"), ("api-key", "b")], Some("a"));
        for none in [&[][..], &[("authorization", "Bearer ")], &[("authorization", "k")], &[("api-key", "")]]
        {
            check(none, None);
        }
    }
}
