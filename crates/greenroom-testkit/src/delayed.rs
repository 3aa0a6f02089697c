//! A model made slow, so that there is time for something to happen to it.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use greenroom_core::budget::Price;
use greenroom_core::model::{ChatModel, ChatRequest, ChatStream};

/// A model that waits before it answers, in tokio's time.
#[derive(Debug, Clone)]
pub struct Delayed<M> {
    model: M,
    delay: Duration,
}

impl<M: ChatModel> Delayed<M> {
    /// Lets `model` wait this long before each reply.
    pub fn new(model: M, delay: Duration) -> Self {
        Self { model, delay }
    }
}

impl<M: ChatModel> ChatModel for Delayed<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let (delay, replies) = (self.delay, self.model.stream(request));
        let after = async move {
            tokio::time::sleep(delay).await;
            replies
        };
        Box::pin(stream::once(after).flatten())
    }
}
