//! What a frame is: the byte after the length.

use crate::limits::{CONTROL_MAX, DATA_MAX, REQUEST_MAX};

/// The kinds of one direction.
///
/// Host and guest kinds differ in the top bit, so a peer that is spoken to in its own voice notices at once.
pub trait Kind: Copy + Eq + core::fmt::Debug {
    /// The kind that `byte` stands for, or `None` when this build does not know it.
    fn from_byte(byte: u8) -> Option<Self>;

    /// The byte on the wire.
    fn byte(self) -> u8;

    /// Largest payload of this kind, in bytes.
    fn max_payload(self) -> usize;
}

/// What the host sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum HostKind {
    /// The first frame of every connection.
    Request = 0x01,
    /// Bytes for the standard input of an exec, raw.
    Stdin = 0x02,
    /// The standard input has ended.
    StdinEnd = 0x03,
    /// A signal for the exec.
    Signal = 0x04,
    /// The terminal has a new size.
    Resize = 0x05,
    /// Bytes of the file being written, raw.
    Data = 0x06,
    /// The file is complete: keep it.
    Commit = 0x07,
}

/// What the guest sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum GuestKind {
    /// The request failed; nothing follows.
    Failure = 0x81,
    /// The request succeeded and has no more to say; nothing follows.
    Done = 0x82,
    /// Answer to `Hello`.
    Hello = 0x83,
    /// The program runs.
    Started = 0x84,
    /// Bytes of standard output, or of the terminal, raw.
    Stdout = 0x85,
    /// Bytes of standard error, raw.
    Stderr = 0x86,
    /// The program has ended and its output is complete; nothing follows.
    Exited = 0x87,
    /// Attached to a background exec; its output follows.
    Attached = 0x88,
    /// Output was lost before the client could read it.
    Skipped = 0x89,
    /// One retained background exec.
    ExecState = 0x8a,
    /// Metadata of one file.
    Metadata = 0x8b,
    /// Some entries of a directory or a tree.
    Entries = 0x8c,
    /// A listing has ended; nothing follows.
    ListEnd = 0x8d,
    /// Bytes of the file being read, raw.
    Data = 0x8e,
    /// The file is in place; nothing follows.
    Written = 0x8f,
    /// Where a symbolic link points; nothing follows.
    Link = 0x90,
    /// Connected to a port; what follows in both directions is its bytes, and no more frames. Since version 2.
    Connected = 0x91,
    /// Some lines that hold what was looked for. Since version 3.
    Matches = 0xa0,
    /// The text was replaced; nothing follows. Since version 3.
    Replaced = 0xa1,
}

impl Kind for HostKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Request,
            0x02 => Self::Stdin,
            0x03 => Self::StdinEnd,
            0x04 => Self::Signal,
            0x05 => Self::Resize,
            0x06 => Self::Data,
            0x07 => Self::Commit,
            _ => return None,
        })
    }

    fn byte(self) -> u8 {
        self as u8
    }

    fn max_payload(self) -> usize {
        match self {
            Self::Request => REQUEST_MAX,
            Self::Stdin | Self::Data => DATA_MAX,
            Self::StdinEnd | Self::Signal | Self::Resize | Self::Commit => CONTROL_MAX,
        }
    }
}

impl Kind for GuestKind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x81 => Self::Failure,
            0x82 => Self::Done,
            0x83 => Self::Hello,
            0x84 => Self::Started,
            0x85 => Self::Stdout,
            0x86 => Self::Stderr,
            0x87 => Self::Exited,
            0x88 => Self::Attached,
            0x89 => Self::Skipped,
            0x8a => Self::ExecState,
            0x8b => Self::Metadata,
            0x8c => Self::Entries,
            0x8d => Self::ListEnd,
            0x8e => Self::Data,
            0x8f => Self::Written,
            0x90 => Self::Link,
            0x91 => Self::Connected,
            0xa0 => Self::Matches,
            0xa1 => Self::Replaced,
            _ => return None,
        })
    }

    fn byte(self) -> u8 {
        self as u8
    }

    fn max_payload(self) -> usize {
        match self {
            Self::Stdout | Self::Stderr | Self::Data => DATA_MAX,
            Self::Failure
            | Self::Done
            | Self::Hello
            | Self::Started
            | Self::Exited
            | Self::Attached
            | Self::Skipped
            | Self::ExecState
            | Self::Metadata
            | Self::Entries
            | Self::ListEnd
            | Self::Written
            | Self::Link
            | Self::Connected
            | Self::Matches
            | Self::Replaced => CONTROL_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<K: Kind>(direction_bit: u8) {
        let known: alloc::vec::Vec<K> = (0..=u8::MAX).filter_map(K::from_byte).collect();
        assert!(!known.is_empty());
        for kind in known {
            assert_eq!(K::from_byte(kind.byte()), Some(kind));
            assert_eq!(kind.byte() & 0x80, direction_bit);
        }
    }

    #[test]
    fn every_kind_survives_its_byte_and_keeps_to_its_direction() {
        check::<HostKind>(0);
        check::<GuestKind>(0x80);
    }
}
