//! The rows RL01 to RL03, and that no limit is ever exceeded.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const MODEL: ModelKey = ModelKey(0);

const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(requests: Option<u64>, tokens: Option<u64>) -> RateLimits {
    RateLimits::new(requests.map(RateSpec::per_minute), tokens.map(RateSpec::per_minute))
}

/// Sends a call if it may be sent.
fn send(limits: &mut RateLimits, tokens: u64, now: Duration) -> Result<Reserved, Duration> {
    match limits.wait(tokens, now) {
        Duration::ZERO => Ok(limits.reserve(tokens, now)),
        wait => Err(wait),
    }
}

#[test]
fn rl01_both_limits_are_kept_before_anything_is_sent() {
    let mut both = limits(Some(2), Some(1000));
    assert!(send(&mut both, 400, at(0)).is_ok());
    assert!(send(&mut both, 400, at(0)).is_ok());
    assert_eq!(send(&mut both, 1, at(0)), Err(at(30)), "requests are used up");
    let mut both = limits(Some(100), Some(1000));
    assert!(send(&mut both, 800, at(0)).is_ok());
    assert_eq!(send(&mut both, 700, at(0)), Err(at(30)), "500 tokens are missing");
    assert!(send(&mut both, 200, at(0)).is_ok());
    assert!(send(&mut limits(None, None), u64::MAX, at(0)).is_ok());
}

#[test]
fn rl01_tokens_are_reserved_by_estimate_settled_by_use_and_refunded_on_failure() {
    let mut limits = limits(None, Some(1000));
    let reserved = send(&mut limits, 800, at(0)).expect("there is room");
    limits.settle(reserved, 100, at(0));
    let reserved = send(&mut limits, 900, at(0)).expect("700 came back");
    limits.settle(reserved, 0, at(0));
    let reserved = send(&mut limits, 900, at(0)).expect("a failure costs nothing");
    limits.settle(reserved, 1500, at(0));
    assert_eq!(limits.wait(1, at(0)), Duration::from_secs_f64(601.0 * 0.06), "it is overdrawn");
}

#[test]
fn rl01_a_call_that_was_never_sent_gives_its_request_back() {
    let mut limits = limits(Some(1), None);
    let reserved = send(&mut limits, 0, at(0)).expect("there is room");
    limits.settle(reserved, 0, at(0));
    let reserved = send(&mut limits, 0, at(0)).expect_err("a failed request was a request");
    assert_eq!(reserved, MINUTE);
    let mut limits = self::limits(Some(1), None);
    let reserved = send(&mut limits, 0, at(0)).expect("there is room");
    limits.cancel(reserved, at(0));
    assert!(send(&mut limits, 0, at(0)).is_ok());
}

#[test]
fn rl01_a_call_that_is_larger_than_the_limit_waits_for_a_full_bucket_and_not_for_ever() {
    let mut limits = limits(None, Some(1000));
    let _ = send(&mut limits, 500, at(0));
    assert_eq!(limits.wait(50_000, at(0)), at(30));
    assert!(send(&mut limits, 50_000, at(30)).is_ok());
}

/// resilience4j's `AtomicRateLimiterTest.reserveFewThenSkipCyclesBeforeRefresh` and its neighbours, with
/// one permit in `T` and a patience of `T`.
#[test]
fn rl03_permits_can_be_overdrawn_by_patience_and_are_never_hoarded() {
    let cycle = Duration::from_secs(1);
    let mut bucket = Bucket::new(RateSpec { limit: 1, per: cycle });
    assert_eq!(bucket.wait(1, cycle), Duration::ZERO);
    bucket.take(1, cycle);
    assert_eq!(bucket.level(cycle), 0.0);
    assert!(bucket.wait(1, cycle) <= cycle, "the second waits for the next cycle");
    bucket.take(1, cycle);
    assert_eq!(bucket.level(cycle), -1.0);
    assert!(bucket.wait(1, cycle) > cycle, "the third would wait longer than its patience");
    let later = 6 * cycle + Duration::from_nanos(10);
    assert_eq!(bucket.level(later), 1.0);
}

