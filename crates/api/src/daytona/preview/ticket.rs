//! What a client shows to be let in, taken out of its request: none of it ever reaches a sandbox.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN, REFERER};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use lazaret_core::{Caller, SandboxId};
use percent_encoding::percent_decode_str;

use crate::auth;
use crate::ids;
use crate::settings::App;

/// The token's header.
const TOKEN: HeaderName = HeaderName::from_static("x-daytona-preview-token");
/// The token's key in a query string, for browsers.
const TOKEN_KEY: &str = "DAYTONA_SANDBOX_AUTH_KEY";
/// What the name of the pass's cookie begins with; the sandbox's id follows.
const COOKIE_PREFIX: &str = "daytona-sandbox-auth-";
/// What every key of this server begins with that it has made itself.
const KEY_PREFIX: &str = "lzr_";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Whose key came, if one did that is known.
    pub(super) caller: Option<Caller>,
    /// The header's token.
    pub(super) token: Option<String>,
    /// The query string's token.
    pub(super) query_token: Option<String>,
    /// The cookie's pass for this sandbox.
    pub(super) pass: Option<String>,
}

/// The name of the cookie with the pass.
pub(super) fn cookie_name(id: SandboxId) -> String {
    format!("{COOKIE_PREFIX}{}", ids::uuid(id.as_bytes()))
}

/// Takes everything of this server's out of a request to a port of a sandbox.
pub(super) async fn take(app: &App, request: &mut Request, id: SandboxId) -> Shown {
    let caller = take_key(app, request.headers_mut()).await;
    let headers = request.headers_mut();
    let token = headers.remove(TOKEN).and_then(|value| value.to_str().map(str::to_owned).ok());
    let pass = take_passes(headers, &cookie_name(id));
    let query_token = take_from_query(request);
    Shown { caller, token, query_token, pass }
}

/// A key of this server, in whichever header it is; other credentials are the tenant's own and stay.
async fn take_key(app: &App, headers: &mut HeaderMap) -> Option<Caller> {
    let mut found = None;
    for (name, value) in auth::candidates(headers) {
        let known = app.core.accounts.authenticate(&value).await.ok();
        if known.is_some() || value.starts_with(KEY_PREFIX) {
            headers.remove(&name);
        }
        // A bare key header is taken away and opens nothing: the contract has one header for keys.
        if name == AUTHORIZATION {
            found = known;
        }
    }
    found
}

/// The value of the cookie `name`; every cookie of its kind is taken out.
fn take_passes(headers: &mut HeaderMap, name: &str) -> Option<String> {
    let mut pass = None;
    let mut kept: Vec<HeaderValue> = Vec::new();
    for value in headers.get_all(COOKIE) {
        let Ok(text) = value.to_str() else {
            // What cannot be read might hold one.
            if !contains(value.as_bytes(), COOKIE_PREFIX.as_bytes()) {
                kept.push(value.clone());
            }
            continue;
        };
        let mut pairs = Vec::new();
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some((key, value)) if key.trim() == name => pass = Some(value.trim().to_owned()),
                Some((key, _)) if key.trim().starts_with(COOKIE_PREFIX) => {}
                _ => pairs.push(pair),
            }
        }
        if let Ok(value) = HeaderValue::from_str(&pairs.join("; "))
            && !pairs.is_empty()
        {
            kept.push(value);
        }
    }
    headers.remove(COOKIE);
    for value in kept {
        headers.append(COOKIE, value);
    }
    pass
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The token in the query string, which goes on without it; and so does the address of the page before.
fn take_from_query(request: &mut Request) -> Option<String> {
    let (query, token) = without_token(request.uri().query().unwrap_or_default());
    if token.is_some() {
        let path = request.uri().path();
        let rest = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        // It is a part of what was a path with a query.
        if let Ok(rest) = PathAndQuery::try_from(rest) {
            *request.uri_mut() = Uri::from(rest);
        }
    }
    if let Some(referer) = request.headers().get(REFERER) {
        let clean = referer.to_str().ok().and_then(|text| {
            let (address, query) = text.split_once('?')?;
            let (query, token) = without_token(query);
            token
                .is_some()
                .then(|| if query.is_empty() { address.to_owned() } else { format!("{address}?{query}") })
        });
        match clean.map(|text| HeaderValue::from_str(&text)) {
            Some(Ok(clean)) => drop(request.headers_mut().insert(REFERER, clean)),
            Some(Err(_)) => drop(request.headers_mut().remove(REFERER)),
            None if contains(request.headers()[REFERER].as_bytes(), TOKEN_KEY.as_bytes()) => {
                request.headers_mut().remove(REFERER);
            }
            None => {}
        }
    }
    token
}

