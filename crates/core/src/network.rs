//! What a sandbox may reach. Deny is the default.

/// Which destinations a sandbox may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EgressPolicy {
    /// Loopback alone.
    #[default]
    Disabled,
    /// These names and networks, and nothing else.
    Allowlist {
        /// Exact host names, or `*.` and a suffix for its proper subdomains.
        domains: Vec<String>,
        /// Networks in CIDR form.
        cidrs: Vec<String>,
    },
    /// Public addresses; never private, link-local or metadata ones.
    Internet,
}

/// Why a policy cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// An allow-list that allows nothing.
    #[error("an allow-list needs at least one domain or network")]
    Empty,
}
