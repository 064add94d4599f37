//! Host and guest messages and framing: bytes in, bytes out, no I/O.
//!
//! The *guest* is PID 1 of a sandbox; the *host* is the server. The guest listens on a socket that the host
//! made; the host opens **one connection per request**, so that socket buffers alone give back-pressure and
//! a stalled stream never blocks another.
//!
//! ```text
//!  host                                   guest
//!   │── Request{version, needs, body} ──────▶│   exactly one, first
//!   │◀──────────── Started · Metadata · … ───│   or Failure, which is always the last frame
//!   │── Stdin · StdinEnd · Signal · Resize ─▶│   exec and attach
//!   │── Data* · Commit ─────────────────────▶│   write; without Commit nothing is kept
//!   │◀──── Stdout* · Stderr* · Exited ───────│   exec and attach
//!   │◀──── Data* · Entries* · … · Done ──────│   files
//!   ╳              close                     ╳
//!
//!  frame   ┌────────────────────┬──────────┬──────────────────┐
//!          │ u32 LE payload len │ u8 kind  │ payload          │
//!          └────────────────────┴──────────┴──────────────────┘
//! ```
//!
//! Control payloads are CBOR maps with numbered fields; the payloads of `Stdin`, `Stdout`, `Stderr` and `Data`
//! are the bytes themselves. Paths, arguments and environment entries are bytes, because Linux has no other idea
//! of them. How an old guest and a new host understand each other is told in [`version`].
//!
//! Not here: sockets, timeouts, and what the guest does with a request.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod byte_string;
pub mod exec;
pub mod failure;
pub mod files;
pub mod frame;
pub mod git;
pub mod guest_message;
pub mod host_message;
pub mod kind;
pub mod limits;
pub mod metadata;
pub mod program;
pub mod request;
pub mod version;

pub use byte_string::ByteString;
pub use exec::{
    Attach, Attached, Background, Exec, ExecState, ExitStatus, Exited, RemoveExec, SignalExec, Started,
    Stderr, Tty,
};
pub use failure::{ErrorKind, Failure};
pub use files::{
    Chmod, Chown, Disposition, Find, List, Mkdir, OwnerPart, Read, Readlink, Remove, Rename, ReplaceText,
    Selection, Stat, Symlink, Target, Walk, Write,
};
pub use frame::{Decoder, Frame, FrameError, HEADER_BYTES, Header};
pub use guest_message::GuestMessage;
pub use host_message::HostMessage;
pub use kind::{GuestKind, HostKind, Kind};
pub use metadata::{Entry, FileKind, Match, Metadata};
pub use program::RunProgram;
pub use request::{Dial, Request, RequestBody};
pub use version::PROTOCOL_VERSION;
