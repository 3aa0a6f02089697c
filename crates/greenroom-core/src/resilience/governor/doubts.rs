//! The breaker of a model, and the refusals of which nobody knows yet what they say.
//!
//! A provider that is full refuses what is too much and answers the rest; one that is down answers nothing. So
//! the breaker is not told of a refusal before one of the two is known:
//!
//! | since the refusal | it was |
//! |---|---|
//! | a call of the model shows content, or is answered | too much, and says nothing of the provider |
//! | all calls have ended without an answer that were under way then | a failure |
//! | neither, for as long as the breaker looks back | a failure |

use std::collections::VecDeque;
use std::time::Duration;

use crate::resilience::breaker::{Breaker, BreakerSpec, CallResult, Pass, Transition};

/// A breaker, and what it is not told yet.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) breaker: Breaker,
    doubt_max: Duration,
    /// In the order of their times.
    doubts: VecDeque<Doubt>,
}

/// A refused call.
#[derive(Debug)]
struct Doubt {
    pass: Pass,
    took: Duration,
    at: Duration,
}

impl Judge {
    pub(super) fn new(spec: BreakerSpec) -> Self {
        Self { breaker: Breaker::new(spec), doubt_max: spec.window, doubts: VecDeque::new() }
    }

    /// A call was refused, which changes nothing yet.
    pub(super) fn refused(&mut self, pass: Pass, took: Duration, now: Duration) {
        self.doubts.push_back(Doubt { pass, took, at: now });
    }

    /// A call has ended in another way.
    pub(super) fn finish(
        &mut self,
        pass: Pass,
        result: CallResult,
        took: Duration,
        now: Duration,
    ) -> Option<Transition> {
        if result == CallResult::Success {
            self.answered(now);
        }
        self.breaker.finish(pass, result, took, now)
    }

    /// The provider answers: what it refused meanwhile was too much.
    pub(super) fn answered(&mut self, now: Duration) {
        for Doubt { pass, took, .. } in self.doubts.drain(..) {
            self.breaker.finish(pass, CallResult::Ignored, took, now);
        }
    }

    /// Tells the breaker of the refusals that nothing speaks for any more. `oldest` tells when that call was sent
    /// that is under way for longest.
    pub(super) fn settle(
        &mut self,
        oldest: impl FnOnce() -> Option<Duration>,
        now: Duration,
    ) -> Option<Transition> {
        let mut changed = None;
        let oldest = if self.doubts.is_empty() { None } else { oldest() };
        while let Some(Doubt { pass, took, at }) = self.doubts.pop_front() {
            let is_alone = oldest.is_none_or(|sent_at| sent_at > at);
            if !is_alone && now < at.saturating_add(self.doubt_max) {
                self.doubts.push_front(Doubt { pass, took, at });
                break;
            }
            changed = self.breaker.finish(pass, CallResult::Failure, took, now).or(changed);
        }
        changed
    }
}
