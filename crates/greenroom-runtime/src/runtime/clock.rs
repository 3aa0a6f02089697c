//! The clock of the machine this runs on.

use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::time::{Clock, Timestamp};
use tokio::time::Instant;

/// Wall-clock time advanced by tokio's monotonic clock, so that it follows virtual time in tests and a
/// change of the machine's clock moves no timer.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
    origin_at: Timestamp,
}

impl SystemClock {
    /// A clock that reads the machine's time once, now.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime whose time driver is enabled, when time is virtual.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else is given")]
    pub fn new() -> Self {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::starting_at(Timestamp::default().after(since_epoch.unwrap_or_default()))
    }

    /// A clock that shows `at` now: the same run with the same clock writes the same journal.
    #[must_use]
    pub fn starting_at(at: Timestamp) -> Self {
        Self { origin: Instant::now(), origin_at: at }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.origin_at.after(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}
