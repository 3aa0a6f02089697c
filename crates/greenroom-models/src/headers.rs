//! What the headers of a response say about limits and about trying again. Anything that cannot be read
//! is as if it were not there: a bad header never hides the status that it came with.

use std::time::Duration;

use greenroom_core::model::{LimitHint, RateLimitHints, ResponseMeta};
use greenroom_core::time::Timestamp;

mod dates;

/// The longest wait that is told apart; whoever asks for more gets no try within any deadline.
const WAIT_MAX: Duration = Duration::from_secs(366 * 86_400);

/// What a response says beside its body. `header` gives the value of a header by its lowercase name.
#[must_use]
pub fn meta<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> ResponseMeta {
    let id = header("x-request-id").or_else(|| header("request-id"));
    ResponseMeta { request_id: id.map(str::to_owned), limits: limits(header, now) }
}

/// How long a provider asks to wait: `retry-after-ms`, or else `retry-after` in seconds or as a date.
///
/// | value | wait |
/// |---|---|
/// | a positive number | so long; at most a year |
/// | a date that is to come | until then |
/// | a date that is past, zero, less than zero, or anything else | `None`: it says nothing |
#[must_use]
pub fn retry_after<'a>(
    header: impl Fn(&str) -> Option<&'a str>,
    now: Timestamp,
) -> Option<Duration> {
    let millis = header("retry-after-ms").and_then(|text| span(text, 0.001));
    millis.or_else(|| {
        let text = header("retry-after")?;
        let until = || dates::imf_fixdate(text.trim()).map(|at| at.since(now));
        span(text, 1.0).or_else(until).filter(|wait| !wait.is_zero())
    })
}

/// When the response was made, by the provider's own clock; the end of all time when it does not say. Dates of
/// the same response are measured from there, so that no clock of ours has to agree with the provider's.
#[must_use]
pub fn date<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Timestamp {
    let date = header("date").and_then(|text| dates::imf_fixdate(text.trim()));
    date.unwrap_or(Timestamp::from_millis(u64::MAX))
}

/// Whether the provider says itself that the same request may, or may not, succeed later.
#[must_use]
pub fn should_retry<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<bool> {
    match header("x-should-retry")?.trim() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// A positive number of units.
fn span(text: &str, unit_s: f64) -> Option<Duration> {
    let seconds = text.trim().parse::<f64>().ok()? * unit_s;
    let is_span = seconds.is_finite() && seconds > 0.0;
    is_span.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(WAIT_MAX).min(WAIT_MAX))
}

/// The names of the headers of a limit. Every response is searched for them, so they are not made each time.
macro_rules! named {
    (openai $what:literal) => {
        [
            concat!("x-ratelimit-limit-", $what),
            concat!("x-ratelimit-remaining-", $what),
            concat!("x-ratelimit-reset-", $what),
        ]
    };
    (anthropic $what:literal) => {
        [
            concat!("anthropic-ratelimit-", $what, "-limit"),
            concat!("anthropic-ratelimit-", $what, "-remaining"),
            concat!("anthropic-ratelimit-", $what, "-reset"),
        ]
    };
}

/// The limits, in the spelling of OpenAI (`x-ratelimit-remaining-tokens`) or of Anthropic
/// (`anthropic-ratelimit-tokens-remaining`).
fn limits<'a>(header: impl Fn(&str) -> Option<&'a str>, now: Timestamp) -> RateLimitHints {
    let count = |name: &str| header(name)?.trim().parse::<u64>().ok();
    let openai = |[limit, remaining, reset]: [&str; 3]| LimitHint {
        limit: count(limit),
        remaining: count(remaining),
        reset: header(reset).and_then(go_duration),
    };
    let anthropic = |[limit, remaining, reset]: [&str; 3]| LimitHint {
        limit: count(limit),
        remaining: count(remaining),
        reset: header(reset)
            .and_then(|text| dates::rfc3339(text.trim()))
            .map(|at| at.since(now).min(WAIT_MAX)),
    };
    let apart = [
        anthropic(named!(anthropic "tokens")),
        anthropic(named!(anthropic "input-tokens")),
        anthropic(named!(anthropic "output-tokens")),
    ];
    let nearest = apart.into_iter().min_by(|left, right| share(*left).total_cmp(&share(*right)));
    RateLimitHints {
        requests: either(
            openai(named!(openai "requests")),
            anthropic(named!(anthropic "requests")),
        ),
        tokens: either(openai(named!(openai "tokens")), nearest.unwrap_or_default()),
    }
}

fn either(one: LimitHint, other: LimitHint) -> LimitHint {
    if one == LimitHint::default() { other } else { one }
}

/// How much of a limit is left; above 1 when that is unknown.
fn share(hint: LimitHint) -> f64 {
    match (hint.limit, hint.remaining) {
        (Some(limit), Some(remaining)) if limit > 0 => remaining as f64 / limit as f64,
        _ if hint == LimitHint::default() => 3.0,
        _ => 2.0,
    }
}

/// A span as Go writes it: `1s`, `6m0s`, `12ms`, `1h2m3.5s`; a bare number is in seconds.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.parse::<f64>().is_ok() {
        return span(rest, 1.0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok().map(|span| span.min(WAIT_MAX))
}

#[cfg(test)]
mod tests;
