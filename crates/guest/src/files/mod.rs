//! Files of the sandbox, touched as the user that the request names.
//!
//! ```text
//!   request ─▶ as_user: this thread takes the user's ids ─▶ resolve the path by openat2 ─▶ act on descriptors ─▶ ids back
//! ```
//!
//! Paths are resolved by the kernel, never by cutting and joining strings: beneath a root, without following links out
//! of it; otherwise as any program of the sandbox would. Nothing here ever waits for a FIFO, a socket or a device.

pub(crate) mod change;
pub(crate) mod find;
pub(crate) mod inspect;
pub(crate) mod list;
pub(crate) mod moving;
pub(crate) mod read;
pub(crate) mod replace;
pub(crate) mod tree;
pub(crate) mod walk;
pub(crate) mod write;

mod acting;
mod batch;
mod descent;
mod errors;
mod glob;
mod metadata;
mod place;
mod staging;
