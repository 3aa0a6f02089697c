//! Giving up a call that stalls.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};
use greenroom_core::resilience::StallSpec;
use greenroom_core::resilience::stall::{Sign, Stall};

use super::{SharedClock, broken_off, is_content, sleep_until};

/// A model whose stalled calls are given up: they fail with [`ModelErrorKind::Timeout`], and their
/// connection is closed. A stream that just ends fails with [`ModelErrorKind::Incomplete`].
pub struct Timed<M> {
    model: M,
    spec: StallSpec,
    clock: SharedClock,
}

impl<M: ChatModel> Timed<M> {
    /// Watches the calls of a model, from when their streams are first polled.
    #[must_use]
    pub fn new(model: M, spec: StallSpec, clock: SharedClock) -> Self {
        Self { model, spec, clock }
    }
}

impl<M: ChatModel> ChatModel for Timed<M> {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let broken_off = broken_off(&self.model);
        timed(self.model.stream(request), self.spec, self.clock.clone(), broken_off)
    }
}

/// A stream with the timers of `spec`; `broken_off` is what it ends with when it just ends.
pub(super) fn timed(
    inner: ChatStream,
    spec: StallSpec,
    clock: SharedClock,
    broken_off: ModelError,
) -> ChatStream {
    Box::pin(Call { inner: Some(inner), spec, clock, stall: None, timer: None, broken_off })
}

struct Call {
    /// `None` once it has ended.
    inner: Option<ChatStream>,
    spec: StallSpec,
    clock: SharedClock,
    /// Begun when the stream is first polled.
    stall: Option<Stall>,
    /// A timer, and when it goes off. It goes off early when content came meanwhile, and is set again.
    timer: Option<(Duration, BoxFuture<'static, ()>)>,
    broken_off: ModelError,
}

/// A stream by hand: it is asked for every token.
impl Stream for Call {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let call = self.get_mut();
        let Some(inner) = &mut call.inner else { return Poll::Ready(None) };
        let stall = call.stall.get_or_insert_with(|| Stall::new(call.spec, call.clock.elapsed()));
        match inner.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(event))) => {
                let sign = if is_content(&event) { Sign::Content } else { Sign::Life };
                stall.saw(sign, call.clock.elapsed());
                if matches!(event, ChatEvent::Finished(_)) {
                    call.inner = None;
                }
                Poll::Ready(Some(Ok(event)))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(call.end(error)))),
            Poll::Ready(None) => {
                let error = call.broken_off.clone();
                Poll::Ready(Some(Err(call.end(error))))
            }
            Poll::Pending => call.poll_timer(context).map(|error| Some(Err(error))),
        }
    }
}

impl Call {
    /// Waits for the next instant at which the call has stalled, unless something comes.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<ModelError> {
        loop {
            let Some(stall) = &self.stall else { return Poll::Pending };
            let (at, stalled) = stall.next();
            let is_late = |(set_for, _): &(Duration, _)| at < *set_for;
            if self.timer.as_ref().is_none_or(is_late) {
                self.timer = Some((at, sleep_until(&self.clock, at)));
            }
            if let Some((_, timer)) = &mut self.timer {
                ready!(timer.as_mut().poll(context));
            }
            self.timer = None;
            if stall.over(self.clock.elapsed()).is_some() {
                let (kind, model) = (ModelErrorKind::Timeout, &*self.broken_off.model);
                let error = ModelError::new(kind, model, stalled.to_string());
                return Poll::Ready(self.end(error));
            }
        }
    }

    fn end(&mut self, error: ModelError) -> ModelError {
        self.inner = None;
        let has_shown = self.stall.as_ref().is_some_and(Stall::has_content);
        ModelError { is_partial: error.is_partial || has_shown, ..error }
    }
}

debug_by_name!(Timed);
