//! How many calls may be under way at once, found out by what happens to them.
//!
//! The signals are the time to the first content and refusals. The time that a whole reply takes is no
//! signal: it follows from how much a model has to say, and not from how busy its provider is.

use std::time::Duration;

/// How the limit is found.
///
/// | rule | grows by one | shrinks |
/// |---|---|---|
/// | `Fixed` | never | never |
/// | `Aimd` | with each first content; once there were too many, in each round | to nine tenths with a refusal |
/// | `Vegas` | while fewer than `alpha` calls seem to wait at the provider | while more than `beta` do, by those above `alpha`; and as `Aimd` with a refusal |
///
/// No limit grows that is less than half used, and one refusal is as bad as several of calls that were
/// sent together. A round is as many first contents as the limit allows calls. After eight rounds without
/// another refusal the steps double with each round: what was too much may not be for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConcurrencyRule {
    /// The limit stays where it starts: a bulkhead.
    Fixed,
    /// Additive increase, multiplicative decrease.
    Aimd,
    /// TCP Vegas, after Netflix's concurrency-limits.
    Vegas {
        /// Calls that may wait at the provider without a sign of too many.
        alpha: u32,
        /// Calls that wait there when there are too many.
        beta: u32,
    },
}

/// A limit of calls under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencySpec {
    /// How it is found. Default `Aimd`.
    pub rule: ConcurrencyRule,
    /// Where it starts. Default 20.
    pub start: u32,
    /// The least. Default 1, and never less.
    pub min: u32,
    /// The most. Default 200.
    pub max: u32,
}

impl Default for ConcurrencySpec {
    fn default() -> Self {
        Self { rule: ConcurrencyRule::Aimd, start: 20, min: 1, max: 200 }
    }
}

impl ConcurrencySpec {
    /// Exactly so many: a bulkhead.
    #[must_use]
    pub const fn fixed(n: u32) -> Self {
        Self { rule: ConcurrencyRule::Fixed, start: n, min: n, max: n }
    }
}

const BACKOFF: f64 = 0.9;

/// After there were too many, the limit grows by one in each of so many rounds.
const ROUNDS_SLOW: f64 = 8.0;

/// The shortest time to the first content is measured anew after so many samples for each call of the
/// limit; else one lucky call would set it for ever.
const SAMPLES_PER_CALL: f64 = 30.0;

/// An adaptive limit of calls under way.
#[derive(Debug, Clone)]
pub struct Concurrency {
    spec: ConcurrencySpec,
    limit: f64,
    /// Rounds of `Aimd` since calls were too many; `None` before they ever were. A round is as many first
    /// contents as the limit allows calls.
    n_rounds: Option<f64>,
    /// The shortest time to the first content: what it takes when nobody waits.
    unloaded: Option<Duration>,
    n_samples: u32,
    shrunk_at: Option<Duration>,
}

impl Concurrency {
    /// A limit at its start.
    #[must_use]
    pub fn new(spec: ConcurrencySpec) -> Self {
        let min = spec.min.max(1);
        let spec = ConcurrencySpec { min, max: spec.max.max(min), ..spec };
        let limit = f64::from(spec.start.clamp(spec.min, spec.max));
        Self { spec, limit, n_rounds: None, unloaded: None, n_samples: 0, shrunk_at: None }
    }

