//! The shell of the governor: callers wait here for their turn.
//!
//! Nobody is spawned. The caller that waits longest keeps the time for all of them, and whoever ends a
//! call, or gives up, lets the next ones through.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::select;
use futures_util::{Stream, StreamExt as _, stream};
use greenroom_core::budget::Price;
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind,
    RateLimitHints,
};
use greenroom_core::resilience::governor::{
    Ask, CallEnd, Governor as Machine, ModelKey, Refusal, Refused, Status, Ticket,
};
use greenroom_core::resilience::{GovernorSpec, breaker};
use greenroom_core::time::SteadyClock;
use tokio::sync::Notify;

use super::{SharedClock, broken_off, is_content, sleep_until};

/// What a reply is taken to need when the request does not limit it, in tokens.
const OUTPUT_TOKENS_ESTIMATED: u64 = 1024;

/// The governor of one provider account. Clones are handles of the same one: give every model of the
/// account, for every agent, a clone.
#[derive(Clone)]
pub struct Governor {
    shared: Arc<Shared>,
}

struct Shared {
    clock: SharedClock,
    wait_max: Duration,
    state: Mutex<State>,
}

struct State {
    machine: Machine,
    waiters: HashMap<Ticket, Waiter>,
}

struct Waiter {
    notify: Arc<Notify>,
    verdict: Option<Result<(), Refused>>,
}

impl Governor {
    /// The governor of an account that is idle.
    #[must_use]
    pub fn new(spec: GovernorSpec, clock: SharedClock) -> Self {
        // Callers' deadlines are instants of it.
        let clock: SharedClock = Arc::new(SteadyClock::new(clock));
        let (wait_max, seed) = (spec.wait_max, clock.now().as_millis());
        let state = State { machine: Machine::new(spec, seed), waiters: HashMap::new() };
        Self { shared: Arc::new(Shared { clock, wait_max, state: Mutex::new(state) }) }
    }

    /// Puts the calls of a model under this governor. Models of the same name share a breaker.
    #[must_use]
    pub fn govern<M: ChatModel>(&self, model: M) -> Governed<M> {
        let key = self.shared.state().machine.model(model.name());
        Governed { model: Arc::new(model), key, governor: self.clone() }
    }

    /// What waits, what is under way, and how much may be.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.state().machine.status()
    }

    /// The state of the breaker of a model that this governor has, by its name.
    #[must_use]
    pub fn breaker_state(&self, model: &str) -> Option<breaker::State> {
        let mut state = self.shared.state();
        let key = state.machine.model(model);
        state.machine.breaker_state(key)
    }

    /// Waits for the turn of a call that is no conversation. `left` is how long it may wait and take.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future, or the place, gives the place back.
    pub(super) async fn enter(
        &self,
        model: &str,
        tokens: u64,
        is_retry: bool,
        left: Duration,
    ) -> Result<Place, ModelError> {
        let shared = &self.shared;
        let ask = Ask {
            run: None,
            depth: 0,
            is_retry,
            tokens,
            model: shared.state().machine.model(model),
            give_up_at: shared.clock.elapsed().saturating_add(left.min(shared.wait_max)),
        };
        shared.enter(ask).await.map_err(|refused| error(refused, model))
    }

    /// The clock that it was given.
    pub(super) fn clock(&self) -> SharedClock {
        self.shared.clock.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a call's turn.
    async fn enter(self: &Arc<Self>, ask: Ask) -> Result<Place, Refused> {
        let (give_up_at, model) = (ask.give_up_at, ask.model);
        let notify = Arc::new(Notify::new());
        let (ticket, verdict) = {
            let (mut state, now) = (self.state(), self.clock.elapsed());
            let ticket = state.machine.ask(ask, now)?;
            state.waiters.insert(ticket, Waiter { notify: Arc::clone(&notify), verdict: None });
            state.pump(now);
            (ticket, state.take_verdict(ticket))
        };
        let place = Place { shared: Arc::clone(self), ticket, model, is_made: false };
        let verdict = match verdict {
            Some(verdict) => verdict,
            // Boxed: most do not wait, and all of them would make room for it.
            None => Box::pin(self.wait(ticket, give_up_at, &notify)).await,
        };
        verdict.map(|()| place.made())
    }

    /// Waits until a call is let through, refused, or too late.
    async fn wait(
        &self,
        ticket: Ticket,
        give_up_at: Duration,
        notify: &Notify,
    ) -> Result<(), Refused> {
        loop {
            let now = self.clock.elapsed();
            if now >= give_up_at {
                return Err(Refused { why: Refusal::TooLate, retry_after: None });
            }
            let until = self.state().wake_at(ticket, now).unwrap_or(give_up_at).min(give_up_at);
            let told = std::pin::pin!(notify.notified());
            select(told, sleep_until(&self.clock, until)).await;
            let now = self.clock.elapsed();
            let mut state = self.state();
            if now >= until {
                state.pump(now);
            }
            if let Some(verdict) = state.take_verdict(ticket) {
                return verdict;
            }
        }
    }
}

impl State {
    /// Lets everybody through whose turn it is, and wakes whoever keeps the time.
    fn pump(&mut self, now: Duration) {
        let refused = self.machine.poll_held_back(now);
        let refused = refused.into_iter().map(|(ticket, refused)| (ticket, Err(refused)));
        let settled: Vec<_> = refused.chain(self.machine.poll(now)).collect();
        for (ticket, verdict) in settled {
            if let Some(waiter) = self.waiters.get_mut(&ticket) {
                waiter.verdict = Some(verdict);
                waiter.notify.notify_one();
            }
        }
        let timekeeper = self.machine.timekeeper().and_then(|ticket| self.waiters.get(&ticket));
        if let Some(timekeeper) = timekeeper {
            timekeeper.notify.notify_one();
        }
    }

