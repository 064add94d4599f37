//! Responses without the values that were put into requests.
//!
//! A host that tells back what it was sent would hand the value to the sandbox. Where a value stands in a response word for
//! word, each of its bytes becomes an asterisk: the length stays, and so do the headers that tell it. This is a fence and no
//! wall: a host that tells the value in another form (compressed, in base64, in parts) tells it all the same.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderValue};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use memchr::memmem::find;

use super::Substitutes;

/// Values that are shorter are words that a response may well have by itself.
const VALUE_MIN_BYTES: usize = 8;

/// What a byte of a value becomes.
const MASK: u8 = b'*';

/// Finds values and masks them, in bytes that come in pieces.
#[derive(Debug, Clone)]
struct Mask {
    substitutes: Arc<Substitutes>,
    /// The end of what came so far, if it may be the beginning of a value.
    held: BytesMut,
}

impl Mask {
    fn values(&self) -> impl Iterator<Item = &[u8]> {
        self.substitutes.values().map(str::as_bytes).filter(|value| value.len() >= VALUE_MIN_BYTES)
    }

    /// What can be passed on after these bytes.
    fn push(&mut self, bytes: &[u8]) -> Bytes {
        let mut all = std::mem::take(&mut self.held);
        all.extend_from_slice(bytes);
        for value in self.values() {
            let mut from = 0;
            while let Some(at) = find(&all[from..], value) {
                let begin = from + at;
                from = begin + value.len();
                all[begin..from].fill(MASK);
            }
        }
        let held = self.values().map(|value| begun(&all, value)).max().unwrap_or_default();
        self.held = all.split_off(all.len() - held);
        all.freeze()
    }

    fn headers(&self, headers: &mut HeaderMap) {
        for value in headers.values_mut() {
            let mut mask = Self { substitutes: Arc::clone(&self.substitutes), held: BytesMut::new() };
            let mut masked = mask.push(value.as_bytes()).to_vec();
            masked.extend_from_slice(&mask.held);
            // Asterisks in place of visible characters: it is a header still.
            if let Ok(masked) = HeaderValue::from_bytes(&masked) {
                *value = masked;
            }
        }
    }
}

/// How many bytes at the end of `text` are the beginning of `value`, and not all of it.
fn begun(text: &[u8], value: &[u8]) -> usize {
    let longest = text.len().min(value.len() - 1);
    (1..=longest).rev().find(|length| text.ends_with(&value[..*length])).unwrap_or_default()
}

/// A body whose values are masked.
#[derive(Debug)]
pub(crate) struct Scrubbed {
    inner: Incoming,
    mask: Mask,
    trailers: Option<HeaderMap>,
    is_over: bool,
}

impl Scrubbed {
    /// Masks what a response tells of these, in its headers at once and in its body as it comes.
    pub(crate) fn response(
        response: http::Response<Incoming>,
        substitutes: Arc<Substitutes>,
    ) -> http::Response<Self> {
        let (mut head, inner) = response.into_parts();
        let mask = Mask { substitutes, held: BytesMut::new() };
        mask.headers(&mut head.headers);
        http::Response::from_parts(head, Self { inner, mask, trailers: None, is_over: false })
    }
}

impl Body for Scrubbed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            if self.is_over {
                return Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let bytes = match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.mask.push(&data),
                    Err(frame) => {
                        if let Ok(mut trailers) = frame.into_trailers() {
                            self.mask.headers(&mut trailers);
                            self.trailers = Some(trailers);
                        }
                        continue;
                    }
                },
                None => {
                    self.is_over = true;
                    std::mem::take(&mut self.mask.held).freeze()
                }
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        // What is held back has been counted off already.
        let held = self.mask.held.len() as u64;
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }

    fn is_end_stream(&self) -> bool {
        let nothing_left = self.mask.held.is_empty() && self.trailers.is_none();
        nothing_left && (self.is_over || self.inner.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use lazaret_core::{Authority, DomainSecret, DomainSecrets, Secret};
    use proptest::prelude::*;

    use super::*;

    fn mask(values: &[&str]) -> Mask {
        let secret = |(index, value): (usize, &&str)| DomainSecret {
            domain: "api.example".parse().unwrap(),
            name: format!("KEY{index}"),
            value: Secret::new(*value),
        };
        let secrets = DomainSecrets {
            authority: Authority { certificate: String::new(), key: Secret::new("") },
            token: "7e57".to_owned(),
            secrets: values.iter().enumerate().map(secret).collect(),
        };
        let substitutes = Substitutes::new(&secrets, &"api.example".parse().unwrap()).unwrap();
        Mask { substitutes: Arc::new(substitutes), held: BytesMut::new() }
    }

    fn masked(mask: &mut Mask, pieces: &[&[u8]]) -> Vec<u8> {
        let mut all: Vec<u8> = pieces.iter().flat_map(|piece| mask.push(piece)).collect();
        all.extend_from_slice(&mask.held);
        all
    }

    #[test]
    fn a_value_is_masked_wherever_its_pieces_come_and_the_length_stays() {
        for pieces in [
            &[&b"key=hunter2-and-more!"[..]][..],
            &[b"key=hunt", b"er2-and-", b"more!"],
            &[b"key=", b"hunter2-and-more", b"!"],
        ] {
            assert_eq!(masked(&mut mask(&["hunter2-and-more"]), pieces), b"key=****************!");
        }
    }

    #[test]
    fn a_stream_is_held_back_only_while_it_may_be_a_value() {
        let mut mask = mask(&["hunter2-and-more"]);
        assert_eq!(&mask.push(b"data: hello\n\n")[..], b"data: hello\n\n");
        assert_eq!(&mask.push(b"data: hun")[..], b"data: ");
        assert_eq!(&mask.push(b"gry\n\n")[..], b"hungry\n\n");
    }

    #[test]
    fn short_values_are_left_alone() {
        assert_eq!(masked(&mut mask(&["a", "hunter2"]), &[b"a hunter2"]), b"a hunter2");
    }

    #[test]
    fn a_header_with_a_value_is_masked() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", HeaderValue::from_static("Bearer hunter2-and-more"));
        headers.insert("location", HeaderValue::from_static("https://evil.example/?key=hunter2-and-more&h"));
        mask(&["hunter2-and-more"]).headers(&mut headers);
        assert_eq!(headers["x-echo"], "Bearer ****************");
        assert_eq!(headers["location"], "https://evil.example/?key=****************&h");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference_and_no_value_is_left(
            text in "[ab]{0,60}",
            cuts in proptest::collection::vec(0_usize..60, 0..8),
        ) {
            let values = ["abababab", "aaaaaaaab"];
            let mut pieces = Vec::new();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                pieces.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            let got = masked(&mut mask(&values), &pieces);
            prop_assert_eq!(got.len(), text.len());
            for value in values {
                prop_assert!(find(&got, value.as_bytes()).is_none(), "{}", String::from_utf8_lossy(&got));
            }
        }
    }
}
