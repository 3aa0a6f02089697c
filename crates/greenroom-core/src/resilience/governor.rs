//! The governor of one provider account: which call goes next, and when.
//!
//! All agents of an account share one, so it can do what no agent can by itself: keep the account's
//! limits, be fair between runs, let a parent pass its children, hold everybody back after one refusal,
//! and bound retries altogether.
//!
//! # What happens to a call
//!
//! It is refused at once, in this order, when
//!
//! | the reason | the caller is told to wait |
//! |---|---|
//! | its deadline has passed | no |
//! | its model's breaker is open | until the breaker lets probes through |
//! | the provider refuses too many, and the client-side throttle is on | no |
//! | the account is held back for longer than the call may wait | until it is not |
//! | too many calls wait already | a second |
//! | it is a retry, and the retry budget is empty | no, and not to try again |
//!
//! Else it waits until a place is free, the account is not held back and its limits have room. The next
//! one is of the run that was given the least, and within the run of the least depth: see [`queue`].
//!
//! # What a refusal of the provider does
//!
//! A 429 holds the whole account back for as long as the provider asks (or 1, 2, 4 … 60 s when it does
//! not say), and lowers the limit of concurrency once for all calls that were sent together. Afterwards
//! calls are let through one by one, evenly over [`GovernorSpec::spread`].
//!
//! One 503 may be an accident, and only lowers the limit. Three without an answer in between, and a tenth of
//! the calls under way, are what a provider says that has too much to do, and hold the account back as a
//! 429 does. The breaker hears of a 503 only once it is known that nothing was answered beside it: see
//! `doubts`.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::breaker::{CallResult, Pass, State, Transition};
use super::budget::{Paid, RetryBudget};
use super::concurrency::Concurrency;
use super::rate::{RateLimits, Reserved};
use super::throttle::Throttle;
use crate::model::{ModelError, ModelErrorKind, RateLimitHints};
use crate::random::SplitMix64;

mod doubts;
mod gate;
mod protocol;
pub mod queue;

pub use protocol::{Ask, CallEnd, GovernorSpec, ModelKey, Refusal, Refused, Status, Ticket};

use doubts::Judge;
use gate::Gate;
use queue::{Queue, Waiting};

struct InFlight {
    ask: Ask,
    reserved: Reserved,
    pass: Option<Pass>,
    paid: Option<Paid>,
    sent_at: Duration,
    first_content: Option<Duration>,
}

#[derive(Debug)]
struct Model {
    name: String,
    judge: Option<Judge>,
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("sent_at", &self.sent_at).finish_non_exhaustive()
    }
}

/// The governor of one provider account.
#[derive(Debug)]
pub struct Governor {
    spec: GovernorSpec,
    concurrency: Concurrency,
    limits: RateLimits,
    gate: Gate,
    retries: Option<RetryBudget>,
    throttle: Throttle,
    chance: SplitMix64,
    models: Vec<Model>,
    queue: Queue,
    in_flight: HashMap<Ticket, InFlight>,
    n_tickets: u64,
    last_failure: ModelErrorKind,
    n_refused: u64,
}

impl Governor {
    /// A governor of an idle account.
    #[must_use]
    pub fn new(spec: GovernorSpec, seed: u64) -> Self {
        Self {
            concurrency: Concurrency::new(spec.concurrency),
            limits: RateLimits::new(spec.requests, spec.tokens),
            gate: Gate::new(spec.spread),
            retries: spec.retry_budget.map(RetryBudget::new),
            throttle: Throttle::new(),
            chance: SplitMix64::new(seed),
            models: Vec::new(),
            queue: Queue::default(),
            in_flight: HashMap::new(),
            n_tickets: 0,
            last_failure: ModelErrorKind::Unavailable,
            n_refused: 0,
            spec,
        }
    }

    /// The key of a model, which has a breaker of its own. Meant for the models that an application
    /// configures: each name that was ever asked for is kept.
    pub fn model(&mut self, name: &str) -> ModelKey {
        let known = self.models.iter().position(|known| known.name == name);
        ModelKey(known.unwrap_or_else(|| {
            let judge = self.spec.breaker.map(Judge::new);
            self.models.push(Model { name: name.to_owned(), judge });
            self.models.len() - 1
        }))
    }

    /// Takes a call into the queue; [`Governor::poll`] tells when it is made.
    ///
    /// # Errors
    ///
    /// [`Refused`], by the table of the module.
    pub fn ask(&mut self, ask: Ask, now: Duration) -> Result<Ticket, Refused> {
        let paid = self.check(&ask, now).inspect_err(|_| self.n_refused += 1)?;
        self.n_tickets += 1;
        let ticket = Ticket(self.n_tickets);
        self.queue.push(ticket, Waiting { ask, paid });
        Ok(ticket)
    }

