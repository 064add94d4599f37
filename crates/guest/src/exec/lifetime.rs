//! When an exec is asked to end, made to end, and done. Pure: time comes in as an argument.
//!
//! ```text
//!             timeout, host gone          grace over            process reaped
//!   running ───────────────────▶ asked ────────────────▶ killed ─────────────▶ draining ──▶ done
//!      │                           │                                              ▲   all output at its end,
//!      └───────────────────────────┴──────────── process reaped ──────────────────┘   or the drain time over
//! ```
//!
//! The exec ends when its main process ends. What outlives it (a daemon, a double fork) may hold the output open; it
//! gets [`DRAIN_TIME`] to let go. The outputs are read at least once more after that, so nothing that the main process
//! wrote is lost.

use std::time::Duration;

/// How long output may stay open after the main process has ended.
///
/// Long enough for the rest of a pipeline to write its last lines; short enough that `server &` does not feel stuck.
pub(crate) const DRAIN_TIME: Duration = Duration::from_millis(100);

/// Time from SIGTERM to SIGKILL when the request names none.
pub(crate) const DEFAULT_GRACE: Duration = Duration::from_secs(2);

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Ask the process group to end.
    Ask,
    /// Kill the process group.
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Asked { kill_at: Duration },
    Killed,
    Draining { until: Duration },
}

/// The state of the picture above.
#[derive(Clone, Debug)]
pub(crate) struct Lifetime {
    stage: Stage,
    deadline: Option<Duration>,
    grace: Duration,
    timed_out: bool,
}

impl Lifetime {
    /// A process that was started `now`.
    pub(crate) fn new(now: Duration, timeout_ms: Option<u64>, grace_ms: Option<u32>) -> Self {
        Self {
            stage: Stage::Running,
            deadline: timeout_ms.map(|ms| now.saturating_add(Duration::from_millis(ms))),
            grace: grace_ms.map_or(DEFAULT_GRACE, |ms| Duration::from_millis(u64::from(ms))),
            timed_out: false,
        }
    }

    /// When [`Self::due`] or [`Self::may_stop_draining`] will have something new to say; `None` is never.
    pub(crate) fn wake_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Running => self.deadline,
            Stage::Asked { kill_at } => Some(kill_at),
            Stage::Killed => None,
            Stage::Draining { until } => Some(until),
        }
    }

    /// What time has made due. Ask again after each order.
    pub(crate) fn due(&mut self, now: Duration) -> Option<Order> {
        match self.stage {
            Stage::Running if self.deadline.is_some_and(|deadline| deadline <= now) => {
                self.timed_out = true;
                Some(self.ask(now))
            }
            Stage::Asked { kill_at } if kill_at <= now => Some(self.kill()),
            _ => None,
        }
    }

    /// Nobody wants the process any more.
    pub(crate) fn abandon(&mut self, now: Duration) -> Option<Order> {
        (self.stage == Stage::Running).then(|| self.ask(now))
    }

    /// The main process has been reaped.
    pub(crate) fn process_ended(&mut self, now: Duration) {
        if !self.has_ended() {
            self.stage = Stage::Draining { until: now.saturating_add(DRAIN_TIME) };
        }
    }

    /// Whether the main process has been reaped.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Draining { .. })
    }

    /// Whether those who outlived the main process have had their time.
    pub(crate) fn may_stop_draining(&self, now: Duration) -> bool {
        matches!(self.stage, Stage::Draining { until } if until <= now)
    }

    /// Whether the timeout ended the process.
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out
    }

    fn ask(&mut self, now: Duration) -> Order {
        if self.grace.is_zero() {
            return self.kill();
        }
        self.stage = Stage::Asked { kill_at: now.saturating_add(self.grace) };
        Order::Ask
    }

    fn kill(&mut self) -> Order {
        self.stage = Stage::Killed;
        Order::Kill
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_timeout_asks_then_kills() {
        let mut life = Lifetime::new(ms(1000), Some(50), Some(20));
        assert_eq!(life.wake_at(), Some(ms(1050)));
        assert_eq!(life.due(ms(1049)), None);
        assert_eq!(life.due(ms(1050)), Some(Order::Ask));
        assert_eq!(life.wake_at(), Some(ms(1070)));
        assert_eq!(life.due(ms(1069)), None);
        assert_eq!(life.due(ms(1070)), Some(Order::Kill));
        assert_eq!(life.due(ms(9000)), None);
        assert!(life.timed_out());
    }

    #[test]
    fn without_grace_a_timeout_kills_at_once() {
        let mut life = Lifetime::new(ms(0), Some(5), Some(0));
        assert_eq!(life.due(ms(5)), Some(Order::Kill));
        assert_eq!(life.wake_at(), None);
    }

    #[test]
    fn abandoning_asks_once_and_is_no_timeout() {
        let mut life = Lifetime::new(ms(0), Some(60_000), None);
        assert_eq!(life.abandon(ms(1)), Some(Order::Ask));
        assert_eq!(life.abandon(ms(2)), None);
        assert_eq!(life.wake_at(), Some(ms(1) + DEFAULT_GRACE));
        assert!(!life.timed_out());
    }

    #[test]
    fn after_the_end_only_the_drain_time_counts() {
        let mut life = Lifetime::new(ms(0), Some(10), None);
        life.process_ended(ms(3));
        assert_eq!(life.due(ms(10)), None);
        assert_eq!(life.abandon(ms(10)), None);
        assert!(!life.timed_out());
        assert!(!life.may_stop_draining(ms(3)));
        assert!(life.may_stop_draining(ms(3) + DRAIN_TIME));
        life.process_ended(ms(500));
        assert_eq!(life.wake_at(), Some(ms(3) + DRAIN_TIME));
    }

    #[test]
    fn absurd_numbers_do_not_overflow() {
        let mut life = Lifetime::new(Duration::MAX, Some(u64::MAX), Some(u32::MAX));
        assert_eq!(life.due(Duration::MAX), Some(Order::Ask));
        life.process_ended(Duration::MAX);
        assert!(life.may_stop_draining(Duration::MAX));
    }
}
