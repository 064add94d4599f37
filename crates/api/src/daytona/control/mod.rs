//! Daytona's control API: sandboxes as a whole.
//!
//! | File | Subject |
//! | --- | --- |
//! | `routes.rs` | every path and its handler |
//! | `sandboxes.rs`, `changes.rs`, `listing.rs` | handlers: convert, call, convert |
//! | `events.rs` | what happens to sandboxes, over a WebSocket |
//! | `previews.rs` | addresses of ports, and keys for signed file requests |
//! | `snapshots.rs` | snapshots, which are templates |
//! | `volumes.rs` | volumes, and those of a sandbox |
//! | `organizations.rs`, `api_keys.rs`, `server.rs` | what clients ask around them |
//! | `document.rs` | the OpenAPI documents of this API and of the toolbox |
//! | `unsupported.rs` | what this server does not do, told as that |
//! | `target.rs`, `base.rs` | the sandbox that a path means; the server's own address |
//! | `wire.rs`, `create.rs`, `convert.rs`, `lease.rs`, `network.rs` | what is on the wire, to and from the core's nouns |
//! | `error.rs` | one answer for each failure |
//!
//! Oddities that stay in this folder: success is 200 where the contract's client insists on it, also for creations; sizes are
//! whole cores and GiB; an expired sandbox is a destroyed one, and so is not there; names are unique, for sandboxes that are
//! made here.

mod api_keys;
mod base;
mod changes;
mod convert;
mod create;
mod document;
mod error;
mod events;
mod lease;
mod listing;
mod network;
mod organizations;
mod previews;
mod routes;
mod sandboxes;
mod server;
mod snapshots;
mod target;
mod unsupported;
mod volumes;
mod wire;

pub use document::open_api;
pub(crate) use error::Control;
pub(crate) use routes::routes;