    fn take_verdict(&mut self, ticket: Ticket) -> Option<Result<(), Refused>> {
        let verdict = self.waiters.get_mut(&ticket)?.verdict.take()?;
        self.waiters.remove(&ticket);
        Some(verdict)
    }

    /// When this one is to wake up for all, if it keeps the time.
    fn wake_at(&self, ticket: Ticket, now: Duration) -> Option<Duration> {
        if self.machine.timekeeper() == Some(ticket) { self.machine.wake_at(now) } else { None }
    }
}

/// A call's place: in the queue, and then under way. Whatever ends the call gives it back.
pub(super) struct Place {
    shared: Arc<Shared>,
    ticket: Ticket,
    model: ModelKey,
    is_made: bool,
}

impl Place {
    fn made(mut self) -> Self {
        self.is_made = true;
        self
    }

    /// What the provider tells of the model's limits.
    pub(super) fn learn(&self, limits: &RateLimitHints) {
        self.shared.state().machine.learn(self.model, limits, self.shared.clock.elapsed());
    }

    pub(super) fn shown(&self) {
        self.shared.state().machine.shown(self.ticket, self.shared.clock.elapsed());
    }

    pub(super) fn end(&self, end: CallEnd<'_>) {
        let (mut state, now) = (self.shared.state(), self.shared.clock.elapsed());
        state.machine.finish(self.ticket, end, now);
        state.pump(now);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_made {
            // Nothing happens when the call has ended already.
            return self.end(CallEnd::Cancelled);
        }
        let mut state = self.shared.state();
        state.waiters.remove(&self.ticket);
        state.machine.withdraw(self.ticket);
        drop(state);
        // It may have been let through, and not have noticed.
        self.end(CallEnd::NotSent);
    }
}

/// A model whose calls wait for their turn at an account.
///
/// A call that is not made fails with an error whose kind says what to do:
///
/// | refusal | kind | tried again |
/// |---|---|---|
/// | `TooLate` | `Timeout` | as the caller likes |
/// | `BreakerOpen`, `Throttled` | `Unavailable` | yes, after the wait |
/// | `HeldBack`, `QueueFull` | `RateLimited` | yes, after the wait |
/// | `NoRetriesLeft` | `Unavailable` | no |
pub struct Governed<M> {
    model: Arc<M>,
    key: ModelKey,
    governor: Governor,
}

impl<M: ChatModel> ChatModel for Governed<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let (model, key) = (Arc::clone(&self.model), self.key);
        let shared = Arc::clone(&self.governor.shared);
        let begun = async move {
            match shared.enter(ask(&request, key, &shared)).await {
                Ok(place) => {
                    let inner = Some(model.stream(request));
                    Box::pin(Call { inner, place, model, has_shown: false }) as ChatStream
                }
                Err(refused) => {
                    let error = error(refused, model.name());
                    stream::once(async { Err(error) }).boxed()
                }
            }
        };
        Box::pin(stream::once(begun).flatten())
    }
}

struct Call<M> {
    /// `None` once it has ended.
    inner: Option<ChatStream>,
    place: Place,
    model: Arc<M>,
    has_shown: bool,
}

impl<M: ChatModel> Stream for Call<M> {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let call = self.get_mut();
        let Some(inner) = &mut call.inner else { return Poll::Ready(None) };
        let event = ready!(inner.as_mut().poll_next(context));
        let event = event.unwrap_or_else(|| Err(broken_off(&*call.model)));
        match &event {
            Ok(ChatEvent::Meta(meta)) => call.place.learn(&meta.limits),
            Ok(ChatEvent::Finished(reply)) => {
                call.show();
                call.inner = None;
                call.place.end(CallEnd::Replied { tokens: reply.usage.tokens() });
            }
            Ok(event) if is_content(event) => call.show(),
            Ok(_) => {}
            Err(error) => {
                call.inner = None;
                call.place.end(CallEnd::Failed(error));
            }
        }
        Poll::Ready(Some(event))
    }
}

impl<M> Call<M> {
    fn show(&mut self) {
        if !self.has_shown {
            self.has_shown = true;
            self.place.shown();
        }
    }
}

fn ask(request: &ChatRequest, model: ModelKey, shared: &Shared) -> Ask {
    let Caller { run, depth, attempt, deadline, .. } = request.caller.clone();
    let now = shared.clock.elapsed();
    let left = deadline.map(|deadline| deadline.since(shared.clock.now()));
    let output = request.output_tokens_max.map_or(OUTPUT_TOKENS_ESTIMATED, u64::from);
    Ask {
        run,
        depth,
        is_retry: attempt > 1,
        tokens: request.input_tokens_estimated().saturating_add(output),
        model,
        give_up_at: now.saturating_add(left.unwrap_or(shared.wait_max).min(shared.wait_max)),
    }
}

fn error(refused: Refused, model: &str) -> ModelError {
    let Refused { why, retry_after } = refused;
    let kind = match why {
        Refusal::TooLate => ModelErrorKind::Timeout,
        Refusal::BreakerOpen | Refusal::Throttled | Refusal::NoRetriesLeft => {
            ModelErrorKind::Unavailable
        }
        Refusal::HeldBack | Refusal::QueueFull => ModelErrorKind::RateLimited,
    };
    let should_retry = (why == Refusal::NoRetriesLeft).then_some(false);
    ModelError { retry_after, should_retry, ..ModelError::new(kind, model, why.to_string()) }
}

impl fmt::Debug for Governor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Governor").field(&self.status()).finish()
    }
}

debug_by_name!(Governed);
