//! The pool's own actor: it does what the machine wants done, and keeps its timer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::pool::{Command, Event, LeaseId, WorkerId};
use greenroom_core::supervision::{AdminError, ExitReason};

use super::job::{Job, Mark};
use super::shared::{Begun, Shared};
use crate::actor::address::{AgentRef, AskError, Reply};
use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::EffectError;
use crate::actor::shell::Factory;
use crate::actor::slot::{AnySlot, House, Slot};
use crate::actor::{Actor, Context, Failure};
use crate::runtime::WeakRuntime;
use crate::supervisor::{AgentStart, SupervisorRef};

/// How long the start or the stop of a worker, or one that hangs, is followed. It goes on after that; its end
/// is news either way.
const FOLLOWED_MAX: Duration = Duration::from_secs(3600);

/// What the pool's actor is sent.
#[derive(Debug)]
pub(super) enum Message {
    /// There is something to do.
    Bell,
    /// The time has come.
    Tick(Duration),
    /// A lease is over; what became of it was told already, unless its work failed.
    Ended(LeaseId, Result<(), EffectError>),
    /// A worker was started, or was not.
    Started(WorkerId, Result<(), AdminError>),
    /// A worker was stopped, or was not there.
    Stopped(WorkerId, Result<(), AdminError>),
    /// An effect ended that nobody waits for any more.
    Nothing,
}

/// What makes workers, and what they are given.
pub(super) struct Staff<A: Actor, J, R> {
    pub(super) shared: Arc<Shared<J, R>>,
    pub(super) runtime: WeakRuntime,
    pub(super) supervisor: SupervisorRef,
    pub(super) factory: Factory<A>,
    pub(super) build: Box<dyn Fn(Job<J, R>) -> A::Message + Send + Sync>,
    pub(super) slots: Mutex<BTreeMap<WorkerId, Arc<Slot<A::Message>>>>,
}

impl<A, J, R> Staff<A, J, R>
where
    A: Actor,
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    fn slots(&self) -> MutexGuard<'_, BTreeMap<WorkerId, Arc<Slot<A::Message>>>> {
        // No user code runs under the lock, so a poisoned one is as consistent as any other.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a worker is started; `None` when the runtime is gone.
    fn hire(self: &Arc<Self>, worker: WorkerId) -> Option<AgentStart<A>> {
        let runtime = self.runtime.upgrade()?;
        let slot = self.slots().get(&worker).cloned();
        let slot = slot.unwrap_or_else(|| {
            let id = self.shared.worker_id(worker);
            // One delivery each: whom a job is given to next is for the pool to say.
            let mailbox = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
            let house = House { is_leasing: true, ..runtime.house() };
            let slot = Slot::new(id, "worker".into(), mailbox, house);
            self.slots().insert(worker, Arc::clone(&slot));
            runtime.show(&slot);
            self.shared.hire(worker, Arc::clone(&slot) as Arc<dyn AnySlot>);
            slot
        });
        let staff = Arc::downgrade(self);
        let on_closed = move |reason: &ExitReason| {
            if let Some(staff) = staff.upgrade() {
                let slot = staff.slots().remove(&worker);
                drop(slot);
                staff.shared.gone(worker, reason);
            }
        };
        let (tasks, factory) = (runtime.tasks().clone(), Arc::clone(&self.factory));
        Some(AgentStart { slot, tasks, factory, on_closed: Some(Arc::new(on_closed)) })
    }

    /// Has a worker do a job.
    async fn lease(&self, lease: LeaseId, worker: WorkerId, begun: Begun<J>, delivery: u32) {
        let slot = self.slots().get(&worker).cloned();
        // A worker that is gone has its leases taken back.
        let Some(slot) = slot else { return };
        let Begun { payload, key, mark, token, left } = begun;
        let noted = Arc::clone(&mark);
        let build = |reply: Reply<R>| (self.build)(Job::new(payload, reply, key, delivery, noted));
        let asked = AgentRef::new(slot);
        let heed_max = self.shared.spec().heed_max;
        tokio::select! {
            biased;
            () = token.cancelled() => return,
            answer = asked.ask(left, build) => return self.answered(lease, answer).await,
            () = unheard(&mark, heed_max) => self.shared.tell(Event::Unheard(lease)),
        }
        // The job is withdrawn, and with another worker. What tells that this one lives is that it drops it.
        mark.heard().await;
        self.shared.tell(Event::Heard(worker));
    }

    /// A lease ended by itself.
    async fn answered(&self, lease: LeaseId, answer: Result<R, AskError>) {
        match answer {
            Ok(result) => self.shared.done(lease, result),
            Err(AskError::TimedOut(_)) => self.shared.tell(Event::Expired(lease)),
            Err(AskError::Dead(DeadReason::Poison { cause })) => self.shared.lost(lease, cause),
            Err(_) => {
                // Whether the worker dropped the reply or died with it: a death was reported to its
                // supervisor before the reply was dropped, and is heard before this question.
                self.supervisor.which_children().await;
                self.shared.tell(Event::Declined(lease));
            }
        }
    }
}

