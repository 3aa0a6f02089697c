//! The one place that spawns. Every task has a name, an owner and an end.

use std::future::Future;
use std::io;
use std::thread;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::panics::Panics;

/// The tasks of one runtime. They are counted, so that a task that outlives its runtime is noticed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    over: CancellationToken,
    panics: Panics,
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
        let span = tracing::debug_span!("blocking", otel.name = name);
        self.tracker.spawn_blocking(move || span.in_scope(work))
    }

    /// Cancelled once the root supervisor has ended: work that has no other owner ends then.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Tasks that have not ended.
    pub(crate) fn n_alive(&self) -> usize {
        self.tracker.len()
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
