//! Git for a sandbox whose image has none: a program that reads one request, carries it out and writes one answer.
//!
//! ```text
//!   guest ── exec of a sealed descriptor, as the sandbox's user, among its processes ──▶ this program
//!
//!   stdin ─▶ Request ─▶ operation ─▶ libgit2 ──▶ files of the sandbox
//!                                       └──▶ transport: HTTP by ureq and rustls, through the sandbox's own network
//!   stdout ◀─ Answer ◀─ done, a value, or why not
//! ```
//!
//! Credentials come in the request and stay in memory: they are sent to the remote that the request names and never
//! become part of a URL, a file, an argument or an answer. Nothing of a repository is executed: libgit2 knows no hooks,
//! and no program that a repository's configuration names; submodules are not cloned.
//!
//! Not here: SSH; time limits, which are the guest's; and any trust of the host in what is answered.

#![deny(unsafe_code)]

mod cancel;
mod environment;
mod failure;
mod request;
mod sys;
mod text;
mod transport;
mod work;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use lazaret_protocol::git::{ANSWER_MAX, Answer, REQUEST_MAX, decode, encode};
use rustix::process::DumpableBehavior;

/// Exit status when there is no answer: the host did not send a request, or does not listen.
const NO_ANSWER: u8 = 1;

fn main() -> ExitCode {
    match converse() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => NO_ANSWER.into(),
    }
}

fn converse() -> std::io::Result<()> {
    // Before anything secret is in memory: others of the same user can neither trace this process nor read its memory.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    cancel::listen()?;
    let mut bytes = Vec::new();
    let most = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX);
    std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    let request = decode(&bytes).map_err(|malformed| std::io::Error::other(malformed.to_string()))?;
    let answer = request::answer(request);
    let bytes = encode(&answer, ANSWER_MAX).unwrap_or_else(|_| too_large());
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&bytes)?;
    stdout.flush()
}

/// The answer in place of one that is too large. Lists are cut long before, so this is for what nobody has thought of.
fn too_large() -> Vec<u8> {
    let failure = failure::Failure::new(lazaret_protocol::git::Problem::Other, "the answer is too large");
    encode(&Answer::Failed(failure.into()), ANSWER_MAX).unwrap_or_default()
}
