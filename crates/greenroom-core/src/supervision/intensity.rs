//! How often something may fail: a limit over a sliding window of monotonic time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::supervision::SpecError;

/// At most so many restarts in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Restarts allowed within `period`. With 0, the first failure is one too many.
    pub restarts_max: u32,
    /// The length of the window.
    pub period: Duration,
}

impl Intensity {
    /// What one agent is allowed unless it is given another limit: 30 restarts in 60 seconds. One that
    /// exceeds it is given up alone.
    pub const OF_AN_AGENT: Self = Self::new(30, Duration::from_secs(60));

    /// At most `restarts_max` restarts in `period`.
    #[must_use]
    pub const fn new(restarts_max: u32, period: Duration) -> Self {
        Self { restarts_max, period }
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        if self.restarts_max == u32::MAX {
            return Err(SpecError::IntensityInfinite);
        }
        if self.period.is_zero() {
            return Err(SpecError::PeriodZero);
        }
        if self.period == Duration::MAX {
            return Err(SpecError::PeriodInfinite);
        }
        Ok(())
    }
}

/// One restart in five seconds, as in OTP.
impl Default for Intensity {
    fn default() -> Self {
        Self::new(1, Duration::from_secs(5))
    }
}

/// The restarts of the last period; never more than `restarts_max + 1` of them.
#[derive(Debug, Clone)]
pub(super) struct Window {
    limit: Intensity,
    /// Until when each of them counts.
    counts_until: VecDeque<Duration>,
}

impl Window {
    pub(super) fn new(limit: Intensity) -> Self {
        Self { limit, counts_until: VecDeque::new() }
    }

    /// Counts a restart at `now` and tells whether it is allowed.
    ///
    /// OTP's rule (`add_restart`): a restart that is exactly one period old still counts.
    pub(super) fn admit(&mut self, now: Duration) -> bool {
        while self.counts_until.front().is_some_and(|until| *until < now) {
            self.counts_until.pop_front();
        }
        if self.is_exceeded() {
            return false;
        }
        self.counts_until.push_back(now.saturating_add(self.limit.period));
        !self.is_exceeded()
    }

    /// Counts a restart that was so long ago, in another life. They come oldest first.
    pub(super) fn recall(&mut self, now: Duration, ago: Duration) {
        let limit = self.limit;
        if ago <= limit.period {
            self.counts_until.push_back(now.saturating_add(limit.period - ago));
        }
        if self.counts_until.len() > limit.restarts_max as usize + 1 {
            self.counts_until.pop_front();
        }
    }

    /// Whether the last restart that was counted was one too many.
    pub(super) fn is_exceeded(&self) -> bool {
        self.counts_until.len() > self.limit.restarts_max as usize
    }

    /// How many restarts would be allowed if they all came at `now`.
    pub(super) fn n_left(&self, now: Duration) -> u32 {
        let n_recent = self.counts_until.iter().filter(|until| **until >= now).count();
        self.limit.restarts_max.saturating_sub(u32::try_from(n_recent).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(restarts_max: u32, period_ms: u64, at_ms: &[u64], expect: &[bool]) {
        let mut window =
            Window::new(Intensity::new(restarts_max, Duration::from_millis(period_ms)));
        let admitted: Vec<_> =
            at_ms.iter().map(|at| window.admit(Duration::from_millis(*at))).collect();
        assert_eq!(admitted, expect);
    }

    #[test]
    fn sup_e01_the_third_failure_is_too_many_for_two() {
        check(2, 3_600_000, &[0, 1, 2], &[true, true, false]);
    }

    #[test]
    fn sup_e02_failures_further_apart_than_the_period_are_survived() {
        check(1, 1000, &[0, 2100, 4200, 6300], &[true; 4]);
    }

    #[test]
    fn sup_e03_none_allowed_means_the_first_is_too_many() {
        check(0, 5000, &[0], &[false]);
    }

    #[test]
    fn sup_e04_the_window_slides_and_its_edge_counts() {
        check(1, 1000, &[0, 1000], &[true, false]);
        check(1, 1000, &[0, 1001], &[true, true]);
        check(2, 1000, &[0, 900, 1100, 1200], &[true, true, true, false]);
    }

    #[test]
    fn sup_e05_a_window_of_thirty_days_does_not_overflow() {
        let day = 86_400_000;
        check(1, 30 * day, &[day, 30 * day], &[true, false]);
        check(1, 30 * day, &[day, 32 * day], &[true, true]);
    }

    #[test]
    fn what_is_left_grows_again_as_the_window_slides() {
        let mut window = Window::new(Intensity::new(2, Duration::from_secs(1)));
        let at = Duration::from_millis;
        let left = |window: &Window| [0, 1000, 1001, 1600].map(|ms| window.n_left(at(ms)));
        assert_eq!(left(&window), [2; 4]);
        assert!(window.admit(at(0)) && window.admit(at(500)) && !window.admit(at(600)));
        assert_eq!(left(&window), [0, 0, 0, 1]);
    }

    /// A window that is given back what it had counted goes on as if nothing had happened.
    #[test]
    fn sup_e07_what_was_counted_before_time_began_counts_and_grows_old() {
        let at = Duration::from_millis;
        let recalled = |ages: &[u64]| {
            let mut window = Window::new(Intensity::new(2, Duration::from_secs(1)));
            ages.iter().for_each(|ago| window.recall(at(5), at(*ago)));
            window
        };
        let admits = |ages: &[u64], now| recalled(ages).admit(at(now));
        assert!(admits(&[900], 5) && !admits(&[900, 100], 5));
        assert!(!admits(&[1000, 100], 5) && admits(&[1000, 100], 6), "its edge counts");
        assert!(admits(&[1001, 100], 5), "what is too old is not taken");
        assert!(!admits(&[0, 0], 5 + 1000) && admits(&[0, 0], 5 + 1001));
        let left = [5, 105, 106, 905, 906].map(|now| recalled(&[900, 100]).n_left(at(now)));
        assert_eq!(left, [0, 0, 1, 1, 2]);
        // A limit that was lowered since: the newest are kept.
        let kept = recalled(&[900, 800, 700, 600, 500]).counts_until;
        assert_eq!(kept, [700, 600, 500].map(|ago| at(5 + 1000 - ago)));
        let mut longest = Window::new(Intensity::new(1, Duration::from_secs(u64::MAX)));
        longest.recall(at(5), Duration::from_secs(u64::MAX));
        assert!(!longest.admit(at(5)), "a window without end has one restart in it");
    }

    #[test]
    fn the_window_is_no_longer_than_its_limit() {
        let mut window = Window::new(Intensity::new(3, Duration::from_secs(1)));
        for _ in 0..100 {
            window.admit(Duration::ZERO);
        }
        assert_eq!(window.counts_until.len(), 4);
    }
}
