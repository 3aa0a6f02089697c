//! What a fan-out is told before it begins, and how it may end.

use std::fmt;
use std::time::Duration;

use crate::join::{Join, JoinCount, Joined};

/// When a fan-out is over, how many branches run at once, and until when: see the tables at
/// [`crate::fanout`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use greenroom_core::fanout::FanOut;
///
/// let everything = FanOut::gather();
/// let three_at_a_time = FanOut::gather().width(3);
/// let what_is_there = FanOut::gather().deadline(Duration::from_millis(2500));
/// let two_agree = FanOut::at_least(2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct FanOut {
    until: Until,
    width: usize,
    deadline: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Until {
    Joined(Join),
    /// One branch has ended, well or not.
    Ended,
}

impl FanOut {
    /// Waits for every branch and keeps every error; with a deadline, what there is by then.
    pub const fn gather() -> Self {
        Self::new(Until::Joined(Join::Settled))
    }

    /// All or nothing: the first failure cancels the other branches.
    pub const fn all() -> Self {
        Self::new(Until::Joined(Join::All))
    }

    /// The first success; the others are cancelled.
    pub const fn first() -> Self {
        Self::new(Until::Joined(Join::First))
    }

    /// The first `k` successes; the others are cancelled.
    pub const fn at_least(k: u32) -> Self {
        Self::new(Until::Joined(Join::AtLeast(k)))
    }

    /// The first end, well or not; the others are cancelled.
    pub const fn race() -> Self {
        Self::new(Until::Ended)
    }

    const fn new(until: Until) -> Self {
        Self { until, width: usize::MAX, deadline: None }
    }

    /// How many branches may run at once, and never less than 1. The others wait, and start in the order in
    /// which they were given. The default is all of them.
    pub const fn width(mut self, width: usize) -> Self {
        self.width = if width == 0 { 1 } else { width };
        self
    }

    /// When it is over, counted from its beginning, with whatever there is. Without one it takes as long as
    /// its branches, each of which has a deadline of its own.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How many of so many branches run at once.
    #[must_use]
    pub fn width_of(&self, n_branches: usize) -> usize {
        self.width.min(n_branches)
    }

    /// When it is over at the latest, counted from its beginning.
    #[must_use]
    pub const fn deadline_after(&self) -> Option<Duration> {
        self.deadline
    }

    pub(super) fn joined(&self, count: JoinCount) -> Joined {
        match self.until {
            Until::Joined(join) => count.joined(join),
            Until::Ended if count.n_ok + count.n_failed > 0 || count.n_open == 0 => Joined::Ready,
            Until::Ended => Joined::Waiting,
        }
    }
}

/// How a fan-out ended: see the tables at [`crate::fanout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// Enough branches ended as they should.
    Complete,
    /// Too many branches failed.
    Impossible,
    /// The deadline passed, and at least one branch had succeeded.
    Partial,
    /// The deadline passed, and no branch had succeeded.
    Late,
    /// Nobody waits for the outcome any more.
    Cancelled,
    /// There were too many branches, and none was started.
    Refused,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Complete => "complete",
            Self::Impossible => "impossible",
            Self::Partial => "partial",
            Self::Late => "late",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
        })
    }
}
