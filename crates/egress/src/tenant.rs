//! One admitted sandbox: its policy, what it has open under it, and what it has used.
//!
//! ```text
//!   open(grant) ─ judged and entered under one lock ─▶ Open ──drop──▶ left
//!   admit(policy) ─ judges every entry again ─▶ those that it refuses are cancelled
//! ```
//!
//! Because judging and entering are one step, no connection slips through between an old policy and a new one.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lazaret_core::ports::{EgressUsage, SandboxAddresses, Tenant};
use lazaret_core::{AccountId, Clock, DomainName, EgressBounds, EgressPolicy, SandboxId, Service};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::denials::Denials;
use crate::judge::{self, Grant, Refusal};
use crate::limits;
use crate::recent::RecentAnswers;
use crate::secrets::Disclosure;

/// What all sandboxes are judged by and report to.
#[derive(Debug)]
pub(crate) struct Court {
    pub(crate) bounds: EgressBounds,
    pub(crate) denials: Denials,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a sandbox has used.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    connections: AtomicU64,
    denied: AtomicU64,
}

impl Counters {
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn usage(&self) -> EgressUsage {
        EgressUsage {
            sent_bytes: self.sent_bytes.load(Ordering::Relaxed),
            received_bytes: self.received_bytes.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
        }
    }
}

/// A sandbox that may send.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) id: SandboxId,
    pub(crate) account: AccountId,
    pub(crate) counters: Arc<Counters>,
    /// Places for queries that wait for a name server.
    pub(crate) queries: Arc<Semaphore>,
    /// Places for connections that carry queries.
    pub(crate) dns_connections: Arc<Semaphore>,
    /// Places for connections through the proxy.
    pub(crate) connections: Arc<Semaphore>,
    court: Arc<Court>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    policy: EgressPolicy,
    addresses: SandboxAddresses,
    disclosure: Option<Arc<Disclosure>>,
    open: HashMap<u64, Entry>,
    next_key: u64,
    recent: RecentAnswers,
    /// Queries that may be sent now, in units of a nanosecond's allowance.
    allowance: Duration,
    allowance_at: Duration,
}

#[derive(Debug)]
struct Entry {
    grant: Grant,
    end: CancellationToken,
}

/// What one query costs of the allowance.
const QUERY_COST: Duration = Duration::from_nanos(1_000_000_000 / limits::QUERIES_PER_SECOND as u64);
/// The most that is saved up.
const ALLOWANCE_MAX: Duration =
    Duration::from_nanos(limits::QUERY_BURST as u64 * 1_000_000_000 / limits::QUERIES_PER_SECOND as u64);

