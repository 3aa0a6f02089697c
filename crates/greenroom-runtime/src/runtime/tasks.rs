//! The one place that spawns. Every task has a name, an owner and an end.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use futures_util::FutureExt;
use greenroom_core::alive::{Living, LivingKind};
use greenroom_core::ids::AgentId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::panics::Panics;
use crate::runtime::census::{Census, CountedActor};

/// The tasks of one runtime. They are counted by name, so that a task that outlives its runtime is noticed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    over: CancellationToken,
    panics: Panics,
    census: Arc<Census>,
}

impl Tasks {
    pub(crate) fn new(panics: Panics) -> Self {
        Self { panics, ..Self::default() }
    }

    /// What tells what a panic said.
    pub(crate) fn panics(&self) -> &Panics {
        &self.panics
    }

    /// Spawns a named task. Its owner is whoever can cancel it; the runtime only counts it.
    pub(crate) fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_kind(LivingKind::Task, name, future)
    }

    /// Spawns a wait that ends in a message.
    pub(crate) fn spawn_timer<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_kind(LivingKind::Timer, name, future)
    }

    fn spawn_kind<F>(
        &self,
        kind: LivingKind,
        name: &'static str,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let counted = self.census.work(kind, name);
        // A combinator and not a block, which would hold the future twice.
        let future = future.map(move |output| {
            drop(counted);
            output
        });
        // With nobody listening the span is disabled, and instrumenting would only cost.
        let span = tracing::debug_span!("task", otel.name = name);
        if span.is_disabled() {
            self.tracker.spawn(future)
        } else {
            self.tracker.spawn(future.instrument(span))
        }
    }

    /// Runs blocking work off the async threads. Dropping the handle does not stop the work.
    pub(crate) fn spawn_blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let counted = self.census.work(LivingKind::Blocking, name);
        let span = tracing::debug_span!("blocking", otel.name = name);
        self.tracker.spawn_blocking(move || {
            let _counted = counted;
            span.in_scope(work)
        })
    }

    /// Counts an incarnation of an agent until the answer is dropped.
    pub(crate) fn count_actor(&self, id: &AgentId) -> CountedActor {
        self.census.actor(LivingKind::Actor, id.clone())
    }

    /// Counts a supervisor until the answer is dropped.
    pub(crate) fn count_supervisor(&self, id: &AgentId) -> CountedActor {
        self.census.actor(LivingKind::Supervisor, id.clone())
    }

    /// Cancelled once the root supervisor has ended: work that has no other owner ends then.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Tasks that have not ended.
    pub(crate) fn n_alive(&self) -> usize {
        self.tracker.len()
    }

    /// What has not ended, by name.
    pub(crate) fn alive(&self) -> Vec<Living> {
        self.census.alive()
    }

    /// Completes once every task has ended.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Starts a named thread of the system. Its owner is whoever can tell it to end.
pub(crate) fn spawn_thread(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
