//! The shell: one incarnation of an agent as a ractor actor. It feeds messages to the user's hooks and
//! turns their panics and failures into exits with a reason.

mod resting;
mod storing;

use std::any::type_name;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use greenroom_core::fault::INJECTED;
use greenroom_core::mailbox::{Lease, Place};
use greenroom_core::supervision::ExitReason;
use ractor::{ActorCell, ActorProcessingErr, ActorRef};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::actor::effect::Effects;
use crate::actor::envelope::{Envelope, Signal};
use crate::actor::faults::{self, Held, Strike};
use crate::actor::slot::Slot;
use crate::actor::{Actor, Context, Failure};
use crate::inspect::AgentState;
use crate::persist::ledger::Deed;
use crate::persist::{Keeper, Ledger, Persistence};
use crate::runtime::census::CountedActor;
use crate::runtime::tasks::Tasks;
use crate::supervisor::{StartFuture, start_reason};

pub(crate) use resting::Tenancy;

/// Messages handled in one go before others on the same thread have a turn.
const BATCH: usize = 32;

/// The reason that ractor is given when an actor stops itself.
pub(crate) const STOPPED_ITSELF: &str = "normal";
/// The reason that ractor is given when a supervisor stops an actor.
pub(crate) const SHUT_DOWN: &str = "shutdown";

/// Builds an incarnation's actor.
pub(crate) type Factory<A> = Arc<dyn Fn() -> A + Send + Sync>;

/// An exit reason on its way through ractor, which carries errors only.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Ended(pub(crate) ExitReason);

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self(failure.into_exit())
    }
}

/// What ractor holds of an incarnation besides its state.
///
/// The guard lives here and not in the state: after a kill, ractor sends the state to the supervisor,
/// and effects would go on until it is handled.
pub(crate) struct Shell<A: Actor> {
    slot: Arc<Slot<A::Message>>,
    token: CancellationToken,
    _guard: DropGuard,
    _counted: CountedActor,
    tasks: Tasks,
    factory: Factory<A>,
    persistence: Option<Arc<Persistence<A>>>,
    /// The family that the agent belongs to.
    tenancy: Option<Arc<dyn Tenancy>>,
}

impl<A: Actor> Shell<A> {
    pub(crate) fn new(slot: Arc<Slot<A::Message>>, tasks: Tasks, factory: Factory<A>) -> Self {
        let token = CancellationToken::new();
        let guard = token.clone().drop_guard();
        let counted = tasks.count_actor(slot.id());
        let (persistence, tenancy) = (None, None);
        Self { slot, token, _guard: guard, _counted: counted, tasks, factory, persistence, tenancy }
    }

    /// Lets the incarnation journal its state.
    pub(crate) fn journalled(self, persistence: Arc<Persistence<A>>) -> Self {
        Self { persistence: Some(persistence), ..self }
    }

    /// Starts the incarnation.
    pub(crate) fn start(self, supervisor: ActorCell) -> StartFuture {
        Box::pin(async move {
            let spawned = <Self as ractor::Actor>::spawn_linked(None, self, (), supervisor).await;
            spawned.map(|(actor, _)| Ok(actor.get_cell())).map_err(|error| start_reason(&error))
        })
    }
}

impl<A: Actor> fmt::Debug for Shell<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shell").field("id", self.slot.id()).finish_non_exhaustive()
    }
}

/// The state of an incarnation.
pub(crate) struct Life<A: Actor> {
    actor: A,
    effects: Effects<A::Message>,
    /// No signal has been handled.
    is_fresh: bool,
    /// The incarnation's end of its stream, when its state is journalled.
    keeper: Option<Box<Keeper<A>>>,
    /// It stops once everything is stored.
    is_stopping: bool,
    /// It is to be unloaded as soon as it has nothing to do.
    wants_rest: bool,
    /// It has said that it has nothing to do.
    is_resting: bool,
}

impl<A: Actor> Life<A> {
    /// Whether messages of others may be handled.
    fn takes_work(&self) -> bool {
        self.effects.takes_work() && self.is_stored()
    }

    /// Whether nothing is being stored.
    fn is_stored(&self) -> bool {
        self.keeper.as_ref().is_none_or(|keeper| keeper.is_idle())
    }
}

impl<A: Actor> fmt::Debug for Life<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("effects", &self.effects).finish_non_exhaustive()
    }
}

