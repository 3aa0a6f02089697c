//! The retry budget of Finagle (`com.twitter.finagle.service.RetryBudget`): retries are a share of the
//! requests of the last seconds, and a few per second besides.

use std::time::Duration;

use crate::resilience::window::Window;

/// Requests are counted in thousandths, so that small shares are exact.
const SCALE: f64 = 1000.0;
const SLOTS: usize = 10;

/// A share of requests may be retries.
#[derive(Debug, Clone)]
pub struct RatioBudget {
    balance: Window<i64, SLOTS>,
    reserve: i64,
    deposit: i64,
    withdrawal: i64,
}

/// The time to live of a budget must be between one second and one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a retry budget remembers requests for 1 to 60 s, not {0:?}")]
pub struct TtlOutOfRange(pub Duration);

impl RatioBudget {
    /// Allows `ratio` retries for each request of the last `ttl`, and `retries_per_s_min` per second
    /// without any.
    ///
    /// # Errors
    ///
    /// [`TtlOutOfRange`].
    pub fn new(ttl: Duration, retries_per_s_min: u32, ratio: f64) -> Result<Self, TtlOutOfRange> {
        if !(Duration::from_secs(1)..=Duration::from_secs(60)).contains(&ttl) {
            return Err(TtlOutOfRange(ttl));
        }
        let is_shared = ratio > 0.0;
        let withdrawal = if is_shared { (SCALE / ratio) as i64 } else { 1 };
        let reserved = f64::from(retries_per_s_min) * ttl.as_secs_f64() * withdrawal as f64;
        Ok(Self {
            balance: Window::new(ttl),
            reserve: reserved as i64,
            deposit: if is_shared { SCALE as i64 } else { 0 },
            withdrawal,
        })
    }

    /// Counts a request; retries are none.
    pub fn deposit(&mut self, now: Duration) {
        *self.balance.current(now) += self.deposit;
    }

    /// Takes a retry, when there is one.
    pub fn try_withdraw(&mut self, now: Duration) -> bool {
        let balance: i64 = self.balance.slots(now).iter().sum();
        let is_there = balance + self.reserve >= self.withdrawal;
        if is_there {
            *self.balance.current(now) -= self.withdrawal;
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(budget: &mut RatioBudget, now: Duration) -> u32 {
        (0..1_000_000).take_while(|_| budget.try_withdraw(now)).count() as u32
    }

    #[test]
    fn rt06_retries_are_a_share_of_the_requests_and_a_few_per_second() {
        let ttl = Duration::from_secs(5);
        for ratio in [0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.99] {
            for per_s_min in [0, 10] {
                let mut budget = RatioBudget::new(ttl, per_s_min, ratio).expect("a fine budget");
                (0..10_000).for_each(|_| budget.deposit(ttl));
                let expected = 10_000.0 * ratio + 5.0 * f64::from(per_s_min);
                let n_retries = f64::from(retries(&mut budget, ttl));
                assert!((n_retries - expected).abs() <= 1.0, "{ratio}: {n_retries}");
            }
        }
    }

    #[test]
    fn rt06_the_time_to_live_is_between_a_second_and_a_minute() {
        for (millis, is_fine) in [(999, false), (1000, true), (60_000, true), (60_001, false)] {
            let ttl = Duration::from_millis(millis);
            assert_eq!(RatioBudget::new(ttl, 10, 0.2).is_ok(), is_fine, "{ttl:?}");
        }
    }

    #[test]
    fn rt06_nothing_per_request_and_per_second_lends_nothing() {
        let mut budget = RatioBudget::new(Duration::from_secs(1), 0, 0.0).expect("a fine budget");
        (0..1000).for_each(|_| budget.deposit(Duration::ZERO));
        assert_eq!(retries(&mut budget, Duration::ZERO), 0);
    }

    #[test]
    fn rt06_requests_and_retries_are_forgotten_after_the_time_to_live() {
        let second = Duration::from_secs(1);
        let mut budget = RatioBudget::new(second, 3, 0.5).expect("a fine budget");
        (0..4).for_each(|_| budget.deposit(Duration::ZERO));
        assert_eq!(retries(&mut budget, Duration::ZERO), 5);
        assert_eq!(retries(&mut budget, second), 3);
        assert_eq!(retries(&mut budget, second), 0);
    }
}