/// Completes when a worker has not looked at a job in time.
async fn unheard(mark: &Mark, heed_max: Duration) {
    if tokio::time::timeout(heed_max, mark.heard()).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

/// One incarnation of a pool's actor.
pub(super) struct PoolActor<A: Actor, J, R> {
    pub(super) staff: Arc<Staff<A, J, R>>,
}

impl<A, J, R> Actor for PoolActor<A, J, R>
where
    A: Actor,
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    type Message = Message;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.staff.shared.attach(context.me());
        self.work(context);
        Ok(())
    }

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let shared = &self.staff.shared;
        match message {
            Message::Bell | Message::Nothing | Message::Ended(_, Ok(())) => {}
            Message::Tick(wake) => shared.tick(*wake),
            Message::Ended(lease, Err(EffectError::Panicked(text))) => {
                let cause = ExitReason::Panic(text.clone());
                shared.tell(Event::Unfit { lease: *lease, cause });
            }
            Message::Ended(lease, Err(_)) => shared.tell(Event::Expired(*lease)),
            Message::Started(worker, started) => shared.started(*worker, started.clone()),
            Message::Stopped(worker, Err(AdminError::NotFound)) => {
                shared.gone(*worker, &ExitReason::Shutdown);
            }
            Message::Stopped(..) => {}
        }
        self.work(context);
        Ok(())
    }
}

impl<A, J, R> PoolActor<A, J, R>
where
    A: Actor,
    J: Send + Sync + 'static,
    R: Send + 'static,
{
    /// Does what there is to do.
    fn work(&self, context: &Context<'_, Self>) {
        while let Some(command) = self.staff.shared.next() {
            match command {
                Command::Lease { lease, worker, delivery, .. } => {
                    self.lease(context, lease, worker, delivery);
                }
                Command::Start(worker) => self.start(context, worker),
                Command::Stop(worker) => self.stop(context, worker),
                // The rest was done by whoever brought the news.
                Command::Cancel(_) | Command::Fail { .. } | Command::Drained => {}
            }
        }
        if let Some((wake, after)) = self.staff.shared.arm() {
            context.after(after, Message::Tick(wake));
        }
    }

    fn lease(&self, context: &Context<'_, Self>, lease: LeaseId, worker: WorkerId, delivery: u32) {
        let Some(begun) = self.staff.shared.begin(lease) else { return };
        let bound = begun.left.saturating_add(FOLLOWED_MAX);
        let staff = Arc::clone(&self.staff);
        let work = async move { staff.lease(lease, worker, begun, delivery).await };
        context.effect("lease", bound, work, move |ended| Message::Ended(lease, ended));
    }

    fn start(&self, context: &Context<'_, Self>, worker: WorkerId) {
        let Some(start) = self.staff.hire(worker) else { return };
        let id = self.staff.shared.worker_id(worker);
        let spec = self.staff.shared.spec().worker(id);
        let supervisor = self.staff.supervisor.clone();
        let started = async move { supervisor.start_child(spec, Arc::new(start)).await };
        context.effect("start-worker", FOLLOWED_MAX, started, move |outcome| match outcome {
            Ok(started) => Message::Started(worker, started.map(drop)),
            Err(_) => Message::Nothing,
        });
    }

    fn stop(&self, context: &Context<'_, Self>, worker: WorkerId) {
        let id = self.staff.shared.worker_id(worker);
        let supervisor = self.staff.supervisor.clone();
        let stopped = async move { supervisor.terminate_child(id).await };
        context.effect("stop-worker", FOLLOWED_MAX, stopped, move |outcome| match outcome {
            Ok(stopped) => Message::Stopped(worker, stopped.map(drop)),
            Err(_) => Message::Nothing,
        });
    }
}
