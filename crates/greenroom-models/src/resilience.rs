//! What stands between agents and a provider: decorators over [`ChatModel`], each a thin shell of a
//! machine in [`greenroom_core::resilience`]. Time comes from a [`Clock`] that is handed in.
//!
//! Each part has the same four names: a **spec** that says what is wanted, a **machine** in core that
//! decides, a **decorator** made by `new` that does, and **stats** that say what happened.
//!
//! | spec | machine | decorator | stats |
//! |---|---|---|---|
//! | [`CacheSpec`] | `Cache` | [`Cached`] | [`CacheStats`] |
//! | a span | `Stall` | [`Bounded`] | none |
//! | a list of models | none | [`Fallback`] | [`FallbackStats`] |
//! | [`RetrySpec`] | `RetrySpec::judge` | [`Retried`] | [`RetryStats`] |
//! | [`HedgeSpec`] | `Hedge` | [`Hedged`] | [`HedgeStats`] |
//! | [`GovernorSpec`] | `Governor` | [`Governed`] | `Status` |
//! | [`StallSpec`] | `Stall` | [`Timed`] | none |
//!
//! # The order, from the caller to the provider
//!
//! [`resilient`] puts them together in this order, and this is why:
//!
//! 1. **[`Cached`]** (off) is outermost: an answer that is there takes no time, no place and no tokens.
//! 2. **[`Bounded`]** keeps the time of the whole call. It is outside of everything that waits, so neither
//!    a queue, nor a retry, nor another model gets more time than the caller gave.
//! 3. **[`Fallback`]** is outside of the retries: another model is asked when this one has been given up,
//!    and each model has the account, the breaker and the limits that it belongs to.
//! 4. **[`Retried`]** is outside of the governor, so each try waits its turn and keeps the limits like any
//!    other call, and nobody holds a place while it waits for the next try. It makes one try only when
//!    somebody above owns the retries already, as the agents of a runtime do.
//! 5. **[`Hedged`]** (off) is inside of the retries: hedges are one try. It is outside of the governor,
//!    where a hedge is paid for like a retry.
//! 6. **[`Governed`]** is the account: breaker, retry budget, queue, limits, concurrency. It is the last
//!    to decide before a call is sent, so what it counts is what is sent.
//! 7. **[`Timed`]** is innermost: its timers run from when the call is sent. Time in the queue says
//!    nothing about the provider, and a stalled stream must end where the breaker sees it.
//!
//! An embedder answers at once or not at all, so that one decorator does for it what is left of these:
//! [`ResilientEmbedder`] keeps the time of the whole, makes tries again, and waits for its turn in the same
//! governor as the models of the account.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use greenroom_core::BoxFuture;
use greenroom_core::model::{ChatEvent, ChatModel, ChatStream, ModelError, ModelErrorKind};
use greenroom_core::time::Clock;

/// Shows a decorator as its name and its model's.
macro_rules! debug_by_name {
    ($decorator:ident) => {
        impl<M: ChatModel> std::fmt::Debug for $decorator<M> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($decorator), "({})"), self.name())
            }
        }
    };
}

mod bounded;
mod cached;
mod embedder;
mod fallback;
mod governed;
mod hedged;
mod retried;
mod stack;
mod timed;

pub use bounded::Bounded;
pub use cached::{CacheStats, Cached};
pub use embedder::{EmbedderSpec, ResilientEmbedder};
pub use fallback::{Fallback, FallbackStats};
pub use governed::{Governed, Governor};
pub use greenroom_core::resilience::{
    BreakerSpec, CacheSpec, ConcurrencyRule, ConcurrencySpec, GovernorSpec, HedgeSpec, Jitter,
    RateSpec, RetryBudgetSpec, RetrySpec, StallSpec,
};
pub use hedged::{HedgeStats, Hedged};
pub use retried::{Retried, RetryStats};
pub use stack::{ResilienceSpec, resilient};
pub use timed::Timed;

/// A clock that several share.
type SharedClock = Arc<dyn Clock>;

/// Completes at an instant of the clock; at once when that has passed.
fn sleep_until(clock: &SharedClock, at: Duration) -> BoxFuture<'static, ()> {
    clock.sleep(at.saturating_sub(clock.elapsed()))
}

/// Whether an event shows the caller something that cannot be taken back.
fn is_content(event: &ChatEvent) -> bool {
    !matches!(event, ChatEvent::Meta(_))
}

/// The error of a stream that ends without its final event.
fn broken_off(model: &dyn ChatModel) -> ModelError {
    let message = "the reply ended before it was complete";
    ModelError::new(ModelErrorKind::Incomplete, model.name(), message)
}

/// A stream that ends with its final event or an error: with `broken_off`, when it had neither.
fn completed(inner: ChatStream, broken_off: ModelError) -> ChatStream {
    Box::pin(stream::unfold(Some((inner, broken_off)), |state| async {
        let (mut inner, broken_off) = state?;
        match inner.next().await {
            Some(Ok(ChatEvent::Finished(reply))) => Some((Ok(ChatEvent::Finished(reply)), None)),
            Some(Ok(event)) => Some((Ok(event), Some((inner, broken_off)))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(broken_off), None)),
        }
    }))
}
