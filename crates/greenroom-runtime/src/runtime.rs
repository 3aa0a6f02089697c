//! One instance of the system: a root supervisor, the team and the runs below it, and what they share.
//!
//! There is no global: two runtimes in one process know nothing of each other.

mod builder;
pub(crate) mod census;
pub(crate) mod clock;
mod drain;
mod durable;
pub(crate) mod error;
mod letters;
mod looks;
mod starts;
pub(crate) mod tasks;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use greenroom_core::alive::{Alive, Living};
use greenroom_core::ids::{AgentId, RunId};
use greenroom_core::journal::Journal;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::pool::PoolSpec;
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{
    AdminError, ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec,
};
use greenroom_core::time::Clock;

use crate::actor::Actor;
use crate::actor::address::AgentRef;
use crate::actor::slot::{House, Slot};
use crate::agents::single::AgentBuilder;
use crate::inspect::facts::Facts;
use crate::inspect::registry::Registry;
use crate::pool::{self, Job, Pool, PoolStartError};
use crate::runtime::error::StartError;
use crate::runtime::tasks::Tasks;
use crate::supervisor::{
    AgentStart, Archive, Observer, OnClosed, Start, SupervisorRef, SupervisorStart,
};
use crate::team::TeamBuilder;

use builder::subtree;
use durable::Durable;

pub use builder::RuntimeBuilder;
pub use drain::{DrainReport, Health, HealthState};

/// Supervisors that share the runs, so that starting one run waits for no other.
const PARTITIONS: usize = 8;

/// How long an orderly shutdown may take before everything left is killed.
const SHUTDOWN_MAX: Duration = Duration::from_secs(60);

/// How long what was killed may take to be gone.
const KILL_MAX: Duration = Duration::from_secs(10);

/// One instance of the system. Cheap to clone; when the last clone is dropped, everything is killed. A run
/// of a team that is under way holds a clone, so it is finished first.
///
/// For an orderly end call [`Runtime::shutdown`].
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    tasks: Tasks,
    /// What the slots share.
    house: House,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    root: SupervisorRef,
    team: SupervisorRef,
    partitions: Vec<SupervisorRef>,
    registry: Registry,
    facts: Arc<Facts>,
    observer: Observer,
    random: Mutex<SplitMix64>,
    durable: Durable,
}

