//! The time of a whole call.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use greenroom_core::budget::Price;
use greenroom_core::model::{ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind};
use greenroom_core::resilience::StallSpec;

use super::timed::timed;
use super::{SharedClock, broken_off};

/// A model whose calls end in time, whatever they wait for: a queue, a retry, another model.
///
/// The deadline of a call is the earlier of its caller's and now plus the bound, and is told to
/// everything inside. A call whose deadline has passed is not made.
pub struct Bounded<M> {
    model: std::sync::Arc<M>,
    total: Duration,
    clock: SharedClock,
}

impl<M: ChatModel> Bounded<M> {
    /// Bounds the calls of a model, from when their streams are first polled.
    #[must_use]
    pub fn new(model: M, total: Duration, clock: SharedClock) -> Self {
        Self { model: std::sync::Arc::new(model), total, clock }
    }
}

impl<M: ChatModel> ChatModel for Bounded<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, mut request: ChatRequest) -> ChatStream {
        let (model, total, clock) = (self.model.clone(), self.total, self.clock.clone());
        let begun = async move {
            let now = clock.now();
            let deadline = request.caller.deadline.unwrap_or(now.after(total));
            let deadline = deadline.min(now.after(total));
            let left = deadline.since(now);
            if left.is_zero() {
                let message = "its deadline had passed before it was made";
                let error = ModelError::new(ModelErrorKind::Timeout, model.name(), message);
                return stream::once(async { Err(error) }).boxed();
            }
            request.caller.deadline = Some(deadline);
            let only_total = StallSpec {
                first_sign: Duration::MAX,
                content: Duration::MAX,
                silence: None,
                total: left,
            };
            timed(model.stream(request), only_total, clock, broken_off(&*model))
        };
        Box::pin(stream::once(begun).flatten())
    }
}

debug_by_name!(Bounded);
