//! Building an image from a Dockerfile: what is asked for, what it means step by step, and what is told of it. Pure.
//!
//! ```text
//!   Dockerfile ──plan──▶ stages that are needed, with their bases
//!        each step ──StageState::apply──▶ Action: run, copy, make a directory, or nothing but configuration
//!                            └──StepKey──▶ what the step's result is cached by
//! ```
//!
//! Not here: carrying the actions out (`services::builds`).

mod key;
mod paths;
mod plan;
mod stage;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

pub use key::StepKey;
pub use plan::{Base, Plan, PlannedStage};
pub(crate) use stage::Known;
pub use stage::{Action, CopyAction, RunAction, StageState, StageText};

use crate::{Body, EgressPolicy, Resources};

/// A wanted image.
pub struct BuildSpec {
    /// What it is built from.
    pub source: BuildSource,
    /// A name to point at it; without one it is found by its digest, and collected when it is not used.
    pub name: Option<String>,
    /// The stage to build, by name or number; the last where it is `None`.
    pub target: Option<String>,
    /// Values for the file's `ARG`s.
    pub arguments: BTreeMap<String, String>,
    /// Whether results of earlier builds may be taken.
    pub cache: CacheUse,
    /// What `RUN` may reach; nothing where it is `None`.
    pub network: Option<EgressPolicy>,
    /// Bounds of the sandbox that runs the steps; the server's defaults where it is `None`.
    pub resources: Option<Resources>,
    /// How long all of it may take; [`crate::limits::BUILD_TIMEOUT_DEFAULT`] where it is `None`.
    pub timeout: Option<Duration>,
}

/// Whether results of earlier builds may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheUse {
    /// They are, where nothing that a step depends on is different.
    #[default]
    Taken,
    /// Every step is done anew, and its result replaces the earlier one.
    Refreshed,
}

/// What an image is built from.
pub enum BuildSource {
    /// A Dockerfile alone: it can copy from stages and images, and has no context.
    Text(String),
    /// A tar of the context, with the Dockerfile in it.
    Context {
        /// The tar, compressed with gzip or zstd or not at all.
        archive: Body,
        /// Where the Dockerfile is in it.
        dockerfile: String,
        /// Whether the Dockerfile is part of the context.
        placement: DockerfilePlacement,
    },
}

/// Whether a Dockerfile in an archive is part of the context.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DockerfilePlacement {
    /// It is a file of the context like any other.
    #[default]
    InContext,
    /// It only came along: nothing can copy it.
    Beside,
}

/// What a build tells while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// A step begins, or was done before.
    Step {
        /// From 1.
        number: usize,
        /// Steps of the stages that are needed.
        total: usize,
        /// The line in the Dockerfile.
        line: usize,
        /// The instruction as it is written.
        text: String,
        /// Its result was here.
        cached: bool,
    },
    /// Something that the step's program wrote.
    Stdout(Bytes),
    /// Likewise, on its standard error.
    Stderr(Bytes),
    /// Something that may not be as its maker wanted.
    Warning(String),
}
