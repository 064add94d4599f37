//! Output with its stream marked, as clients take it apart again: three bytes before every line. Pure.

use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use bytes::{BufMut, Bytes, BytesMut};

/// Before a line of standard output.
const STDOUT: [u8; 3] = [1; 3];
/// Before a line of standard error.
const STDERR: [u8; 3] = [2; 3];

/// The header in which a client tells its version; browsers offer a subprotocol that begins with the same word.
const VERSION: &str = "x-daytona-sdk-version";

/// How a client wants the output of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Both streams in one, unmarked. Logs are plain text.
    Plain,
    /// Both streams in one, marked: the client tells them apart. Logs are plain text.
    Marked,
    /// Marked, and the two streams as well. Logs are JSON.
    Split,
}

impl Shape {
    /// What a client of this version understands, by its header or its subprotocol.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let told = headers.get(VERSION).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let version = told.or_else(|| {
            offered(headers).find_map(|word| {
                let (name, version) = word.split_once('~')?;
                name.eq_ignore_ascii_case(VERSION).then(|| version.to_owned())
            })
        });
        let mut numbers =
            version.as_deref().unwrap_or_default().trim_start_matches('v').split(['.', '-', '+']);
        let mut number = || numbers.next().and_then(|number| number.parse::<u32>().ok());
        match (number(), number()) {
            (Some(0), Some(minor)) if minor >= 167 => Self::Split,
            (Some(0), Some(minor)) if minor >= 27 => Self::Marked,
            (Some(1..), _) => Self::Split,
            _ => Self::Plain,
        }
    }
}

/// The subprotocols that a client offers, in its order.
pub(super) fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
}

/// Puts marks before lines.
#[derive(Debug)]
pub(super) struct Marker {
    shape: Shape,
    /// Whose line is being written; none at the beginning of a line.
    line: Option<[u8; 3]>,
}

impl Marker {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, line: None }
    }

    /// Standard output.
    pub(super) fn stdout(&mut self, bytes: &Bytes) -> Bytes {
        self.mark(bytes, STDOUT)
    }

    /// Standard error.
    pub(super) fn stderr(&mut self, bytes: &Bytes) -> Bytes {
        self.mark(bytes, STDERR)
    }

    /// The newline that the last line lacks.
    pub(super) fn end(&mut self) -> Bytes {
        if self.line.take().is_some() { Bytes::from_static(b"\n") } else { Bytes::new() }
    }

    fn mark(&mut self, bytes: &Bytes, mark: [u8; 3]) -> Bytes {
        if self.shape == Shape::Plain {
            self.line = (!bytes.ends_with(b"\n")).then_some(mark);
            return bytes.clone();
        }
        let mut marked = BytesMut::with_capacity(bytes.len() + 64);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line != Some(mark) {
                marked.put_slice(&mark);
            }
            marked.put_slice(line);
            self.line = (!line.ends_with(b"\n")).then_some(mark);
        }
        marked.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_marked_once_and_the_last_one_ended() {
        let mut marker = Marker::new(Shape::Marked);
        let mut all = Vec::new();
        all.extend(marker.stdout(&Bytes::from("a\nb")));
        all.extend(marker.stdout(&Bytes::from("c\n")));
        all.extend(marker.stderr(&Bytes::from("e")));
        all.extend(marker.stdout(&Bytes::from("d")));
        all.extend(marker.end());
        assert_eq!(all, b"\x01\x01\x01a\n\x01\x01\x01bc\n\x02\x02\x02e\x01\x01\x01d\n");
    }

    #[test]
    fn a_client_gets_what_its_version_understands() {
        let by = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header"));
            Shape::of(&headers)
        };
        for (version, want) in [
            ("0.226.1", Shape::Split),
            ("0.167.0", Shape::Split),
            ("1.0.0", Shape::Split),
            ("0.166.9", Shape::Marked),
            ("0.27.0-rc.1", Shape::Marked),
            ("0.26.9", Shape::Plain),
            ("nonsense", Shape::Plain),
        ] {
            assert_eq!(by(VERSION, version), want, "{version}");
        }
        assert_eq!(by("sec-websocket-protocol", "x, X-Daytona-SDK-Version~0.218.0"), Shape::Split);
        assert_eq!(Shape::of(&HeaderMap::new()), Shape::Plain);
    }
}
