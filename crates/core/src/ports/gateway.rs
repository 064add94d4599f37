//! What judges the traffic of networked sandboxes by name. The packet level below it is the runtime's.
//!
//! ```text
//!   sandbox ──veth──▶ Runtime: who may send packets where ──▶ Gateway: names, TLS server names, addresses ──▶ outside
//! ```
//!
//! A sandbox that nobody admitted is answered nothing: a start that fails between the two leaves it cut off.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use async_trait::async_trait;

use crate::{AccountId, Authority, DomainPattern, DomainSecrets, EgressPolicy, Result, SandboxId};

/// The addresses that a sandbox sends from; no other sandbox of this host has them while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxAddresses {
    /// Its IPv4 address.
    pub v4: Ipv4Addr,
    /// Its IPv6 address; `None` where the host has no IPv6.
    pub v6: Option<Ipv6Addr>,
}

/// A sandbox that may send, and what it may reach.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Which.
    pub id: SandboxId,
    /// Whose.
    pub account: AccountId,
    /// Where its traffic comes from.
    pub addresses: SandboxAddresses,
    /// What it may reach.
    pub policy: EgressPolicy,
    /// What is put in place of placeholders in its requests.
    pub secrets: Option<Arc<DomainSecrets>>,
}

/// What a sandbox has sent and was refused, since it was first admitted by this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EgressUsage {
    /// Bytes that the sandbox sent through the gateway.
    pub sent_bytes: u64,
    /// Bytes that came back.
    pub received_bytes: u64,
    /// Connections that were let through.
    pub connections: u64,
    /// Names and connections that were refused.
    pub denied: u64,
}

/// An attempt that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Who tried.
    pub id: SandboxId,
    /// Whose sandbox.
    pub account: AccountId,
    /// What it tried to reach: a name, or an address and a port; printable and bounded.
    pub destination: String,
    /// Why not, as a short lower-case phrase from a closed set.
    pub reason: &'static str,
    /// How often since the last report of the same destination and reason.
    pub count: u64,
}

/// Judges what networked sandboxes send.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Lets a sandbox send by its policy from now on, in place of what was said about it before. Connections that the
    /// new policy would refuse are ended.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a policy that cannot be enforced.
    async fn admit(&self, tenant: Tenant) -> Result<()>;

    /// Judges a sandbox that is admitted by this policy from now on, and ends the connections that it refuses; for a
    /// change, before the packet level follows. Does nothing for one that is unknown.
    async fn restrict(&self, id: SandboxId, policy: &EgressPolicy);

    /// Answers the sandbox nothing any more and ends its connections. Does nothing for one that is unknown.
    async fn dismiss(&self, id: SandboxId);

    /// Makes an authority that can vouch for hosts of these domains and for nothing else.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] if this machine cannot make a key.
    fn new_authority(&self, domains: &[DomainPattern]) -> Result<Authority>;

    /// The certificates that this server itself trusts, in PEM, for images that bring none.
    fn trusted_certificates(&self) -> &str;

    /// What the sandbox has used; zeros for one that is unknown.
    fn usage(&self, id: SandboxId) -> EgressUsage;

    /// Waits for the next refusals to report, at most a few a second for one sandbox however many it provokes.
    async fn denied(&self) -> Vec<Denial>;
}
