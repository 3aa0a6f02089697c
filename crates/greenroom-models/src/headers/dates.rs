//! The two spellings of an instant that providers put into headers. A date that is not exactly one of
//! them is no date.

use greenroom_core::time::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `Fri, 29 Sep 2023 16:26:57 GMT` (RFC 9110, IMF-fixdate).
pub(super) fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.split_once(", ")?;
    if !DAYS.contains(&weekday) {
        return None;
    }
    let [day, month, year, time, "GMT"] = fields(rest, ' ')? else { return None };
    let month = 1 + MONTHS.iter().position(|name| *name == month)? as u64;
    let [hour, minute, second] = fields(time, ':')?;
    instant(
        [digits(year, 4)?, month, digits(day, 2)?],
        [digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?],
    )
}

/// `2024-01-01T00:00:10Z`, with or without a fraction of a second, and with `Z` or `+00:00`.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let (date, time) = text.split_once('T')?;
    let time = time.strip_suffix('Z').or_else(|| time.strip_suffix("+00:00"))?;
    let [year, month, day] = fields(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = fields(time, ':')?;
    let at = instant(
        [digits(year, 4)?, digits(month, 2)?, digits(day, 2)?],
        [digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?],
    )?;
    let fraction = digits(fraction, fraction.len().clamp(1, 9))? as f64
        / 10_f64.powi(i32::try_from(fraction.len()).ok()?);
    Some(Timestamp::from_millis(at.as_millis() + (fraction * 1000.0) as u64))
}

fn fields<const N: usize>(text: &str, between: char) -> Option<[&str; N]> {
    let fields: Vec<_> = text.split(between).collect();
    fields.try_into().ok()
}

fn digits(text: &str, n_digits: usize) -> Option<u64> {
    let is_number = text.len() == n_digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// The days from the epoch are counted with the year beginning in March, so that the leap day is its
/// last (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn instant([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<Timestamp> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let n_days = match month {
        2 => 28 + u64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year < 1970 || !(1..=n_days).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    let days_of_epoch = 719_468;
    let seconds = ((days - days_of_epoch) * 24 + hour) * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000))
}
