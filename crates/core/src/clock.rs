//! Time: the wall clock for what people read, a monotonic one for deadlines.
//!
//! A deadline is kept on the monotonic side, so that a jump of the wall clock neither ends a sandbox early nor keeps
//! it for ever. The one implementation that asks the kernel lives in the server.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

/// A moment of the wall clock, in microseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after (before, if negative) the Unix epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The moment `span` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.unix_seconds(), self.0.rem_euclid(1_000_000))
    }
}

/// Where every part of the core reads time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since a fixed, unnamed moment, counting the time that the machine was suspended. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// A clock that moves only when told to; for tests.
#[derive(Debug)]
pub struct ManualClock {
    times: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock standing at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { times: Mutex::new((now, Duration::from_secs(1))) }
    }

    /// Moves both the wall clock and the monotonic clock forward.
    pub fn advance(&self, span: Duration) {
        let mut times = self.times.lock().expect("no panic under this lock");
        *times = (times.0.after(span), times.1 + span);
    }

    /// Sets the wall clock alone, as an operator or NTP would.
    pub fn jump_to(&self, now: Timestamp) {
        self.times.lock().expect("no panic under this lock").0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.times.lock().expect("no panic under this lock").0
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().expect("no panic under this lock").1
    }
}
