//! The retry throttle and the pushback of gRPC (proposal A6, "gRPC Retry Design").

use std::time::Duration;

use crate::resilience::retry::RetrySpec;

/// A call is tried at most so often, whatever is configured.
const ATTEMPTS_MAX: u32 = 5;

/// Counts failures against successes of a server; while more than half of the tokens are gone, nothing
/// is retried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttle {
    /// In thousandths, because a success adds a share of one.
    tokens_milli: u64,
    tokens_max_milli: u64,
    ratio_milli: u64,
}

impl Throttle {
    /// A throttle with all of its tokens. A failure takes one, a success adds `ratio`, which is kept to
    /// three decimals.
    #[must_use]
    pub fn new(tokens: u32, ratio: f64) -> Self {
        let tokens_max_milli = u64::from(tokens) * 1000;
        let ratio_milli = (ratio * 1000.0).round() as u64;
        Self { tokens_milli: tokens_max_milli, tokens_max_milli, ratio_milli }
    }

    /// A try failed in a way that may be retried. Other failures do not count.
    pub fn failed(&mut self) {
        self.tokens_milli = self.tokens_milli.saturating_sub(1000);
    }

    /// A try succeeded.
    pub fn succeeded(&mut self) {
        self.tokens_milli = (self.tokens_milli + self.ratio_milli).min(self.tokens_max_milli);
    }

    /// Whether retries are made now.
    #[must_use]
    pub fn allows_retries(&self) -> bool {
        self.tokens_milli * 2 > self.tokens_max_milli
    }
}

/// What a server says about retries, in `grpc-retry-pushback-ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushback {
    /// Nothing.
    None,
    /// Try again after exactly so long.
    After(Duration),
    /// Do not try again.
    Never,
}

impl Pushback {
    /// Reads the header. One that is negative or no number means never.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        match header.map(str::parse) {
            None => Self::None,
            Some(Ok(millis)) => Self::After(Duration::from_millis(millis)),
            Some(Err(_)) => Self::Never,
        }
    }
}

/// The tries of one call.
#[derive(Debug, Clone)]
pub struct Tries {
    spec: RetrySpec,
    n_made: u32,
    /// Which wait of the backoff is next, counted from 1.
    n_backoff: u32,
}

impl Tries {
    /// The tries of a call whose first one is being made.
    #[must_use]
    pub fn new(spec: RetrySpec) -> Self {
        Self { spec, n_made: 1, n_backoff: 1 }
    }

    /// A try failed in a way that may be retried: how long to wait before the next one, when there is
    /// one. `share` is a random number in [0, 1).
    pub fn failed(
        &mut self,
        pushback: Pushback,
        throttle: &mut Throttle,
        share: f64,
    ) -> Option<Duration> {
        throttle.failed();
        let attempts_max = self.spec.attempts_max.min(ATTEMPTS_MAX);
        if self.n_made >= attempts_max || !throttle.allows_retries() {
            return None;
        }
        let wait = match pushback {
            Pushback::Never => return None,
            Pushback::After(wait) => {
                self.n_backoff = 1;
                wait
            }
            Pushback::None => {
                self.n_backoff += 1;
                self.spec.delay(self.n_backoff - 1, share)
            }
        };
        self.n_made += 1;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::retry::Jitter;

    fn spec(attempts_max: u32) -> RetrySpec {
        RetrySpec { attempts_max, jitter: Jitter::None, ..RetrySpec::default() }
    }

    #[test]
    fn rt07_half_of_the_tokens_gone_means_no_retries_and_a_success_brings_them_back() {
        let mut throttle = Throttle::new(10, 0.1);
        for n_failed in 1..=4 {
            throttle.failed();
            assert!(throttle.allows_retries(), "{n_failed}");
        }
        throttle.failed();
        assert!(!throttle.allows_retries(), "5 of 10");
        throttle.succeeded();
        assert!(throttle.allows_retries(), "5.1 of 10");
        (0..1000).for_each(|_| throttle.succeeded());
        assert_eq!(throttle, Throttle::new(10, 0.1), "never above the maximum");
        (0..1000).for_each(|_| throttle.failed());
        assert!(!throttle.allows_retries());
    }

    #[test]
    fn rt07_pushback_that_cannot_be_read_means_never() {
        for (header, expect) in [
            (None, Pushback::None),
            (Some("1500"), Pushback::After(Duration::from_millis(1500))),
            (Some("0"), Pushback::After(Duration::ZERO)),
            (Some("-1"), Pushback::Never),
            (Some("soon"), Pushback::Never),
            (Some(""), Pushback::Never),
        ] {
            assert_eq!(Pushback::parse(header), expect, "{header:?}");
        }
    }

    #[test]
    fn rt07_pushback_is_kept_exactly_and_the_backoff_starts_over() {
        let mut throttle = Throttle::new(100, 0.1);
        let mut tries = Tries::new(spec(5));
        let asked = Pushback::After(Duration::from_millis(77));
        let waits = [Pushback::None, Pushback::None, asked, Pushback::None].map(|pushback| {
            tries.failed(pushback, &mut throttle, 0.0).map(|wait| wait.as_millis())
        });
        assert_eq!(waits, [Some(500), Some(1000), Some(77), Some(500)]);
        let mut tries = Tries::new(spec(5));
        assert_eq!(tries.failed(Pushback::Never, &mut throttle, 0.0), None);
    }

    #[test]
    fn rt07_a_call_is_tried_five_times_whatever_is_configured() {
        for (configured, expect) in [(1, 0), (3, 2), (5, 4), (100, 4)] {
            let mut throttle = Throttle::new(1000, 0.1);
            let mut tries = Tries::new(spec(configured));
            let retries =
                std::iter::repeat_with(|| tries.failed(Pushback::None, &mut throttle, 0.0));
            assert_eq!(retries.take(200).flatten().count(), expect, "{configured}");
        }
    }

    #[test]
    fn rt07_a_throttled_call_is_not_retried() {
        let mut throttle = Throttle::new(2, 0.1);
        let mut tries = Tries::new(spec(5));
        assert_eq!(tries.failed(Pushback::None, &mut throttle, 0.0), None);
    }
}
