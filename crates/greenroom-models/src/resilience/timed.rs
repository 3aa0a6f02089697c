//! Giving up a call that stalls.

use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt as _, stream};
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
    let call = Call { inner: Some(inner), spec, clock, stall: None, timer: None, broken_off };
    Box::pin(stream::unfold(call, |mut call| async move {
        let event = call.next().await?;
        Some((event, call))
    }))
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

impl Call {
    async fn next(&mut self) -> Option<Result<ChatEvent, ModelError>> {
        loop {
            let inner = self.inner.as_mut()?;
            let now = self.clock.elapsed();
            let stall = self.stall.get_or_insert_with(|| Stall::new(self.spec, now));
            let (at, stalled) = stall.next();
            if self.timer.as_ref().is_none_or(|(set_for, _)| at < *set_for) {
                self.timer = Some((at, sleep_until(&self.clock, at)));
            }
            let Some((_, timer)) = &mut self.timer else { continue };
            match select(inner.next(), timer).await {
                Either::Left((Some(Ok(event)), _)) => {
                    let sign = if is_content(&event) { Sign::Content } else { Sign::Life };
                    stall.saw(sign, self.clock.elapsed());
                    if matches!(event, ChatEvent::Finished(_)) {
                        self.inner = None;
                    }
                    return Some(Ok(event));
                }
                Either::Left((Some(Err(error)), _)) => return Some(Err(self.end(error))),
                Either::Left((None, _)) => {
                    let error = self.broken_off.clone();
                    return Some(Err(self.end(error)));
                }
                Either::Right(_) => {
                    self.timer = None;
                    if stall.over(self.clock.elapsed()).is_some() {
                        let (kind, model) = (ModelErrorKind::Timeout, &*self.broken_off.model);
                        let error = ModelError::new(kind, model, stalled.to_string());
                        return Some(Err(self.end(error)));
                    }
                }
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
