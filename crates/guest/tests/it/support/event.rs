//! Guest messages that own their bytes.

use lazaret_protocol::guest_message::{Hello, Written};
use lazaret_protocol::{Entry, ExecState, Exited, Failure, GuestMessage, Match, Metadata};

/// What the guest said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Failure(Failure),
    Done,
    Hello(Hello),
    Started(u32),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    Exited(Exited),
    Attached(u64),
    Skipped(u64),
    ExecState(ExecState),
    Metadata(Metadata),
    Entries(Vec<Entry>),
    ListEnd { truncated: bool },
    Data(Vec<u8>),
    Written(Written),
    Link(Vec<u8>),
    Connected,
    Matches(Vec<Match>),
    Replaced(u64),
}

impl From<GuestMessage<'_>> for Event {
    fn from(message: GuestMessage<'_>) -> Self {
        match message {
            GuestMessage::Failure(failure) => Self::Failure(failure),
            GuestMessage::Done => Self::Done,
            GuestMessage::Hello(hello) => Self::Hello(hello),
            GuestMessage::Started(started) => Self::Started(started.pid),
            GuestMessage::Stdout(bytes) => Self::Stdout(bytes.to_vec()),
            GuestMessage::Stderr(bytes) => Self::Stderr(bytes.to_vec()),
            GuestMessage::Exited(exited) => Self::Exited(exited),
            GuestMessage::Attached(attached) => Self::Attached(attached.offset),
            GuestMessage::Skipped(skipped) => Self::Skipped(skipped.offset),
            GuestMessage::ExecState(state) => Self::ExecState(state),
            GuestMessage::Metadata(metadata) => Self::Metadata(metadata),
            GuestMessage::Entries(entries) => Self::Entries(entries),
            GuestMessage::ListEnd(end) => Self::ListEnd { truncated: end.truncated },
            GuestMessage::Data(bytes) => Self::Data(bytes.to_vec()),
            GuestMessage::Written(written) => Self::Written(written),
            GuestMessage::Link(link) => Self::Link(link.points_to.0),
            GuestMessage::Connected => Self::Connected,
            GuestMessage::Matches(matches) => Self::Matches(matches),
            GuestMessage::Replaced(replaced) => Self::Replaced(replaced.count),
        }
    }
}
