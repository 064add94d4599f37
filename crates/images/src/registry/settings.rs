//! What an operator says about registries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lazaret_core::Secret;

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// By registry, hosts that are asked before it: `host[:port][/path]`, the path going before the repository's.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts (`host[:port]`) that are spoken to without TLS. A mirror on this machine's loopback is one of them.
    pub plain_http: BTreeSet<String>,
    /// Hosts (`host[:port]`) that may be asked although they have no public address. Mirrors, hosts with credentials and
    /// those without TLS are among them.
    pub internal: BTreeSet<String>,
    /// By host, who to be.
    pub credentials: BTreeMap<String, Credentials>,
    /// What to go through.
    pub proxies: Proxies,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long nothing may come before the other side counts as hanging.
    pub stall_timeout: Duration,
    /// How often anything is tried in all.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles for each further one.
    pub first_wait: Duration,
    /// The longest wait, also where the registry asks for a longer one.
    pub longest_wait: Duration,
}

impl Default for RegistrySettings {
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            plain_http: BTreeSet::new(),
            internal: BTreeSet::new(),
            credentials: BTreeMap::new(),
            proxies: Proxies::default(),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            attempts: 5,
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(20),
        }
    }
}

impl RegistrySettings {
    /// Succeeds if the proxies can be used, which nobody else notices before the first pull.
    ///
    /// # Errors
    /// What is wrong with the address of a proxy.
    pub fn check(&self) -> Result<(), reqwest::Error> {
        for proxy in [&self.proxies.http, &self.proxies.https].into_iter().flatten() {
            reqwest::Proxy::all(proxy)?;
        }
        Ok(())
    }
}

/// Who to be at a registry.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password or access token.
    pub password: Secret,
}

/// HTTP proxies, in the form of the usual variables.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// For hosts that are spoken to without TLS (`HTTP_PROXY`).
    pub http: Option<String>,
    /// For all others (`HTTPS_PROXY`).
    pub https: Option<String>,
    /// Hosts, domains and address ranges that are reached directly (`NO_PROXY`). This machine's loopback always is.
    pub none: Option<String>,
}