// `A` crosses threads only by value, from `pre_start` into the task that ractor runs.
impl<A: Actor> ractor::Actor for Shell<A> {
    type Msg = Signal;
    type State = Life<A>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<Signal>,
        (): (),
    ) -> Result<Life<A>, ActorProcessingErr> {
        let generation = self.slot.begin();
        let effects = Effects {
            slot: Arc::clone(&self.slot),
            tasks: self.tasks.clone(),
            token: self.token.clone(),
            generation,
            n_open: Arc::default(),
            n_timers: Arc::default(),
            has_overrun: AtomicBool::new(false),
        };
        faults::at_start(&self.slot, generation).await.map_err(Ended)?;
        self.slot.count(&effects.n_open, &effects.n_timers);
        let loaded = match &self.persistence {
            Some(persistence) => {
                Some((persistence, persistence.load().await.map_err(Ended::from)?))
            }
            None => None,
        };
        self.slot.begin_hook("started");
        let begun = caught(&self.tasks, || {
            let mut actor = (self.factory)();
            let keeper = match &loaded {
                Some((persistence, events)) => Some(persistence.recover(&mut actor, events)?),
                None => None,
            };
            let mut life = Life {
                actor,
                effects,
                is_fresh: true,
                keeper,
                is_stopping: false,
                wants_rest: false,
                is_resting: false,
            };
            let deeds = self.started(&mut life)?;
            Ok((life, deeds))
        });
        self.slot.end_hook();
        let (mut life, deeds) = begun.map_err(Ended)?;
        if let Some(keeper) = &life.keeper {
            self.slot.recovered(keeper.n_recovered);
        }
        self.begun(&myself, &mut life, deeds)?;
        self.slot.attach(myself.clone());
        self.move_in(&myself);
        Self::stop_if_stored(&myself, &life);
        Ok(life)
    }

    async fn handle(
        &self,
        myself: ActorRef<Signal>,
        signal: Signal,
        life: &mut Life<A>,
    ) -> Result<(), ActorProcessingErr> {
        if std::mem::take(&mut life.is_fresh) {
            // ractor's notice of the start has made the supervisor the next task of this thread, and no
            // other thread may take it. It must not have to wait for a handler that blocks.
            tokio::task::yield_now().await;
        }
        let mut handled = Ok(());
        let is_asked = matches!(signal, Signal::Rest);
        match signal {
            Signal::Wake | Signal::Rest => {}
            Signal::Stored(answer) => handled = self.go_on(&myself, life, answer),
            Signal::Fail(reason) => handled = Err(Ended(reason)),
        }
        let mut handled = handled.and_then(|()| self.handle_batch(&myself, life, None));
        while let Ok(Some(held)) = handled {
            handled = self.handle_batch(&myself, life, held.waited().await);
        }
        match &handled {
            Ok(_) => {
                Self::stop_if_stored(&myself, life);
                self.rest(&myself, life, is_asked);
            }
            Err(Ended(reason)) => {
                let generation = life.effects.generation;
                self.slot.crashed_held(generation, reason);
                self.slot.detach(generation, AgentState::Restarting);
            }
        }
        handled?;
        Ok(())
    }

    async fn post_stop(
        &self,
        _myself: ActorRef<Signal>,
        life: &mut Life<A>,
    ) -> Result<(), ActorProcessingErr> {
        self.slot.detach(life.effects.generation, AgentState::Restarting);
        self.slot.begin_hook("stopped");
        let stopped = caught(&self.tasks, || {
            life.actor.stopped();
            Ok(())
        });
        self.slot.end_hook();
        Ok(stopped.map_err(Ended)?)
    }
}

impl<A: Actor> Shell<A> {
    /// Runs the first hook, and gives what it recorded.
    fn started(&self, life: &mut Life<A>) -> Result<Vec<Deed<A>>, Failure> {
        let mut context = Context {
            effects: &life.effects,
            question: None,
            delivery: 0,
            is_stopping: false,
            wants_rest: false,
            ledger: Ledger::new(life.keeper.is_some(), false),
        };
        life.actor.started(&mut context)?;
        context.effects.check()?;
        life.is_stopping = context.is_stopping;
        life.wants_rest = context.wants_rest;
        context.ledger.close()
    }

    fn stop_if_stored(myself: &ActorRef<Signal>, life: &Life<A>) {
        if life.is_stopping && life.is_stored() {
            myself.stop(Some(STOPPED_ITSELF.to_owned()));
        }
    }

