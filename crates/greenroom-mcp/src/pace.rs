//! When a server that is gone may be started again.
//!
//! | since it was last started | a call |
//! |---|---|
//! | a call was answered | starts it at once |
//! | no call was answered: it did not start, or died at every call | starts it after 1 s, 2 s, 4 s … 60 s, and fails before |

use std::time::Duration;

use greenroom_core::supervision::Backoff;

const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// It only decides: nothing is started here, and nobody waits.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Starts in a row after which no call was answered.
    n_failures: u32,
    not_before: Option<Duration>,
}

impl Pace {
    /// Notes a start at a time since some origin. It counts as failed until a call is answered, so that one that is
    /// broken off counts, too.
    ///
    /// # Errors
    ///
    /// How long it is too early.
    pub(crate) fn start(&mut self, now: Duration) -> Result<(), Duration> {
        let early = self.not_before.map_or(Duration::ZERO, |at| at.saturating_sub(now));
        if !early.is_zero() {
            return Err(early);
        }
        self.not_before = Some(now.saturating_add(BACKOFF.delay(self.n_failures)));
        self.n_failures = self.n_failures.saturating_add(1);
        Ok(())
    }

    /// Notes that a call was answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_become_rare_until_a_call_is_answered() {
        let second = Duration::from_secs;
        let mut pace = Pace::default();
        assert_eq!(pace.start(second(10)), Ok(()));
        assert_eq!(pace.start(second(10)), Err(second(1)));
        assert_eq!(pace.start(second(11)), Ok(()));
        assert_eq!(pace.start(second(12)), Err(second(1)));
        let mut now = second(13);
        for n in 2..40 {
            assert_eq!(pace.start(now), Ok(()), "start {n}");
            let early = pace.start(now).expect_err("too early");
            assert_eq!(early, second(60.min(1 << n.min(6))), "start {n}");
            now += early;
        }
        pace.answered();
        assert_eq!(pace.start(now), Ok(()));
    }
}
