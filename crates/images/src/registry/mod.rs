//! A client of registries: the pulling half of the OCI distribution protocol.
//!
//! ```text
//!   Source (an image's repository on its mirrors and its registry, in order)
//!     ├─ documents   manifest, configuration: bounded, digest checked
//!     └─ transfer    layers: to a file, resumed, digest and size checked
//!          └─ client ── one HTTP request, with the authorisation that the registry asks for (auth)
//!               └─ hosts ── which machine is asked, over what, and whether it may be at all
//! ```
//!
//! A registry is not trusted with anything: not with memory or disk (bounds), not with time (deadlines), not with
//! content (digests), not with other machines (redirects and token services are judged like the registry itself).
//!
//! Not here: what the documents mean (`archive`), what happens to layers (`assembly`), and the order of things (`pull`).

mod attempts;
mod auth;
mod client;
pub mod docker_config;
mod documents;
mod error;
mod hosts;
pub mod settings;
mod transfer;

pub(crate) use client::Registries;
pub(crate) use documents::Found;
pub use error::RegistryError;
pub(crate) use transfer::Wanted;