    /// The calls that are made now, and those that are refused after all. Call it after every change and
    /// at [`Governor::wake_at`].
    pub fn poll(&mut self, now: Duration) -> Vec<(Ticket, Result<(), Refused>)> {
        let mut settled = Vec::new();
        while self.wake_at(now).is_some_and(|at| at <= now) {
            let Some((ticket, waiting)) = self.queue.pop() else { break };
            let made = self.make(ticket, waiting, now);
            settled.push((ticket, made.inspect_err(|_| self.n_refused += 1)));
        }
        settled
    }

    /// When the next call can be made, if nothing else happens; `None` while that depends on others.
    #[must_use]
    pub fn wake_at(&self, now: Duration) -> Option<Duration> {
        let next = self.queue.peek()?;
        if self.in_flight.len() >= self.concurrency.limit() {
            return None;
        }
        let opens_at = self.gate.opens_at(self.queue.len()).max(now);
        let wait = self.limits.wait(next.ask.tokens, opens_at);
        Some(opens_at.saturating_add(wait))
    }

    /// The call that waits longest, whose caller is to keep the time for all.
    #[must_use]
    pub fn timekeeper(&self) -> Option<Ticket> {
        self.queue.oldest()
    }

    /// A waiting call gives up; the time that it may wait is over, or its caller is gone.
    pub fn withdraw(&mut self, ticket: Ticket) {
        if let Some(waiting) = self.queue.remove(ticket) {
            self.not_made(waiting.paid);
        }
    }

    /// The first content of a call has come.
    pub fn shown(&mut self, ticket: Ticket, now: Duration) {
        let n_in_flight = self.in_flight.len();
        let Some(call) = self.in_flight.get_mut(&ticket) else { return };
        if call.first_content.is_none() {
            let took = now.saturating_sub(call.sent_at);
            call.first_content = Some(took);
            self.concurrency.shown(took, n_in_flight);
            self.gate.passed();
            let model = call.ask.model;
            if let Some(judge) = self.judge(model) {
                judge.answered(now);
            }
        }
    }

    /// What the provider tells of the account's limits with a reply of a model.
    pub fn learn(&mut self, model: ModelKey, hints: &RateLimitHints, now: Duration) {
        self.limits.learn(model, hints, now);
    }

    /// A call has ended. Tells when that changed the state of its model's breaker. When a refusal holds
    /// the account back, calls that cannot wait for so long come out of [`Governor::poll_held_back`].
    pub fn finish(
        &mut self,
        ticket: Ticket,
        end: CallEnd<'_>,
        now: Duration,
    ) -> Option<Transition> {
        let call = self.in_flight.remove(&ticket)?;
        let tokens = match end {
            CallEnd::Replied { tokens } => {
                self.replied(&call);
                tokens
            }
            CallEnd::Failed(error) => {
                self.failed(&call, error, now);
                0
            }
            CallEnd::Cancelled | CallEnd::NotSent => call.ask.tokens,
        };
        let result = match end {
            CallEnd::Replied { .. } => CallResult::Success,
            CallEnd::Failed(error) => CallResult::of(error),
            CallEnd::Cancelled | CallEnd::NotSent => CallResult::Ignored,
        };
        if end == CallEnd::NotSent {
            self.limits.cancel(call.reserved, now);
            self.not_made(call.paid);
        } else {
            self.limits.settle(call.reserved, tokens, now);
        }
        if !is_overload(end) {
            self.throttle.accepted(now);
        }
        let took = call.first_content.unwrap_or_else(|| now.saturating_sub(call.sent_at));
        let model = call.ask.model;
        let (judge, pass) = (self.models.get_mut(model.0)?.judge.as_mut()?, call.pass?);
        let may_be_full = self.spec.holds_on_bursts
            && matches!(end, CallEnd::Failed(error) if error.kind == ModelErrorKind::Unavailable);
        let changed = if may_be_full {
            judge.refused(pass, took, now);
            None
        } else {
            judge.finish(pass, result, took, now)
        };
        let same = self.in_flight.values().filter(|other| other.ask.model == model);
        judge.settle(|| same.map(|other| other.sent_at).min(), now).or(changed)
    }

