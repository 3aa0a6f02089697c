//! Pools: workers of one kind that pull jobs from one bounded queue. What is decided is decided by the
//! machine in [`greenroom_core::pool`]; here it is done, with agents as workers.

mod actor;
mod info;
mod job;
mod shared;
mod start;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::pool::{Event, Failure, Priority, SpecError};
use greenroom_core::supervision::{AdminError, ExitReason};
use tokio::sync::oneshot;

use crate::supervisor::SupervisorRef;
use shared::{Shared, Ticket};

pub use info::{PoolInfo, PoolWorker};
pub use job::{Job, JobReply};

pub(crate) use start::start;

/// The address of a pool: cheap to clone, and valid across the restarts of its workers and of its own actor.
///
/// The rules of who is given which job, what becomes of a job whose worker died, and how many workers there
/// are, are tables at [`greenroom_core::pool`].
///
/// An actor asks a pool in an effect: `context.effect("parse", deadline, async move { pool.ask(deadline,
/// doc).await }, Message::Parsed)`.
pub struct Pool<J, R> {
    shared: Arc<Shared<J, R>>,
    /// The supervisor that the pool is a child of.
    parent: SupervisorRef,
}

impl<J: Send + Sync + 'static, R: Send + 'static> Pool<J, R> {
    /// The pool's identity.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        self.shared.id()
    }

    /// Has a job done, without a key and with normal priority; see [`Pool::submit`].
    ///
    /// # Errors
    ///
    /// As in the table at [`PoolError`].
    ///
    /// # Cancel safety
    ///
    /// As [`Submit`].
    pub async fn ask(&self, deadline: Duration, job: impl Into<Arc<J>>) -> Result<R, PoolError> {
        self.submit(job).deadline(deadline).await
    }

    /// A job to be described further, and then awaited.
    pub fn submit(&self, job: impl Into<Arc<J>>) -> Submit<'_, J, R> {
        Submit {
            shared: &self.shared,
            payload: job.into(),
            key: None,
            priority: Priority::default(),
            deadline: self.shared.spec().deadline,
        }
    }

    /// What can be seen of the pool now.
    #[must_use]
    pub fn info(&self) -> PoolInfo {
        self.shared.info()
    }

    /// Changes the least and the most workers. Workers above the most finish what they have.
    ///
    /// # Errors
    ///
    /// When the bounds make no sense.
    pub fn resize(&self, workers: RangeInclusive<usize>) -> Result<(), SpecError> {
        self.shared.spec().check_workers(&workers)?;
        self.shared.tell(Event::Resize(workers));
        Ok(())
    }

    /// Accepts no more jobs, finishes those that are there, and stops the pool. Jobs that are left at the
    /// deadline are given up, with [`PoolError::Stopped`]. Completes when the workers are gone; gives the
    /// number of jobs that were given up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a pool that accepts nothing and finishes what it has. It can be drained again.
    pub async fn drain(&self, deadline: Duration) -> usize {
        self.shared.close();
        // Drained or not, it is over then.
        let _ = tokio::time::timeout(deadline, self.shared.drained()).await;
        let n_left = self.shared.abandon();
        // A pool whose supervisor has ended is stopped already.
        let _ = self.parent.terminate_child(self.id().clone()).await;
        n_left
    }

    /// Makes the pool's own actor panic in its next handler, to see what its supervisor does. Returns whether
    /// there was an incarnation to crash.
    #[must_use]
    pub fn crash_on_purpose(&self) -> bool {
        self.shared.crash()
    }
}

impl<J, R> Clone for Pool<J, R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), parent: self.parent.clone() }
    }
}

impl<J, R> fmt::Debug for Pool<J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(self.shared.id()).finish()
    }
}

/// A job that is given to a pool when it is awaited.
///
/// # Cancel safety
///
/// Dropping the future withdraws the job: one that waits is not given out, and the effects that a worker
/// started for it are cancelled.
#[must_use = "a job is given to the pool when it is awaited"]
pub struct Submit<'a, J, R> {
    shared: &'a Arc<Shared<J, R>>,
    payload: Arc<J>,
    key: Option<Arc<str>>,
    priority: Priority,
    deadline: Duration,
}

impl<J: Send + Sync + 'static, R: Send + 'static> Submit<'_, J, R> {
    /// The same job, which belongs with the others of this key: they go to the same worker, if it has room in
    /// time.
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same job, with another priority.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The same job, which has so much time, from the moment it is awaited. The default is the pool's.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    async fn run(self) -> Result<R, PoolError> {
        let deadline = self.deadline;
        let exchange = async {
            let permit = self.shared.room().await?;
            let (answer, answered) = oneshot::channel();
            let ask = shared::Ask {
                payload: self.payload,
                key: self.key,
                priority: self.priority,
                answer,
                permit,
            };
            let ticket: Ticket<'_, J, R> = self.shared.offer(deadline, ask);
            let result = answered.await;
            ticket.settle();
            // A pool that drops a job without a word has ended.
            result.unwrap_or(Err(PoolError::Stopped))
        };
        let result = tokio::time::timeout(deadline, exchange).await;
        result.unwrap_or(Err(PoolError::TimedOut(deadline)))
    }
}

impl<'a, J: Send + Sync + 'static, R: Send + 'static> IntoFuture for Submit<'a, J, R> {
    type Output = Result<R, PoolError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<J, R> fmt::Debug for Submit<'_, J, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submit").field("pool", self.shared.id()).finish_non_exhaustive()
    }
}

/// Why a job has no result.
///
/// | the job | the caller gets | a dead letter |
/// |---|---|---|
/// | is answered | the answer | no |
/// | is too late, in the queue or with a worker | `TimedOut` | `expired`, if it was in the queue |
/// | finds the queue full, and the pool rejects | `Full`, at once | no |
/// | killed its workers too often | `Quarantined`, with the cause | `poison` |
/// | could not be made into a message, because that panicked | `Quarantined`, with the cause | `poison` |
/// | is handled by a worker that drops the reply and lives | `NoReply` | no |
/// | is not finished when the pool is drained or has stopped | `Stopped` | `stopped` |
/// | is withdrawn: the caller goes away | nothing | `cancelled`, if it was in the queue |
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The deadline passed.
    #[error("no result within {0:?}")]
    TimedOut(Duration),
    /// The queue is full, and the pool rejects what finds it full.
    #[error("the queue is full")]
    Full,
    /// The job killed its workers.
    #[error("given out {n_deliveries} times, the last time its worker {cause}")]
    Quarantined {
        /// How often it was given out.
        n_deliveries: u32,
        /// How the last delivery ended.
        cause: ExitReason,
    },
    /// A worker handled the job and will not answer.
    #[error("the worker did not answer")]
    NoReply,
    /// The pool accepts no more jobs, or has stopped.
    #[error("the pool has stopped")]
    Stopped,
}

impl PoolError {
    fn new(failure: &Failure, deadline: Duration) -> Self {
        match failure {
            Failure::Full => Self::Full,
            Failure::Expired => Self::TimedOut(deadline),
            Failure::Declined => Self::NoReply,
            Failure::Quarantined { n_deliveries, cause } => {
                Self::Quarantined { n_deliveries: *n_deliveries, cause: cause.clone() }
            }
            _ => Self::Stopped,
        }
    }
}

/// Why a pool did not start.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PoolStartError {
    /// The spec makes no sense; nothing was started.
    #[error("the pool's spec makes no sense")]
    Spec(#[from] SpecError),
    /// A supervisor or a worker did not start; what had started was stopped.
    #[error("the pool could not be started")]
    Supervisor(#[from] AdminError),
}
