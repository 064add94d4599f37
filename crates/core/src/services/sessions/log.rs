//! Marks in the output of a session's shell: where one command begins and ends. Pure.
//!
//! ```text
//!   standard output   ␞ TOKEN B ID MODE LENGTH ⏎ text of the command ⏎ │ output ... │ ␞ TOKEN E ID CODE ⏎
//!   standard error                                                     │ output ... │ ␞ TOKEN E ID ⏎
//! ```
//!
//! The token is random and the session's own, so no output looks like a mark by chance. A program of the tenant's that
//! forges one fools its own session.

use bytes::{Buf, Bytes, BytesMut};

use crate::{CommandId, Stdin, limits};

/// The record separator of ASCII, with which every mark begins.
const BEGINNING: u8 = 0x1e;
/// Longest first line of a mark, in bytes: token, letter, id and two numbers.
const LINE_MAX: usize = 128;

/// Something that one stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Output.
    Output(Bytes),
    /// A mark.
    Mark(Mark),
}

/// Where a command begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// The shell begins this command.
    Begin { id: CommandId, stdin: Stdin, command: String },
    /// The command has ended; standard output says how.
    End { id: CommandId, code: Option<u8> },
}

/// Tells marks from output in one stream.
#[derive(Debug)]
pub(super) struct Scanner {
    prefix: Vec<u8>,
    /// What may be the beginning of a mark.
    pending: BytesMut,
}

enum Parsed {
    Mark(Mark, usize),
    Partial,
    Nothing,
}

impl Scanner {
    pub(super) fn new(token: &str) -> Self {
        let mut prefix = vec![BEGINNING];
        prefix.extend(token.as_bytes());
        prefix.push(b' ');
        Self { prefix, pending: BytesMut::new() }
    }

    /// What there is with these bytes, each with how many of them were read when it was complete.
    pub(super) fn push(&mut self, bytes: &Bytes) -> Vec<(Found, usize)> {
        let before = self.pending.len();
        let mut rest = if before == 0 {
            bytes.clone()
        } else {
            self.pending.extend_from_slice(bytes);
            std::mem::take(&mut self.pending).freeze()
        };
        let total = rest.len();
        let mut found = Vec::new();
        // Where output that was not told yet begins.
        let mut output = rest.clone();
        let read = |rest: &Bytes| (total - rest.len()).saturating_sub(before);
        while let Some(at) = rest.iter().position(|byte| *byte == BEGINNING) {
            rest.advance(at);
            let said = output.len() - rest.len();
            match self.parse(&rest) {
                Parsed::Nothing => rest.advance(1),
                Parsed::Partial => {
                    push_output(&mut found, output.slice(..said), read(&rest));
                    self.pending.extend_from_slice(&rest);
                    return found;
                }
                Parsed::Mark(mark, length) => {
                    push_output(&mut found, output.slice(..said), read(&rest));
                    rest.advance(length);
                    found.push((Found::Mark(mark), read(&rest)));
                    output = rest.clone();
                }
            }
        }
        push_output(&mut found, output, total.saturating_sub(before));
        found
    }

