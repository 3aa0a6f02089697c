//! How long to wait before a restart, and the reproducible chance that spreads restarts out.
//!
//! Never waits itself: it answers with a duration.

use std::time::Duration;

use crate::random::SplitMix64;
use crate::supervision::SpecError;

/// Waiting that doubles with every failure in a row.
///
/// The n-th restart in a row (from 0) waits `min(max, min * 2^n)`, plus a random share of that wait
/// between zero and `jitter`; as in Pekko, the share comes on top of `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait.
    pub min: Duration,
    /// The longest wait, before jitter.
    pub max: Duration,
    /// The largest share that chance adds to a wait: from 0 (none) to 1 (up to double). Default 0.2.
    pub jitter: f64,
    /// How long a child must have been running for its failures to be forgotten. `None` stands for
    /// the mean of `min` and `max`.
    pub reset_after: Option<Duration>,
}

impl Backoff {
    /// Waits from `min` to `max`, with the default jitter and reset.
    #[must_use]
    pub const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, jitter: 0.2, reset_after: None }
    }

    /// The same waits, with another jitter.
    #[must_use]
    pub const fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// The same waits, forgetting failures after this much quiet running.
    #[must_use]
    pub const fn reset_after(mut self, quiet: Duration) -> Self {
        self.reset_after = Some(quiet);
        self
    }

    /// The wait before the n-th restart in a row (from 0), without jitter.
    #[must_use]
    pub fn delay(&self, n_failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(n_failures);
        let doubled = factor.and_then(|factor| self.min.checked_mul(factor));
        match doubled {
            Some(doubled) => doubled.min(self.max),
            None if self.min.is_zero() => Duration::ZERO,
            None => self.max,
        }
    }

    /// The quiet time after which failures are forgotten.
    #[must_use]
    pub fn quiet(&self) -> Duration {
        self.reset_after.unwrap_or_else(|| (self.min / 2).saturating_add(self.max / 2))
    }

    pub(super) fn delay_jittered(&self, n_failures: u32, chance: &mut Chance) -> Duration {
        let delay = self.delay(n_failures);
        let extra = delay.as_secs_f64() * self.jitter * chance.unit();
        delay.saturating_add(Duration::try_from_secs_f64(extra).unwrap_or(Duration::ZERO))
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        if self.min > self.max {
            return Err(SpecError::BackoffMinAboveMax);
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(SpecError::BackoffJitter);
        }
        Ok(())
    }
}

/// A stream of reproducible chances: SplitMix64, one step of the seed for each.
#[derive(Debug, Clone)]
pub(super) struct Chance(SplitMix64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    /// The next number in [0, 1).
    fn unit(&mut self) -> f64 {
        self.0.unit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);
    const DAY: Duration = Duration::from_secs(86_400);

    #[track_caller]
    fn check(n_failures: u32, min: Duration, max: Duration, expect: Duration) {
        assert_eq!(Backoff::new(min, max).delay(n_failures), expect);
    }

    #[test]
    fn sup_h01_delays_double_up_to_the_maximum_and_never_overflow() {
        check(0, Duration::ZERO, Duration::ZERO, Duration::ZERO);
        check(0, 5 * MINUTE, 7 * MINUTE, 5 * MINUTE);
        check(2, 5 * SECOND, 7 * SECOND, 7 * SECOND);
        check(2, 5 * SECOND, 7 * DAY, 20 * SECOND);
        check(29, 5 * MINUTE, 10 * MINUTE, 10 * MINUTE);
        check(i32::MAX as u32, 10_000 * DAY, 10_000 * DAY, 10_000 * DAY);
        check(u32::MAX, SECOND, Duration::MAX, Duration::MAX);
        check(31, Duration::MAX, Duration::MAX, Duration::MAX);
        check(u32::MAX, Duration::ZERO, Duration::MAX, Duration::ZERO);
    }

    #[test]
    fn sup_h04_failures_are_forgotten_after_the_mean_of_both_ends_unless_told() {
        let backoff = Backoff::new(2 * SECOND, 10 * SECOND);
        assert_eq!(backoff.quiet(), 6 * SECOND);
        assert_eq!(backoff.reset_after(MINUTE).quiet(), MINUTE);
    }

    #[test]
    fn sup_h05_jitter_adds_a_share_that_is_spread_evenly() {
        let backoff = Backoff::new(SECOND, SECOND).jitter(0.5);
        let mut chance = Chance::new(7);
        let mut sum = 0.0;
        for _ in 0..1000 {
            let delay = backoff.delay_jittered(3, &mut chance).as_secs_f64();
            assert!((1.0..1.5).contains(&delay), "{delay}");
            sum += delay;
        }
        let mean = sum / 1000.0;
        assert!((mean - 1.25).abs() < 0.05 * 0.25, "{mean}");
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let backoff = Backoff::new(SECOND, MINUTE);
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            [0, 1, 2].map(|n_failures| backoff.delay_jittered(n_failures, &mut chance))
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let longest = Backoff::new(Duration::MAX, Duration::MAX).jitter(1.0);
        assert_eq!(longest.delay_jittered(9, &mut Chance::new(1)), Duration::MAX);
    }
}
