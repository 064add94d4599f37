//! What the host and the git program of a sandbox say to each other.
//!
//! ```text
//!   host ──stdin: one Request, then the end──▶ git program ──stdout: one Answer, then exit 0──▶ host
//! ```
//!
//! Credentials travel in the request and nowhere else: no argument, variable or file holds them. The program was given
//! to the sandbox when that started, so it may be older than the host: [`Request::needs`] is as in [`crate::version`].
//! It runs as a user of the sandbox, among the tenant's processes, so an answer is a claim like any other.
//!
//! Not here: how the program is run ([`crate::program`]), and what it does.

mod answer;
mod operation;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use minicbor::{Decode, Encode};

pub use answer::{
    Answer, Branches, Change, Commit, Failed, FileStatus, History, Problem, Remote, Remotes, Status,
};
pub use operation::{
    Add, AddRemote, Checkout, Clone, CommitStaged, ConfigScope, CreateBranch, DeleteBranch, GetConfig, Init,
    Log, Operation, Pull, Push, Reset, ResetMode, Restore, SetConfig,
};

/// The version of these messages that this build speaks.
pub const VERSION: u32 = 1;

/// Largest request, in bytes: the longest commit message or list of files that the host accepts, with room.
pub const REQUEST_MAX: usize = 4 * 1024 * 1024;

/// Largest answer, in bytes. Whatever can grow in one is cut by the program well before.
pub const ANSWER_MAX: usize = 8 * 1024 * 1024;

/// Longest sentence in a [`Failed`], in bytes.
pub const DETAIL_MAX: usize = 1024;

/// Most file states that a [`Status`] holds.
pub const STATUS_FILES_MAX: usize = 10_000;

/// Most commits that a [`History`] holds.
pub const HISTORY_COMMITS_MAX: u32 = 1_000;

/// Most branches or remotes that an answer holds.
pub const NAMES_MAX: usize = 10_000;

/// Bytes of one text (a message, a name, a path) that an answer repeats.
pub const TEXT_MAX: usize = 64 * 1024;

/// Bytes of text that a list in an answer may hold together; the list is cut there.
pub const LIST_MAX: usize = 4 * 1024 * 1024;

const _: () = assert!(LIST_MAX + TEXT_MAX < ANSWER_MAX);

/// What the host wants of the program.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// [`VERSION`] of the host.
    #[n(0)]
    pub version: u32,
    /// The oldest program that understands all of `operation`.
    #[n(1)]
    pub needs: u32,
    /// What to do; reads as `None` when this build knows no such operation.
    #[n(2)]
    pub operation: Option<Operation>,
    /// For the remote of the operation, and for no other.
    #[n(3)]
    pub credentials: Option<Credentials>,
    /// Do not check the certificate of the remote.
    #[n(4)]
    #[cbor(default)]
    pub insecure_skip_tls: bool,
}

/// A user and a password, or a token in the place of either.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Credentials {
    /// The user.
    #[n(0)]
    pub username: String,
    /// The password.
    #[n(1)]
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// The bytes are no message of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed message between the host and its git program")
    }
}

impl core::error::Error for Malformed {}

/// The bytes of a request or an answer.
///
/// # Errors
/// [`Malformed`], if it is longer than `max` bytes.
pub fn encode<T: minicbor::Encode<()>>(message: &T, max: usize) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    minicbor::encode(message, &mut bytes).map_err(|_| Malformed)?;
    if bytes.len() > max { Err(Malformed) } else { Ok(bytes) }
}

/// Reads a request or an answer.
///
/// # Errors
/// [`Malformed`], also for bytes after the message: they would be a second opinion on what it says.
pub fn decode<'a, T: minicbor::Decode<'a, ()>>(bytes: &'a [u8]) -> Result<T, Malformed> {
    let mut decoder = minicbor::Decoder::new(bytes);
    match decoder.decode::<T>() {
        Ok(message) if decoder.position() == bytes.len() => Ok(message),
        _ => Err(Malformed),
    }
}

impl Request {
    /// A request from this build.
    #[must_use]
    pub fn new(operation: Operation) -> Self {
        let needs = operation.needs();
        Self {
            version: VERSION,
            needs,
            operation: Some(operation),
            credentials: None,
            insecure_skip_tls: false,
        }
    }
}
