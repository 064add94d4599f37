//! Turning archives from strangers into a directory tree.
//!
//! ```text
//! stored bytes ─▶ compression ─▶ tar (entries) ─▶ layer (rules, whiteouts) ─▶ tree (beneath one descriptor)
//!      └ digest         └ diff id                   └ limits
//! ```
//!
//! Not here: where the archives come from and what their configuration says (`archive`), and where the tree goes
//! when it is whole (`store`).

pub mod compression;
pub mod layer;
pub mod limits;
pub mod path;
pub mod share;
pub mod tar;
pub mod tree;
