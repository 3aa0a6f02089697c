//! Effects: work that a hook starts and that answers with a message.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use greenroom_core::supervision::{Detail, ExitReason};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::actor::Failure;
use crate::actor::envelope::Envelope;
use crate::actor::question::{Question, Tie};
use crate::actor::slot::{Slot, WATCHES_MAX};
use crate::panics::{Panics, panic_text};
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
        let Some(open) = self.places(1) else { return };
        let home = self.home();
        let deadline = tie.within(deadline);
        // It is large, and would be moved from layer to layer on its way into the task.
        let work = Box::pin(work);
        self.tasks.spawn(name, async move {
            let outcome = tokio::select! {
                biased;
                () = home.token.cancelled() => return,
                () = tie.cut() => Err(tie.cause(deadline)),
                outcome = bounded(&home.panics, deadline, work) => outcome,
            };
            let inherited = tie.inherited(outcome.is_ok());
            home.deliver(open, inherited, || into_message(outcome));
        });
    }

    /// Delivers a message after a delay. Timers do not count as work under way.
    pub(crate) fn after(&self, delay: Duration, message: M) {
        let Some(open) = self.open(&self.n_timers, 1) else { return };
        let home = self.home();
        self.tasks.spawn_timer("timer", async move {
            tokio::select! {
                biased;
                () = home.token.cancelled() => {}
                () = tokio::time::sleep(delay) => home.deliver(open, None, || message),
            }
        });
    }

    /// Where this incarnation's outcomes go.
    pub(crate) fn home(&self) -> Home<M> {
        let (slot, token) = (Arc::clone(&self.slot), self.token.clone());
        Home { slot, token, generation: self.generation, panics: self.tasks.panics().clone() }
    }

    /// Whether the incarnation may be given more work.
    pub(crate) fn takes_work(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) < EFFECTS_MAX
    }

    /// Whether nothing is under way. Timers are not: whatever they are for has not begun.
    pub(crate) fn is_idle(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) == 0
    }

    /// Fails when a hook has started more than is allowed.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.has_overrun.load(Ordering::Relaxed) {
            let (effects, watches) = (UNDER_WAY_MAX, WATCHES_MAX);
            let reason = format!("more than {effects} effects under way, or {watches} watches on");
            return Err(Failure::new(reason));
        }
        Ok(())
    }

    /// Places for so many effects; without them the hook that asks fails.
    pub(crate) fn places(&self, n_places: usize) -> Option<Open> {
        self.open(&self.n_open, n_places)
    }

    fn open(&self, counter: &Arc<AtomicUsize>, n_places: usize) -> Option<Open> {
        // Only this incarnation adds to the counters, in its hooks, which do not overlap.
        let n_open = self.n_open.load(Ordering::Relaxed);
        if n_open + self.n_timers.load(Ordering::Relaxed) + n_places > UNDER_WAY_MAX {
            self.has_overrun.store(true, Ordering::Relaxed);
            return None;
        }
        counter.fetch_add(n_places, Ordering::Relaxed);
        Some(Open { counter: Arc::clone(counter), n_places, _room: None })
    }
}

/// The incarnation that an outcome is for.
pub(crate) struct Home<M> {
    slot: Arc<Slot<M>>,
    /// Cancelled when the incarnation ends.
    pub(crate) token: CancellationToken,
    generation: u64,
    pub(crate) panics: Panics,
}

impl<M: Send + 'static> Home<M> {
    /// Delivers the message that is made of an outcome. An incarnation that cannot make one fails.
    pub(crate) fn deliver(
        &self,
        open: Open,
        inherited: Option<Arc<Question>>,
        into_message: impl FnOnce() -> M,
    ) {
        match catch_unwind(AssertUnwindSafe(into_message)) {
            Ok(message) => {
                let envelope = Envelope::outcome(message, open, inherited);
                self.slot.send_internal(self.generation, envelope);
            }
            Err(payload) => {
                self.slot.fail(self.generation, ExitReason::Panic(self.panics.here(&*payload)));
            }
        }
    }
}

/// An effect or timer under way, until its message is handled, with as many places as it takes.
#[derive(Debug)]
pub(crate) struct Open {
    counter: Arc<AtomicUsize>,
    n_places: usize,
    /// The room of an item in the window of its stream.
    _room: Option<OwnedSemaphorePermit>,
}

impl Open {
    /// An item of a stream that is under way: it takes no place besides the stream's, and its room until its
    /// message is taken from the mailbox.
    pub(crate) fn item(&self, room: Option<OwnedSemaphorePermit>) -> Self {
        Self { counter: Arc::clone(&self.counter), n_places: 0, _room: room }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.n_places, Ordering::Relaxed);
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

/// Runs a future, at most until a deadline; its panic is an error.
pub(crate) async fn bounded<T>(
    panics: &Panics,
    deadline: Duration,
    work: impl Future<Output = T>,
) -> Result<T, EffectError> {
    match tokio::time::timeout(deadline, unwound(panics, work)).await {
        Ok(ended) => ended.map_err(EffectError::Panicked),
        Err(_) => Err(EffectError::TimedOut(deadline)),
    }
}

/// Runs a future; its panic is a value.
pub(crate) async fn unwound<T>(
    panics: &Panics,
    work: impl Future<Output = T>,
) -> Result<T, Detail> {
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    ended.map_err(|payload| panics.here(&*payload))
}
