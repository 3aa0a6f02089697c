//! Refusing at home what the provider would refuse anyway ("Handling Overload", Site Reliability
//! Engineering, Google 2016): a refusal that costs the provider nothing leaves it time to recover.

use std::time::Duration;

use super::window::Window;

/// How many requests are made for each that is accepted before some are refused at home: with 2, half of
/// the provider's capacity at most goes into refusals.
const REQUESTS_PER_ACCEPTED: f64 = 2.0;

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n_requests: u64,
    n_accepted: u64,
}

/// Counts what was asked against what was accepted, over the last two minutes.
#[derive(Debug, Clone)]
pub struct Throttle {
    window: Window<Counts, 12>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { window: Window::new(Duration::from_secs(120)) }
    }
}

impl Throttle {
    /// A throttle that refuses nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The share of requests that is to be refused at home: `max(0, (n - 2a) / (n + 1))` for `n` requests
    /// of which `a` were accepted.
    #[must_use]
    pub fn refusal_share(&mut self, now: Duration) -> f64 {
        let slots = self.window.slots(now);
        let n_requests: u64 = slots.iter().map(|slot| slot.n_requests).sum();
        let n_accepted: u64 = slots.iter().map(|slot| slot.n_accepted).sum();
        let excess = n_requests as f64 - REQUESTS_PER_ACCEPTED * n_accepted as f64;
        (excess / (n_requests as f64 + 1.0)).max(0.0)
    }

    /// Counts a request and tells whether it may be made. `share` is a random number in [0, 1).
    pub fn admit(&mut self, share: f64, now: Duration) -> bool {
        let is_refused = share < self.refusal_share(now);
        self.window.current(now).n_requests += 1;
        !is_refused
    }

    /// The provider took a request: any answer but that it is overloaded.
    pub fn accepted(&mut self, now: Duration) {
        self.window.current(now).n_accepted += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ls03_the_share_grows_with_what_the_provider_refuses() {
        let mut throttle = Throttle::new();
        assert_eq!(throttle.refusal_share(Duration::ZERO), 0.0);
        for i in 0..100 {
            throttle.admit(1.0, Duration::ZERO);
            if i < 20 {
                throttle.accepted(Duration::ZERO);
            }
        }
        let share = throttle.refusal_share(Duration::ZERO);
        assert!((share - 60.0 / 101.0).abs() < 1e-9, "{share}");
        assert!(!throttle.admit(0.59, Duration::ZERO));
        assert!(throttle.admit(0.60, Duration::ZERO));
        assert_eq!(throttle.refusal_share(Duration::from_secs(120)), 0.0, "it forgets");
    }

    #[test]
    fn ls03_half_of_all_may_be_refused_before_any_is_at_home() {
        let mut throttle = Throttle::new();
        for _ in 0..50 {
            assert!(throttle.admit(0.0, Duration::ZERO));
            throttle.accepted(Duration::ZERO);
            assert!(throttle.admit(0.0, Duration::ZERO));
        }
    }
}
