//! Branches: named pieces of work that a fan-out starts when their turn comes.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::supervision::Detail;

use crate::actor::address::{AgentRef, AskError, Reply};
use crate::actor::effect::{EffectError, Open, bounded, joined};
use crate::actor::question::Origin;
use crate::runtime::tasks::Tasks;

/// What a branch is given when its turn comes.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) tasks: Tasks,
    /// What its questions inherit.
    pub(crate) origin: Origin,
}

type Work<R, E> = Box<dyn FnOnce(&Launch) -> BoxFuture<'static, Result<R, BranchError<E>>> + Send>;

/// A piece of work of a fan-out: a question to an agent, a future, or a blocking function. It does nothing
/// before its turn comes, and its deadline is counted from then.
///
/// `R` is what it gives. `E` is how it fails by its own account, see [`Branch::fallible`].
#[must_use = "a branch does nothing before it is part of a fan-out"]
pub struct Branch<R, E = Infallible> {
    name: &'static str,
    deadline: Duration,
    is_shielded: bool,
    work: Work<R, E>,
    /// Its place among the effects of its actor, when it may outlive its fan-out.
    place: Option<Open>,
}

impl<R: Send + 'static> Branch<R> {
    /// A future. It runs as a task of its own, and a panic in it is its failure.
    pub fn future(
        name: &'static str,
        deadline: Duration,
        work: impl Future<Output = R> + Send + 'static,
    ) -> Self {
        Self::new(name, deadline, |_| Box::pin(async { Ok(work.await) }))
    }

    /// A function that blocks, on a thread for such work. At the deadline, or when it is cancelled, it has
    /// failed, although its thread cannot be stopped and runs to its end.
    pub fn blocking(
        name: &'static str,
        deadline: Duration,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        Self::new(name, deadline, move |launch| {
            let handle = launch.tasks.spawn_blocking(name, work);
            Box::pin(async { Ok(joined(handle).await?) })
        })
    }
}

impl<M: Send + 'static> AgentRef<M> {
    /// A question to this agent as a branch of a fan-out. It is asked when its turn comes; see
    /// [`AgentRef::ask`]. Cancelling the branch withdraws the question.
    pub fn branch<R: Send + 'static>(
        &self,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M + Send + 'static,
    ) -> Branch<R> {
        let to = self.clone();
        Branch::new("ask", deadline, move |launch| {
            let origin = launch.origin.clone();
            Box::pin(async move { Ok(to.ask_from(&origin, deadline, build).await?) })
        })
    }
}

impl<R: Send + 'static, E: Send + 'static> Branch<Result<R, E>> {
    /// Takes an `Err` for a failure of the branch: [`BranchError::Failed`]. Without this an `Err` is an answer
    /// like any other, and its branch has succeeded.
    pub fn fallible(self) -> Branch<R, E> {
        let Self { name, deadline, is_shielded, work, place } = self;
        let work: Work<R, E> = Box::new(|launch| {
            let answer = work(launch);
            Box::pin(async {
                match answer.await {
                    Ok(answer) => answer.map_err(BranchError::Failed),
                    Err(error) => Err(error.widened()),
                }
            })
        });
        Branch { name, deadline, is_shielded, work, place }
    }
}

impl<R, E> Branch<R, E> {
    /// Lets the branch go on once it runs, although its fan-out is over, its asker is gone or its actor has
    /// ended. It ends at its own deadline and with the runtime at the latest; nobody is given what it gives.
    pub fn shielded(mut self) -> Self {
        self.is_shielded = true;
        self
    }

    pub(crate) fn is_shielded(&self) -> bool {
        self.is_shielded
    }

    /// Keeps a place among effects until the branch has ended.
    pub(crate) fn hold(&mut self, place: Open) {
        self.place = Some(place);
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn new(
        name: &'static str,
        deadline: Duration,
        work: impl FnOnce(&Launch) -> BoxFuture<'static, Result<R, BranchError<E>>> + Send + 'static,
    ) -> Self {
        Self { name, deadline, is_shielded: false, work: Box::new(work), place: None }
    }

    /// Does the work, at most until its deadline and the end of the runtime.
    pub(crate) async fn run(self, mut launch: Launch) -> Result<R, BranchError<E>> {
        let Self { deadline, is_shielded, work, place, .. } = self;
        // Held until the end, whatever the end is.
        let _place = place;
        if is_shielded {
            launch.origin = launch.origin.shielded();
        }
        tokio::select! {
            biased;
            () = launch.tasks.over().cancelled() => Err(BranchError::Cancelled),
            ended = bounded(launch.tasks.panics(), deadline, async { work(&launch).await }) => ended?,
        }
    }
}

impl<R, E> fmt::Debug for Branch<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, deadline, is_shielded, .. } = self;
        f.debug_struct("Branch")
            .field("name", name)
            .field("deadline", deadline)
            .field("is_shielded", is_shielded)
            .finish_non_exhaustive()
    }
}

/// Why a branch of a fan-out has no result.
///
/// | error | the branch |
/// |---|---|
/// | `Failed`, `Ask`, `TimedOut`, `Panicked` | ended badly by itself |
/// | `Cancelled`, `Late` | was cancelled while it ran |
/// | `NotStarted` | did not run |
/// | `Detached` | still runs |
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BranchError<E = Infallible> {
    /// It says so itself; see [`Branch::fallible`].
    #[error("{0}")]
    Failed(E),
    /// The question was not answered; but a question that took too long is [`BranchError::TimedOut`].
    #[error(transparent)]
    Ask(AskError),
    /// Its own deadline passed.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(Detail),
    /// The fan-out was over without it, or nobody waited for it any more.
    #[error("cancelled")]
    Cancelled,
    /// The fan-out's deadline passed while it ran.
    #[error("not done by the deadline")]
    Late,
    /// The fan-out was over before its turn came.
    #[error("not started")]
    NotStarted,
    /// The fan-out is over; the branch is shielded and goes on.
    #[error("still running, and nobody waits for it")]
    Detached,
}

impl BranchError {
    /// The same error among those of a branch that can fail by its own account.
    fn widened<E>(self) -> BranchError<E> {
        match self {
            Self::Failed(never) => match never {},
            Self::Ask(error) => BranchError::Ask(error),
            Self::TimedOut(deadline) => BranchError::TimedOut(deadline),
            Self::Panicked(text) => BranchError::Panicked(text),
            Self::Cancelled => BranchError::Cancelled,
            Self::Late => BranchError::Late,
            Self::NotStarted => BranchError::NotStarted,
            Self::Detached => BranchError::Detached,
        }
    }
}

impl<E> From<AskError> for BranchError<E> {
    fn from(error: AskError) -> Self {
        match error {
            AskError::TimedOut(deadline) => Self::TimedOut(deadline),
            error => Self::Ask(error),
        }
    }
}

impl<E> From<EffectError> for BranchError<E> {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::TimedOut(deadline) => Self::TimedOut(deadline),
            EffectError::Panicked(text) => Self::Panicked(text),
            EffectError::Cancelled => Self::Cancelled,
        }
    }
}
