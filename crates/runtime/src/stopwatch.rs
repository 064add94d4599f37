//! Elapsed real time in the spawner and its children, which are processes without the server's clock to ask.

use std::time::{Duration, Instant};

/// Measures the parts of one piece of work.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    started: Instant,
    lap: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the only look at real time in the spawner")]
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { started: now, lap: now }
    }

    /// Microseconds since the last lap, or the start.
    pub(crate) fn lap_us(&mut self) -> u64 {
        let lap = self.lap.elapsed();
        self.lap += lap;
        micros(lap)
    }

    /// Time since the last lap, or the start.
    pub(crate) fn since_lap(&self) -> Duration {
        self.lap.elapsed()
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Microseconds since the start.
    pub(crate) fn total_us(&self) -> u64 {
        micros(self.elapsed())
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
