//! The packet level of networks: who may send packets where.
//!
//! ```text
//!   server: slots, policies ──▶ spawner: gateway ──▶ cables, addresses, routes   (netlink::link)
//!                                           └──────▶ rules, once; their sets     (ruleset, nft; netlink::filter)
//! ```
//!
//! A sandbox whose policy is `disabled` has no cable at all. Others have one, and what their packets may reach is two or
//! three elements in sets of the gateway's rules, so that a start and a change of policy are one transaction each.
//!
//! Not here: what names mean, and what is spoken over a connection that is let through (the core's `Gateway` port).

mod addresses;
mod config;
pub(crate) mod gateway;
mod namespace;
mod netlink;
pub(crate) mod nft;
mod policy;
mod ruleset;
mod sockets;

pub(crate) use addresses::{Slot, Slots, addresses};
pub use config::NetworkConfig;
pub(crate) use policy::Reach;
pub use sockets::{FamilySockets, GatewaySockets};
