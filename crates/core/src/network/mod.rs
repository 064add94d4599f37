//! What a sandbox may reach. Deny is the default.
//!
//! ```text
//!   text of a request ──parse──▶ DomainRule · Cidr ──▶ Allowlist ──▶ EgressPolicy ──judged by──▶ EgressBounds
//! ```
//!
//! Everything here is checked when it is made, so that whoever enforces a policy compares and never validates. What a
//! packet may do is the runtime's, what a name may do is the gateway's.

mod address;
mod allowlist;
mod bounds;
mod domain;

pub use address::{Cidr, InvalidCidr, PUBLIC_V6, SPECIAL_V4, SPECIAL_V6, is_public};
pub use allowlist::{Allowlist, InvalidPolicy};
pub use bounds::EgressBounds;
pub use domain::{DomainName, DomainPattern, DomainRule, InvalidDomain, Service};

/// Which destinations a sandbox may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EgressPolicy {
    /// Loopback alone.
    #[default]
    Disabled,
    /// These names and networks, and nothing else.
    Allowlist(Allowlist),
    /// Public addresses; never private, link-local or metadata ones.
    Internet,
}
