//! The `Images` port: the built-in `host` image, and a content store of images that came from archives.
//!
//! ```text
//!   images (the port) ─▶ shared    what is here, and the host's own /usr under a synthesised root (host)
//!     │      │              └▶ store     records, names and trees on disk
//!     │      └▶ pull   ─▶ registry  manifests and layers over HTTP
//!     └───────▶ import ─▶ archive   docker save, OCI layout or root file system: where the layers are
//!                  │
//!              commit ─▶ what a sandbox has written, as one more layer
//!              build ─▶ contexts, copies and results of build steps
//!                  │
//!       all ───────┴▶ assembly ─▶ unpack    archives from strangers into trees, beneath one descriptor
//!                        └▶ publish         from a workspace to its place in the store
//!   collect                              what nobody needs any more, out of its place again
//! ```
//!
//! Not here: who may import and pull what, and which sandbox uses which image (core); mounting a tree (runtime).

#![forbid(unsafe_code)]

mod archive;
mod assembly;
mod build;
mod collect;
mod commit;
mod error;
mod hash;
mod host;
mod images;
mod import;
mod publish;
mod pull;
pub mod registry;
mod shared;
mod store;
pub mod unpack;
mod upload;

pub use archive::ArchiveError;
pub use archive::config::ConfigError;
pub use build::{ContextError, ContextProblem, CopyError, LookupError};
pub use commit::{ChangesError, EntryProblem};
pub use error::{ImagesError, ImportError};
pub use host::HostError;
pub use images::ImageStore;
pub use registry::RegistryError;
