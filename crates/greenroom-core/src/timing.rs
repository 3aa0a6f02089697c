//! How long something took, many times over: a count, a sum, a maximum and a coarse histogram.
//!
//! Small enough to keep one for each agent, and cheap enough to be written at every message.

use std::time::Duration;

/// Durations below 1 µs are in the first bucket, those below 2 µs in the second, and so on; the last has
/// everything from about 4 seconds.
const N_BUCKETS: usize = 24;

/// How long something took, many times over.
///
/// The quantiles are upper bounds that are less than twice the truth, and exact from the largest on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timing {
    n: u64,
    total: Duration,
    max: Duration,
    /// One more than the duration's number of bits in microseconds is the index.
    buckets: [u32; N_BUCKETS],
}

impl Timing {
    /// Adds one duration.
    pub fn record(&mut self, took: Duration) {
        self.n += 1;
        self.total = self.total.saturating_add(took);
        self.max = self.max.max(took);
        let micros = took.as_secs().saturating_mul(1_000_000);
        let micros = micros.saturating_add(took.subsec_micros().into());
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        let bucket = &mut self.buckets[bucket.min(N_BUCKETS - 1)];
        *bucket = bucket.saturating_add(1);
    }

    /// How many there were.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Their sum.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// Their mean; zero when there were none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        let nanos = self.total.as_nanos().checked_div(u128::from(self.n)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A bound that at least so many thousandths of them do not exceed: 990 for the 99th percentile. It is
    /// zero when there were none.
    #[must_use]
    pub fn quantile(&self, per_mille: u16) -> Duration {
        let n: u64 = self.buckets.iter().map(|n| u64::from(*n)).sum();
        let wanted = (n * u64::from(per_mille.min(1000))).div_ceil(1000).max(1);
        let mut n_seen = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            n_seen += u64::from(*n);
            if n_seen >= wanted && i < N_BUCKETS - 1 {
                return Duration::from_micros(1 << i).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timing(micros: impl IntoIterator<Item = u64>) -> Timing {
        let mut timing = Timing::default();
        for micros in micros {
            timing.record(Duration::from_micros(micros));
        }
        timing
    }

    #[track_caller]
    fn check(micros: impl IntoIterator<Item = u64>, per_mille: u16, expect_micros: u64) {
        let expect = Duration::from_micros(expect_micros);
        assert_eq!(timing(micros).quantile(per_mille), expect);
    }

    #[test]
    fn the_sums_are_exact() {
        let timing = timing([1, 2, 3_000_000]);
        assert_eq!((timing.n(), timing.total()), (3, Duration::from_micros(3_000_003)));
        assert_eq!(
            (timing.max(), timing.mean()),
            (Duration::from_secs(3), Duration::from_micros(1_000_001))
        );
    }

    #[test]
    fn a_quantile_bounds_as_many_as_it_says() {
        check([], 500, 0);
        check([3], 500, 3);
        check((0..100).map(|i| if i < 99 { 10 } else { 1000 }), 990, 16);
        check((0..100).map(|i| if i < 98 { 10 } else { 1000 }), 990, 1000);
        check([10, 10, 1000], 500, 16);
        check([10, 10, 1000], 1000, 1000);
        check([60_000_000], 990, 60_000_000);
        check([0; 5], 990, 0);
    }

    #[test]
    fn a_quantile_is_never_below_and_less_than_twice_the_truth() {
        for micros in (1..3_000_000).step_by(997) {
            let bound = timing([micros, 4_000_000]).quantile(500).as_micros() as u64;
            assert!(bound >= micros && bound <= 2 * micros, "{micros}: {bound}");
        }
    }
}
