//! The `Gateway` port: what networked sandboxes send is judged by name here, outside of them.
//!
//! ```text
//!                 ┌ dns ────────┐  only allowed names, only addresses that may be reached
//!   port 53 ─────▶│ udp · tcp   │──▶ resolve ──▶ the host's name servers
//!                 └─────────────┘       ▲
//!                 ┌ proxy ──────┐       │ resolved again, never taken from the sandbox
//!   any TCP ─────▶│ http  :80   │───────┤
//!   of an         │ tls   :443  │       ▼
//!   allow-list    │ plain :n    │────▶ exit ──▶ outside
//!                 └─────────────┘
//! ```
//!
//! Who sends is known by the source address, which the packet level below guards against forgery; that level also brings
//! every packet here that must come here. What is deliberately absent: namespaces, firewalls and raw packets, which are
//! the runtime's, and any trust in an address that a sandbox names. TLS is carried unread, but for the hosts that a secret
//! of the sandbox is for (`secrets`).

#![forbid(unsafe_code)]

mod config;
mod denials;
mod dns;
mod error;
mod exit;
mod gateway;
mod judge;
mod limits;
mod metered;
mod proxy;
mod recent;
mod resolve;
mod secrets;
mod tenant;
mod tenants;

pub use config::{EgressConfig, Listeners};
pub use error::EgressError;
pub use exit::{Exit, HostExit};
pub use gateway::EgressGateway;
pub use proxy::{OriginalDestination, Redirected};
