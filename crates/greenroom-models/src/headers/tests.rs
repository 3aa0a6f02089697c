//! Headers as providers send them, and as nobody should.

use std::time::Duration;

use greenroom_core::model::{LimitHint, RateLimitHints};
use greenroom_core::time::Timestamp;
use proptest::prelude::*;

use super::{date, limits, meta, retry_after, should_retry};

/// Fri 29 Sep 2023 16:26:37 GMT.
const NOW: Timestamp = Timestamp::from_millis(1_696_004_797_000);

fn find<'a>(headers: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

#[track_caller]
fn check(headers: &[(&str, &str)], expect_ms: impl Into<Option<u64>>) {
    let expect = expect_ms.into().map(Duration::from_millis);
    assert_eq!(retry_after(|name| find(headers, name), NOW), expect, "{headers:?}");
}

/// The table of openai-python's `test_parse_retry_after_header`, with waits above two minutes kept, so
/// that the policy can refuse them.
#[test]
fn rt03_the_wait_is_read_as_the_table_says() {
    for (value, seconds) in [("20", 20), ("60", 60), ("120", 120), ("121", 121), (" 20 ", 20)] {
        check(&[("retry-after", value)], seconds * 1000);
    }
    for nothing in ["0", "-10", "", "inf", "nan", "-inf", "soon", "Zun, 29 Sep 2023 16:26:57 GMT"] {
        check(&[("retry-after", nothing)], None);
    }
    check(&[("retry-after", "Fri, 29 Sep 2023 16:26:57 GMT")], 20_000);
    check(&[("retry-after", "Fri, 29 Sep 2023 16:28:37 GMT")], 120_000);
    check(&[("retry-after", "Fri, 29 Sep 2023 16:28:38 GMT")], 121_000);
    check(&[("retry-after", "Fri, 29 Sep 2023 16:26:37 GMT")], None);
    check(&[("retry-after", "Fri, 29 Sep 2023 16:26:27 GMT")], None);
    check(&[("retry-after", "Fri, 29 Sep 100000 16:26:57 GMT")], None);
    check(&[("retry-after", "Fri, 31 Sep 2023 16:26:57 GMT")], None);
    check(&[("retry-after", &"9".repeat(35))], 366 * 86_400_000);
    check(&[("retry-after-ms", "120001")], 120_001);
    check(&[("retry-after-ms", "120000"), ("retry-after", "7")], 120_000);
    check(&[("retry-after-ms", "never"), ("retry-after", "7")], 7000);
    check(&[], None);
}

#[test]
fn rt01_whether_to_try_again_is_said_or_not_said() {
    for (value, expect) in [("true", Some(true)), ("false", Some(false)), ("maybe", None)] {
        assert_eq!(should_retry(|name| find(&[("x-should-retry", value)], name)), expect);
    }
    assert_eq!(should_retry(|_| None), None);
}

fn hint(limit: u64, remaining: u64, reset_ms: u64) -> LimitHint {
    let reset = Some(Duration::from_millis(reset_ms));
    LimitHint { limit: Some(limit), remaining: Some(remaining), reset }
}

#[test]
fn rl02_limits_are_read_in_the_spelling_of_openai() {
    let headers = [
        ("x-request-id", "req_1"),
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "6m0s"),
    ];
    let meta = meta(|name| find(&headers, name), NOW);
    assert_eq!(meta.request_id.as_deref(), Some("req_1"));
    assert_eq!(meta.limits.requests, hint(60, 59, 1000));
    assert_eq!(meta.limits.tokens, hint(150_000, 149_984, 360_000));
}

#[test]
fn rl02_limits_are_read_in_the_spelling_of_anthropic() {
    let headers = [
        ("request-id", "req_2"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", "0"),
        ("anthropic-ratelimit-requests-reset", "2023-09-29T16:26:38Z"),
        ("anthropic-ratelimit-input-tokens-limit", "20000"),
        ("anthropic-ratelimit-input-tokens-remaining", "10000"),
        ("anthropic-ratelimit-input-tokens-reset", "2023-09-29T16:27:07.500Z"),
        ("anthropic-ratelimit-output-tokens-limit", "8000"),
        ("anthropic-ratelimit-output-tokens-remaining", "800"),
        ("anthropic-ratelimit-output-tokens-reset", "2023-09-29T16:26:07+00:00"),
    ];
    let meta = meta(|name| find(&headers, name), NOW);
    assert_eq!(meta.request_id.as_deref(), Some("req_2"));
    assert_eq!(meta.limits.requests, hint(50, 0, 1000));
    assert_eq!(meta.limits.tokens, hint(8000, 800, 0), "the output is nearer to its end");
    let input: Vec<_> = headers.into_iter().filter(|(name, _)| !name.contains("output")).collect();
    assert_eq!(limits(|name| find(&input, name), NOW).tokens, hint(20_000, 10_000, 30_500));
}

#[track_caller]
fn check_reset(text: &str, expect_us: impl Into<Option<u64>>) {
    let headers = [("x-ratelimit-reset-tokens", text)];
    let reset = limits(|name| find(&headers, name), NOW).tokens.reset;
    assert_eq!(reset, expect_us.into().map(Duration::from_micros), "{text:?}");
}

#[test]
fn rl02_resets_are_read_in_every_unit() {
    check_reset("12ms", 12_000);
    check_reset("1h2m3.5s", 3_723_500_000);
    check_reset("7m12s", 432_000_000);
    check_reset("250us", 250);
    check_reset("3", 3_000_000);
    for garbage in ["", "s", "1", "1x", "-1s", "1s2", "1.2.3s", "９s", "∞"] {
        let expect = if garbage == "1" { Some(1_000_000) } else { None };
        check_reset(garbage, expect);
    }
}

proptest! {
    #[test]
    fn rl02_no_header_panics_and_garbage_says_nothing(text in "\\PC{0,40}|[0-9TZ:.,+\\-a-zA-Z ]{0,40}") {
        let everywhere = |_: &str| Some(text.as_str());
        let wait = retry_after(everywhere, NOW);
        prop_assert!(wait.is_none_or(|wait| !wait.is_zero()));
        let _ = meta(everywhere, NOW);
        let is_number = text.trim().parse::<u64>().is_ok();
        let RateLimitHints { requests, .. } = limits(everywhere, NOW);
        prop_assert_eq!(requests.limit.is_some(), is_number);
    }
}

#[test]
fn the_date_of_a_response_is_where_its_dates_are_measured_from() {
    let headers = [
        ("date", "Fri, 29 Sep 2023 16:26:37 GMT"),
        ("retry-after", "Fri, 29 Sep 2023 16:26:57 GMT"),
    ];
    let wait = |headers: &[(&'static str, &'static str)]| {
        let head = |name: &str| find(headers, name);
        retry_after(head, date(head))
    };
    assert_eq!(wait(&headers), Some(Duration::from_secs(20)));
    assert_eq!(wait(&headers[1..]), None, "without a date of its own, a date says nothing");
}
