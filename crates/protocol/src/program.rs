//! Programs that the host gives a sandbox when it starts: the guest holds each as a descriptor and runs it on request.
//!
//! ```text
//!   RunProgram{name, exec} ─▶ as Exec: Started ─▶ (Stdout | Stderr)* ─▶ Exited      or Failure{UnknownProgram}
//! ```
//!
//! Such a program is a file of the host, not of the image: it is there in every image, nobody inside can change or read
//! it, and like PID 1 its process is closed to root inside. What such a program reads and writes is its own business;
//! that of git is in [`crate::git`].

use alloc::string::String;

use minicbor::{Decode, Encode};

use crate::exec::Exec;

/// Name of the git program.
pub const GIT: &str = "git";

/// Run a program of the host's. Since version 2.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct RunProgram {
    /// Which; [`GIT`] is all there is.
    #[n(0)]
    pub name: String,
    /// How to run it. The arguments are handed on, and nothing is looked up in `PATH`; it cannot run in the background.
    #[n(1)]
    pub exec: Exec,
}
