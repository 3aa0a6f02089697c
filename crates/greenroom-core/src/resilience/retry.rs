//! Whether a failed call is made again, and how long to wait first.
//!
//! One layer owns the retries of a call; see [`Caller::attempt`](crate::model::Caller::attempt).

use std::time::Duration;

use crate::model::ModelError;

/// How chance changes a wait, so that callers who failed together do not come back together. `r` is a
/// random number in [0, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Takes up to a quarter away: `wait * (1 - r / 4)`, as the OpenAI SDKs do.
    Quarter,
    /// Takes up to all of it away: `wait * r`, as AWS and gRPC do. It spreads callers best.
    #[default]
    Full,
}

/// When a call is made again.
///
/// The wait before the n-th retry (from 1) is `min(delay_max, delay_min * 2^(n-1))`, jittered, unless the
/// provider says how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetrySpec {
    /// Tries of one call, the first one included. Default 4.
    pub attempts_max: u32,
    /// The wait before the first retry. Default 500 ms.
    pub delay_min: Duration,
    /// The longest wait that is our own choice. Default 8 s.
    pub delay_max: Duration,
    /// How chance changes it. Default full.
    pub jitter: Jitter,
    /// The longest wait that a provider can ask for; when it asks for more, the call has failed. An
    /// agent that sleeps for an hour is not at work, and the OpenAI and Anthropic clients draw the same
    /// line. Default 120 s.
    pub wait_max: Duration,
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self {
            attempts_max: 4,
            delay_min: Duration::from_millis(500),
            delay_max: Duration::from_secs(8),
            jitter: Jitter::Full,
            wait_max: Duration::from_secs(120),
        }
    }
}

/// What becomes of a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is made again after this wait.
    Retry(Duration),
    /// It has failed.
    GiveUp(GiveUp),
}

/// Why a call is not made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GiveUp {
    /// The same call would fail again.
    Hopeless,
    /// It was tried as often as allowed.
    Attempts,
    /// The provider asks for a longer wait than anybody waits.
    TooLong,
}

impl RetrySpec {
    /// Judges the failure of the `attempt`-th try, counted from 1. `share` is a random number in [0, 1).
    ///
    /// | the error | the call |
    /// |---|---|
    /// | asks to wait for longer than [`RetrySpec::wait_max`] | has failed, whatever else it says |
    /// | says that a try makes no sense, or is of a kind for which it makes none | has failed |
    /// | asks to wait | is made again after exactly that |
    /// | anything else | is made again after the backoff |
    #[must_use]
    pub fn judge(&self, error: &ModelError, attempt: u32, share: f64) -> Verdict {
        let asked = error.retry_after.filter(|wait| !wait.is_zero());
        if !error.is_retryable() {
            Verdict::GiveUp(GiveUp::Hopeless)
        } else if asked.is_some_and(|wait| wait > self.wait_max) {
            Verdict::GiveUp(GiveUp::TooLong)
        } else if attempt >= self.attempts_max {
            Verdict::GiveUp(GiveUp::Attempts)
        } else {
            Verdict::Retry(asked.unwrap_or_else(|| self.delay(attempt, share)))
        }
    }

