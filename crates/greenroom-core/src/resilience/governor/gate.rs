//! Holding an account back after a refusal, and letting it go again one by one.

use std::time::Duration;

const WAIT_MIN: Duration = Duration::from_secs(1);
/// How many calls in a row must meet a provider that cannot take them before that is no accident: so many,
/// and one of so many that were under way together.
const STRIKES_MIN: u32 = 3;
const STRIKES_PER: u32 = 10;

const WAIT_MAX: Duration = Duration::from_secs(60);

/// Closed until an instant; then a ramp; then open.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    spread: Duration,
    closed_until: Duration,
    closed_at: Option<Duration>,
    /// Closings in a row without a sign of success.
    n_closings: u32,
    /// Calls in a row, without an answer in between, that the provider could not take.
    n_strikes: u32,
    n_passed: usize,
    /// The most calls that the ramp was seen to be for.
    n_expected: usize,
    last_passed_at: Duration,
}

impl Gate {
    pub(super) fn new(spread: Duration) -> Self {
        Self {
            spread,
            closed_until: Duration::ZERO,
            closed_at: None,
            n_closings: 0,
            n_strikes: 0,
            n_passed: 0,
            n_expected: 0,
            last_passed_at: Duration::ZERO,
        }
    }

    pub(super) fn closed_until(&self) -> Duration {
        self.closed_until
    }

    /// A call that was sent at `sent_at` was refused. When it was sent before the last closing it adds
    /// nothing to the guess; what the provider asks for counts in any case.
    pub(super) fn close(&mut self, asked: Option<Duration>, sent_at: Duration, now: Duration) {
        let is_known = self.closed_at.is_some_and(|closed_at| sent_at < closed_at);
        let asked = asked.filter(|wait| !wait.is_zero());
        if is_known && asked.is_none() {
            return;
        }
        if !is_known {
            self.n_closings = self.n_closings.saturating_add(1);
            self.closed_at = Some(now);
        }
        let doubled = 2_u32.saturating_pow(self.n_closings.saturating_sub(1));
        let wait = asked.unwrap_or_else(|| WAIT_MIN.saturating_mul(doubled).min(WAIT_MAX));
        let until = now.saturating_add(wait);
        if until > self.closed_until {
            self.closed_until = until;
            (self.n_passed, self.n_expected) = (0, 0);
        }
    }

    /// When the next call may pass, of so many that wait.
    ///
    /// On the ramp, calls pass one by one: as many as are expected, evenly over the spread.
    pub(super) fn opens_at(&self, n_waiting: usize) -> Duration {
        if self.n_passed == 0 || self.closed_at.is_none() {
            return self.closed_until;
        }
        let n_expected = self.n_expected.max(self.n_passed + n_waiting);
        let gap = self.spread / u32::try_from(n_expected).unwrap_or(u32::MAX);
        let ramp_end = self.closed_until.saturating_add(self.spread);
        self.last_passed_at.saturating_add(gap).min(ramp_end)
    }

    /// A call passes, and so many wait behind it.
    pub(super) fn pass(&mut self, n_waiting: usize, now: Duration) {
        self.n_passed += 1;
        self.n_expected = self.n_expected.max(self.n_passed + n_waiting);
        self.last_passed_at = now;
    }

    /// A call that was sent at `sent_at` met a provider that could not take it, while so many others are under
    /// way. That may be an accident. Several in a row are none, and close the gate as a refusal does; whether
    /// they did.
    pub(super) fn struck(
        &mut self,
        asked: Option<Duration>,
        sent_at: Duration,
        n_in_flight: usize,
        now: Duration,
    ) -> bool {
        self.n_strikes = self.n_strikes.saturating_add(1);
        let n_together =
            u32::try_from(n_in_flight).unwrap_or(u32::MAX).saturating_add(self.n_strikes);
        let is_no_accident = self.n_strikes >= (n_together / STRIKES_PER).max(STRIKES_MIN);
        if is_no_accident {
            self.close(asked, sent_at, now);
        }
        is_no_accident
    }

    /// A call that passed has an answer: the next refusal is the first in a row.
    pub(super) fn passed(&mut self) {
        (self.n_closings, self.n_strikes) = (0, 0);
    }
}
