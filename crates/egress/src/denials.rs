//! Refusals on their way to the event log: counted by destination and reason, so that a sandbox that tries without end
//! makes a number grow and not a list.

use std::collections::HashMap;
use std::sync::Mutex;

use lazaret_core::ports::Denial;
use lazaret_core::{AccountId, SandboxId};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::judge::Refusal;
use crate::limits;

/// What stands for the destinations that a report has no room for.
const OTHERS: &str = "(others)";

/// Refusals since the last report.
#[derive(Debug, Default)]
pub(crate) struct Denials {
    waiting: Mutex<HashMap<SandboxId, Vec<Denial>>>,
    there_are: Notify,
    /// Taken by the one who reports, so that two readers share the reports and not the pace.
    next_at: tokio::sync::Mutex<Option<Instant>>,
}

impl Denials {
    /// Counts a refusal. What `destination` holds came from the sandbox: it is made printable and cut.
    pub(crate) fn count(&self, id: SandboxId, account: AccountId, destination: &str, refusal: Refusal) {
        let destination: String = destination.escape_debug().take(limits::DESTINATION_MAX_CHARS).collect();
        let reason = refusal.text();
        let mut waiting = self.waiting.lock().expect("no panic under this lock");
        let of_one = waiting.entry(id).or_default();
        let place = of_one.iter().position(|it| it.destination == destination && it.reason == reason);
        let place = match place {
            None if of_one.len() < limits::DENIALS_EACH => None,
            None => of_one.iter().position(|it| it.destination == OTHERS && it.reason == reason),
            found => found,
        };
        match place {
            Some(place) => of_one[place].count += 1,
            None if of_one.len() < limits::DENIALS_EACH => {
                of_one.push(Denial { id, account, destination, reason, count: 1 });
            }
            None => of_one.push(Denial { id, account, destination: OTHERS.to_owned(), reason, count: 1 }),
        }
        self.there_are.notify_one();
    }

    /// Waits until there is something to report, and until it is time.
    pub(crate) async fn report(&self) -> Vec<Denial> {
        let mut next_at = self.next_at.lock().await;
        loop {
            if let Some(at) = *next_at {
                tokio::time::sleep_until(at).await;
            }
            let waiting = std::mem::take(&mut *self.waiting.lock().expect("no panic under this lock"));
            if waiting.is_empty() {
                self.there_are.notified().await;
                continue;
            }
            *next_at = Some(now() + limits::DENIALS_EVERY);
            return waiting.into_values().flatten().collect();
        }
    }
}

/// The runtime's own time, which is what its timers wait by.
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denials() -> (Denials, SandboxId, AccountId) {
        (Denials::default(), SandboxId::from_bytes([1; 16]), AccountId::from_bytes([2; 16]))
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_refusal_is_reported_once_with_its_count() {
        let (denials, id, account) = denials();
        for _ in 0..1000 {
            denials.count(id, account, "evil.example", Refusal::Name);
        }
        denials.count(id, account, "evil.example\n\u{1b}[2J", Refusal::NoHost);
        let report = denials.report().await;
        let shown: Vec<_> =
            report.iter().map(|denial| (denial.destination.as_str(), denial.reason, denial.count)).collect();
        assert_eq!(
            shown,
            [("evil.example", "name not allowed", 1000), ("evil.example\\n\\u{1b}[2J", "no single host", 1)]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_sandbox_that_tries_everything_fills_one_report_a_second_and_no_more() {
        let (denials, id, account) = denials();
        for number in 0..10_000 {
            denials.count(id, account, &format!("{number}.example"), Refusal::Name);
        }
        let started = now();
        let first = denials.report().await;
        assert_eq!(first.len(), limits::DENIALS_EACH + 1);
        assert_eq!(first.iter().map(|denial| denial.count).sum::<u64>(), 10_000);
        assert!(first.iter().any(|denial| denial.destination == OTHERS));
        denials.count(id, account, "again.example", Refusal::Name);
        assert_eq!(denials.report().await.len(), 1);
        assert!(now() - started >= limits::DENIALS_EVERY);
    }
}
