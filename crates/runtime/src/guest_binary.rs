//! The guest's program, built into this one.

/// The guest; empty in a build without it, which the spawner refuses to start with.
pub(crate) const GUEST: &[u8] = &[];
