//! Answers that are files: range, name and type. The content is a stranger's, so a browser must neither guess its type
//! nor show it.

use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use lazaret_core::{Body, ReadRange};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::body::from_core;
use crate::failure::Rejection;

/// What RFC 8187 leaves unencoded in `filename*`.
const ATTRIBUTE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which bytes of a file are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them: no range, or one that this server does not take, which RFC 9110 section 14.2 lets it ignore.
    Whole,
    /// From the first to the last of these, both included.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
}

impl Wanted {
    /// Whether the request has a range at all; only then the size must be known before the file is opened.
    pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
        headers.contains_key(RANGE)
    }

    /// The single range in `headers`, of a file of `bytes` bytes.
    ///
    /// # Errors
    /// [`Rejection::UnsatisfiableRange`] for one that lies outside.
    pub(crate) fn of(headers: &HeaderMap, bytes: u64) -> Result<Self, Rejection> {
        let text = headers.get(RANGE).and_then(|value| value.to_str().ok());
        let Some((first, last)) =
            text.and_then(|text| text.strip_prefix("bytes=")).and_then(|spec| spec.split_once('-'))
        else {
            return Ok(Self::Whole);
        };
        let unsatisfiable = Err(Rejection::UnsatisfiableRange { bytes });
        match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last && first < bytes => {
                Ok(Self::Part { first, last: last.min(bytes - 1) })
            }
            (Ok(first), Ok(last)) if first <= last => unsatisfiable,
            (Ok(first), Err(_)) if last.trim().is_empty() => {
                if first < bytes {
                    Ok(Self::Part { first, last: bytes - 1 })
                } else {
                    unsatisfiable
                }
            }
            (Err(_), Ok(count)) if first.trim().is_empty() => {
                if count == 0 || bytes == 0 {
                    return unsatisfiable;
                }
                Ok(Self::Part { first: bytes.saturating_sub(count), last: bytes - 1 })
            }
            _ => Ok(Self::Whole),
        }
    }

    /// Nothing but the headers: what HEAD asks for, and what tells the size of a file whose range is still to be read.
    pub(crate) const NOTHING: ReadRange = ReadRange { offset: 0, length: Some(0) };

    /// The same for the core.
    pub(crate) fn range(self) -> ReadRange {
        match self {
            Self::Whole => ReadRange::default(),
            Self::Part { first, last } => ReadRange { offset: first, length: Some(last - first + 1) },
        }
    }
}

/// The answer with the wanted part of a file of `bytes` bytes called `name`.
pub(crate) fn respond(name: &[u8], bytes: u64, wanted: Wanted, body: Body) -> Response {
    let mut response = Response::new(from_core(body));
    let headers = response.headers_mut();
    let length = match wanted {
        Wanted::Whole => bytes,
        Wanted::Part { first, last } => {
            let range = format!("bytes {first}-{last}/{bytes}");
            headers.insert(CONTENT_RANGE, HeaderValue::from_str(&range).expect("digits are a header value"));
            last - first + 1
        }
    };
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, media_type(name));
    headers.insert(CONTENT_DISPOSITION, disposition(name));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if matches!(wanted, Wanted::Part { .. }) {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

/// By the extension, for want of anything to trust.
fn media_type(name: &[u8]) -> HeaderValue {
    let guess = mime_guess::from_path(String::from_utf8_lossy(name).as_ref()).first_raw();
    HeaderValue::from_static(guess.unwrap_or("application/octet-stream"))
}

/// RFC 6266: a plain name for old clients, with what a header cannot carry replaced, and the exact one.
fn disposition(name: &[u8]) -> HeaderValue {
    let plain: String = String::from_utf8_lossy(name)
        .chars()
        .map(|c| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\') { c } else { '_' })
        .collect();
    let exact = percent_encode(name, ATTRIBUTE);
    HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}"))
        .expect("both names are printable ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, bytes: u64, want: Result<Wanted, u64>) {
        let headers = HeaderMap::from_iter([(RANGE, HeaderValue::from_str(range).unwrap())]);
        let got = Wanted::of(&headers, bytes).map_err(|error| match error {
            Rejection::UnsatisfiableRange { bytes } => bytes,
            other => panic!("{other}"),
        });
        assert_eq!(got, want, "{range} of {bytes}");
    }

    #[test]
    fn a_single_range_is_cut_to_the_file_and_others_are_ignored() {
        let part = |first, last| Ok(Wanted::Part { first, last });
        check("bytes=0-3", 10, part(0, 3));
        check("bytes=8-99", 10, part(8, 9));
        check("bytes=4-", 10, part(4, 9));
        check("bytes=-4", 10, part(6, 9));
        check("bytes=-40", 10, part(0, 9));
        check("bytes=10-", 10, Err(10));
        check("bytes=10-12", 10, Err(10));
        check("bytes=-0", 10, Err(10));
        check("bytes=0-0", 0, Err(0));
        for ignored in ["bytes=3-1", "bytes=0-1,3-4", "bytes=a-b", "lines=0-1", "bytes=-"] {
            check(ignored, 10, Ok(Wanted::Whole));
        }
    }

    #[test]
    fn a_name_can_carry_nothing_into_the_header() {
        assert_eq!(
            disposition("é\"\r\nx: y".as_bytes()),
            "attachment; filename=\"____x: y\"; filename*=UTF-8''%C3%A9%22%0D%0Ax%3A%20y"
        );
        assert_eq!(disposition(b"\xff.csv"), "attachment; filename=\"_.csv\"; filename*=UTF-8''%FF.csv");
    }
}
