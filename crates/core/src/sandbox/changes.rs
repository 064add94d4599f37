//! What may change about a sandbox that is there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::{IdleAction, LeasePolicy, Resources};

/// Changes to a sandbox; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxChanges {
    /// All labels, in place of those that it has.
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether anybody may see its ports.
    pub public: Option<bool>,
    /// Time limits.
    pub lease: LeaseChanges,
    /// Bounds.
    pub resources: ResourceChanges,
}

/// Changes to time limits. The inner `None` takes a limit away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeaseChanges {
    /// As [`LeasePolicy::idle`].
    pub idle: Option<Option<(Duration, IdleAction)>>,
    /// As [`LeasePolicy::archive_stopped_after`].
    pub archive_stopped_after: Option<Option<Duration>>,
    /// As [`LeasePolicy::delete_stopped_after`].
    pub delete_stopped_after: Option<Option<Duration>>,
    /// As [`LeasePolicy::life`].
    pub life: Option<Option<Life>>,
}

/// A longest life, and from when it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// From the sandbox's creation.
    FromCreation(Duration),
    /// From the moment of the change.
    FromNow(Duration),
}

/// Changes to bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceChanges {
    /// As [`Resources::memory_bytes`].
    pub memory_bytes: Option<u64>,
    /// As [`Resources::cpu_millis`].
    pub cpu_millis: Option<u32>,
    /// As [`Resources::pids`].
    pub pids: Option<u32>,
    /// As [`Resources::disk_bytes`].
    pub disk_bytes: Option<u64>,
}

impl LeaseChanges {
    /// The policy with the changes made, of a sandbox of this age.
    pub(crate) fn over(self, policy: LeasePolicy, age: Duration) -> LeasePolicy {
        let from_creation = |life| match life {
            Life::FromCreation(span) => span,
            Life::FromNow(span) => age.saturating_add(span),
        };
        LeasePolicy {
            idle: self.idle.unwrap_or(policy.idle),
            archive_stopped_after: self.archive_stopped_after.unwrap_or(policy.archive_stopped_after),
            delete_stopped_after: self.delete_stopped_after.unwrap_or(policy.delete_stopped_after),
            life: self.life.map_or(policy.life, |life| life.map(from_creation)),
        }
    }
}

impl ResourceChanges {
    /// The bounds with the changes made.
    pub fn over(self, bounds: Resources) -> Resources {
        Resources {
            memory_bytes: self.memory_bytes.unwrap_or(bounds.memory_bytes),
            cpu_millis: self.cpu_millis.unwrap_or(bounds.cpu_millis),
            pids: self.pids.unwrap_or(bounds.pids),
            disk_bytes: self.disk_bytes.unwrap_or(bounds.disk_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_is_not_named_stays_and_a_life_counts_from_where_it_says() {
        let policy = LeasePolicy {
            idle: Some((HOUR, IdleAction::Stop)),
            archive_stopped_after: Some(2 * HOUR),
            delete_stopped_after: None,
            life: None,
        };
        assert_eq!(LeaseChanges::default().over(policy, HOUR), policy);
        let changes = LeaseChanges {
            idle: Some(None),
            delete_stopped_after: Some(Some(Duration::ZERO)),
            life: Some(Some(Life::FromNow(HOUR))),
            ..LeaseChanges::default()
        };
        let want = LeasePolicy {
            idle: None,
            delete_stopped_after: Some(Duration::ZERO),
            life: Some(3 * HOUR),
            ..policy
        };
        assert_eq!(changes.over(policy, 2 * HOUR), want);
        let bounds = Resources::default();
        let more = ResourceChanges { pids: Some(7), ..ResourceChanges::default() };
        assert_eq!(more.over(bounds), Resources { pids: 7, ..bounds });
    }
}
