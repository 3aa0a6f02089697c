//! The supervisor as a ractor actor: it performs what the machine in core decides, and decides nothing.
//!
//! It never awaits a child: starting happens in a task that reports back, stopping is a signal and a
//! timer. So it answers while a child hangs in its start or waits in backoff, and while the journal takes its
//! time with what a durable one has counted.

mod child;
mod drain;
mod memory;
mod message;
mod shell;
mod start;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{
    Admin, AdminError, AutoShutdown, ChildInfo, ChildSpec, Done, ExitReason, Intensity,
    SupervisionEvent, Target,
};
use ractor::ActorRef;
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::watch::{Down, Ending, Mortal, tell};

pub use drain::Drained;

pub use start::{Ignored, RactorChild, Start, StartFuture, Subject};

pub(crate) use memory::Archive;
pub(crate) use message::{Look, SupervisorMessage};
pub(crate) use shell::SupervisorShell;
pub(crate) use start::{AgentStart, Inside, OnClosed, SupervisorStart, start_reason};

/// Requests to one supervisor that may wait at once; further callers wait for their turn.
const REQUESTS_MAX: usize = 1024;

/// How long a request waits for its answer, unless its caller says.
const PATIENCE: Duration = Duration::from_secs(600);

/// Told of every fact about a supervisor's children, and who that is. It runs in the supervisor, so it must
/// be quick.
pub(crate) type Observer = Arc<dyn Fn(&AgentId, &SupervisionEvent) + Send + Sync>;

/// The children that a supervisor starts with.
pub(crate) type Children = Vec<(ChildSpec, Arc<dyn Start>)>;

/// The address of a supervisor: cheap to clone, and valid across its restarts.
///
/// Requests are answered when the child is up or gone, which may take as long as the child's start or its
/// shutdown time, and wait at most ten minutes for that; [`SupervisorRef::within`] sets another bound.
/// Dropping a request is safe.
#[derive(Clone)]
pub struct SupervisorRef {
    inner: Arc<Handle>,
    patience: Duration,
}

pub(crate) struct Handle {
    id: AgentId,
    current: Mutex<Option<ActorRef<SupervisorMessage>>>,
    /// Requests that wait for a child to come up, those that wait for one to go, and questions. They are
    /// counted apart, because only the second can end the first, and nobody waits to look.
    starts: Semaphore,
    stops: Semaphore,
    looks: Semaphore,
    /// The restart intensity of children that have none of their own, so that one of them which crashes
    /// again and again is given up alone.
    child_intensity: Option<Intensity>,
    ending: Mutex<Ending>,
}

impl SupervisorRef {
    pub(crate) fn new(id: AgentId) -> Self {
        Self::with_child_intensity(id, None)
    }

    pub(crate) fn with_child_intensity(id: AgentId, child_intensity: Option<Intensity>) -> Self {
        let (starts, stops) = (Semaphore::new(REQUESTS_MAX), Semaphore::new(REQUESTS_MAX));
        let (current, looks) = (Mutex::new(None), Semaphore::new(REQUESTS_MAX));
        let ending = Mutex::default();
        let inner = Handle { id, current, starts, stops, looks, child_intensity, ending };
        Self { inner: Arc::new(inner), patience: PATIENCE }
    }

