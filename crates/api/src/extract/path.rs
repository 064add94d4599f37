//! Parameters of the path, decoded after routing, as bytes: a file's name need not be UTF-8.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use lazaret_core::Kind;
use percent_encoding::percent_decode_str;

use crate::context::RequestContext;
use crate::failure::Failure;

/// The parameters of the route's template, in its order.
pub(crate) struct PathParams(Vec<(String, Vec<u8>)>);

impl<S: Sync> FromRequestParts<S> for PathParams {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failure> {
        let context = RequestContext::of(parts);
        Ok(Self::of(&context))
    }
}

impl PathParams {
    /// The parameters of a request's path, for the words of its failure.
    pub(crate) fn of(context: &RequestContext) -> Self {
        Self::matched(&context.template, context.uri.path())
    }

    /// The parameters of `path`, which the router has matched with `template`.
    fn matched(template: &str, path: &str) -> Self {
        let mut found = Vec::new();
        let mut rest = path;
        for part in template.split('/') {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            if let Some(name) = name.and_then(|name| name.strip_prefix('*')) {
                found.push((name.to_owned(), decode(rest)));
                break;
            }
            let (segment, behind) = rest.split_once('/').unwrap_or((rest, ""));
            if let Some(name) = name {
                found.push((name.to_owned(), decode(segment)));
            }
            rest = behind;
        }
        Self(found)
    }

    /// The decoded bytes of a parameter; empty for one that the template lacks.
    pub(crate) fn bytes(&self, name: &str) -> &[u8] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, value)| value)
    }

    /// A parameter as text. One that is not UTF-8 names nothing.
    ///
    /// # Errors
    /// [`lazaret_core::Error::NotFound`] of this kind.
    pub(crate) fn text(&self, name: &str, kind: Kind) -> Result<&str, lazaret_core::Error> {
        let bytes = self.bytes(name);
        std::str::from_utf8(bytes)
            .map_err(|_| lazaret_core::Error::not_found(kind, String::from_utf8_lossy(bytes)))
    }
}

fn decode(raw: &str) -> Vec<u8> {
    percent_decode_str(raw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_after_they_were_split() {
        for (template, path, want) in [
            ("/s/{id}", "/s/a%2Fb", vec![("id", &b"a/b"[..])]),
            ("/s/{id}", "/s/a/", vec![("id", b"a")]),
            ("/s/{id}/f/{*path}", "/s/x%20y/f/a/%ff%2Fb", vec![("id", b"x y"), ("path", b"a/\xff/b")]),
            ("/s/{id}/f", "/s/%zz/f", vec![("id", b"%zz")]),
        ] {
            let found = PathParams::matched(template, path).0;
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            assert_eq!(found, want, "{template} {path}");
        }
    }
}