/// A query string without the token, and the token.
fn without_token(query: &str) -> (String, Option<String>) {
    let mut token = None;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let is_token = decode(key) == TOKEN_KEY;
            if is_token {
                token = Some(decode(value));
            }
            !is_token
        })
        .collect();
    (kept.join("&"), token)
}

/// Writes the sandbox's id where a signed preview stands in the address of this host or of the page before.
pub(super) fn hide_signed(headers: &mut HeaderMap, signed: &str, id: SandboxId) {
    for name in [axum::http::header::HOST, ORIGIN, REFERER] {
        let Some(value) = headers.get(&name) else { continue };
        let Ok(text) = value.to_str() else {
            headers.remove(&name);
            continue;
        };
        let lower = text.to_ascii_lowercase();
        let Some(at) = lower.find(signed) else { continue };
        let own = ids::uuid(id.as_bytes());
        let hidden = format!("{}{own}{}", &text[..at], &text[at + signed.len()..]);
        // Twice is no address that a browser sends.
        match HeaderValue::from_str(&hidden) {
            Ok(value) if !hidden.to_ascii_lowercase().contains(signed) => headers.insert(name, value),
            _ => headers.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn passes_are_taken_out_of_the_cookies_and_the_rest_stays() {
        let mut got = headers(&[
            ("cookie", "a=1; daytona-sandbox-auth-x=pass; b=2"),
            ("cookie", "daytona-sandbox-auth-other=theirs"),
        ]);
        assert_eq!(take_passes(&mut got, "daytona-sandbox-auth-x").as_deref(), Some("pass"));
        assert_eq!(got, headers(&[("cookie", "a=1; b=2")]));
    }

    #[test]
    fn a_token_is_taken_out_of_the_query_and_of_the_page_before_however_it_is_written() {
        for (uri, want, token) in [
            ("/a?DAYTONA_SANDBOX_AUTH_KEY=t&b=%20", "/a?b=%20", Some("t")),
            ("/a?x&DAYTONA%5FSANDBOX_AUTH_KEY=t", "/a?x", Some("t")),
            ("/?DAYTONA_SANDBOX_AUTH_KEY=t", "/", Some("t")),
            ("/a?b=1", "/a?b=1", None),
        ] {
            let mut request = Request::builder().uri(uri).body(Body::empty()).unwrap();
            request.headers_mut().insert(REFERER, HeaderValue::from_str(&format!("http://h{uri}")).unwrap());
            assert_eq!(take_from_query(&mut request).as_deref(), token, "{uri}");
            assert_eq!(request.uri(), want);
            assert_eq!(request.headers()[REFERER], format!("http://h{want}"));
        }
    }

    #[test]
    fn a_signed_preview_is_hidden_wherever_the_address_of_its_page_stands() {
        let id = SandboxId::from_bytes([7; 16]);
        let mut got = headers(&[
            ("host", "3000-SIGNED.localhost:1"),
            ("origin", "http://3000-signed.localhost:1"),
            ("referer", "http://3000-signed.localhost:1/signed"),
        ]);
        hide_signed(&mut got, "signed", id);
        let own = "07070707-0707-0707-0707-070707070707";
        assert_eq!(got["host"], format!("3000-{own}.localhost:1"));
        assert_eq!(got["origin"], format!("http://3000-{own}.localhost:1"));
        assert!(!got.contains_key("referer"), "what cannot be told apart does not go on");
    }
}