    /// How many calls may be under way.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit as usize
    }

    /// The first content of a call came after `took`, while so many calls were under way, it included.
    pub fn shown(&mut self, took: Duration, n_in_flight: usize) {
        let is_in_use = n_in_flight as f64 * 2.0 >= self.limit;
        match self.spec.rule {
            ConcurrencyRule::Fixed => {}
            ConcurrencyRule::Aimd if is_in_use => self.grow(),
            ConcurrencyRule::Aimd => {}
            ConcurrencyRule::Vegas { alpha, beta } => {
                let n_waiting = self.n_waiting(took);
                if n_waiting > f64::from(beta) {
                    self.set(self.limit - (n_waiting - f64::from(alpha)));
                } else if n_waiting < f64::from(alpha) && is_in_use {
                    self.set(self.limit + 1.0);
                }
            }
        }
    }

    /// A call that was sent at `sent_at` was refused, or had no answer in time.
    pub fn refused(&mut self, sent_at: Duration, now: Duration) {
        let is_old = self.shrunk_at.is_some_and(|shrunk_at| sent_at < shrunk_at);
        if self.spec.rule != ConcurrencyRule::Fixed && !is_old {
            self.set((self.limit * BACKOFF).floor());
            self.shrunk_at = Some(now);
            self.n_rounds = self.n_rounds.map(|_| 0.0);
        }
    }

    /// The provider has said that there were too many: from here on the limit is felt for.
    pub fn overran(&mut self) {
        self.n_rounds = Some(0.0);
    }

    fn grow(&mut self) {
        let of_a_round = 1.0 / self.limit;
        let step = self.n_rounds.as_mut().map_or(1.0, |n_rounds| {
            *n_rounds += of_a_round;
            of_a_round * (*n_rounds - ROUNDS_SLOW).exp2().max(1.0)
        });
        self.set(self.limit + step.min(1.0));
    }

    /// How many of the calls under way seem to wait at the provider, by how much longer this one took.
    fn n_waiting(&mut self, took: Duration) -> f64 {
        self.n_samples += 1;
        if f64::from(self.n_samples) > self.limit * SAMPLES_PER_CALL {
            self.n_samples = 0;
            self.unloaded = None;
        }
        let took = took.max(Duration::from_nanos(1));
        let unloaded = self.unloaded.map_or(took, |unloaded| unloaded.min(took));
        self.unloaded = Some(unloaded);
        (self.limit * (1.0 - unloaded.as_secs_f64() / took.as_secs_f64())).ceil()
    }

    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(f64::from(self.spec.min), f64::from(self.spec.max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VEGAS: ConcurrencySpec = ConcurrencySpec {
        rule: ConcurrencyRule::Vegas { alpha: 3, beta: 6 },
        start: 10,
        min: 1,
        max: 20,
    };
    const AIMD: ConcurrencySpec =
        ConcurrencySpec { rule: ConcurrencyRule::Aimd, start: 10, min: 1, max: 20 };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[track_caller]
    fn check_vegas(took_ms: &[u64], expect: &[usize]) {
        let mut limit = Concurrency::new(VEGAS);
        let limits: Vec<_> = took_ms
            .iter()
            .map(|took| {
                limit.shown(ms(*took), limit.limit());
                limit.limit()
            })
            .collect();
        assert_eq!(limits, expect);
    }

    #[test]
    fn ac01_vegas_follows_the_time_to_the_first_content() {
        check_vegas(&[10, 10], &[11, 12]);
        check_vegas(&[10, 50], &[11, 5]);
        check_vegas(&[10, 14], &[11, 11]);
        check_vegas(&[10; 15], &[11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 20, 20, 20, 20, 20]);
        check_vegas(&[0, 1000, 1000], &[11, 3, 3]);
    }

    #[test]
    fn ac01_vegas_forgets_a_lucky_call() {
        let mut limit = Concurrency::new(VEGAS);
        limit.shown(ms(1), 10);
        for _ in 0..700 {
            limit.shown(ms(10), 20);
        }
        assert_eq!(limit.limit(), 20);
    }

    #[test]
    fn ac02_aimd_grows_by_one_and_shrinks_by_a_tenth() {
        let mut limit = Concurrency::new(AIMD);
        limit.shown(ms(10), 10);
        assert_eq!(limit.limit(), 11);
        let mut limit = Concurrency::new(AIMD);
        limit.refused(ms(0), ms(0));
        assert_eq!(limit.limit(), 9);
        for at in 1..100 {
            limit.refused(ms(at), ms(at));
        }
        assert_eq!(limit.limit(), 1, "never less than the least");
    }

    #[test]
    fn ac02_calls_that_were_sent_together_are_refused_once() {
        for spec in [AIMD, VEGAS] {
            let mut limit = Concurrency::new(spec);
            for _ in 0..10 {
                limit.refused(ms(5), ms(10));
            }
            assert_eq!(limit.limit(), 9);
            limit.refused(ms(11), ms(12));
            assert_eq!(limit.limit(), 8);
        }
    }

    #[test]
    fn ac02_once_there_were_too_many_the_limit_is_felt_for() {
        let spec = ConcurrencySpec { start: 40, max: 1000, ..AIMD };
        let mut limit = Concurrency::new(spec);
        limit.refused(ms(0), ms(0));
        limit.shown(ms(10), 40);
        assert_eq!(limit.limit(), 37, "an accident does not slow it down");
        limit.overran();
        let mut rounds = Vec::new();
        for _ in 0..12 {
            for _ in 0..limit.limit() {
                limit.shown(ms(10), limit.limit());
            }
            rounds.push(limit.limit());
        }
        assert!(rounds[7] >= 44 && rounds[7] <= 46, "by one in a round: {rounds:?}");
        assert!(rounds[11] >= rounds[7] + 15, "and faster when nothing happens: {rounds:?}");
    }

    #[test]
    fn ac02_each_refusal_makes_the_limit_felt_for_anew() {
        let mut limit = Concurrency::new(ConcurrencySpec { start: 10, max: 1000, ..AIMD });
        let rounds = |limit: &mut Concurrency, n_rounds| {
            for _ in 0..n_rounds {
                for _ in 0..limit.limit() {
                    limit.shown(ms(10), limit.limit());
                }
            }
            limit.limit()
        };
        limit.overran();
        let before = rounds(&mut limit, 16);
        limit.refused(ms(1), ms(1));
        let after = limit.limit();
        assert!(before > 30 && after < before, "{before} and {after}");
        assert!(rounds(&mut limit, 4) <= after + 4, "by one in a round, and not by more");
    }

    #[test]
    fn ac03_a_limit_that_is_not_used_does_not_grow() {
        for spec in [AIMD, VEGAS] {
            let mut limit = Concurrency::new(spec);
            limit.shown(ms(10), 4);
            assert_eq!(limit.limit(), 10);
            limit.shown(ms(10), 5);
            assert_eq!(limit.limit(), 11);
        }
    }

    #[test]
    fn bh01_a_fixed_limit_stays() {
        let mut limit = Concurrency::new(ConcurrencySpec::fixed(7));
        limit.shown(ms(1), 7);
        limit.refused(ms(1), ms(2));
        assert_eq!(limit.limit(), 7);
        assert_eq!(Concurrency::new(ConcurrencySpec::fixed(0)).limit(), 1);
    }
}
