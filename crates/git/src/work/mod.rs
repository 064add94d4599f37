//! The operations, each from its message to libgit2.

pub(crate) mod branches;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod inspect;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod remotes;
mod repository;
pub(crate) mod restore;
pub(crate) mod stage;