impl Runtime {
    /// A runtime to be configured.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::new()
    }

    /// Starts a runtime with the defaults.
    ///
    /// # Errors
    ///
    /// As [`RuntimeBuilder::start`].
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A team to be put together.
    pub fn team(&self) -> TeamBuilder {
        TeamBuilder::new(self.clone())
    }

    /// A single agent to be put together.
    pub fn agent(&self, id: impl Into<AgentId>) -> AgentBuilder {
        AgentBuilder::new(self.clone(), id.into())
    }

    /// Starts a supervised actor with the default mailbox; see [`Runtime::spawn_with`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::spawn_with`].
    pub async fn spawn<A: Actor>(
        &self,
        id: impl Into<AgentId>,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<AgentRef<A::Message>, AdminError> {
        self.spawn_with(ChildSpec::worker(id.into()), MailboxSpec::default(), factory).await
    }

    /// Starts a supervised actor. `factory` builds each of its incarnations.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when the id is taken, the spec makes no sense, or the actor does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the address; the actor is started all the same.
    pub async fn spawn_with<A: Actor>(
        &self,
        spec: ChildSpec,
        mailbox: MailboxSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<AgentRef<A::Message>, AdminError> {
        self.resident(spec, "actor", mailbox, factory).await.map(AgentRef::new)
    }

    pub(crate) async fn resident<A: Actor>(
        &self,
        spec: ChildSpec,
        role: &str,
        mailbox: MailboxSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<Arc<Slot<A::Message>>, AdminError> {
        let (slot, start) = self.agent_start(spec.id.clone(), role, mailbox, factory);
        self.install(spec, &slot, start).await?;
        Ok(slot)
    }

    /// Starts a pool: workers of one kind, which pull jobs from one queue and are supervised each for itself.
    /// `factory` builds each incarnation of each worker, and `build` makes a worker's message of a job.
    /// Completes when the least number of workers is up. The workers of a pool `parsers` are the agents
    /// `parsers-1`, `parsers-2`, …
    ///
    /// # Errors
    ///
    /// [`PoolStartError`] when the spec makes no sense, the id is taken, or a worker does not start.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the address; the pool is started all the same.
    pub async fn pool<A, J, R>(
        &self,
        id: impl Into<AgentId>,
        spec: PoolSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
        build: impl Fn(Job<J, R>) -> A::Message + Send + Sync + 'static,
    ) -> Result<Pool<J, R>, PoolStartError>
    where
        A: Actor,
        J: Send + Sync + 'static,
        R: Send + 'static,
    {
        pool::start(self, id.into(), spec, factory, build).await
    }

    /// Starts one of the application's own agents, and shows it.
    pub(crate) async fn install<M: Send + 'static>(
        &self,
        spec: ChildSpec,
        slot: &Arc<Slot<M>>,
        start: impl Start,
    ) -> Result<(), AdminError> {
        self.inner.team.start_child(spec, Arc::new(start)).await?;
        self.show(slot);
        Ok(())
    }

    /// The supervisor of the application's own agents, to start and stop children by hand: raw ractor
    /// actors with [`RactorChild`](crate::RactorChild), for example.
    #[must_use]
    pub fn supervisor(&self) -> SupervisorRef {
        self.inner.team.clone()
    }

    /// Starts a supervisor of the application's own below the team's. One whose spec is
    /// [`durable`](SupervisorSpec::durable) goes on counting restarts where the process before left off.
    ///
    /// # Errors
    ///
    /// As in the table at [`greenroom_core::supervision`]; a start that fails with
    /// [`IntensityExceeded`](ExitReason::IntensityExceeded) when the processes of a durable one have died too
    /// often.
    pub async fn supervise(
        &self,
        id: impl Into<AgentId>,
        spec: SupervisorSpec,
        children: Vec<(ChildSpec, Arc<dyn Start>)>,
    ) -> Result<SupervisorRef, AdminError> {
        spec.check(&children.iter().map(|(child, _)| child.clone()).collect::<Vec<_>>())?;
        let handle = SupervisorRef::new(id.into());
        let (journal, clock) = (self.journal(), self.clock());
        let start = SupervisorStart {
            handle: handle.clone(),
            archive: spec.durable.then_some(Archive { journal, clock }),
            spec,
            children,
            tasks: self.inner.tasks.clone(),
            observer: self.observer(),
            seed: self.next_random(),
            on_closed: None,
        };
        // A supervisor ends normally only when it is asked to or when its significant children have ended,
        // and then it is not to come back.
        let child = ChildSpec::supervisor(handle.id().clone()).restart(Restart::Transient);
        self.inner.team.start_child(child, Arc::new(start)).await?;
        Ok(handle)
    }

    /// An actor as a child of a supervisor that is not started yet, with its address.
    pub fn child<A: Actor>(
        &self,
        id: impl Into<AgentId>,
        mailbox: MailboxSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> (AgentRef<A::Message>, Arc<dyn Start>) {
        let (slot, start) = self.agent_start(id.into(), "actor", mailbox, factory);
        self.show(&slot);
        (AgentRef::new(slot), Arc::new(start))
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.inner.journal)
    }

    /// Tasks that have not ended. After [`Runtime::shutdown`] there are none.
    #[must_use]
    pub fn n_tasks(&self) -> usize {
        self.inner.tasks.n_alive()
    }

    /// Stops everything in reverse order of its start: runs first, then the team. Completes when nothing
    /// is left, and at the latest 80 seconds after the call: what has not stopped after a minute is killed,
    /// and work on blocking threads cannot be. [`Runtime::n_tasks`] tells what is left then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future does not stop the shutdown; it can be called again, and from several places.
    pub async fn shutdown(&self) {
        let Inner { root, tasks, .. } = &*self.inner;
        let over = tasks.over();
        self.runs().draining.cancel();
        root.shutdown(ExitReason::Shutdown);
        if tokio::time::timeout(SHUTDOWN_MAX, over.cancelled()).await.is_err() {
            root.shutdown(ExitReason::Killed);
            let _ = tokio::time::timeout(KILL_MAX, over.cancelled()).await;
        }
        let _ = tokio::time::timeout(KILL_MAX, tasks.ended()).await;
        self.inner.house.dead_letters.release();
    }

    pub(crate) fn observer(&self) -> Observer {
        Arc::clone(&self.inner.observer)
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.inner.tasks
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock)
    }

    pub(crate) fn partition(&self, run: RunId) -> &SupervisorRef {
        &self.inner.partitions[run.bits() as usize % PARTITIONS]
    }

    pub(crate) fn slot<M: Send + 'static>(
        &self,
        id: AgentId,
        role: &str,
        mailbox: MailboxSpec,
    ) -> Arc<Slot<M>> {
        Slot::new(id, role.into(), mailbox, self.house())
    }

    /// What the slots of this runtime share. It does not keep the runtime.
    pub(crate) fn house(&self) -> House {
        self.inner.house.clone()
    }

    /// Shows an agent to those who look.
    pub(crate) fn show<M: Send + 'static>(&self, slot: &Arc<Slot<M>>) {
        self.inner.registry.add(slot);
    }

    /// A handle for what the runtime owns, which must not keep it alive.
    pub(crate) fn downgrade(&self) -> WeakRuntime {
        WeakRuntime(Arc::downgrade(&self.inner))
    }

    /// Starts supervisors that share the children of one kind, below one of their own in the team.
    pub(crate) async fn supervise_partitions(
        &self,
        id: AgentId,
        partitions: &[SupervisorRef],
        spec: &SupervisorSpec,
        on_closed: OnClosed,
    ) -> Result<(), AdminError> {
        let (tasks, observer) = (&self.inner.tasks, self.observer());
        let children = partitions.iter().map(|partition| {
            subtree(partition, spec.clone(), tasks, &observer, self.next_random())
        });
        let start = SupervisorStart {
            handle: SupervisorRef::new(id.clone()),
            spec: SupervisorSpec::new(Strategy::OneForOne),
            children: children.collect(),
            tasks: tasks.clone(),
            observer: Arc::clone(&observer),
            archive: None,
            seed: self.next_random(),
            on_closed: Some(on_closed),
        };
        self.inner.team.start_child(ChildSpec::supervisor(id), Arc::new(start)).await?;
        Ok(())
    }

    pub(crate) fn agent_start<A: Actor>(
        &self,
        id: AgentId,
        role: &str,
        mailbox: MailboxSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> (Arc<Slot<A::Message>>, AgentStart<A>) {
        let slot = self.slot(id, role, mailbox);
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: self.inner.tasks.clone(),
            factory: Arc::new(factory),
            on_closed: None,
        };
        (slot, start)
    }

    pub(crate) fn new_run_id(&self) -> RunId {
        let (high, low) = (self.next_random(), self.next_random());
        RunId::from_bits(u128::from(high) << 64 | u128::from(low))
    }

    /// It makes ids distinct and jitter differ; ids are no secrets.
    pub(crate) fn next_random(&self) -> u64 {
        self.inner.random.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }
}

/// A runtime, for what it owns.
#[derive(Clone)]
pub(crate) struct WeakRuntime(Weak<Inner>);

impl WeakRuntime {
    pub(crate) fn upgrade(&self) -> Option<Runtime> {
        self.0.upgrade().map(|inner| Runtime { inner })
    }
}

/// Actors, supervisors, tasks and timers by name. After [`Runtime::shutdown`] there are none, but for those
/// that could not be ended.
impl Alive for Runtime {
    fn alive(&self) -> Vec<Living> {
        self.inner.tasks.alive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.root.shutdown(ExitReason::Killed);
        self.house.dead_letters.release();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("n_tasks", &self.n_tasks()).finish_non_exhaustive()
    }
}
