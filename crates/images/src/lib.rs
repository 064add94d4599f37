//! The `Images` port: the built-in `host` image, and a content store of images that came from archives.
//!
//! ```text
//!   images (the port) ──▶ host      the host's own /usr under a synthesised root
//!        │           ──▶ store     records, names and trees on disk
//!        └──────────────▶ unpack    archives from strangers into trees, beneath one descriptor
//! ```
//!
//! Not here: who may import what, and which sandbox uses which image (core); mounting a tree (runtime); fetching
//! from a registry.

#![forbid(unsafe_code)]

mod error;
mod hash;
mod host;
mod images;
mod reference;
mod store;
pub mod unpack;

pub use error::ImagesError;
pub use host::{HOST_IMAGE, HostError};
pub use images::ImageStore;
pub use reference::NameError;
