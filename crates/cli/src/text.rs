//! Text for people: tables, ages, sizes, and strings from elsewhere made harmless to a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::BinaryBytes;
use jiff::Timestamp;

/// `text` with its control characters written as escapes.
///
/// Names, messages and paths can come from inside a sandbox; printed raw they could drive the reader's terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        // Bidirectional overrides (U+202A..E, U+2066..9) reorder what stands around them, so they count as well.
        if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            let _infallible = write!(out, "{}", c.escape_debug());
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints a table without borders on standard output.
pub(crate) fn print_table(head: &[&str], rows: Vec<Vec<String>>) -> io::Result<()> {
    writeln!(io::stdout(), "{}", table(head, rows))
}

/// A table without borders: a head line, one line a row, columns three spaces apart.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(head.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

/// Bytes with a binary unit, such as `1.00 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// How long before `now` the moment `then` was, in its largest unit: `12s`, `3m`, `5h`, `2d`.
///
/// What is not a time of RFC 3339 is shown as `?`; a moment in the future is `0s`.
pub(crate) fn age(then: &str, now: Timestamp) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    let Ok(then) = then.parse::<Timestamp>() else {
        return "?".to_owned();
    };
    match now.duration_since(then).as_secs().max(0) {
        seconds @ ..MINUTE => format!("{seconds}s"),
        seconds @ MINUTE..HOUR => format!("{}m", seconds / MINUTE),
        seconds @ HOUR..DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

/// A moment to the second, which is what people want to know of it.
pub(crate) fn moment(text: &str) -> String {
    let whole = text.parse().and_then(|moment: Timestamp| Timestamp::from_second(moment.as_second()));
    whole.map_or_else(|_| text.to_owned(), |moment| moment.to_string())
}

/// The first hexadecimal digits of an id, enough to tell it from its neighbours; every command accepts them.
pub(crate) fn short_id(id: &str) -> String {
    const SHORT_ID_DIGITS: usize = 12;
    id.chars().filter(|c| *c != '-').take(SHORT_ID_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_reordering_marks_are_made_visible() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c é"), "a\\u{1b}[2Jb\\u{202e}c é");
    }

    #[test]
    fn a_table_has_no_borders_and_no_trailing_space() {
        let rows = vec![vec!["web".to_owned(), "running".to_owned()], vec!["a\nb".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "STATE"], rows), "NAME   STATE\nweb    running\na\\nb");
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        for (then, want) in [
            ("2026-01-01T23:59:48.9Z", "11s"),
            ("2026-01-01T23:57:00Z", "3m"),
            ("2026-01-01T00:00:01Z", "23h"),
            ("2025-12-30T00:00:00Z", "3d"),
            ("2026-01-02T00:00:01Z", "0s"),
            ("yesterday", "?"),
        ] {
            assert_eq!(age(then, now), want, "{then}");
        }
    }

    #[test]
    fn a_moment_is_shown_to_the_second() {
        assert_eq!(moment("2026-11-22T03:53:53.946168Z"), "2026-11-22T03:53:53Z");
        assert_eq!(moment("soon"), "soon");
    }

    #[test]
    fn a_short_id_skips_the_dashes() {
        assert_eq!(short_id("68a00001-0a0b-8c0d-8e0f-101112131415"), "68a000010a0b");
    }
}