impl Admitted {
    pub(crate) fn new(tenant: Tenant, court: Arc<Court>) -> Self {
        let now = court.clock.monotonic();
        Self {
            id: tenant.id,
            account: tenant.account,
            counters: Arc::default(),
            queries: Arc::new(Semaphore::new(limits::QUERIES_IN_FLIGHT)),
            dns_connections: Arc::new(Semaphore::new(limits::DNS_CONNECTIONS)),
            connections: Arc::new(Semaphore::new(limits::CONNECTIONS)),
            court,
            state: Mutex::new(State {
                policy: tenant.policy,
                addresses: tenant.addresses,
                disclosure: None,
                open: HashMap::new(),
                next_key: 0,
                recent: RecentAnswers::default(),
                allowance: ALLOWANCE_MAX,
                allowance_at: now,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    pub(crate) fn addresses(&self) -> SandboxAddresses {
        self.state().addresses
    }

    /// Replaces the policy and ends what it refuses.
    pub(crate) fn change(&self, policy: EgressPolicy, addresses: SandboxAddresses) {
        let mut state = self.state();
        (state.policy, state.addresses) = (policy, addresses);
        let State { policy, open, .. } = &*state;
        for entry in open.values().filter(|entry| !judge::allows(policy, &self.court.bounds, &entry.grant)) {
            entry.end.cancel();
        }
    }

    /// Gives it these secrets to use, or none. Connections that are open go on with what they began with.
    pub(crate) fn entrust(&self, disclosure: Option<Arc<Disclosure>>) {
        self.state().disclosure = disclosure;
    }

    /// What is put into its requests.
    pub(crate) fn disclosure(&self) -> Option<Arc<Disclosure>> {
        self.state().disclosure.clone()
    }

    /// Refuses everything from now on.
    pub(crate) fn cut_off(&self) {
        let addresses = self.addresses();
        self.change(EgressPolicy::Disabled, addresses);
    }

    /// Counts a refusal and reports it.
    pub(crate) fn deny(&self, destination: &str, refusal: Refusal) {
        self.counters.denied.fetch_add(1, Ordering::Relaxed);
        self.court.denials.count(self.id, self.account, destination, refusal);
    }

    /// Whether `name` may be resolved.
    pub(crate) fn resolves(&self, name: &DomainName) -> bool {
        judge::resolves(&self.state().policy, &self.court.bounds, name)
    }

    /// Whether names are resolved to any kind of record, for a sandbox that may reach all of the Internet.
    pub(crate) fn resolves_everything(&self) -> bool {
        self.state().policy == EgressPolicy::Internet
    }

    /// Whether it has IPv6 at all.
    pub(crate) fn has_v6(&self) -> bool {
        self.state().addresses.v6.is_some()
    }

    /// Spends the allowance of one query; `false` if there is none left.
    pub(crate) fn spend_query(&self) -> bool {
        let now = self.court.clock.monotonic();
        let mut state = self.state();
        let earned = now.saturating_sub(state.allowance_at);
        state.allowance_at = now;
        let saved = (state.allowance + earned).min(ALLOWANCE_MAX);
        let left = saved.checked_sub(QUERY_COST);
        state.allowance = left.unwrap_or(saved);
        left.is_some()
    }

    /// Remembers an answer, if a connection may be judged by it later.
    pub(crate) fn remember(&self, name: &DomainName, addresses: &[IpAddr]) {
        let now = self.court.clock.monotonic();
        let mut state = self.state();
        if judge::by_address(&state.policy, name) {
            for address in addresses {
                state.recent.remember(name, *address, now);
            }
        }
    }

    /// What a connection to an address may be let through for, if for anything.
    pub(crate) fn grant_for_address(&self, to: SocketAddr) -> Option<Grant> {
        let now = self.court.clock.monotonic();
        let state = self.state();
        let by_address = Grant::Address(to);
        if judge::allows(&state.policy, &self.court.bounds, &by_address) {
            return Some(by_address);
        }
        let Service::Plain(_) = Service::of(to.port()) else { return None };
        state
            .recent
            .names_of(to.ip(), now)
            .map(|name| Grant::Name(name.clone(), Service::of(to.port())))
            .find(|grant| judge::allows(&state.policy, &self.court.bounds, grant))
    }

    /// Enters a connection, if the policy allows what it is for. A later policy that refuses it cancels `end`.
    pub(crate) fn open(self: &Arc<Self>, grant: Grant, end: &CancellationToken) -> Option<Open> {
        let mut state = self.state();
        if !judge::allows(&state.policy, &self.court.bounds, &grant) {
            return None;
        }
        let key = state.next_key;
        state.next_key += 1;
        state.open.insert(key, Entry { grant, end: end.clone() });
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        Some(Open { admitted: Arc::clone(self), key })
    }
}

/// A connection that was let through; it is left when this is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    admitted: Arc<Admitted>,
    key: u64,
}

impl Open {
    /// Uses the connection for something else from now on; `false` if that is refused.
    pub(crate) fn change(&self, grant: Grant) -> bool {
        let mut state = self.admitted.state();
        let allowed = judge::allows(&state.policy, &self.admitted.court.bounds, &grant);
        match state.open.get_mut(&self.key) {
            Some(entry) if allowed => {
                entry.grant = grant;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.admitted.state().open.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lazaret_core::{Allowlist, ManualClock, Timestamp};

    use super::*;

    fn list(domains: &[&str]) -> EgressPolicy {
        EgressPolicy::Allowlist(Allowlist::parse(domains, &[]).unwrap())
    }

    fn admitted(policy: EgressPolicy) -> (Arc<Admitted>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_unix_micros(0)));
        let court = Court {
            bounds: EgressBounds::default(),
            denials: Denials::default(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let tenant = Tenant {
            id: SandboxId::from_bytes([1; 16]),
            account: AccountId::from_bytes([2; 16]),
            addresses: SandboxAddresses { v4: Ipv4Addr::new(10, 0, 0, 2), v6: None },
            policy,
            secrets: None,
        };
        (Arc::new(Admitted::new(tenant, Arc::new(court))), clock)
    }

    fn name(text: &str) -> Grant {
        Grant::Name(text.parse().unwrap(), Service::Tls)
    }

    #[test]
    fn a_new_policy_ends_what_it_refuses_and_nothing_else() {
        let (admitted, _clock) = admitted(list(&["a.example", "b.example"]));
        let (end_a, end_b) = (CancellationToken::new(), CancellationToken::new());
        let a = admitted.open(name("a.example"), &end_a).unwrap();
        let b = admitted.open(name("b.example"), &end_b).unwrap();
        assert!(admitted.open(name("c.example"), &end_a).is_none());
        admitted.change(list(&["a.example", "c.example"]), admitted.addresses());
        assert_eq!((end_a.is_cancelled(), end_b.is_cancelled()), (false, true));
        assert!(a.change(name("c.example")) && !a.change(name("b.example")));
        admitted.cut_off();
        assert!(end_a.is_cancelled());
        drop((a, b));
        assert_eq!(admitted.state().open.len(), 0);
        assert_eq!(admitted.counters.usage().connections, 2);
    }

    #[test]
    fn queries_have_a_burst_and_then_a_pace() {
        let (admitted, clock) = admitted(EgressPolicy::Internet);
        let spend_all =
            || std::iter::repeat_with(|| admitted.spend_query()).take_while(|spent| *spent).count();
        assert_eq!(spend_all(), limits::QUERY_BURST as usize);
        clock.advance(Duration::from_secs(1));
        assert_eq!(spend_all(), limits::QUERIES_PER_SECOND as usize);
        clock.advance(Duration::from_secs(3600));
        assert_eq!(spend_all(), limits::QUERY_BURST as usize);
    }

    #[test]
    fn a_port_of_its_own_is_open_to_addresses_that_were_given_for_its_name() {
        let (admitted, _clock) = admitted(list(&["git.example:22", "web.example"]));
        let (git, web) = ("8.8.8.8".parse().unwrap(), "8.8.4.4".parse().unwrap());
        admitted.remember(&"git.example".parse().unwrap(), &[git]);
        admitted.remember(&"web.example".parse().unwrap(), &[web]);
        let granted = |address, port| admitted.grant_for_address(SocketAddr::new(address, port)).is_some();
        assert!(granted(git, 22));
        assert!(!granted(git, 23) && !granted(git, 443) && !granted(web, 22) && !granted(web, 443));
        admitted.change(list(&["web.example"]), admitted.addresses());
        assert!(!granted(git, 22));
    }
}
