//! The circuit breaker: it stops calls to a provider that fails, and finds out with a few when it is back.
//!
//! It never retries and never waits. Rules and words are resilience4j's.
//!
//! | state | a call | becomes |
//! |---|---|---|
//! | closed | is made and counted | open, when a rate reaches its maximum over enough calls |
//! | open | is refused and counted | half-open, at the first call after [`BreakerSpec::open`] |
//! | half-open | is made while a probe is left, and refused else | open or closed, when all probes have a result; open, when they have none for too long |
//! | forced open | is refused and counted | nothing by itself |
//! | disabled | is made and not counted | nothing by itself |

use std::time::Duration;

use super::window::Window;
use crate::model::{ModelError, ModelErrorKind};

/// When a breaker opens, and how it closes again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerSpec {
    /// The time over which rates are measured, to a twentieth. Default 30 s.
    pub window: Duration,
    /// With fewer calls than this in the window there is no rate. Default 10.
    pub calls_min: u32,
    /// The share of failed calls that opens, from 0 to 1; the limit itself opens. Default 0.5.
    pub failure_rate_max: f64,
    /// A call is slow when its first content takes this long. `None`, the default, calls none slow:
    /// models think as long as they like.
    pub slow: Option<Duration>,
    /// The share of slow calls that opens, from 0 to 1; the limit itself opens. Default 0.8.
    pub slow_rate_max: f64,
    /// How long it stays open. Default 10 s.
    pub open: Duration,
    /// The calls whose results decide between open and closed. Default 3, and never less than 1.
    pub n_probes: u32,
    /// How long the probes may take together before it opens again. Default 60 s.
    pub half_open_max: Duration,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            calls_min: 10,
            failure_rate_max: 0.5,
            slow: None,
            slow_rate_max: 0.8,
            open: Duration::from_secs(10),
            n_probes: 3,
            half_open_max: Duration::from_secs(60),
        }
    }
}

/// The state of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls are made.
    Closed,
    /// Calls are refused for a while.
    Open,
    /// A few calls are made to find out.
    HalfOpen,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls are made and nothing is counted, until somebody says otherwise.
    Disabled,
}

/// What a call's result says about the provider.
///
/// | result | says |
/// |---|---|
/// | a reply | `Success` |
/// | 5xx, 529, no connection, a timeout, a stalled or broken-off stream, not an API's reply | `Failure` |
/// | 429 | `Ignored`: the limits deal with it |
/// | the request, the key or the quota was at fault; or the caller went away | `Ignored` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallResult {
    /// It works.
    Success,
    /// It does not.
    Failure,
    /// Nothing: the place of the call is given back.
    Ignored,
}

impl CallResult {
    /// What an error says.
    #[must_use]
    pub fn of(error: &ModelError) -> Self {
        use ModelErrorKind::{Incomplete, InvalidReply, Timeout, Unavailable};
        match error.kind {
            Unavailable | Timeout | Incomplete | InvalidReply => Self::Failure,
            _ => Self::Ignored,
        }
    }
}

/// A call that is under way. It must come back through [`Breaker::finish`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that is never finished takes a probe away"]
pub struct Pass {
    generation: u64,
}

/// A call that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it is worth another try; `None` when the breaker was forced open.
    pub retry_after: Option<Duration>,
}

/// Why the state changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cause {
    /// So many of the calls failed, from 0 to 1.
    FailureRate(f64),
    /// So many of the calls were slow, from 0 to 1.
    SlowRate(f64),
    /// The probes went well.
    Recovered,
    /// The time of being open is over.
    Waited,
    /// The probes had no result in time.
    ProbesHung,
    /// Somebody said so.
    Asked,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// From which state.
    pub from: State,
    /// To which state.
    pub to: State,
    /// Why.
    pub cause: Cause,
}

/// A change of state that nobody can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a breaker does not go from {from:?} to {to:?}")]
pub struct IllegalTransition {
    /// From which state.
    pub from: State,
    /// To which state.
    pub to: State,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    n_calls: u32,
    n_failed: u32,
    n_slow: u32,
}

const SLOTS: usize = 20;

/// A circuit breaker.
#[derive(Debug, Clone)]
pub struct Breaker {
    spec: BreakerSpec,
    state: State,
    since: Duration,
    /// Counts changes of state: a call that began before the last one says nothing about the new state.
    generation: u64,
    window: Window<Counts, SLOTS>,
    /// The results of the probes, while half-open.
    probes: Counts,
    n_probes_begun: u32,
    n_refused: u64,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(spec: BreakerSpec) -> Self {
        Self {
            window: Window::new(spec.window),
            spec,
            state: State::Closed,
            since: Duration::ZERO,
            generation: 0,
            probes: Counts::default(),
            n_probes_begun: 0,
            n_refused: 0,
        }
    }

    /// The state as of the last call. An open breaker becomes half-open only as somebody calls.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// How many calls were refused since the state was last counted afresh.
    #[must_use]
    pub fn n_refused(&self) -> u64 {
        self.n_refused
    }

    /// The share of failed calls, when there were enough to tell.
    #[must_use]
    pub fn failure_rate(&mut self, now: Duration) -> Option<f64> {
        let counts = self.counts(now);
        rate(counts.n_failed, counts.n_calls, self.calls_min())
    }

