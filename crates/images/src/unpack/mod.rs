//! Turning archives from strangers into a directory tree.
//!
//! ```text
//! stored bytes ─▶ compression ─▶ tar (entries) ─▶ layer (rules, whiteouts) ─▶ tree (beneath one descriptor)
//!      └ digest         └ diff id
//! ```

pub mod path;
pub mod tree;
