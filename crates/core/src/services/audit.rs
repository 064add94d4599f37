//! What an operator should be able to find later: refusals that say something about who sent the request.
//!
//! ```text
//!   dialects' layer, services ──Refusal──▶ first of its kind ──▶ event
//!                                             └─ further ones ──▶ counted ──reconciler, once a minute──▶ event
//! ```
//!
//! A stranger can provoke refusals as fast as the network carries them, so they are counted by kind, account and
//! address, and the kinds that are told apart at one time are bounded. What does not fit is counted without its address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::context::Context;
use crate::{AUDIT_ACCOUNT, AccountId, Caller, Event, EventKind, Refusal, Result, Scope, limits};

/// What refusals are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Source {
    refusal: Refusal,
    account: Option<AccountId>,
    peer: Option<IpAddr>,
}

/// Refusals since the last event of their source.
#[derive(Debug, Clone, Copy)]
struct Tally {
    count: u64,
    told_at: Duration,
}

/// The sources that were seen lately.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    tallies: Mutex<HashMap<Source, Tally>>,
}

impl AuditLog {
    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Tally>> {
        self.tallies.lock().expect("no panic under this lock")
    }

    /// Counts a refusal; whether it is the first of its source and to be told now.
    fn count(&self, source: Source, now: Duration) -> bool {
        let mut tallies = self.lock();
        if let Some(tally) = tallies.get_mut(&source) {
            tally.count += 1;
            return false;
        }
        if tallies.len() < limits::AUDIT_SOURCES_MAX {
            tallies.insert(source, Tally { count: 0, told_at: now });
            return true;
        }
        let crowd = Source { account: None, peer: None, ..source };
        tallies.entry(crowd).or_insert(Tally { count: 0, told_at: now }).count += 1;
        false
    }

    /// The sources whose turn it is to be told again; those that have been quiet are forgotten.
    fn due(&self, now: Duration) -> Vec<(Source, u64)> {
        let mut due = Vec::new();
        self.lock().retain(|source, tally| {
            if now.saturating_sub(tally.told_at) < limits::AUDIT_INTERVAL {
                return true;
            }
            if tally.count > 0 {
                due.push((*source, tally.count));
            }
            let goes_on = tally.count > 0;
            *tally = Tally { count: 0, told_at: now };
            goes_on
        });
        due
    }
}

/// Counts a refusal and records it if it is the first of its kind for a while.
pub(super) async fn note(
    context: &Context,
    refusal: Refusal,
    account: Option<AccountId>,
    peer: Option<IpAddr>,
) {
    let source = Source { refusal, account, peer };
    if context.audit.count(source, context.ports.clock.monotonic()) {
        tell(context, source, 1).await;
    }
}

/// Records what was counted since it was last recorded.
pub(super) async fn pass(context: &Context) {
    for (source, count) in context.audit.due(context.ports.clock.monotonic()) {
        tell(context, source, count).await;
    }
}

async fn tell(context: &Context, source: Source, count: u64) {
    let Source { refusal, account, peer } = source;
    let kind = EventKind::AccessDenied { refusal, account, peer, count };
    context.events.publish(context, AUDIT_ACCOUNT, None, kind).await;
}

/// The operator's record of refusals.
#[derive(Clone)]
pub struct Audit {
    pub(super) context: Arc<Context>,
}

impl Audit {
    /// Notes that a request was refused before or by a service. `account` is that of its key, if the key is known.
    pub async fn refused(&self, refusal: Refusal, account: Option<AccountId>, peer: Option<IpAddr>) {
        note(&self.context, refusal, account, peer).await;
    }

    /// Refusals behind `after`, of all accounts and of strangers, oldest first, at most `limit`.
    ///
    /// # Errors
    /// [`crate::Error::Forbidden`] without [`Scope::Admin`].
    pub async fn list(&self, caller: &Caller, after: u64, limit: usize) -> Result<Vec<Event>> {
        caller.need(Scope::Admin)?;
        self.context.ports.store.list_events(AUDIT_ACCOUNT, after, limit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = limits::AUDIT_INTERVAL;

    fn from(number: u32) -> Source {
        Source { refusal: Refusal::Key, account: None, peer: Some(IpAddr::from(number.to_be_bytes())) }
    }

    #[test]
    fn the_first_refusal_is_told_and_the_others_once_an_interval() {
        let log = AuditLog::default();
        assert!(log.count(from(1), Duration::ZERO));
        for _ in 0..5 {
            assert!(!log.count(from(1), Duration::ZERO));
        }
        assert!(log.count(Source { refusal: Refusal::Rate, ..from(1) }, Duration::ZERO));
        assert_eq!(log.due(MINUTE / 2), []);
        assert_eq!(log.due(MINUTE), [(from(1), 5)]);
        assert_eq!(log.due(2 * MINUTE), []);
        assert!(log.lock().is_empty(), "who is quiet is forgotten");
    }

    #[test]
    fn a_crowd_of_addresses_is_counted_together() {
        let log = AuditLog::default();
        let crowd = u32::try_from(limits::AUDIT_SOURCES_MAX).unwrap() + 7;
        let told = (0..crowd).filter(|number| log.count(from(*number), Duration::ZERO)).count();
        assert_eq!(told, limits::AUDIT_SOURCES_MAX);
        assert_eq!(log.due(MINUTE), [(Source { peer: None, ..from(0) }, 7)]);
    }
}