    /// The wait before the n-th retry, counted from 1. `share` is a random number in [0, 1).
    #[must_use]
    pub fn delay(&self, n_retry: u32, share: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(n_retry.saturating_sub(1));
        let delay = self.delay_min.saturating_mul(doubled).min(self.delay_max);
        match self.jitter {
            Jitter::None => delay,
            Jitter::Quarter => delay - delay.mul_f64(share / 4.0),
            Jitter::Full => delay.mul_f64(share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelErrorKind;

    fn error(kind: ModelErrorKind) -> ModelError {
        ModelError::new(kind, "m", "no")
    }

    #[test]
    fn rt01_rt02_what_may_succeed_later_is_tried_again_and_nothing_else() {
        use ModelErrorKind::*;
        let spec = RetrySpec { jitter: Jitter::None, ..RetrySpec::default() };
        for kind in [RateLimited, Unavailable, Timeout, Incomplete] {
            let verdict = spec.judge(&error(kind), 1, 0.0);
            assert_eq!(verdict, Verdict::Retry(Duration::from_millis(500)), "{kind}");
        }
        for kind in [InvalidReply, ContextLength, Auth, InvalidRequest, Quota] {
            let verdict = spec.judge(&error(kind), 1, 0.0);
            assert_eq!(verdict, Verdict::GiveUp(GiveUp::Hopeless), "{kind}");
        }
    }

    #[test]
    fn rt01_the_provider_overrides_the_kind_and_loses_to_its_own_long_wait() {
        let spec = RetrySpec { jitter: Jitter::None, ..RetrySpec::default() };
        let said =
            |kind, should_retry| ModelError { should_retry: Some(should_retry), ..error(kind) };
        let again = Verdict::Retry(Duration::from_millis(500));
        assert_eq!(spec.judge(&said(ModelErrorKind::InvalidRequest, true), 1, 0.0), again);
        let refused = said(ModelErrorKind::Unavailable, false);
        assert_eq!(spec.judge(&refused, 1, 0.0), Verdict::GiveUp(GiveUp::Hopeless));
        let retry_after = Some(Duration::from_secs(121));
        let long = ModelError { retry_after, ..said(ModelErrorKind::RateLimited, true) };
        assert_eq!(spec.judge(&long, 1, 0.0), Verdict::GiveUp(GiveUp::TooLong));
    }

    #[test]
    fn rt03_a_wait_of_up_to_two_minutes_is_kept_exactly_and_a_longer_one_is_not_waited_for() {
        let spec = RetrySpec::default();
        let judge = |millis| {
            let retry_after = Some(Duration::from_millis(millis));
            let error = ModelError { retry_after, ..error(ModelErrorKind::RateLimited) };
            spec.judge(&error, 1, 1.0)
        };
        for millis in [1, 20_000, 60_000, 120_000] {
            assert_eq!(judge(millis), Verdict::Retry(Duration::from_millis(millis)));
        }
        for millis in [120_001, 121_000, 366 * 86_400_000] {
            assert_eq!(judge(millis), Verdict::GiveUp(GiveUp::TooLong));
        }
        assert_eq!(judge(0), Verdict::Retry(Duration::from_millis(500)), "no wait says nothing");
    }

    #[track_caller]
    fn check(spec: RetrySpec, share: f64, expect_ms: &[u128]) {
        let waits: Vec<_> =
            (1..=expect_ms.len() as u32).map(|n| spec.delay(n, share).as_millis()).collect();
        assert_eq!(waits, expect_ms);
    }

    #[test]
    fn rt04_waits_double_up_to_their_cap_and_chance_takes_a_share() {
        let sdk = RetrySpec { jitter: Jitter::Quarter, ..RetrySpec::default() };
        check(sdk, 0.0, &[500, 1000, 2000, 4000, 8000, 8000]);
        check(sdk, 0.5, &[437, 875, 1750, 3500, 7000, 7000]);
        let second = Duration::from_secs(1);
        let aws = RetrySpec {
            jitter: Jitter::None,
            delay_min: second,
            delay_max: 20 * second,
            ..RetrySpec::default()
        };
        check(aws, 0.0, &[1000, 2000, 4000, 8000]);
        check(RetrySpec { delay_max: 3 * second, ..aws }, 0.0, &[1000, 2000, 3000, 3000]);
        check(RetrySpec { jitter: Jitter::Full, ..aws }, 0.25, &[250, 500, 1000, 2000]);
        check(RetrySpec { jitter: Jitter::Full, ..aws }, 0.0, &[0, 0]);
        assert_eq!(aws.delay(33, 0.0), 20 * second);
        let longest = RetrySpec { delay_min: Duration::MAX, delay_max: Duration::MAX, ..aws };
        assert_eq!(longest.delay(u32::MAX, 0.0), Duration::MAX);
        assert_eq!(aws.delay(0, 0.0), second);
    }

    #[test]
    fn the_limit_on_tries_is_exact() {
        let spec = RetrySpec { attempts_max: 2, ..RetrySpec::default() };
        let failed = error(ModelErrorKind::Unavailable);
        assert!(matches!(spec.judge(&failed, 1, 0.0), Verdict::Retry(_)));
        assert_eq!(spec.judge(&failed, 2, 0.0), Verdict::GiveUp(GiveUp::Attempts));
    }
}
