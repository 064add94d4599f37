//! How long a sandbox may live, and what happens when its time is up.

use std::time::Duration;

use crate::{Error, Result, limits};

/// What happens to a sandbox that nobody used for its idle time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleAction {
    /// End it for good; the record stays listed.
    Expire,
    /// End its processes and keep the disk.
    Stop,
    /// Freeze it.
    Pause,
}

/// The time limits of a sandbox. Using it renews the idle time; nothing shortens a life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeasePolicy {
    /// How long without use until the action; `None` for never.
    pub idle: Option<(Duration, IdleAction)>,
    /// How long stopped until its disk is packed away; `None` for never.
    pub archive_stopped_after: Option<Duration>,
    /// How long stopped, or archived, until it is deleted; zero to delete it as it stops, `None` for never.
    pub delete_stopped_after: Option<Duration>,
    /// Longest life from creation, used or not, after which it expires; `None` for no end.
    pub life: Option<Duration>,
}

impl LeasePolicy {
    /// Checks every span against [`limits`].
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field and its range.
    pub fn check(self) -> Result<Self> {
        let spans = [
            ("idle_timeout", self.idle.map(|(span, _)| span)),
            ("archive_stopped_after", self.archive_stopped_after),
            ("delete_stopped_after", self.delete_stopped_after.filter(|span| !span.is_zero())),
            ("life", self.life),
        ];
        for (field, span) in spans {
            if let Some(span) = span
                && !(limits::IDLE_MIN..=limits::IDLE_MAX).contains(&span)
            {
                let (low, high) = (limits::IDLE_MIN.as_secs(), limits::IDLE_MAX.as_secs());
                return Err(Error::invalid(field, format!("must be from {low} to {high} seconds")));
            }
        }
        Ok(self)
    }
}
