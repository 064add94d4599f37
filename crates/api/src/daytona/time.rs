//! Moments as the clients read them.

use lazaret_core::Timestamp;

/// ISO 8601 in UTC with milliseconds and a `Z`; the end of the calendar for a moment beyond it.
pub(super) fn iso8601(moment: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(moment.unix_micros().div_euclid(1000));
    format!("{:.3}", moment.unwrap_or(jiff::Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_milliseconds_whether_it_needs_them_or_not() {
        for (micros, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_755_300_000_123_999, "2025-08-15T23:20:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso8601(Timestamp::from_unix_micros(micros)), want);
        }
    }
}