    /// What turned out to be no mark, because nothing follows it.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.pending).freeze()
    }

    fn parse(&self, bytes: &[u8]) -> Parsed {
        let Some(rest) = bytes.strip_prefix(self.prefix.as_slice()) else {
            let is_partial = self.prefix.starts_with(bytes);
            return if is_partial { Parsed::Partial } else { Parsed::Nothing };
        };
        let Some(end) = rest.iter().take(LINE_MAX).position(|byte| *byte == b'\n') else {
            return if rest.len() < LINE_MAX { Parsed::Partial } else { Parsed::Nothing };
        };
        let line = rest.get(..end).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
        let words: Vec<&str> = line.split(' ').collect();
        let header = self.prefix.len() + end + 1;
        match words.as_slice() {
            ["E", id] => match id.parse() {
                Ok(id) => Parsed::Mark(Mark::End { id, code: None }, header),
                Err(_) => Parsed::Nothing,
            },
            ["E", id, code] => match (id.parse(), code.parse()) {
                (Ok(id), Ok(code)) => Parsed::Mark(Mark::End { id, code: Some(code) }, header),
                _ => Parsed::Nothing,
            },
            ["B", id, mode, length] => {
                let length = length.parse::<usize>().ok().filter(|n| *n <= limits::SESSION_COMMAND_MAX_BYTES);
                let (Ok(id), Some(length)) = (id.parse(), length) else { return Parsed::Nothing };
                let Some(text) = bytes.get(header..header + length) else { return Parsed::Partial };
                if bytes.len() <= header + length {
                    return Parsed::Partial;
                }
                let stdin = if *mode == "i" { Stdin::Stream } else { Stdin::Empty };
                let command = String::from_utf8_lossy(text).into_owned();
                Parsed::Mark(Mark::Begin { id, stdin, command }, header + length + 1)
            }
            _ => Parsed::Nothing,
        }
    }
}

fn push_output(found: &mut Vec<(Found, usize)>, bytes: Bytes, read: usize) {
    if !bytes.is_empty() {
        found.push((Found::Output(bytes), read));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000000000000000000000000007";

    fn id() -> CommandId {
        ID.parse().expect("an id")
    }

    /// Everything in one string, with marks in brackets, however the bytes are cut.
    fn scan(bytes: &[u8], size: usize) -> String {
        let mut scanner = Scanner::new("tok");
        let mut text = String::new();
        for chunk in bytes.chunks(size) {
            let chunk = Bytes::copy_from_slice(chunk);
            for (found, read) in scanner.push(&chunk) {
                assert!(read <= chunk.len());
                match found {
                    Found::Output(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
                    Found::Mark(Mark::Begin { command, stdin, .. }) => {
                        text.push_str(&format!("[{command} {stdin:?}]"))
                    }
                    Found::Mark(Mark::End { code, .. }) => text.push_str(&format!("[{code:?}]")),
                }
            }
        }
        text.push_str(&String::from_utf8_lossy(&scanner.rest()));
        text
    }

    #[test]
    fn marks_are_found_wherever_the_bytes_are_cut() {
        let log = format!(
            "a\x1etok B {ID} i 9\necho 1\n\u{1e}2\nout\x1e\x1etok E {ID} 4\nlate\x1etok E {ID}\n\x1eto"
        );
        for size in [1, 2, 3, 7, 50, 1000] {
            assert_eq!(
                scan(log.as_bytes(), size),
                "a[echo 1\n\u{1e}2 Stream]out\x1e[Some(4)]late[None]\x1eto",
                "{size}"
            );
        }
    }

    #[test]
    fn what_only_looks_like_a_mark_is_output() {
        for text in [
            "\x1etik E 00 1\n".to_owned(),
            "\x1etok E 00 1\n".to_owned(),
            format!("\x1etok E {ID} 256\n"),
            format!("\x1etok B {ID} - {}\n", limits::SESSION_COMMAND_MAX_BYTES + 1),
            format!("\x1etok {}\n", "x".repeat(LINE_MAX)),
            "\x1e\x1e\x1e".to_owned(),
        ] {
            for size in [1, 1000] {
                assert_eq!(scan(text.as_bytes(), size), text);
            }
        }
    }

    #[test]
    fn a_mark_says_how_far_the_bytes_were_read() {
        let mut scanner = Scanner::new("tok");
        let mark = format!("\x1etok E {ID} 0\n");
        let (head, tail) = mark.split_at(5);
        assert_eq!(scanner.push(&Bytes::from(format!("ab{head}"))), [(Found::Output("ab".into()), 2)]);
        let found = scanner.push(&Bytes::from(format!("{tail}cde")));
        let end = Found::Mark(Mark::End { id: id(), code: Some(0) });
        assert_eq!(found, [(end, tail.len()), (Found::Output("cde".into()), tail.len() + 3)]);
    }
}
