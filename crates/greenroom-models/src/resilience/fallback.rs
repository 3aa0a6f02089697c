//! Asking another model when one is given up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::{StreamExt as _, stream};
use greenroom_core::budget::Price;
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};

use super::{SharedClock, broken_off, is_content};

/// Several models, asked one after the other until one answers.
///
/// The next one is asked when a model is unavailable, too slow, limited or out of quota, and has shown
/// nothing yet. A call that is itself at fault (a key, the request, its length) fails at once: another
/// model would hide a mistake that somebody has to mend. The next model gets the same deadline, and no
/// more than what is left of it.
///
/// It has the name of its first model.
pub struct Fallback {
    models: Arc<[Arc<dyn ChatModel>]>,
    clock: SharedClock,
    n_switches: Arc<AtomicU64>,
}

/// What a [`Fallback`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FallbackStats {
    /// How often another model was asked.
    pub n_switches: u64,
}

impl Fallback {
    /// Asks `first`, and then the `others` in their order.
    #[must_use]
    pub fn new(
        first: Arc<dyn ChatModel>,
        others: impl IntoIterator<Item = Arc<dyn ChatModel>>,
        clock: SharedClock,
    ) -> Self {
        let models = std::iter::once(first).chain(others).collect();
        Self { models, clock, n_switches: Arc::default() }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> FallbackStats {
        FallbackStats { n_switches: self.n_switches.load(Ordering::Relaxed) }
    }
}

impl ChatModel for Fallback {
    fn name(&self) -> &str {
        self.models[0].name()
    }

    /// The most that any of them takes: which of them answers is not known before.
    fn price(&self) -> Option<Price> {
        let prices = self.models.iter().map(|model| model.price());
        prices.reduce(|left, right| Some(left?.most(right?)))?
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let call = Call {
            models: Arc::clone(&self.models),
            clock: self.clock.clone(),
            n_switches: Arc::clone(&self.n_switches),
            request,
            inner: None,
            n_given_up: 0,
            has_shown: false,
            is_over: false,
        };
        Box::pin(stream::unfold(call, |mut call| async move {
            let event = call.next().await?;
            Some((event, call))
        }))
    }
}

struct Call {
    models: Arc<[Arc<dyn ChatModel>]>,
    clock: SharedClock,
    n_switches: Arc<AtomicU64>,
    request: ChatRequest,
    inner: Option<ChatStream>,
    n_given_up: usize,
    has_shown: bool,
    is_over: bool,
}

impl Call {
    async fn next(&mut self) -> Option<Result<ChatEvent, ModelError>> {
        while !self.is_over {
            let model = &self.models[self.n_given_up];
            let inner = self.inner.get_or_insert_with(|| model.stream(self.request.clone()));
            let error = match inner.next().await {
                Some(Ok(mut event)) => {
                    self.has_shown |= is_content(&event);
                    if let ChatEvent::Finished(reply) = &mut event {
                        self.is_over = true;
                        // Whoever asked knows the name of the first model only.
                        reply.usage = reply.usage.priced(model.price());
                    }
                    return Some(Ok(event));
                }
                Some(Err(error)) => error,
                None => broken_off(&**model),
            };
            self.inner = None;
            if !self.has_shown && self.is_another_worth_it(&error) {
                self.n_given_up += 1;
                self.n_switches.fetch_add(1, Ordering::Relaxed);
            } else {
                self.is_over = true;
                let is_partial = error.is_partial || self.has_shown;
                return Some(Err(ModelError { is_partial, ..error }));
            }
        }
        None
    }

    fn is_another_worth_it(&self, error: &ModelError) -> bool {
        use ModelErrorKind::{Incomplete, Quota, RateLimited, Timeout, Unavailable};
        let is_there = self.n_given_up + 1 < self.models.len();
        let is_theirs =
            matches!(error.kind, RateLimited | Unavailable | Timeout | Incomplete | Quota);
        let deadline = self.request.caller.deadline;
        let is_in_time = deadline.is_none_or(|deadline| self.clock.now() < deadline);
        is_there && is_theirs && is_in_time && !error.is_partial
    }
}

impl fmt::Debug for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.models.iter().map(|model| model.name()).collect();
        f.debug_struct("Fallback").field("models", &names).finish_non_exhaustive()
    }
}