fn hint(limit: u64, remaining: u64, reset_s: u64) -> LimitHint {
    LimitHint { limit: Some(limit), remaining: Some(remaining), reset: Some(at(reset_s)) }
}

fn learned(requests: LimitHint, tokens: LimitHint) -> RateLimits {
    let mut limits = RateLimits::default();
    limits.learn(MODEL, &RateLimitHints { requests, tokens }, at(0));
    limits
}

#[test]
fn rl02_what_the_provider_tells_is_a_limit_beside_our_own() {
    let mut limits = learned(hint(60, 2, 58), LimitHint::default());
    assert!(send(&mut limits, 0, at(0)).is_ok());
    assert!(send(&mut limits, 0, at(0)).is_ok());
    assert_eq!(limits.wait(0, at(0)).as_secs_f64(), 1.0, "one a second comes back");
    let tokens = learned(LimitHint::default(), hint(1000, 0, 60));
    assert_eq!(tokens.wait(500, at(0)), at(30));
    let mut both = self::limits(Some(1), None);
    both.learn(
        MODEL,
        &RateLimitHints { requests: hint(60, 60, 0), ..RateLimitHints::default() },
        at(0),
    );
    let _ = send(&mut both, 0, at(0));
    assert_eq!(both.wait(0, at(0)), MINUTE, "ours is narrower");
}

#[test]
fn rl02_a_limit_per_day_is_told_from_one_per_minute() {
    let limits = learned(hint(200, 0, 86_400), LimitHint::default());
    assert_eq!(limits.wait(0, at(0)), at(432));
    let rounded = learned(hint(1000, 999, 1), LimitHint::default());
    assert_eq!(
        rounded.requests.theirs.get(&MODEL).map(|bucket| bucket.per),
        Some(MINUTE),
        "too little is used"
    );
}

#[test]
fn rl02_a_hint_never_gives_back_what_is_on_its_way() {
    let mut limits = learned(hint(60, 60, 0), LimitHint::default());
    for _ in 0..60 {
        assert!(send(&mut limits, 0, at(0)).is_ok());
    }
    limits.learn(
        MODEL,
        &RateLimitHints { requests: hint(60, 59, 1), ..RateLimitHints::default() },
        at(0),
    );
    assert!(send(&mut limits, 0, at(0)).is_err());
    let nothing = RateLimitHints::default();
    limits.learn(MODEL, &nothing, at(0));
    assert!(send(&mut limits, 0, at(0)).is_err());
    let zero = LimitHint { limit: Some(0), ..LimitHint::default() };
    limits.learn(MODEL, &RateLimitHints { requests: zero, tokens: zero }, at(0));
    assert!(limits.wait(1, at(0)) <= MINUTE, "a limit of zero is none");
}

proptest! {
    /// In any span of time, no more passes than the bucket holds and gets meanwhile.
    #[test]
    fn rl01_no_limit_is_ever_exceeded(
        limit in 1_u64..50,
        steps in prop::collection::vec((0_u64..3000, 1_u64..20), 1..300),
    ) {
        let mut limits = self::limits(None, Some(limit));
        let (mut now, mut sent) = (Duration::ZERO, Vec::new());
        for (millis, tokens) in steps {
            let tokens = tokens.min(limit);
            now += Duration::from_millis(millis);
            if send(&mut limits, tokens, now).is_ok() {
                sent.push((now, tokens));
            }
        }
        for (i, (from, _)) in sent.iter().enumerate() {
            let mut sum = 0;
            for (until, tokens) in &sent[i..] {
                sum += tokens;
                let filled = (*until - *from).as_secs_f64() * limit as f64 / 60.0;
                prop_assert!(sum as f64 <= limit as f64 + filled + 1e-3);
            }
        }
    }
}
