//! Hedging: when a call is slow to begin, the same one is made once more, and the first to begin wins.
//!
//! It costs tokens for replies that nobody reads, so it is off unless asked for.

use std::time::Duration;

/// When another one is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HedgeSpec {
    /// The calls that may be made for one answer, the first one included. Default 2.
    pub calls_max: u32,
    /// How long to wait for the first content before the next one is made. Default 10 s.
    pub delay: Duration,
}

impl Default for HedgeSpec {
    fn default() -> Self {
        Self { calls_max: 2, delay: Duration::from_secs(10) }
    }
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AfterFailure {
    /// Another one is made at once.
    StartNext,
    /// The others go on.
    Wait,
    /// All others are cancelled, and the failure is the answer.
    GiveUp,
}

/// The calls that are made for one answer.
#[derive(Debug, Clone)]
pub struct Hedge {
    spec: HedgeSpec,
    n_started: u32,
    n_failed: u32,
    last_at: Duration,
}

impl Hedge {
    /// The first call is being made.
    #[must_use]
    pub fn new(spec: HedgeSpec, now: Duration) -> Self {
        Self { spec, n_started: 1, n_failed: 0, last_at: now }
    }

    /// How many calls were started.
    #[must_use]
    pub fn n_started(&self) -> u32 {
        self.n_started
    }

    /// When the next one is due, if there is one.
    #[must_use]
    pub fn next_at(&self) -> Option<Duration> {
        self.may_start().then(|| self.last_at.saturating_add(self.spec.delay))
    }

    /// Starts another one, when it is due: its number, counted from 1.
    pub fn due(&mut self, now: Duration) -> Option<u32> {
        self.next_at().filter(|at| now >= *at)?;
        Some(self.start(now))
    }

    /// A call failed before it had content. What is fatal would fail again.
    pub fn failed(&mut self, is_fatal: bool, now: Duration) -> AfterFailure {
        self.n_failed += 1;
        if is_fatal {
            AfterFailure::GiveUp
        } else if self.may_start() {
            self.start(now);
            AfterFailure::StartNext
        } else if self.n_failed < self.n_started {
            AfterFailure::Wait
        } else {
            AfterFailure::GiveUp
        }
    }

    fn may_start(&self) -> bool {
        self.n_started < self.spec.calls_max
    }

    fn start(&mut self, now: Duration) -> u32 {
        self.n_started += 1;
        self.last_at = now;
        self.n_started
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: HedgeSpec = HedgeSpec { calls_max: 4, delay: Duration::from_millis(500) };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn hedges_are_made_at_each_delay_and_no_more_than_allowed() {
        let mut hedge = Hedge::new(SPEC, ms(0));
        let begun: Vec<_> = (0..3000).filter(|at| hedge.due(ms(*at)).is_some()).collect();
        assert_eq!(begun, [500, 1000, 1500]);
        assert_eq!((hedge.n_started(), hedge.next_at()), (4, None));
    }

    #[test]
    fn a_failure_makes_the_next_one_at_once_and_sets_the_delay_again() {
        let mut hedge = Hedge::new(SPEC, ms(0));
        assert_eq!(hedge.failed(false, ms(100)), AfterFailure::StartNext);
        assert_eq!(hedge.next_at(), Some(ms(600)));
        assert_eq!(hedge.due(ms(599)), None);
        assert_eq!(hedge.due(ms(600)), Some(3));
        assert_eq!(hedge.failed(false, ms(601)), AfterFailure::StartNext);
        assert_eq!(hedge.failed(false, ms(602)), AfterFailure::Wait);
        assert_eq!(hedge.failed(false, ms(603)), AfterFailure::GiveUp, "the last of four");
    }

    #[test]
    fn what_is_fatal_ends_all() {
        let mut hedge = Hedge::new(SPEC, ms(0));
        assert_eq!(hedge.failed(true, ms(100)), AfterFailure::GiveUp);
    }
}