    /// The waiting calls that cannot wait until the account is not held back any more.
    pub fn poll_held_back(&mut self, now: Duration) -> Vec<(Ticket, Refused)> {
        let until = self.gate.closed_until();
        if until <= now {
            return Vec::new();
        }
        let refused = Refused { why: Refusal::HeldBack, retry_after: Some(until - now) };
        let late = self.queue.remove_those(|waiting| waiting.ask.give_up_at < until);
        let refuse = late.into_iter().map(|(ticket, waiting)| {
            self.not_made(waiting.paid);
            self.n_refused += 1;
            (ticket, refused)
        });
        refuse.collect()
    }

    /// What the governor knows, to be shown.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            n_waiting: self.queue.len(),
            n_in_flight: self.in_flight.len(),
            concurrency_max: self.concurrency.limit(),
            retries_level: self.retries.as_ref().map(RetryBudget::level),
            n_refused: self.n_refused,
        }
    }

    /// The state of a model's breaker, when it has one.
    #[must_use]
    pub fn breaker_state(&self, model: ModelKey) -> Option<State> {
        self.models.get(model.0)?.judge.as_ref().map(|judge| judge.breaker.state())
    }

    fn check(&mut self, ask: &Ask, now: Duration) -> Result<Option<Paid>, Refused> {
        let refuse = |why, retry_after| Err(Refused { why, retry_after });
        if ask.give_up_at <= now {
            return refuse(Refusal::TooLate, None);
        }
        let judge = self.judge(ask.model);
        if let Some(open) = judge.and_then(|judge| judge.breaker.refusal(now)) {
            return refuse(Refusal::BreakerOpen, open.retry_after);
        }
        if self.spec.is_throttled && !self.throttle.admit(self.chance.unit(), now) {
            return refuse(Refusal::Throttled, None);
        }
        let closed_until = self.gate.closed_until();
        if closed_until > now && closed_until > ask.give_up_at {
            return refuse(Refusal::HeldBack, Some(closed_until - now));
        }
        if self.queue.len() >= self.spec.queue_max {
            return refuse(Refusal::QueueFull, Some(Duration::from_secs(1)));
        }
        match &mut self.retries {
            Some(retries) if ask.is_retry => match retries.pay(self.last_failure) {
                None => refuse(Refusal::NoRetriesLeft, None),
                paid => Ok(paid),
            },
            _ => Ok(None),
        }
    }

    /// Makes a call whose turn it is, unless it is too late or its breaker has opened meanwhile.
    fn make(&mut self, ticket: Ticket, waiting: Waiting, now: Duration) -> Result<(), Refused> {
        let Waiting { ask, paid } = waiting;
        if ask.give_up_at <= now {
            self.not_made(paid);
            return Err(Refused { why: Refusal::TooLate, retry_after: None });
        }
        let judge = self.judge(ask.model);
        let pass = match judge.map(|judge| judge.breaker.admit(now)).transpose() {
            Ok(pass) => pass,
            Err(open) => {
                self.not_made(paid);
                return Err(Refused { why: Refusal::BreakerOpen, retry_after: open.retry_after });
            }
        };
        self.gate.pass(self.queue.len(), now);
        let reserved = self.limits.reserve(ask.tokens, now);
        let call = InFlight { ask, reserved, pass, paid, sent_at: now, first_content: None };
        self.in_flight.insert(ticket, call);
        Ok(())
    }

    fn judge(&mut self, model: ModelKey) -> Option<&mut Judge> {
        self.models.get_mut(model.0)?.judge.as_mut()
    }

    fn replied(&mut self, call: &InFlight) {
        self.gate.passed();
        if let Some(retries) = &mut self.retries {
            retries.succeeded(call.paid);
        }
    }

    fn failed(&mut self, call: &InFlight, error: &ModelError, now: Duration) {
        use ModelErrorKind::{RateLimited, Timeout, Unavailable};
        if error.kind.is_retryable() {
            self.last_failure = error.kind;
        }
        let are_too_many = match error.kind {
            RateLimited => {
                self.gate.close(error.retry_after, call.sent_at, now);
                true
            }
            Unavailable if self.spec.holds_on_bursts => {
                self.gate.struck(error.retry_after, call.sent_at, self.in_flight.len(), now)
            }
            _ => false,
        };
        if matches!(error.kind, RateLimited | Timeout | Unavailable) {
            self.concurrency.refused(call.sent_at, now);
        }
        if are_too_many {
            self.concurrency.overran();
        }
    }

    fn not_made(&mut self, paid: Option<Paid>) {
        if let Some(retries) = &mut self.retries {
            retries.not_made(paid);
        }
    }
}

fn is_overload(end: CallEnd<'_>) -> bool {
    use ModelErrorKind::{RateLimited, Timeout, Unavailable};
    matches!(end, CallEnd::Failed(error) if matches!(error.kind, RateLimited | Timeout | Unavailable))
}

#[cfg(test)]
mod tests;