    /// The same supervisor, whose answers are waited for at most this long:
    /// [`AdminError::TimedOut`] after that.
    #[must_use]
    pub fn within(&self, patience: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), patience }
    }

    /// The supervisor's identity.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.inner.id
    }

    /// Adds a child and starts it. Completes when the child is up.
    ///
    /// # Errors
    ///
    /// As in the table at [`greenroom_core::supervision`]; a child that does not start is not kept.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the answer; the child is started all the same.
    pub async fn start_child(
        &self,
        mut spec: ChildSpec,
        start: Arc<dyn Start>,
    ) -> Result<Done, AdminError> {
        spec.intensity = spec.intensity.or(self.inner.child_intensity);
        self.request(Admin::StartChild(spec), Some(start)).await
    }

    /// Stops a child and keeps its spec, unless it is temporary. Completes when the child is gone.
    ///
    /// # Errors
    ///
    /// [`AdminError::NotFound`], or [`AdminError::Stuck`] when the child does not end.
    pub async fn terminate_child(&self, target: impl Into<Target>) -> Result<Done, AdminError> {
        self.request(Admin::TerminateChild(target.into()), None).await
    }

    /// Starts a child that was stopped.
    ///
    /// # Errors
    ///
    /// As in the table at [`greenroom_core::supervision`].
    pub async fn restart_child(&self, id: impl Into<AgentId>) -> Result<Done, AdminError> {
        self.request(Admin::RestartChild(id.into()), None).await
    }

    /// Drops the spec of a child that is stopped.
    ///
    /// # Errors
    ///
    /// As in the table at [`greenroom_core::supervision`].
    pub async fn delete_child(&self, id: impl Into<AgentId>) -> Result<Done, AdminError> {
        self.request(Admin::DeleteChild(id.into()), None).await
    }

    /// Changes when the end of significant children ends the supervisor.
    ///
    /// # Errors
    ///
    /// [`AdminError::ShuttingDown`].
    pub async fn set_auto_shutdown(&self, policy: AutoShutdown) -> Result<Done, AdminError> {
        self.request(Admin::SetAutoShutdown(policy), None).await
    }

    /// Changes whether the end of a child can end the supervisor. The child is not restarted.
    ///
    /// # Errors
    ///
    /// As in the table at [`greenroom_core::supervision`], and [`AdminError::Invalid`] when the child cannot
    /// be significant.
    pub async fn set_significant(
        &self,
        id: impl Into<AgentId>,
        significant: bool,
    ) -> Result<Done, AdminError> {
        self.request(Admin::SetSignificant { id: id.into(), significant }, None).await
    }

    /// The children with their states, in start order; empty when the supervisor has ended, or does not
    /// answer in time.
    pub async fn which_children(&self) -> Vec<ChildInfo> {
        let look = async {
            let permit = self.inner.looks.acquire().await;
            let (reply, answer) = oneshot::channel();
            if permit.is_err() || !self.cast(SupervisorMessage::WhichChildren(reply)) {
                return Vec::new();
            }
            answer.await.unwrap_or_default()
        };
        tokio::time::timeout(self.patience, look).await.unwrap_or_default()
    }

    /// What can be seen of the supervisor, if it answers by then.
    pub(crate) async fn look(&self, until: Instant) -> Option<Look> {
        let look = async {
            let permit = self.inner.looks.acquire().await;
            let (reply, answer) = oneshot::channel();
            if permit.is_err() || !self.cast(SupervisorMessage::Look(reply)) {
                return None;
            }
            answer.await.ok()
        };
        tokio::time::timeout_at(until, look).await.ok().flatten()
    }

    /// Waits until the supervisor has ended for good, with all its children; see [`Down`]. One that has
    /// ended is told of at once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait and leaves nothing behind; it can be called again.
    pub async fn down(&self) -> Down {
        crate::watch::down(Arc::clone(&self.inner) as Arc<dyn Mortal>).await
    }

    /// Asks the supervisor to stop its children, in reverse order, and then itself.
    pub(crate) fn shutdown(&self, reason: ExitReason) -> bool {
        self.cast(SupervisorMessage::Shutdown(reason))
    }

    async fn request(
        &self,
        admin: Admin,
        start: Option<Arc<dyn Start>>,
    ) -> Result<Done, AdminError> {
        let answer = tokio::time::timeout(self.patience, self.answered(admin, start)).await;
        answer.unwrap_or(Err(AdminError::TimedOut(self.patience)))
    }

    async fn answered(
        &self,
        admin: Admin,
        start: Option<Arc<dyn Start>>,
    ) -> Result<Done, AdminError> {
        let permits = match &admin {
            Admin::TerminateChild(_) => &self.inner.stops,
            _ => &self.inner.starts,
        };
        let permit = permits.acquire().await;
        let (reply, answer) = oneshot::channel();
        if permit.is_err() || !self.cast(SupervisorMessage::Admin { admin, start, reply }) {
            return Err(AdminError::ShuttingDown);
        }
        answer.await.unwrap_or(Err(AdminError::ShuttingDown))
    }

    fn cast(&self, message: SupervisorMessage) -> bool {
        let current = self.inner.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().is_some_and(|actor| actor.cast(message).is_ok())
    }

    fn current(&self) -> Option<ActorRef<SupervisorMessage>> {
        self.inner.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn exited(&self, reason: &ExitReason) {
        self.inner.with_ending(&mut |ending| ending.exited(reason));
    }

    /// The supervisor will not be started again, unless by hand.
    pub(crate) fn ended(&self, reason: &ExitReason) {
        let mut ended = None;
        self.inner.with_ending(&mut |ending| ended = ending.end(reason));
        tell(&self.inner.id, ended);
    }

    pub(crate) fn publish(&self, actor: Option<ActorRef<SupervisorMessage>>) {
        if actor.is_some() {
            self.inner.with_ending(&mut Ending::begin);
        }
        *self.inner.current.lock().unwrap_or_else(PoisonError::into_inner) = actor;
    }
}

impl Mortal for Handle {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn with_ending(&self, change: &mut dyn FnMut(&mut Ending)) {
        change(&mut self.ending.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for SupervisorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SupervisorRef").field(&self.inner.id).finish()
    }
}

/// A map that starts small: a run's supervisor has a handful of children. Its keys are numbers that are given
/// out here, so the hash need not withstand anybody's choice of them.
pub(crate) type Table<K, V> = FxHashMap<K, V>;
