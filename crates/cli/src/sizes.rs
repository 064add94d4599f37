//! Numbers with units, as people type them: `512m`, `1.5GiB`, `0.5` of a core, `90s`, `2h30m`.

use std::time::Duration;

/// Bytes. Units are binary whatever their spelling (`1g`, `1GB` and `1GiB` are the same), as `docker run` has it.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size; write it like 512m, 1.5g or 1073741824");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(wrong()),
    };
    // Decimal, not floating point: a fraction must not round the bytes that somebody wrote.
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(wrong());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let whole = whole.checked_mul(1 << shift).ok_or_else(wrong)?;
    whole.checked_add(fraction_of(fraction, 1 << shift).ok_or_else(wrong)?).ok_or_else(wrong)
}

/// Thousandths of a core: `0.5` is 500.
pub(crate) fn parse_cpus(text: &str) -> Result<u32, String> {
    const MILLIS_OF_A_CORE: u64 = 1000;
    let wrong = || format!("'{text}' is not a number of cores; write it like 0.5 or 2");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(wrong());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    let millis = whole
        .checked_mul(MILLIS_OF_A_CORE)
        .and_then(|whole| whole.checked_add(fraction_of(fraction, MILLIS_OF_A_CORE)?))
        .ok_or_else(wrong)?;
    u32::try_from(millis).map_err(|_| wrong())
}

/// A span of time; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(text)
        .map_err(|_| format!("'{text}' is not a span of time; write it like 30s, 5m, 1h30m or 2d"))
}

/// Whole seconds of a span, for settings that count in them.
pub(crate) fn parse_seconds(text: &str) -> Result<u64, String> {
    let span = parse_duration(text)?;
    if span.subsec_nanos() != 0 {
        return Err(format!("'{text}' is not a whole number of seconds"));
    }
    Ok(span.as_secs())
}

/// The part of `unit` that the decimals `.fraction` stand for, rounded down; `None` if they are no digits.
fn fraction_of(fraction: &str, unit: u64) -> Option<u64> {
    // Twelve digits are finer than a byte of a tebibyte.
    const DIGITS_MAX: usize = 12;
    if fraction.is_empty() {
        return Some(0);
    }
    if fraction.len() > DIGITS_MAX || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: u128 = fraction.parse().ok()?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    u64::try_from(digits * u128::from(unit) / scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_binary_units_in_any_spelling_and_fractions() {
        for (text, want) in [
            ("0", 0),
            ("1073741824", 1 << 30),
            ("1b", 1),
            ("64k", 64 << 10),
            ("512m", 512 << 20),
            ("512MB", 512 << 20),
            ("1.5g", 3 << 29),
            (".5GiB", 1 << 29),
            ("2 tib", 2 << 40),
        ] {
            assert_eq!(parse_bytes(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "g", ".", "-1", "1x", "1.2.3", "1e9", "99999999999t", "18446744073709551616", "+1"] {
            let want = format!("'{text}' is not a size; write it like 512m, 1.5g or 1073741824");
            assert_eq!(parse_bytes(text), Err(want));
        }
    }

    #[test]
    fn cores_are_counted_in_thousandths() {
        for (text, want) in [("1", 1000), ("0.5", 500), (".25", 250), ("2.0009", 2000)] {
            assert_eq!(parse_cpus(text), Ok(want), "{text}");
        }
        for text in ["", ".", "half", "-1", "5000000000", "1.x"] {
            let want = format!("'{text}' is not a number of cores; write it like 0.5 or 2");
            assert_eq!(parse_cpus(text), Err(want));
        }
    }

    #[test]
    fn a_bare_number_of_time_is_seconds() {
        for (text, want) in [("90", 90_000), ("250ms", 250), ("1h30m", 5_400_000), ("2d", 172_800_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(want)), "{text}");
        }
        assert_eq!(parse_seconds("1500ms"), Err("'1500ms' is not a whole number of seconds".to_owned()));
        assert_eq!(
            parse_duration("soon"),
            Err("'soon' is not a span of time; write it like 30s, 5m, 1h30m or 2d".to_owned())
        );
    }
}
