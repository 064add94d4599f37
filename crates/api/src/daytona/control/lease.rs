//! Intervals in minutes, to and from a lease.

use std::time::Duration;

use lazaret_core::{IdleAction, LeasePolicy, limits};

use super::wire::NewSandbox;
use crate::daytona::bad_request;
use crate::failure::Failure;

/// Minutes without use until a sandbox stops, unless its maker says otherwise.
const AUTO_STOP_DEFAULT: i64 = 15;
/// Minutes stopped until it is archived, unless its maker says otherwise: a week.
const AUTO_ARCHIVE_DEFAULT: i64 = 7 * 24 * 60;

const MINUTE: Duration = Duration::from_secs(60);

/// The lease of a new sandbox.
pub(super) fn policy(new: &NewSandbox) -> Result<LeasePolicy, Failure> {
    let stop = new.auto_stop_interval;
    let pause = new.auto_pause_interval.unwrap_or(0);
    if stop.unwrap_or(0) != 0 && pause != 0 {
        return Err(bad_request(
            "autoStopInterval and autoPauseInterval are mutually exclusive. Set at most one of them to a non-zero value",
        ));
    }
    // Whoever wants it paused does not want it stopped as well.
    let stop = stop.unwrap_or(if pause == 0 { AUTO_STOP_DEFAULT } else { 0 });
    let idle = match auto_pause(pause)? {
        Some(span) => Some((span, IdleAction::Pause)),
        None => auto_stop(stop)?.map(|span| (span, IdleAction::Stop)),
    };
    let delete_stopped_after = auto_delete(new.auto_delete_interval.unwrap_or(-1));
    if pause != 0 && delete_stopped_after == Some(Duration::ZERO) {
        return Err(bad_request("Ephemeral sandboxes cannot have auto-pause enabled"));
    }
    Ok(LeasePolicy {
        idle,
        archive_stopped_after: Some(auto_archive(new.auto_archive_interval.unwrap_or(AUTO_ARCHIVE_DEFAULT))?),
        delete_stopped_after,
        life: ttl(new.ttl_minutes.unwrap_or(0))?,
    })
}

/// `None` for never.
pub(super) fn auto_stop(minutes: i64) -> Result<Option<Duration>, Failure> {
    non_negative(minutes, "Auto-stop interval must be non-negative")
}

/// `None` for never.
pub(super) fn auto_pause(minutes: i64) -> Result<Option<Duration>, Failure> {
    non_negative(minutes, "Auto-pause interval must be non-negative")
}

/// No sandbox stays unpacked for ever: 0 is the longest.
pub(super) fn auto_archive(minutes: i64) -> Result<Duration, Failure> {
    let span = non_negative(minutes, "Auto-archive interval must be non-negative")?;
    Ok(span.unwrap_or(limits::ARCHIVE_AFTER_MAX).min(limits::ARCHIVE_AFTER_MAX))
}

/// Negative for never, zero for one that is deleted as it stops.
pub(super) fn auto_delete(minutes: i64) -> Option<Duration> {
    u64::try_from(minutes).ok().map(span)
}

/// `None` for no end.
pub(super) fn ttl(minutes: i64) -> Result<Option<Duration>, Failure> {
    non_negative(minutes, "TTL must be non-negative")
}

fn non_negative(minutes: i64, refusal: &str) -> Result<Option<Duration>, Failure> {
    let minutes = u64::try_from(minutes).map_err(|_| bad_request(refusal))?;
    Ok((minutes > 0).then(|| span(minutes)))
}

fn span(minutes: u64) -> Duration {
    MINUTE.checked_mul(u32::try_from(minutes).unwrap_or(u32::MAX)).unwrap_or(Duration::MAX)
}

/// Whole minutes, begun ones counted.
pub(super) fn minutes(span: Duration) -> u64 {
    span.as_secs().div_ceil(MINUTE.as_secs())
}

/// Minutes of each interval as a client sees them: stop, pause, archive, delete.
pub(super) fn shown(policy: &LeasePolicy) -> (u64, u64, u64, i64) {
    let of = |wanted: &[IdleAction]| match policy.idle {
        Some((span, action)) if wanted.contains(&action) => minutes(span),
        _ => 0,
    };
    // One that expires for want of use is destroyed, in the words of this API; there is no interval for that.
    let stop = of(&[IdleAction::Stop, IdleAction::Expire]);
    let delete =
        policy.delete_stopped_after.map_or(-1, |span| i64::try_from(minutes(span)).unwrap_or(i64::MAX));
    (stop, of(&[IdleAction::Pause]), policy.archive_stopped_after.map_or(0, minutes), delete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(new: NewSandbox) -> Result<(u64, u64, u64, i64), String> {
        policy(&new).map(|policy| shown(&policy)).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_absent_has_the_contracts_default_and_what_is_given_reads_back() {
        let base = NewSandbox::default;
        for (new, want) in [
            (base(), (15, 0, 10_080, -1)),
            (NewSandbox { auto_stop_interval: Some(0), ..base() }, (0, 0, 10_080, -1)),
            (NewSandbox { auto_pause_interval: Some(7), ..base() }, (0, 7, 10_080, -1)),
            (NewSandbox { auto_archive_interval: Some(0), ..base() }, (15, 0, 43_200, -1)),
            (NewSandbox { auto_archive_interval: Some(99_999), ..base() }, (15, 0, 43_200, -1)),
            (NewSandbox { auto_delete_interval: Some(0), ..base() }, (15, 0, 10_080, 0)),
            (NewSandbox { auto_delete_interval: Some(60), ..base() }, (15, 0, 10_080, 60)),
        ] {
            assert_eq!(check(new), Ok(want));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let base = NewSandbox::default;
        for (new, want) in [
            (
                NewSandbox { auto_stop_interval: Some(-1), ..base() },
                "Auto-stop interval must be non-negative",
            ),
            (
                NewSandbox { auto_archive_interval: Some(-1), ..base() },
                "Auto-archive interval must be non-negative",
            ),
            (NewSandbox { ttl_minutes: Some(-1), ..base() }, "TTL must be non-negative"),
            (
                NewSandbox { auto_pause_interval: Some(1), auto_delete_interval: Some(0), ..base() },
                "Ephemeral sandboxes cannot have auto-pause enabled",
            ),
        ] {
            assert_eq!(check(new), Err(want.to_owned()));
        }
    }
}
