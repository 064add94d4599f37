//! The `Images` port: the built-in `host` image, and a content store of images that came from archives.
//!
//! ```text
//!   images (the port) ──▶ host      the host's own /usr under a synthesised root
//!        │           ──▶ store     records, names and trees on disk
//!        │           ──▶ archive   docker save, OCI layout or root file system: where the layers are
//!        └──────────────▶ unpack    archives from strangers into trees, beneath one descriptor
//! ```
//!
//! Not here: who may import what, and which sandbox uses which image (core); mounting a tree (runtime); fetching
//! from a registry.

#![forbid(unsafe_code)]

mod archive;
mod error;
mod hash;
mod host;
mod images;
mod import;
mod reference;
mod store;
pub mod unpack;
mod upload;

pub use archive::ArchiveError;
pub use archive::config::ConfigError;
pub use error::{ImagesError, ImportError};
pub use host::{HOST_IMAGE, HostError};
pub use images::ImageStore;
pub use reference::NameError;
