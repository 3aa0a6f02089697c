//! Making a failed call again.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::model::{ChatEvent, ChatModel, ChatRequest, ChatStream, ModelError};
use greenroom_core::random::SplitMix64;
use greenroom_core::resilience::{RetrySpec, Verdict};

use super::{SharedClock, broken_off, is_content};

/// A model whose failed calls are made again, when that makes sense and nobody above does it already.
///
/// | the call | is made again |
/// |---|---|
/// | says that it is somebody's n-th try ([`Caller::attempt`](greenroom_core::model::Caller::attempt)) | no: they own the retries |
/// | had shown something before it failed | no: what was shown cannot be taken back |
/// | would wait until its deadline or beyond | no |
/// | anything else | as [`RetrySpec::judge`] says, with the same idempotency key |
pub struct Retried<M> {
    shared: Arc<Shared<M>>,
}

/// When a failed call is made again.
pub(super) struct Retries {
    spec: RetrySpec,
    chance: Mutex<SplitMix64>,
}

impl Retries {
    /// The chance in the waits follows from the clock.
    pub(super) fn new(spec: RetrySpec, clock: &SharedClock) -> Self {
        let seed = clock.now().as_millis() ^ clock.elapsed().as_nanos() as u64;
        Self { spec, chance: Mutex::new(SplitMix64::new(seed)) }
    }

    /// How long to wait after a try that failed, when there is to be another.
    pub(super) fn wait(&self, error: &ModelError, attempt: u32) -> Option<Duration> {
        let share = self.chance.lock().unwrap_or_else(PoisonError::into_inner).unit();
        match self.spec.judge(error, attempt, share) {
            Verdict::Retry(wait) => Some(wait),
            _ => None,
        }
    }
}

struct Shared<M> {
    model: M,
    retries: Retries,
    clock: SharedClock,
    n_calls: AtomicU64,
    n_retries: AtomicU64,
}

/// What a [`Retried`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryStats {
    /// Calls, tries of the same call counted once.
    pub n_calls: u64,
    /// Tries that were made again.
    pub n_retries: u64,
}

impl<M: ChatModel> Retried<M> {
    /// Makes the failed calls of a model again. The chance in the waits follows from the clock.
    #[must_use]
    pub fn new(model: M, spec: RetrySpec, clock: SharedClock) -> Self {
        let shared = Shared {
            model,
            retries: Retries::new(spec, &clock),
            clock,
            n_calls: AtomicU64::new(0),
            n_retries: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> RetryStats {
        RetryStats {
            n_calls: self.shared.n_calls.load(Ordering::Relaxed),
            n_retries: self.shared.n_retries.load(Ordering::Relaxed),
        }
    }
}

impl<M: ChatModel> ChatModel for Retried<M> {
    fn name(&self) -> &str {
        self.shared.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.shared.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        if request.caller.attempt > 0 {
            return self.shared.model.stream(request);
        }
        let shared = Arc::clone(&self.shared);
        let (inner, waiting, attempt) = (None, None, 0);
        let (has_shown, is_over) = (false, false);
        Box::pin(Call { shared, request, inner, waiting, attempt, has_shown, is_over })
    }
}

struct Call<M> {
    shared: Arc<Shared<M>>,
    request: ChatRequest,
    inner: Option<ChatStream>,
    /// The wait before the next try.
    waiting: Option<BoxFuture<'static, ()>>,
    attempt: u32,
    has_shown: bool,
    is_over: bool,
}

impl<M: ChatModel> Stream for Call<M> {
    type Item = Result<ChatEvent, ModelError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let call = self.get_mut();
        while !call.is_over {
            if let Some(waiting) = &mut call.waiting {
                ready!(waiting.as_mut().poll(context));
                call.waiting = None;
                call.shared.n_retries.fetch_add(1, Ordering::Relaxed);
            }
            let error = match ready!(call.try_now().as_mut().poll_next(context)) {
                Some(Ok(event)) => {
                    call.has_shown |= is_content(&event);
                    call.is_over = matches!(event, ChatEvent::Finished(_));
                    return Poll::Ready(Some(Ok(event)));
                }
                Some(Err(error)) => error,
                None => broken_off(&call.shared.model),
            };
            call.inner = None;
            let Some(wait) = call.wait(&error) else {
                call.is_over = true;
                let is_partial = error.is_partial || call.has_shown;
                return Poll::Ready(Some(Err(ModelError { is_partial, ..error })));
            };
            call.waiting = Some(call.shared.clock.sleep(wait));
        }
        Poll::Ready(None)
    }
}

impl<M: ChatModel> Call<M> {
    /// The stream of the present try, which is begun when there is none.
    fn try_now(&mut self) -> &mut ChatStream {
        self.inner.get_or_insert_with(|| {
            self.attempt += 1;
            if self.attempt == 1 {
                self.shared.n_calls.fetch_add(1, Ordering::Relaxed);
            }
            let mut request = self.request.clone();
            request.caller.attempt = self.attempt;
            self.shared.model.stream(request)
        })
    }

    /// How long to wait before the next try, when there is one.
    fn wait(&self, error: &ModelError) -> Option<Duration> {
        if self.has_shown || error.is_partial {
            return None;
        }
        let (shared, deadline) = (&self.shared, self.request.caller.deadline);
        let wait = shared.retries.wait(error, self.attempt)?;
        let is_in_time = deadline.is_none_or(|deadline| shared.clock.now().after(wait) < deadline);
        is_in_time.then_some(wait)
    }
}

debug_by_name!(Retried);
