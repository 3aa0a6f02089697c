//! Durations as people write them: `500ms`, `30s`, `1.5m`, `2h`.

use std::time::Duration;

/// The longest duration that is accepted. A run of more than a day is a typing error.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

const UNITS: [(&str, f64); 6] =
    [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];

/// Reads a number with its unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = span(text, &UNITS[..4], "ms, s, m or h")?;
    if duration > LONGEST { Err("it must be at most 24h".to_owned()) } else { Ok(duration) }
}

/// Reads how old something is: of any length, in days and weeks, too.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    span(text, &UNITS[1..], "s, m, h, d or w")
}

fn span(text: &str, units: &[(&str, f64)], names: &str) -> Result<Duration, String> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let Some((_, seconds)) = units.iter().find(|(name, _)| *name == unit.trim()) else {
        return Err(format!("write a number and a unit: {names}"));
    };
    let is_plain = number.chars().all(|c| c.is_ascii_digit() || c == '.');
    let number: f64 = match number.parse() {
        Ok(number) if is_plain => number,
        _ => return Err(format!("{number:?} is not a number")),
    };
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if duration.is_zero() => Err("it must be more than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("it is too long".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        let wanted =
            [("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("1.5s", 1500), ("1h", 3_600_000)];
        for (text, millis) in wanted {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn ages_may_be_long() {
        let day = 24 * 60 * 60;
        for (text, seconds) in [("12h", day / 2), ("30d", 30 * day), ("8w", 56 * day), ("1s", 1)] {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert!(["0d", "5ms", "1y", "9e9d"].iter().all(|text| age(text).is_err()));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_a_reason() {
        for text in
            ["", "30", "s", "-1s", "0s", "1d", "inf s", "1e3s", "9999h", "1..2s", "5 minutes"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
