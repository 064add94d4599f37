//! The first frame of a connection.

use alloc::boxed::Box;

use minicbor::{Decode, Encode};

use crate::exec::{Attach, Exec, RemoveExec, SignalExec};
use crate::files::{
    Chmod, Chown, Find, List, Mkdir, Read, Readlink, Remove, Rename, ReplaceText, Stat, Symlink, Walk, Write,
};
use crate::program::RunProgram;
use crate::version::PROTOCOL_VERSION;

/// What the host wants on this connection.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Request {
    /// [`PROTOCOL_VERSION`] of the host.
    #[n(0)]
    pub version: u32,
    /// The oldest guest version that understands all of `body`.
    #[n(1)]
    pub needs: u32,
    /// The request; reads as `None` when this build knows no such request.
    #[n(2)]
    pub body: Option<RequestBody>,
}

/// The requests.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RequestBody {
    /// Say who you are.
    #[n(0)]
    Hello,
    /// Run a program.
    #[n(1)]
    Exec(#[n(0)] Box<Exec>),
    /// Follow a background exec.
    #[n(2)]
    Attach(#[n(0)] Attach),
    /// Tell all retained background execs.
    #[n(3)]
    ListExecs,
    /// Signal a background exec.
    #[n(4)]
    SignalExec(#[n(0)] SignalExec),
    /// Kill and forget a background exec.
    #[n(5)]
    RemoveExec(#[n(0)] RemoveExec),
    /// Metadata of a file.
    #[n(16)]
    Stat(#[n(0)] Stat),
    /// Entries of a directory.
    #[n(17)]
    List(#[n(0)] List),
    /// Regular files of a tree.
    #[n(18)]
    Walk(#[n(0)] Walk),
    /// Contents of a file.
    #[n(19)]
    Read(#[n(0)] Read),
    /// Write a file.
    #[n(20)]
    Write(#[n(0)] Write),
    /// Make a directory.
    #[n(21)]
    Mkdir(#[n(0)] Mkdir),
    /// Rename a file.
    #[n(22)]
    Rename(#[n(0)] Rename),
    /// Remove a file or tree.
    #[n(23)]
    Remove(#[n(0)] Remove),
    /// Change permissions.
    #[n(24)]
    Chmod(#[n(0)] Chmod),
    /// Change the owner.
    #[n(25)]
    Chown(#[n(0)] Chown),
    /// Make a symbolic link.
    #[n(26)]
    Symlink(#[n(0)] Symlink),
    /// Read a symbolic link.
    #[n(27)]
    Readlink(#[n(0)] Readlink),
    /// Lines with a text. Since version 3.
    #[n(28)]
    Find(#[n(0)] Find),
    /// Put one text in the place of another. Since version 3.
    #[n(29)]
    ReplaceText(#[n(0)] ReplaceText),
    /// Rename a file; or copy and remove it, where the new name is on another file system. Since version 3.
    #[n(30)]
    Move(#[n(0)] Rename),
    /// Connect to a port inside. Since version 2.
    #[n(32)]
    Dial(#[n(0)] Dial),
    /// Run a program of the host's.
    #[n(60)]
    RunProgram(#[n(0)] Box<RunProgram>),
}

/// Payload of [`RequestBody::Dial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Dial {
    /// The TCP port, on the sandbox's loopback.
    #[n(0)]
    pub port: u16,
}

impl Request {
    /// A request from this build.
    #[must_use]
    pub fn new(body: RequestBody) -> Self {
        Self { version: PROTOCOL_VERSION, needs: body.needs(), body: Some(body) }
    }
}

impl RequestBody {
    /// The oldest guest version that understands every field that is set.
    #[must_use]
    pub fn needs(&self) -> u32 {
        // Without `_`, so that a new request has to say since when it exists.
        match self {
            Self::Walk(Walk { selection: Some(_), .. })
            | Self::Chown(Chown { only: Some(_), .. })
            | Self::Find(_)
            | Self::ReplaceText(_)
            | Self::Move(_) => 3,
            Self::Exec(exec) => exec.needs(),
            Self::Hello
            | Self::Attach(_)
            | Self::ListExecs
            | Self::SignalExec(_)
            | Self::Stat(_)
            | Self::List(_)
            | Self::Walk(_)
            | Self::Read(_)
            | Self::Write(_)
            | Self::Mkdir(_)
            | Self::Rename(_)
            | Self::Remove(_)
            | Self::Chmod(_)
            | Self::Chown(_)
            | Self::Symlink(_)
            | Self::Readlink(_) => 1,
            Self::RemoveExec(remove) => {
                if remove.gently.is_some() {
                    3
                } else {
                    1
                }
            }
            Self::Dial(_) => 2,
            Self::RunProgram(run) => run.exec.needs().max(2),
        }
    }
}
