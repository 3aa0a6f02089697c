//! What callers, workers' supervisor and the pool's actor share: the machine, the payloads, the open leases.
//!
//! It outlives the actor's incarnations, so a crash of the actor loses no job. Whoever brings news tells the
//! machine here and answers callers; what starts or stops something is left for the actor to do.

mod inner;
mod ticket;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::pool::{
    Command, Event, Failure, JobId, Key, LeaseId, Machine, Offer, PoolSpec, Priority, WhenFull,
    WorkerId,
};
use greenroom_core::supervision::{AdminError, ExitReason, Fact, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use inner::{Aftermath, Inner, Pending, Ready};
pub(super) use ticket::Ticket;

use super::actor::Message;
use super::job::Mark;
use super::{PoolError, PoolInfo, PoolWorker};
use crate::actor::address::AgentRef;
use crate::actor::dead_letters::DeadReason;
use crate::actor::dead_letters::ring::{DeadLetters, Notice};
use crate::actor::slot::AnySlot;

/// A job, as its caller gives it.
pub(super) struct Ask<J, R> {
    pub(super) payload: Arc<J>,
    pub(super) key: Option<Arc<str>>,
    pub(super) priority: Priority,
    pub(super) answer: oneshot::Sender<Result<R, PoolError>>,
    /// Its room in the queue, given back when a worker first has it.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

pub(super) struct Shared<J, R> {
    id: AgentId,
    spec: PoolSpec,
    origin: Instant,
    dead_letters: Arc<DeadLetters>,
    permits: Arc<Semaphore>,
    drained: CancellationToken,
    inner: Mutex<Inner<J, R>>,
}

/// A lease that is to be performed.
pub(super) struct Begun<J> {
    pub(super) payload: Arc<J>,
    pub(super) key: Option<Arc<str>>,
    pub(super) mark: Arc<Mark>,
    pub(super) token: CancellationToken,
    pub(super) left: Duration,
}

impl<J, R> Shared<J, R> {
    pub(super) fn id(&self) -> &AgentId {
        &self.id
    }

    pub(super) fn spec(&self) -> &PoolSpec {
        &self.spec
    }

    fn lock(&self) -> MutexGuard<'_, Inner<J, R>> {
        // No user code runs under the lock, so a poisoned one is as consistent as any other.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Send + Sync + 'static, R: Send + 'static> Shared<J, R> {
    pub(super) fn new(
        id: AgentId,
        spec: PoolSpec,
        machine: Machine,
        dead_letters: Arc<DeadLetters>,
        ready: oneshot::Sender<Result<(), AdminError>>,
    ) -> Self {
        let ready = Ready { n_missing: *spec.workers.start(), reply: ready };
        let inner = Mutex::new(Inner::new(machine, ready));
        let permits = Arc::new(Semaphore::new(spec.queue_max.min(Semaphore::MAX_PERMITS)));
        let (origin, drained) = (Instant::now(), CancellationToken::new());
        Self { id, spec, origin, dead_letters, permits, drained, inner }
    }

    /// Waits for room in the queue, if that is the policy.
    pub(super) async fn room(&self) -> Result<Option<OwnedSemaphorePermit>, PoolError> {
        if self.spec.when_full == WhenFull::Reject {
            return Ok(None);
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map(Some).map_err(|_| PoolError::Stopped)
    }

    pub(super) fn offer(&self, span: Duration, ask: Ask<J, R>) -> Ticket<'_, J, R> {
        let until = Instant::now().checked_add(span);
        let mut inner = self.lock();
        inner.n_jobs += 1;
        let job = JobId(inner.n_jobs);
        let deadline = until.map(|until| until.saturating_duration_since(self.origin));
        let (priority, key) = (ask.priority, ask.key.as_deref().map(Key::new));
        inner.jobs.insert(job, Pending { ask, span, until });
        let event = Event::Offer(Offer { job, priority, key, deadline });
        let aftermath = inner.on(self.origin.elapsed(), event);
        drop(inner);
        self.follow(aftermath);
        Ticket { shared: self, job: Some(job) }
    }

    /// Tells the machine.
    pub(super) fn tell(&self, event: Event) {
        let aftermath = self.lock().on(self.origin.elapsed(), event);
        self.follow(aftermath);
    }

    /// A worker answered.
    pub(super) fn done(&self, lease: LeaseId, result: R) {
        let mut inner = self.lock();
        let held = inner.leases.remove(&lease);
        let pending = held.and_then(|held| inner.jobs.remove(&held.job));
        let aftermath = inner.on(self.origin.elapsed(), Event::Done(lease));
        drop(inner);
        if let Some(pending) = pending {
            // A caller that has gone needs no answer.
            let _ = pending.ask.answer.send(Ok(result));
        }
        self.follow(aftermath);
    }

    /// A worker crashed in its handler of this lease.
    pub(super) fn lost(&self, lease: LeaseId, cause: ExitReason) {
        let mut inner = self.lock();
        let Some(worker) = inner.leases.get(&lease).map(|held| held.worker) else { return };
        let parts = inner.parts(worker);
        let aftermath = inner.on(self.origin.elapsed(), Event::Lost { lease, cause, parts });
        drop(inner);
        self.follow(aftermath);
    }

    /// What the workers' supervisor reports.
    pub(super) fn observe(&self, event: &SupervisionEvent) {
        let Some(worker) = self.worker_of(&event.id) else { return };
        match &event.fact {
            Fact::Started => self.tell(Event::Up(worker)),
            Fact::Exited { reason, .. } => {
                let mut inner = self.lock();
                let parts = inner.parts(worker);
                let event = Event::Down { worker, cause: reason.clone(), parts };
                let aftermath = inner.on(self.origin.elapsed(), event);
                drop(inner);
                self.follow(aftermath);
            }
            _ => {}
        }
    }

    /// A worker will not come back.
    pub(super) fn gone(&self, worker: WorkerId, cause: &ExitReason) {
        let mut inner = self.lock();
        let parts = inner.parts(worker);
        // Messages may end with the slot, so it is dropped after the lock.
        let slot = inner.workers.remove(&worker);
        let event = Event::Gone { worker, cause: cause.clone(), parts };
        let aftermath = inner.on(self.origin.elapsed(), event);
        drop(inner);
        drop(slot);
        self.follow(aftermath);
    }

    pub(super) fn close(&self) {
        self.tell(Event::Close);
        self.permits.close();
    }

    /// Gives up what is left, and tells how many jobs that is.
    pub(super) fn abandon(&self) -> usize {
        let n_left = self.lock().machine.n_jobs();
        self.tell(Event::Abandon);
        self.permits.close();
        n_left
    }

    pub(super) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// The pool's actor begins: what the one before had under way is over.
    pub(super) fn attach(&self, actor: AgentRef<Message>) {
        let mut inner = self.lock();
        inner.actor = Some(actor);
        inner.to_do.clear();
        inner.armed_at = None;
        // It looks before it waits for the bell.
        inner.is_rung = true;
        let aftermath = inner.on(self.origin.elapsed(), Event::Recovered);
        drop(inner);
        self.follow(aftermath);
    }

    /// The next thing for the actor to do; after `None` it has to be rung for.
    pub(super) fn next(&self) -> Option<Command> {
        let mut inner = self.lock();
        let command = inner.to_do.pop_front();
        inner.is_rung = command.is_some();
        command
    }

    /// When the actor is to be told of the time, if its timer does not run out before.
    pub(super) fn arm(&self) -> Option<(Duration, Duration)> {
        let mut inner = self.lock();
        let wake = inner.unarmed()?;
        inner.armed_at = Some(wake);
        Some((wake, wake.saturating_sub(self.origin.elapsed())))
    }

    /// A timer of the actor's ran out.
    pub(super) fn tick(&self, wake: Duration) {
        let mut inner = self.lock();
        if inner.armed_at == Some(wake) {
            inner.armed_at = None;
        }
        let aftermath = inner.on(self.origin.elapsed(), Event::Tick);
        drop(inner);
        self.follow(aftermath);
    }

    /// What a lease needs, unless it is over already.
    pub(super) fn begin(&self, lease: LeaseId) -> Option<Begun<J>> {
        let mut inner = self.lock();
        let held = inner.leases.get(&lease)?;
        let (job, mark, token) = (held.job, Arc::clone(&held.mark), held.token.clone());
        let pending = inner.jobs.get_mut(&job)?;
        let permit = pending.ask.permit.take();
        let left = pending
            .until
            .map_or(pending.span, |until| until.saturating_duration_since(Instant::now()));
        let (payload, key) = (Arc::clone(&pending.ask.payload), pending.ask.key.clone());
        drop(inner);
        drop(permit);
        Some(Begun { payload, key, mark, token, left })
    }

    /// A worker was started, or was not.
    pub(super) fn started(&self, worker: WorkerId, started: Result<(), AdminError>) {
        let mut inner = self.lock();
        if let Some(ready) = &mut inner.ready {
            ready.n_missing = ready.n_missing.saturating_sub(1);
            if started.is_err() || ready.n_missing == 0 {
                let ready = inner.ready.take();
                // Whoever waited for it may have gone.
                drop(ready.map(|ready| ready.reply.send(started.clone())));
            }
        }
        drop(inner);
        match started {
            // One that was there before is started, or is being started.
            Ok(()) | Err(AdminError::AlreadyStarted { .. } | AdminError::AlreadyPresent) => {}
            Err(AdminError::StartFailed { cause }) => self.gone(worker, &cause),
            Err(error) => self.gone(worker, &ExitReason::failed(&error.to_string())),
        }
    }

    pub(super) fn hire(&self, worker: WorkerId, slot: Arc<dyn AnySlot>) {
        self.lock().workers.insert(worker, slot);
    }

    pub(super) fn worker_id(&self, worker: WorkerId) -> AgentId {
        AgentId::new(format!("{}-{}", self.id, worker.0))
    }

    fn worker_of(&self, id: &AgentId) -> Option<WorkerId> {
        let number = id.as_str().strip_prefix(self.id.as_str())?.strip_prefix('-')?;
        number.parse().ok().map(WorkerId)
    }

    pub(super) fn crash(&self) -> bool {
        let actor = self.lock().actor.clone();
        actor.is_some_and(|actor| actor.crash_on_purpose())
    }

    pub(super) fn info(&self) -> PoolInfo {
        let (info, slots) = {
            let inner = self.lock();
            (inner.machine.info(self.origin.elapsed()), inner.workers.clone())
        };
        let workers = info.workers.into_iter().map(|worker| PoolWorker {
            id: self.worker_id(worker.id),
            agent: slots.get(&worker.id).map(|slot| slot.info()),
            state: worker.state,
            is_retiring: worker.is_retiring,
            is_mute: worker.is_mute,
            leases: worker.leases,
            n_done: worker.n_done,
        });
        PoolInfo {
            id: self.id.clone(),
            workers: workers.collect(),
            bounds: info.bounds,
            n_queued: info.n_queued,
            oldest_wait: info.oldest_wait,
            wait_p50: info.wait_p50,
            wait_p95: info.wait_p95,
            decisions: info.decisions,
            n_accepted: info.n_accepted,
            n_done: info.n_done,
            n_quarantined: info.n_quarantined,
        }
    }

    /// What follows from an event, outside the lock.
    fn follow(&self, aftermath: Aftermath<J, R>) {
        let Aftermath { cancelled, over, is_drained, bell } = aftermath;
        cancelled.into_iter().for_each(|token| token.cancel());
        for (pending, failure) in over {
            self.bury(&failure);
            let error = PoolError::new(&failure, pending.span);
            // A caller that has gone needs no answer.
            let _ = pending.ask.answer.send(Err(error));
        }
        if is_drained {
            self.drained.cancel();
        }
        if let Some(actor) = bell {
            // One bell is under way at a time, so there is room, or the actor has stopped for good.
            let _ = actor.control(Message::Bell);
        }
    }

    fn bury(&self, failure: &Failure) {
        let (reason, n_deliveries) = match failure {
            Failure::Expired => (DeadReason::Expired, 0),
            Failure::Withdrawn { was_queued: true } => (DeadReason::Cancelled, 0),
            Failure::Quarantined { cause, n_deliveries } => {
                (DeadReason::Poison { cause: cause.clone() }, *n_deliveries)
            }
            Failure::Closed => (DeadReason::Stopped, 0),
            _ => return,
        };
        let notice = Notice { to: self.id.clone(), reason, n_deliveries, is_ask: true };
        // A job is no message: whoever wants it done again submits it.
        self.dead_letters.push::<J>(notice, None);
    }
}
