//! A guest to test, and a client for it.

mod client;
mod event;
mod sandbox;

use std::time::{Duration, Instant};

use lazaret_protocol::{ByteString, Exec};

pub(crate) use client::Client;
pub(crate) use event::Event;
pub(crate) use sandbox::Sandbox;

/// How long anything may take before a test calls it a hang. Generous, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An exec of these arguments with the `PATH` of the test.
pub(crate) fn exec(argv: &[&str]) -> Exec {
    Exec {
        argv: argv.iter().map(|arg| ByteString::from(*arg)).collect(),
        env: vec!["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into()],
        ..Exec::default()
    }
}

/// A shell script.
pub(crate) fn sh(script: &str) -> Exec {
    exec(&["sh", "-c", script])
}

/// Waits until `condition` gives a value.
#[expect(clippy::disallowed_methods, reason = "the one place in these tests that polls, with a deadline")]
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
