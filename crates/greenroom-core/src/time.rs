//! Time as a value, and the seam through which it is read.
//!
//! No machine reads a clock: instants arrive with events. The one trait here is what the layers
//! above implement and what tests replace.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::BoxFuture;

/// Wall-clock time in milliseconds since the Unix epoch. For records, never for timers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The end of time: later than anything that happens.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant so many milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The instant `span` later; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(span)))
    }

    /// The time from `earlier` to `self`; zero when the clock was set back between them.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Spans as whole milliseconds in text.
pub(crate) mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(super::whole_millis(*span))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// The whole milliseconds of a span.
pub(crate) fn whole_millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Where time comes from.
///
/// `now` is for records. Waiting is measured by `elapsed`, which is monotonic: setting the machine's
/// clock back by an hour changes no timer.
pub trait Clock: Send + Sync + 'static {
    /// The wall-clock time.
    fn now(&self) -> Timestamp;

    /// Monotonic time since an origin of the clock's own.
    fn elapsed(&self) -> Duration;

    /// Completes once `span` has passed. Dropping the future cancels the wait.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()>;
}

const _: fn(&dyn Clock) = |_| {};

/// A clock whose time of day is read once, and moves on with its monotonic time: whoever compares two of its instants
/// measures, also when somebody sets the machine's clock in between.
#[derive(Clone)]
pub struct SteadyClock {
    clock: Arc<dyn Clock>,
    origin: Duration,
    origin_at: Timestamp,
}

impl SteadyClock {
    /// A clock that reads the time of day of another one now.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { origin: clock.elapsed(), origin_at: clock.now(), clock }
    }
}

impl fmt::Debug for SteadyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SteadyClock").field("origin_at", &self.origin_at).finish_non_exhaustive()
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.origin_at.after(self.clock.elapsed().saturating_sub(self.origin))
    }

    fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(span)
    }
}
