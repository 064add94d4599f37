//! How a child is made to end: asked, killed, given up. Pure; time comes in as an argument.
//!
//! ```text
//!   running ──time is up, or nobody listens──▶ asked ──grace──▶ killed ──LAST──▶ unread ──LAST──▶ given up
//! ```
//!
//! The driver only carries signals; the server alone counts the time, since a driver may lie about it.

use std::time::Duration;

/// SIGKILL.
const KILL: u8 = 9;
/// How long the driver may take to tell of a child that was killed.
const LAST: Duration = Duration::from_secs(5);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send this signal.
    Signal(u8),
    /// Throw away what it has printed: its reader may be what it waits for.
    Discard,
    /// Nothing helped: end the driver.
    GiveUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Asked,
    Killed,
    Unread,
}

/// The state of the picture above.
#[derive(Debug)]
pub(super) struct Ending {
    stage: Stage,
    next: Option<Duration>,
    ask_with: u8,
    grace: Duration,
    /// Its time was up.
    pub(super) timed_out: bool,
}

impl Ending {
    /// A child that began `now`, is asked with this signal, and killed a `grace` later.
    pub(super) fn new(now: Duration, timeout: Option<Duration>, ask_with: u8, grace: Duration) -> Self {
        let next = timeout.map(|timeout| now.saturating_add(timeout));
        Self { stage: Stage::Running, next, ask_with, grace, timed_out: false }
    }

    /// When [`Ending::due`] will have something to say; `None` for never.
    pub(super) fn wake_at(&self) -> Option<Duration> {
        self.next
    }

    /// Whether nothing has been done to end it.
    pub(super) fn is_running(&self) -> bool {
        self.stage == Stage::Running
    }

    /// What time has made due.
    pub(super) fn due(&mut self, now: Duration) -> Option<Step> {
        if self.next.is_none_or(|next| next > now) {
            return None;
        }
        Some(match self.stage {
            Stage::Running => {
                self.timed_out = true;
                self.ask(now)
            }
            Stage::Asked => {
                self.stage = Stage::Killed;
                self.next = Some(now.saturating_add(LAST));
                Step::Signal(KILL)
            }
            Stage::Killed => {
                self.stage = Stage::Unread;
                self.next = Some(now.saturating_add(LAST));
                Step::Discard
            }
            Stage::Unread => {
                self.next = None;
                Step::GiveUp
            }
        })
    }

    /// Nobody wants it any more.
    pub(super) fn abandon(&mut self, now: Duration) -> Option<Step> {
        self.is_running().then(|| self.ask(now))
    }

    fn ask(&mut self, now: Duration) -> Step {
        self.stage = Stage::Asked;
        self.next = Some(now.saturating_add(self.grace));
        Step::Signal(self.ask_with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_child_out_of_time_is_asked_then_killed_then_given_up() {
        let mut ending = Ending::new(s(100), Some(s(10)), 15, s(2));
        assert_eq!((ending.due(s(109)), ending.timed_out), (None, false));
        assert_eq!((ending.due(s(110)), ending.timed_out), (Some(Step::Signal(15)), true));
        assert_eq!((ending.due(s(111)), ending.wake_at()), (None, Some(s(112))));
        assert_eq!(ending.due(s(112)), Some(Step::Signal(9)));
        assert_eq!((ending.due(s(116)), ending.due(s(117))), (None, Some(Step::Discard)));
        assert_eq!((ending.due(s(121)), ending.due(s(122))), (None, Some(Step::GiveUp)));
        assert_eq!((ending.due(s(999)), ending.wake_at()), (None, None));
    }

    #[test]
    fn an_abandoned_child_is_asked_once_and_is_not_out_of_time() {
        let mut ending = Ending::new(s(0), None, 2, s(2));
        assert_eq!(ending.wake_at(), None);
        assert_eq!((ending.abandon(s(1)), ending.abandon(s(1))), (Some(Step::Signal(2)), None));
        assert_eq!((ending.due(s(3)), ending.timed_out), (Some(Step::Signal(9)), false));
    }
}
