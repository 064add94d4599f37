//! `HEALTHCHECK`: recorded in the image for whoever runs it elsewhere; nothing here runs it.

use std::time::Duration;

use super::instruction::{Command, flag_value};

/// Longest interval, timeout or start period: Docker's own durations end at 292 years, nobody's check does.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// A check as the image records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: the base's check is not taken over.
    Disabled,
    /// What to run, and when.
    Run {
        /// The command.
        command: Command,
        /// Between two checks; `None` where the file does not say.
        interval: Option<Duration>,
        /// How long one may take.
        timeout: Option<Duration>,
        /// How long failures at the start do not count.
        start_period: Option<Duration>,
        /// Between two checks in that time.
        start_interval: Option<Duration>,
        /// Failures in a row that count.
        retries: Option<u32>,
    },
}

impl Healthcheck {
    pub(super) fn parse(flags: &[(&str, Option<&str>)], rest: &str) -> Result<Self, String> {
        let (kind, command) = super::lines::split_keyword(rest);
        if kind.eq_ignore_ascii_case("NONE") {
            return if flags.is_empty() && command.is_empty() {
                Ok(Self::Disabled)
            } else {
                Err("HEALTHCHECK NONE takes nothing further".to_owned())
            };
        }
        if !kind.eq_ignore_ascii_case("CMD") || command.is_empty() {
            return Err("HEALTHCHECK needs NONE, or CMD and a command".to_owned());
        }
        let (mut interval, mut timeout, mut start_period, mut start_interval) = (None, None, None, None);
        let mut retries = None;
        for (name, value) in flags {
            let value = flag_value(name, *value)?;
            let place = match *name {
                "interval" => &mut interval,
                "timeout" => &mut timeout,
                "start-period" => &mut start_period,
                "start-interval" => &mut start_interval,
                "retries" => {
                    retries = Some(value.parse().map_err(|_| "--retries must be a number".to_owned())?);
                    continue;
                }
                _ => return Err(format!("HEALTHCHECK --{name} is outside the subset")),
            };
            *place = Some(duration(value).ok_or_else(|| format!("--{name} must be from 1ms to 24h"))?);
        }
        let command = Command::parse(command);
        Ok(Self::Run { command, interval, timeout, start_period, start_interval, retries })
    }
}

/// A duration such as `1m30s`, from a millisecond to [`LONGEST`].
fn duration(text: &str) -> Option<Duration> {
    let mut total = 0.0_f64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit_and_more = &rest[digits..];
        let units =
            [("ms", 0.001), ("us", 0.000_001), ("ns", 0.000_000_001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, seconds) = units.into_iter().find(|(unit, _)| unit_and_more.starts_with(unit))?;
        total += number * seconds;
        rest = &unit_and_more[unit.len()..];
    }
    let duration = Duration::try_from_secs_f64(total).ok()?;
    (Duration::from_millis(1)..=LONGEST).contains(&duration).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos_within_bounds() {
        for (text, want) in [
            ("30s", Some(30_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("5ms", Some(5)),
            ("0s", None),
            ("25h", None),
            ("5", None),
            ("s", None),
            ("", None),
            ("5x", None),
            ("-5s", None),
        ] {
            assert_eq!(duration(text), want.map(Duration::from_millis), "{text}");
        }
    }
}
