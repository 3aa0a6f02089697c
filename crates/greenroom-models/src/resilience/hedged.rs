//! Making a call twice when it is slow to begin.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures_util::future::{Either, select};
use futures_util::{StreamExt as _, stream};
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::model::{ChatEvent, ChatModel, ChatRequest, ChatStream, ModelError};
use greenroom_core::resilience::hedge::AfterFailure;
use greenroom_core::resilience::{Hedge, HedgeSpec};

use super::{SharedClock, broken_off, is_content, sleep_until};

/// A model whose slow calls are made once more; the first to have content wins, and the others are
/// cancelled.
///
/// The reply's usage counts all calls that were made for it; what the cancelled ones cost is not known.
/// To the account, a hedge is a retry: it is paid from the retry budget, and not made when that is empty.
pub struct Hedged<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    model: M,
    spec: HedgeSpec,
    clock: SharedClock,
    n_hedges: AtomicU64,
    n_won: AtomicU64,
}

/// What a [`Hedged`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HedgeStats {
    /// Calls that were made beside a slow or failed one.
    pub n_hedges: u64,
    /// How many of those were the first to have content.
    pub n_won: u64,
}

impl<M: ChatModel> Hedged<M> {
    /// Hedges the calls of a model.
    #[must_use]
    pub fn new(model: M, spec: HedgeSpec, clock: SharedClock) -> Self {
        let (n_hedges, n_won) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { shared: Arc::new(Shared { model, spec, clock, n_hedges, n_won }) }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> HedgeStats {
        HedgeStats {
            n_hedges: self.shared.n_hedges.load(Ordering::Relaxed),
            n_won: self.shared.n_won.load(Ordering::Relaxed),
        }
    }
}

impl<M: ChatModel> ChatModel for Hedged<M> {
    fn name(&self) -> &str {
        self.shared.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.shared.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let race =
            Race { shared: Arc::clone(&self.shared), request, calls: Vec::new(), n_begun: 0 };
        Box::pin(stream::once(race.run()).flatten())
    }
}

struct Race<M> {
    shared: Arc<Shared<M>>,
    request: ChatRequest,
    /// Those under way, with their numbers.
    calls: Vec<(u32, ChatStream)>,
    n_begun: u32,
}

/// What the first call to show something, or to fail, did.
type First = Result<ChatEvent, ModelError>;

impl<M: ChatModel> Race<M> {
    async fn run(mut self) -> ChatStream {
        let clock = self.shared.clock.clone();
        let mut hedge = Hedge::new(self.shared.spec, clock.elapsed());
        self.begin();
        loop {
            let timer: BoxFuture<'_, ()> = match hedge.next_at() {
                Some(at) => sleep_until(&clock, at),
                None => Box::pin(pending()),
            };
            let first = match select(Box::pin(self.first()), timer).await {
                Either::Left((first, _)) => Some(first),
                Either::Right(_) => None,
            };
            let Some((n_call, first)) = first else {
                if hedge.due(clock.elapsed()).is_some() {
                    self.begin();
                }
                continue;
            };
            let error = match first {
                Ok(event) => return self.won(n_call, event),
                Err(error) => error,
            };
            self.calls.retain(|(n, _)| *n != n_call);
            match hedge.failed(!error.kind.is_retryable(), clock.elapsed()) {
                AfterFailure::StartNext => self.begin(),
                AfterFailure::Wait => {}
                AfterFailure::GiveUp => return stream::once(async { Err(error) }).boxed(),
            }
        }
    }

    fn begin(&mut self) {
        self.n_begun += 1;
        let mut request = self.request.clone();
        if self.n_begun > 1 {
            self.shared.n_hedges.fetch_add(1, Ordering::Relaxed);
            request.caller.attempt = request.caller.attempt.max(1) + self.n_begun - 1;
        }
        self.calls.push((self.n_begun, self.shared.model.stream(request)));
    }

    /// The first content or failure of any call.
    async fn first(&mut self) -> (u32, First) {
        let (calls, model) = (&mut self.calls, &self.shared.model);
        poll_fn(|cx| {
            for (n_call, call) in calls.iter_mut() {
                // What is no content is passed over; a stream cannot have much of that.
                while let Poll::Ready(event) = call.poll_next_unpin(cx) {
                    match event {
                        Some(Ok(event)) if !is_content(&event) => {}
                        Some(first) => return Poll::Ready((*n_call, first)),
                        None => return Poll::Ready((*n_call, Err(broken_off(model)))),
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Goes on with one call; the others are dropped, which cancels them.
    fn won(mut self, n_call: u32, first: ChatEvent) -> ChatStream {
        self.shared.n_won.fetch_add(u64::from(n_call > 1), Ordering::Relaxed);
        let winner = self.calls.iter().position(|(n, _)| *n == n_call);
        let rest = winner.map(|i| self.calls.swap_remove(i).1);
        let n_calls = u64::from(self.n_begun);
        let events = stream::once(async { Ok(first) }).chain(stream::iter(rest).flatten());
        let counted = events.map(move |event| match event {
            Ok(ChatEvent::Finished(mut reply)) => {
                reply.usage.model_calls = reply.usage.model_calls.max(n_calls);
                Ok(ChatEvent::Finished(reply))
            }
            other => other,
        });
        super::completed(counted.boxed(), broken_off(&self.shared.model))
    }
}

debug_by_name!(Hedged);
