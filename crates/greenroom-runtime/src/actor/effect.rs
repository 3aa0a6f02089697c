//! Effects: work that a hook starts and that answers with a message.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use greenroom_core::supervision::{Detail, ExitReason};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actor::Failure;
use crate::actor::envelope::Envelope;
use crate::actor::question::Tie;
use crate::actor::slot::Slot;
use crate::runtime::tasks::Tasks;

/// Why an effect has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EffectError {
    /// Its deadline passed.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    /// It panicked; the agent lives.
    #[error("panicked: {0}")]
    Panicked(Detail),
    /// Whoever asked for it has gone.
    #[error("cancelled")]
    Cancelled,
}

/// Effects that an incarnation has under way before it is given no more work: its user lane waits then.
pub(crate) const EFFECTS_MAX: usize = 1024;

/// Effects and timers that an incarnation may have under way at all. One that starts more in a single
/// handler than its limit leaves room for fails.
const UNDER_WAY_MAX: usize = 4 * EFFECTS_MAX;

/// What an incarnation needs to start effects.
pub(crate) struct Effects<M> {
    pub(crate) slot: Arc<Slot<M>>,
    pub(crate) tasks: Tasks,
    pub(crate) token: CancellationToken,
    pub(crate) generation: u64,
    /// Effects whose outcome has not been handled.
    pub(crate) n_open: Arc<AtomicUsize>,
    /// Timers that have not been handled.
    pub(crate) n_timers: Arc<AtomicUsize>,
    /// Whether a hook started more than is allowed.
    pub(crate) has_overrun: AtomicBool,
}

impl<M> fmt::Debug for Effects<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").field("generation", &self.generation).finish_non_exhaustive()
    }
}

impl<M: Send + 'static> Effects<M> {
    pub(crate) fn run<T, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        tie: Tie,
        work: F,
        into_message: impl FnOnce(Result<T, EffectError>) -> M + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let Some(open) = self.open(&self.n_open) else { return };
        let (slot, token, generation) =
            (Arc::clone(&self.slot), self.token.clone(), self.generation);
        let deadline = tie.within(deadline);
        self.tasks.spawn(name, async move {
            let bounded = tokio::time::timeout(deadline, AssertUnwindSafe(work).catch_unwind());
            let outcome = tokio::select! {
                biased;
                () = token.cancelled() => return,
                () = tie.cut() => Err(match tie.has_expired() {
                    true => EffectError::TimedOut(deadline),
                    false => EffectError::Cancelled,
                }),
                ended = bounded => match ended {
                    Ok(Ok(result)) => Ok(result),
                    Ok(Err(payload)) => Err(EffectError::Panicked(panic_text(&*payload))),
                    Err(_) => Err(EffectError::TimedOut(deadline)),
                },
            };
            let inherited = tie.inherited(outcome.is_ok());
            match catch_unwind(AssertUnwindSafe(|| into_message(outcome))) {
                Ok(message) => {
                    slot.send_internal(generation, Envelope::outcome(message, open, inherited));
                }
                Err(payload) => slot.fail(generation, ExitReason::Panic(panic_text(&*payload))),
            }
        });
    }

    /// Delivers a message after a delay. Timers do not count as work under way.
    pub(crate) fn after(&self, delay: Duration, message: M) {
        let Some(open) = self.open(&self.n_timers) else { return };
        let (slot, token, generation) =
            (Arc::clone(&self.slot), self.token.clone(), self.generation);
        self.tasks.spawn("timer", async move {
            tokio::select! {
                biased;
                () = token.cancelled() => {}
                () = tokio::time::sleep(delay) => {
                    slot.send_internal(generation, Envelope::outcome(message, open, None));
                }
            }
        });
    }

    /// Whether the incarnation may be given more work.
    pub(crate) fn takes_work(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) < EFFECTS_MAX
    }

    /// Fails when a hook has started more than is allowed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.has_overrun.load(Ordering::Relaxed) {
            return Err(Failure::new(format!("more than {UNDER_WAY_MAX} effects under way")));
        }
        Ok(())
    }

    fn open(&self, counter: &Arc<AtomicUsize>) -> Option<Open> {
        // Only this incarnation adds to the counters, in its hooks, which do not overlap.
        let n_open = self.n_open.load(Ordering::Relaxed);
        if n_open + self.n_timers.load(Ordering::Relaxed) >= UNDER_WAY_MAX {
            self.has_overrun.store(true, Ordering::Relaxed);
            return None;
        }
        counter.fetch_add(1, Ordering::Relaxed);
        Some(Open(Arc::clone(counter)))
    }
}

/// One effect or timer under way, until its message is handled.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The outcome of a task, with its panic as a value.
pub(crate) async fn joined<T>(handle: JoinHandle<T>) -> Result<T, EffectError> {
    match handle.await {
        Ok(result) => Ok(result),
        Err(error) => match error.try_into_panic() {
            Ok(payload) => Err(EffectError::Panicked(panic_text(&*payload))),
            Err(_) => Err(EffectError::Cancelled),
        },
    }
}

/// What a panic said, cut to a bound.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> Detail {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    Detail::new(text.unwrap_or("a panic without a message"))
}

/// Runs a future; its panic is a value.
pub(crate) async fn unwound<T>(work: impl Future<Output = T>) -> Result<T, Detail> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|payload| panic_text(&*payload))
}