    /// Whether a call would be refused now, without counting one.
    #[must_use]
    pub fn refusal(&self, now: Duration) -> Option<Refused> {
        let over_at = self.since.saturating_add(self.spec.open);
        match self.state {
            State::ForcedOpen => Some(Refused { retry_after: None }),
            State::Open if now < over_at => Some(Refused { retry_after: Some(over_at - now) }),
            _ => None,
        }
    }

    /// Lets a call pass, or refuses it.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the time after which a try makes sense.
    pub fn admit(&mut self, now: Duration) -> Result<Pass, Refused> {
        if let Some(refused) = self.refusal(now) {
            self.n_refused += 1;
            return Err(refused);
        }
        let hung_at = self.since.saturating_add(self.spec.half_open_max);
        match self.state {
            State::Open => self.become_state(State::HalfOpen, now),
            State::HalfOpen if now >= hung_at => {
                self.become_state(State::Open, now);
                self.n_refused += 1;
                return Err(Refused { retry_after: Some(self.spec.open) });
            }
            _ => {}
        }
        if self.state == State::HalfOpen {
            if self.n_probes_begun >= self.n_probes() {
                self.n_refused += 1;
                return Err(Refused {
                    retry_after: Some(hung_at.saturating_sub(now).min(self.spec.open)),
                });
            }
            self.n_probes_begun += 1;
        }
        Ok(Pass { generation: self.generation })
    }

    /// Counts the result of a call whose first content took `took`, and tells whether it changed the
    /// state.
    #[expect(clippy::needless_pass_by_value, reason = "a pass is used once")]
    pub fn finish(
        &mut self,
        pass: Pass,
        result: CallResult,
        took: Duration,
        now: Duration,
    ) -> Option<Transition> {
        let counts_now = matches!(self.state, State::Closed | State::HalfOpen);
        if pass.generation != self.generation || !counts_now {
            return None;
        }
        if result == CallResult::Ignored {
            self.n_probes_begun = self.n_probes_begun.saturating_sub(1);
            return None;
        }
        let is_half_open = self.state == State::HalfOpen;
        let counts = if is_half_open { &mut self.probes } else { self.window.current(now) };
        counts.n_calls += 1;
        counts.n_failed += u32::from(result == CallResult::Failure);
        counts.n_slow += u32::from(self.spec.slow.is_some_and(|slow| took >= slow));
        self.judge(now)
    }

    /// Changes the state by hand.
    ///
    /// # Errors
    ///
    /// [`IllegalTransition`] from closed to half-open: nothing is known that a probe could find out.
    pub fn become_by_hand(
        &mut self,
        to: State,
        now: Duration,
    ) -> Result<Transition, IllegalTransition> {
        let from = self.state;
        if (from, to) == (State::Closed, State::HalfOpen) {
            return Err(IllegalTransition { from, to });
        }
        self.become_state(to, now);
        Ok(Transition { from, to, cause: Cause::Asked })
    }

    fn judge(&mut self, now: Duration) -> Option<Transition> {
        let from = self.state;
        let (counts, calls_min) = (self.counts(now), self.calls_min());
        let failed = rate(counts.n_failed, counts.n_calls, calls_min)?;
        let slow = rate(counts.n_slow, counts.n_calls, calls_min)?;
        let cause = if failed >= self.spec.failure_rate_max {
            Cause::FailureRate(failed)
        } else if self.spec.slow.is_some() && slow >= self.spec.slow_rate_max {
            Cause::SlowRate(slow)
        } else if from == State::HalfOpen {
            Cause::Recovered
        } else {
            return None;
        };
        let to = if cause == Cause::Recovered { State::Closed } else { State::Open };
        self.become_state(to, now);
        Some(Transition { from, to, cause })
    }

    /// What counts in the present state. An open breaker shows what opened it.
    fn counts(&mut self, now: Duration) -> Counts {
        if self.is_probed() {
            return self.probes;
        }
        self.window.slots(now).iter().fold(Counts::default(), |sum, slot| Counts {
            n_calls: sum.n_calls + slot.n_calls,
            n_failed: sum.n_failed + slot.n_failed,
            n_slow: sum.n_slow + slot.n_slow,
        })
    }

    fn calls_min(&self) -> u32 {
        if self.is_probed() { self.n_probes() } else { self.spec.calls_min.max(1) }
    }

    fn is_probed(&self) -> bool {
        self.state == State::HalfOpen || self.probes.n_calls > 0
    }

    fn n_probes(&self) -> u32 {
        self.spec.n_probes.max(1)
    }

    fn become_state(&mut self, to: State, now: Duration) {
        self.state = to;
        self.since = now;
        self.generation += 1;
        self.n_probes_begun = 0;
        if to != State::Open {
            self.n_refused = 0;
            self.window.clear();
            self.probes = Counts::default();
        }
    }
}

fn rate(n: u32, n_calls: u32, calls_min: u32) -> Option<f64> {
    (n_calls >= calls_min).then(|| f64::from(n) / f64::from(n_calls))
}

#[cfg(test)]
mod tests;
