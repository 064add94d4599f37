//! Dockerfiles: the subset that is built here, from text to instructions. Pure.
//!
//! ```text
//!   text ──lines──▶ logical lines with their heredocs ──instruction──▶ stages of instructions
//!                                                           │
//!        what a build knows (arguments, environment) ──expand──▶ words        (when the instruction's turn comes)
//! ```
//!
//! Everything outside the subset is refused here, by its line, so that nothing has run by then. What cannot be known
//! before a stage's base is here (`$PATH`, a user's name) is refused when its turn comes, by its line too.
//!
//! Not here: what an instruction does (`build`), and `.dockerignore` (`dockerignore`).

mod expand;
mod healthcheck;
mod instruction;
mod json;
mod lines;
mod stages;

#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use expand::{expand, expand_text};
pub use healthcheck::Healthcheck;
pub use instruction::{Command, Instruction, RunNetwork, Transfer, TransferSource};
pub use lines::Heredoc;

use crate::{Error, limits};

/// A Dockerfile that was read: everything in it is inside the subset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// What escapes and continues lines: `\`, or what the `escape` directive says.
    pub escape: char,
    /// `ARG` before the first `FROM`, in order: names, and values that are not expanded yet.
    pub arguments: Vec<Argument>,
    /// In order; never empty.
    pub stages: Vec<Stage>,
}

/// One name of an `ARG`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// The line it is on, from 1.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Its default, not expanded yet.
    pub default: Option<String>,
}

/// From one `FROM` to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The line of its `FROM`, from 1.
    pub line: usize,
    /// The `FROM` as it is written.
    pub text: String,
    /// An image, an earlier stage or `scratch`; not expanded yet.
    pub base: String,
    /// The value of `--platform`; not expanded yet.
    pub platform: Option<String>,
    /// What later stages may call it, in lower case.
    pub name: Option<String>,
    /// In order.
    pub steps: Vec<Step>,
}

/// An instruction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The line it begins on, from 1.
    pub line: usize,
    /// As it is written, with its continuations joined and without its heredocs.
    pub text: String,
    /// What it asks for.
    pub instruction: Instruction,
}

/// What is wrong with a Dockerfile, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl DockerfileError {
    pub(crate) fn new(line: usize, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

impl fmt::Display for DockerfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for DockerfileError {}

impl From<DockerfileError> for Error {
    fn from(error: DockerfileError) -> Self {
        Self::invalid("dockerfile", error.to_string())
    }
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// [`DockerfileError`] for the first line that is malformed or outside the subset.
    pub fn parse(text: &str) -> Result<Self, DockerfileError> {
        if text.len() > limits::DOCKERFILE_MAX_BYTES {
            let reason = format!("the file is longer than {} bytes", limits::DOCKERFILE_MAX_BYTES);
            return Err(DockerfileError::new(1, reason));
        }
        stages::gather(&lines::read(text)?)
    }

    /// The stage that a name or a number means, among those before `before`.
    pub fn stage_before(&self, before: usize, name: &str) -> Option<usize> {
        let earlier = self.stages.get(..before)?;
        let lower = name.to_ascii_lowercase();
        let named = earlier.iter().rposition(|stage| stage.name.as_deref() == Some(lower.as_str()));
        named.or_else(|| lower.parse().ok().filter(|number| *number < earlier.len()))
    }
}
