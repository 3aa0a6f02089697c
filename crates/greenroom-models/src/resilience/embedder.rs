//! What stands between an embedder and its provider.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use greenroom_core::BoxFuture;
use greenroom_core::budget::Price;
use greenroom_core::embedder::{Embedder, Embeddings};
use greenroom_core::model::{ModelError, ModelErrorKind, RateLimitHints};
use greenroom_core::resilience::RetrySpec;
use greenroom_core::resilience::governor::CallEnd;

use super::retried::Retries;
use super::{Governor, sleep_until};

/// How long an embedder is waited for, and how often it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedderSpec {
    /// The time of a whole call, its waits and its tries. Default 2 minutes.
    pub total: Duration,
    /// The time of one try, from when it is sent. Default 60 s.
    pub each: Duration,
    /// Tries of one call. Default 4.
    pub retry: RetrySpec,
}

impl Default for EmbedderSpec {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(120),
            each: Duration::from_secs(60),
            retry: RetrySpec::default(),
        }
    }
}

/// An embedder whose calls wait for their turn at an account, end in time, and are made again when that makes
/// sense. Nobody above it should try again.
///
/// Texts are not a conversation: all calls count as one run, behind which no other run waits longer than its
/// share.
pub struct ResilientEmbedder<E>(Arc<Shared<E>>);

struct Shared<E> {
    embedder: E,
    governor: Governor,
    spec: EmbedderSpec,
    retries: Retries,
}

impl<E: Embedder> ResilientEmbedder<E> {
    /// Puts an embedder under the governor of its account.
    #[must_use]
    pub fn new(embedder: E, governor: &Governor, spec: EmbedderSpec) -> Self {
        let retries = Retries::new(spec.retry, &governor.clock());
        Self(Arc::new(Shared { embedder, governor: governor.clone(), spec, retries }))
    }
}

impl<E: Embedder> Embedder for ResilientEmbedder<E> {
    fn name(&self) -> &str {
        self.0.embedder.name()
    }

    fn price(&self) -> Option<Price> {
        self.0.embedder.price()
    }

    fn embed(&self, texts: Arc<[String]>) -> BoxFuture<'static, Result<Embeddings, ModelError>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            if texts.is_empty() {
                return Ok(Embeddings::default());
            }
            let until = shared.governor.clock().elapsed().saturating_add(shared.spec.total);
            shared.call(&texts, until).await
        })
    }
}

impl<E: Embedder> Shared<E> {
    /// One call with its tries, until an instant of the clock.
    async fn call(&self, texts: &Arc<[String]>, until: Duration) -> Result<Embeddings, ModelError> {
        let clock = self.governor.clock();
        let mut attempt = 1;
        loop {
            let error = match self.once(texts, attempt, until).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let wait = self.retries.wait(&error, attempt);
            let in_time = |wait: &Duration| clock.elapsed().saturating_add(*wait) < until;
            let Some(wait) = wait.filter(in_time) else { return Err(error) };
            clock.sleep(wait).await;
            attempt += 1;
        }
    }

    /// One try: its turn, the request, and what the governor learns of it.
    async fn once(
        &self,
        texts: &Arc<[String]>,
        attempt: u32,
        until: Duration,
    ) -> Result<Embeddings, ModelError> {
        let (clock, name) = (self.governor.clock(), self.embedder.name());
        let n_bytes: usize = texts.iter().map(String::len).sum();
        let tokens = n_bytes.div_ceil(4) as u64;
        let left = until.saturating_sub(clock.elapsed());
        let place = Arc::new(self.governor.enter(name, tokens, attempt > 1, left).await?);
        let give_up_at = clock.elapsed().saturating_add(self.spec.each).min(until);
        let told = Arc::clone(&place);
        let tell = Arc::new(move |limits: &RateLimitHints| told.learn(limits));
        let request = self.embedder.embed_telling(Arc::clone(texts), tell);
        let outcome = match select(request, sleep_until(&clock, give_up_at)).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                let message = "it did not answer in its time";
                Err(ModelError::new(ModelErrorKind::Timeout, name, message))
            }
        };
        match &outcome {
            Ok(found) => {
                place.shown();
                place.end(CallEnd::Replied { tokens: found.usage.tokens() });
            }
            Err(error) => place.end(CallEnd::Failed(error)),
        }
        outcome
    }
}

impl<E: Embedder> fmt::Debug for ResilientEmbedder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResilientEmbedder({})", self.name())
    }
}