    /// Shows the message by its own name, if it has one.
    fn name_in_flight(&self, message: &A::Message) {
        let name = A::message_name(message);
        if name != type_name::<A::Message>() {
            self.slot.name_in_flight(name);
        }
    }

    /// The fault of [`AgentRef::crash_on_purpose`](crate::AgentRef::crash_on_purpose).
    fn crash_if_due(&self) -> Result<(), Ended> {
        if self.slot.takes_crash() { Err(Ended(ExitReason::panic(INJECTED))) } else { Ok(()) }
    }

    /// The next message, and what a plan does to it.
    fn take(
        &self,
        before: Option<Lease<Envelope<A::Message>>>,
        life: &Life<A>,
    ) -> Taken<'_, A::Message> {
        let Some(lease) = self.slot.next(before, life.takes_work()) else {
            if life.effects.is_idle() {
                self.slot.note_idle();
            }
            return Taken::Nothing;
        };
        match faults::at_message(&self.slot, lease.delivery) {
            Some(Strike::Pause(pause)) => Taken::Delayed(Held::new(&self.slot, lease, pause)),
            Some(Strike::Exit(reason)) => Taken::Message(lease, Err(Ended(reason))),
            None => Taken::Message(lease, Ok(())),
        }
    }

    /// Handles messages, beginning with the one that was delayed, until there are none for now or one is
    /// to be delayed.
    fn handle_batch(
        &self,
        myself: &ActorRef<Signal>,
        life: &mut Life<A>,
        mut delayed: Option<Lease<Envelope<A::Message>>>,
    ) -> Result<Option<Box<Held<'_, A::Message>>>, Ended> {
        // Handled, and not yet told to the slot, which is told of the end of one and asked for the next in
        // one go.
        let mut before = None;
        for _ in 0..BATCH {
            if life.is_stopping {
                break;
            }
            let (lease, struck) = match delayed.take() {
                Some(lease) => (lease, Ok(())),
                None => match self.take(before.take(), life) {
                    Taken::Message(lease, struck) => (lease, struck),
                    Taken::Delayed(held) => return Ok(Some(held)),
                    // With no message waiting, the incarnation crashes between two.
                    Taken::Nothing => return self.crash_if_due().map(|()| None),
                },
            };
            let envelope = &lease.message;
            let span =
                tracing::debug_span!(parent: &envelope.span, "handle", agent = %self.slot.id());
            let mut context = Context {
                effects: &life.effects,
                question: envelope.question.clone(),
                delivery: lease.delivery,
                is_stopping: false,
                wants_rest: false,
                ledger: Ledger::new(life.keeper.is_some(), lease.place == Place::Stored),
            };
            let actor = &mut life.actor;
            let handled = span.in_scope(|| {
                struck.and_then(|()| self.crash_if_due()).map_err(|ended| ended.0)?;
                caught(&self.tasks, || {
                    self.name_in_flight(&envelope.message);
                    actor.handle(&envelope.message, &mut context)?;
                    context.effects.check()?;
                    context.ledger.close()
                })
            });
            life.is_stopping |= context.is_stopping;
            life.wants_rest |= context.wants_rest;
            match handled {
                Ok(deeds) => before = self.handled(myself, life, lease, deeds)?,
                Err(reason) => {
                    self.slot.crashed(lease, &reason);
                    return Err(Ended(reason));
                }
            }
        }
        if let Some(lease) = before {
            self.slot.done(lease);
        }
        if !life.is_stopping && self.slot.has_more(life.takes_work()) {
            // A cast to a running actor fails only while it stops, and then nothing is to be woken.
            let _ = myself.cast(Signal::Wake);
        }
        Ok(None)
    }
}

/// What there is to handle.
enum Taken<'a, M: Send + 'static> {
    /// A message, unless the incarnation ends on it.
    Message(Lease<Envelope<M>>, Result<(), Ended>),
    /// A message whose handler is to be late.
    Delayed(Box<Held<'a, M>>),
    Nothing,
}

/// Runs a hook; its failure or panic is an exit reason.
fn caught<T>(tasks: &Tasks, hook: impl FnOnce() -> Result<T, Failure>) -> Result<T, ExitReason> {
    match catch_unwind(AssertUnwindSafe(hook)) {
        Ok(result) => result.map_err(Failure::into_exit),
        Err(payload) => Err(ExitReason::Panic(tasks.panics().here(&*payload))),
    }
}
