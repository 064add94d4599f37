//! Moments as RFC 3339 text in UTC.

use lazaret_core::Timestamp;

/// The moment, with as many digits behind the second as it needs; the end of the calendar for one beyond it.
pub(super) fn rfc3339(moment: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(moment.unix_micros()).unwrap_or(jiff::Timestamp::MAX).to_string()
}
