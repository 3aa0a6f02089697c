//! Keeping answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, stream};
use greenroom_core::budget::{Price, Usage};
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, FinishReason,
};
use greenroom_core::resilience::{Cache, CacheSpec};

use super::SharedClock;

/// A model that is not asked the same twice within a while.
///
/// Two requests are the same when all of them is, who asks excepted. Only replies that the model
/// finished by itself are kept. A kept reply cost nothing, and its usage says so.
pub struct Cached<M> {
    shared: Arc<Shared<M>>,
}

struct Shared<M> {
    model: M,
    clock: SharedClock,
    cache: Mutex<Cache<Arc<ChatReply>>>,
    n_hits: AtomicU64,
    n_misses: AtomicU64,
}

impl<M> Shared<M> {
    fn cache(&self) -> MutexGuard<'_, Cache<Arc<ChatReply>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Cached`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Calls that were answered from the cache.
    pub n_hits: u64,
    /// Calls that the model was asked.
    pub n_misses: u64,
}

impl<M: ChatModel> Cached<M> {
    /// Keeps the replies of a model.
    #[must_use]
    pub fn new(model: M, spec: CacheSpec, clock: SharedClock) -> Self {
        let shared = Shared {
            model,
            clock,
            cache: Mutex::new(Cache::new(spec)),
            n_hits: AtomicU64::new(0),
            n_misses: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        CacheStats {
            n_hits: self.shared.n_hits.load(Ordering::Relaxed),
            n_misses: self.shared.n_misses.load(Ordering::Relaxed),
        }
    }
}

impl<M: ChatModel> ChatModel for Cached<M> {
    fn name(&self) -> &str {
        self.shared.model.name()
    }

    fn price(&self) -> Option<Price> {
        self.shared.model.price()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let shared = Arc::clone(&self.shared);
        let begun = async move {
            let question = question(&request);
            let now = shared.clock.elapsed();
            let kept = shared.cache().get(&question, now);
            if let Some(reply) = kept {
                shared.n_hits.fetch_add(1, Ordering::Relaxed);
                return replay(&reply);
            }
            shared.n_misses.fetch_add(1, Ordering::Relaxed);
            let broken_off = super::broken_off(&shared.model);
            let inner = super::completed(shared.model.stream(request), broken_off);
            inner.inspect(move |event| shared.keep(&question, event)).boxed()
        };
        Box::pin(stream::once(begun).flatten())
    }
}

impl<M> Shared<M> {
    fn keep(&self, question: &str, event: &Result<ChatEvent, greenroom_core::model::ModelError>) {
        let Ok(ChatEvent::Finished(reply)) = event else { return };
        if !matches!(reply.finish, FinishReason::Stop | FinishReason::ToolCalls) {
            return;
        }
        let calls: usize =
            reply.tool_calls.iter().map(|call| call.arguments.to_string().len() + 64).sum();
        let n_bytes = reply.text.len() + calls + size_of::<ChatReply>();
        let usage = Usage::default().priced(Some(Price::FREE));
        let kept = Arc::new(ChatReply { usage, ..reply.clone() });
        self.cache().put(question, kept, n_bytes, self.clock.elapsed());
    }
}

/// A reply as a stream.
fn replay(reply: &ChatReply) -> ChatStream {
    let text = (!reply.text.is_empty()).then(|| ChatEvent::TextDelta(reply.text.clone()));
    let finished = ChatEvent::Finished(reply.clone());
    stream::iter(text.into_iter().chain([finished]).map(Ok)).boxed()
}

/// All of a request, who asks excepted. It is written out rather than hashed: two questions must never be
/// taken for one.
fn question(request: &ChatRequest) -> String {
    format!("{:?}", ChatRequest { caller: Caller::default(), ..request.clone() })
}

debug_by_name!(Cached);
