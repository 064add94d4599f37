//! The content store on disk.
//!
//! ```text
//! images/
//!   lock                   held while a server uses the store
//!   blobs/<hex>            manifests and configurations, by digest
//!   rootfs/<hex>/          flattened trees, by chain id (by the plan's digest for `host`)
//!   records/<hex>.json     one image each: which tree, which configuration, when it came
//!   names/<escaped name>   the digest that the name stands for
//!   work/                  half-made things; emptied at every start
//! ```
//!
//! Everything is made in `work/` and renamed into place, contents before the record that names them, the record
//! before the name. What a crash leaves in between is named by nothing and is removed at the next start.

pub(crate) mod layout;
pub(crate) mod record;
