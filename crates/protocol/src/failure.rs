//! Why a request failed.

use alloc::string::String;
use core::fmt;

use minicbor::{Decode, Decoder, Encode, Encoder, decode, encode};

use crate::byte_string::ByteString;
use crate::limits::FAILURE_MESSAGE_MAX;

/// The last frame of a request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Failure {
    /// What the caller can act on.
    #[n(0)]
    pub kind: ErrorKind,
    /// The kernel's error number, when a system call failed.
    #[n(1)]
    pub errno: Option<i32>,
    /// A lower-case sentence for a person, without a final stop; at most [`FAILURE_MESSAGE_MAX`] bytes.
    #[n(2)]
    pub message: String,
    /// The path that the failure is about.
    #[n(3)]
    pub path: Option<ByteString>,
}

impl Failure {
    /// A failure without errno or path. The message is cut at [`FAILURE_MESSAGE_MAX`].
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > FAILURE_MESSAGE_MAX {
            let cut = message.floor_char_boundary(FAILURE_MESSAGE_MAX);
            message.truncate(cut);
        }
        Self { kind, errno: None, message, path: None }
    }

    /// The same with the kernel's error number.
    #[must_use]
    pub fn with_errno(self, errno: i32) -> Self {
        Self { errno: Some(errno), ..self }
    }

    /// The same with the path that it is about.
    #[must_use]
    pub fn with_path(self, path: impl Into<ByteString>) -> Self {
        Self { path: Some(path.into()), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.path {
            Some(path) => write!(f, ": {}", path.escape_ascii()),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Failure {}

macro_rules! error_kinds {
    ($($(#[$doc:meta])+ $name:ident = $code:literal,)+) => {
        /// What went wrong, as far as a caller can act on it.
        ///
        /// A code that this build does not know reads as [`ErrorKind::Other`], so a newer guest may be more precise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum ErrorKind {
            $($(#[$doc])+ $name = $code,)+
        }

        impl ErrorKind {
            /// Every kind that this build knows.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> u16 {
                self as u16
            }

            /// The kind with that number, [`ErrorKind::Other`] when there is none.
            #[must_use]
            pub fn from_code(code: u16) -> Self {
                match code {
                    $($code => Self::$name,)+
                    _ => Self::Other,
                }
            }
        }
    };
}

error_kinds! {
    /// None of the others; `errno` and the message say more.
    Other = 0,
    /// The frames make no sense: a bug of the host.
    BadRequest = 1,
    /// This guest is too old for the request.
    Unsupported = 2,
    /// Too many connections or threads are busy; try again.
    Busy = 3,
    /// No such user or group in the image, or an id outside the sandbox's range.
    UnknownUser = 10,
    /// No such program, in `PATH` or at the given path.
    CommandNotFound = 11,
    /// The program may not be executed, or is in no known format.
    NotExecutable = 12,
    /// The program's interpreter (its `#!` line or its ELF loader) does not exist.
    InterpreterNotFound = 13,
    /// The working directory does not exist, is no directory, or may not be entered.
    BadCwd = 14,
    /// Arguments and environment are more than the kernel takes, or hold a NUL byte.
    BadArguments = 15,
    /// No further process within the sandbox's limit.
    TooManyProcesses = 16,
    /// No background exec with that id is retained.
    UnknownExec = 17,
    /// A background exec with that id is retained already.
    ExecExists = 18,
    /// Too many background execs are retained; remove one.
    TooManyExecs = 19,
    /// The exec has ended: there is nothing to signal.
    ExecEnded = 20,
    /// No further memory or descriptor within the sandbox's limits.
    OutOfMemory = 21,
    /// No such file or directory.
    NotFound = 30,
    /// Something has that name already.
    AlreadyExists = 31,
    /// The user may not.
    PermissionDenied = 32,
    /// A component of the path is no directory.
    NotADirectory = 33,
    /// The path is a directory, where a file was wanted.
    IsADirectory = 34,
    /// The directory still has entries.
    DirectoryNotEmpty = 35,
    /// The path is a FIFO, socket or device, which are never read or written.
    NotARegularFile = 36,
    /// The path goes through a symbolic link or out of its root, which the request forbids.
    Escapes = 37,
    /// Too many symbolic links.
    SymlinkLoop = 38,
    /// The disk, its inodes or a quota are used up.
    NoSpace = 39,
    /// A name or the whole path is too long.
    NameTooLong = 40,
    /// The path is empty, relative, or holds a NUL byte.
    BadPath = 41,
    /// The file system is read-only.
    ReadOnly = 42,
    /// Both names must be on one file system.
    CrossDevice = 43,
    /// The file would grow past the largest size.
    FileTooLarge = 44,
    /// The tree is deeper than the guest goes.
    TreeTooDeep = 45,
    /// The text or glob to look for is empty, too long or not well-formed.
    BadPattern = 46,
    /// Nothing listens on the port.
    ConnectionRefused = 60,
    /// The host gave the sandbox no program of that name when it started.
    UnknownProgram = 61,
}

impl<C> Encode<C> for ErrorKind {
    fn encode<W: encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.u16(self.code())?;
        Ok(())
    }
}

impl<'b, C> Decode<'b, C> for ErrorKind {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, decode::Error> {
        decoder.u16().map(Self::from_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_code_and_an_unknown_code_is_other() {
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_code(kind.code()), *kind);
        }
        assert_eq!(ErrorKind::from_code(9_999), ErrorKind::Other);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let failure = Failure::new(ErrorKind::Other, "ä".repeat(FAILURE_MESSAGE_MAX));
        assert!(failure.message.len() <= FAILURE_MESSAGE_MAX);
        assert!(failure.message.chars().all(|c| c == 'ä'));
    }
}
