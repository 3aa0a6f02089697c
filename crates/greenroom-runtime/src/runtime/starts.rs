//! How many runs start at once.
//!
//! What has begun goes first. A run that is being started takes turns at the processor with the runs at work, and only a
//! few do so at a time: a crowd is begun as fast as the processor gets on with it, instead of all at once. What is in
//! memory, and what the processor has to come back to, stays small. A run that waits for a model, a tool or a person is
//! not being started, so any number of them may wait at once.

use std::sync::Arc;

use greenroom_core::supervision::AdminError;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::Runtime;
use crate::runtime::error::RunError;

/// How many for each thread of the scheduler. Measured with 5,000 runs at once on two threads: with 4 or 8 in all a run
/// costs a third less than without a limit, with 16 a quarter, with 128 a tenth.
const PER_THREAD: usize = 4;

/// Turns to start a run, given in the order in which they are asked for.
pub(super) struct Starts(Arc<Semaphore>);

impl Starts {
    /// As many as are right for the scheduler that this is called on.
    pub(super) fn new() -> Self {
        let n_threads = Handle::current().metrics().num_workers();
        Self(Arc::new(Semaphore::new(PER_THREAD * n_threads)))
    }
}

impl Runtime {
    /// Starts a run when it is its turn, in a task of its own: it is started whether its submitter waits for that or not.
    pub(crate) async fn in_turn(
        &self,
        start: impl Future<Output = Result<(), RunError>> + Send + 'static,
    ) -> Result<(), RunError> {
        let turn = Arc::clone(self.turns()).acquire_owned();
        let started = self.tasks().spawn("start-run", async move {
            // Nobody closes it.
            let _turn = turn.await;
            start.await
        });
        started.await.unwrap_or(Err(RunError::Supervisor(AdminError::ShuttingDown)))
    }

    /// The same for a start that goes on by itself once it was polled: it needs no task when it is its turn already.
    pub(crate) async fn at_once_or_in_turn(
        &self,
        start: impl Future<Output = Result<(), RunError>> + Send + 'static,
    ) -> Result<(), RunError> {
        if let Ok(_turn) = self.turns().try_acquire() {
            return start.await;
        }
        self.in_turn(start).await
    }

    fn turns(&self) -> &Arc<Semaphore> {
        &self.inner.durable.starts.0
    }
}
