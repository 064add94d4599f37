//! Activity of a sandbox: when it was last used, and by how many at this moment.
//!
//! The deadline is monotonic; `last_active_at` is for people and for the next start of the server. A sandbox in use is
//! never idle. Its idle time begins anew when a use comes to something, and again when that use ends; a request that
//! fails changes neither.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::table::Entry;
use crate::{Activity, Clock, Error, Kind, LeasePolicy, Timestamp, Verb};
use crate::{IdleAction, Reason, Sandbox, State};

/// How long a broken connection may be ahead of the news that the sandbox has ended. That takes milliseconds; where it is
/// late, the host is short of everything.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// When a sandbox was used.
#[derive(Debug)]
pub(super) struct LastUse {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    users: u32,
    last_used: Duration,
    last_active_at: Timestamp,
    written: Timestamp,
}

impl LastUse {
    /// Activity of a sandbox that was last used at `last_active_at`, perhaps under an earlier server.
    pub(super) fn since(last_active_at: Timestamp, clock: &dyn Clock) -> Self {
        let ago = clock.now().since(last_active_at);
        let last_used = clock.monotonic().saturating_sub(ago);
        Self { inner: Mutex::new(Inner { users: 0, last_used, last_active_at, written: last_active_at }) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic under this lock")
    }

    pub(super) fn touch(&self, clock: &dyn Clock) {
        let mut inner = self.lock();
        inner.last_used = clock.monotonic();
        inner.last_active_at = inner.last_active_at.max(clock.now());
    }

    /// Records a use that ended at `moment`, unless a later one is known.
    pub(super) fn touch_at(&self, moment: Timestamp, clock: &dyn Clock) {
        let now = clock.now();
        let moment = moment.min(now);
        let mut inner = self.lock();
        inner.last_used = inner.last_used.max(clock.monotonic().saturating_sub(now.since(moment)));
        inner.last_active_at = inner.last_active_at.max(moment);
    }

    fn enter(&self) {
        self.lock().users += 1;
    }

    fn leave(&self) {
        self.lock().users -= 1;
    }

    pub(super) fn last_active_at(&self) -> Timestamp {
        self.lock().last_active_at
    }

    /// The newest `last_active_at`, if the store does not have it yet; marks it as written.
    pub(super) fn take_unwritten(&self) -> Option<Timestamp> {
        let mut inner = self.lock();
        (inner.written < inner.last_active_at).then(|| {
            inner.written = inner.last_active_at;
            inner.last_active_at
        })
    }

    /// How long nobody has used it; `None` while somebody does.
    fn idle_for(&self, clock: &dyn Clock) -> Option<Duration> {
        let inner = self.lock();
        (inner.users == 0).then(|| clock.monotonic().saturating_sub(inner.last_used))
    }
}

/// Somebody uses the sandbox, until this is dropped.
pub struct InUse {
    entry: Arc<Entry>,
    clock: Arc<dyn Clock>,
    activity: Activity,
    /// The use came to something, so that its end restarts the idle time.
    counts: AtomicBool,
}

impl InUse {
    pub(super) fn new(entry: Arc<Entry>, clock: Arc<dyn Clock>, activity: Activity) -> Self {
        if activity == Activity::Counts {
            entry.activity.enter();
        }
        Self { entry, clock, activity, counts: AtomicBool::new(false) }
    }

    /// The result of the use, which counts as one if it is a success. A guest that could not be asked because it came to
    /// its end is told of as that.
    pub(super) async fn counted<T>(&self, result: crate::Result<T>) -> crate::Result<T> {
        match result {
            Ok(result) => {
                if self.activity == Activity::Counts {
                    self.counts.store(true, Ordering::Relaxed);
                    self.entry.activity.touch(&*self.clock);
                }
                Ok(result)
            }
            Err(error @ Error::Unavailable { .. }) => Err(self.end().await.unwrap_or(error)),
            Err(error) => Err(error),
        }
    }

    /// What to tell whoever used the sandbox when the guest broke off: how the sandbox ended, or that nobody knows.
    pub async fn how_it_ended(&self) -> Error {
        self.end().await.unwrap_or_else(|| {
            let source = "the guest broke off an exec and the sandbox goes on".into();
            Error::Unavailable { retry_after: None, source }
        })
    }

    async fn end(&self) -> Option<Error> {
        let record = tokio::time::timeout(END_PATIENCE, self.entry.ended()).await.ok()?;
        let reason = record.reason.clone().unwrap_or(Reason::GuestDied);
        Some(Error::Ended { kind: Kind::Sandbox, id: record.id.to_string(), state: record.state, reason })
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        if self.activity == Activity::Unnoticed {
            return;
        }
        if self.counts.load(Ordering::Relaxed) {
            self.entry.activity.touch(&*self.clock);
        }
        self.entry.activity.leave();
    }
}

impl std::fmt::Debug for InUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InUse({})", self.entry.id)
    }
}

/// What the time limits of a sandbox ask for now.
pub(super) fn due(sandbox: &Sandbox, activity: &LastUse, clock: &dyn Clock) -> Option<(Verb, Reason)> {
    let LeasePolicy { idle, archive_stopped_after, delete_stopped_after, life } = sandbox.lease;
    let in_state = clock.now().since(sandbox.state_since);
    match sandbox.state {
        State::Expired => {
            return (in_state >= crate::limits::EXPIRED_RETENTION)
                .then_some((Verb::Delete, Reason::EndOfLife));
        }
        State::Deleted | State::Creating => return None,
        _ => {}
    }
    if life.is_some_and(|life| clock.now().since(sandbox.created_at) >= life) {
        return Some((Verb::Expire, Reason::EndOfLife));
    }
    if matches!(sandbox.state, State::Stopped | State::Archived | State::Error)
        && delete_stopped_after.is_some_and(|span| in_state >= span)
    {
        return Some((Verb::Delete, Reason::Idle));
    }
    if sandbox.state == State::Stopped && archive_stopped_after.is_some_and(|span| in_state >= span) {
        return Some((Verb::Archive, Reason::Idle));
    }
    let (span, action) = idle?;
    if activity.idle_for(clock)? < span {
        return None;
    }
    let verb = match action {
        IdleAction::Expire => Verb::Expire,
        IdleAction::Stop => Verb::Stop,
        IdleAction::Pause => Verb::Pause,
    };
    match sandbox.state.judge(verb) {
        crate::Decision::Go(_) => Some((verb, Reason::Idle)),
        _ => None,
    }
}
