//! A slot: what is known of one agent across its incarnations. Its mailbox, its counters, its bell.
//!
//! ractor's own mailbox carries no message of an agent, only the ring of a bell: messages wait here, where
//! a crash cannot reach them, and each incarnation reads on where the last one stopped.

mod any;
mod burial;
mod crashing;
mod delivery;
mod held;
mod resting;
mod room;
mod vitals;
mod watching;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greenroom_core::fault::Faults;
use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::{Admission, Lane, Mailbox, MailboxSpec};
use greenroom_core::supervision::ExitReason;
use ractor::ActorRef;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::actor::dead_letters::DeadReason;
use crate::actor::dead_letters::ring::DeadLetters;
use crate::actor::envelope::{Envelope, Refused, Signal};
use crate::inspect::AgentState;
use crate::inspect::pulses::{Pulse, Pulses};
use crate::watch::tell;
use crashing::Crashing;
use room::permits_of;
use vitals::Vitals;
use watching::Watching;

pub(crate) use any::AnySlot;
pub(crate) use resting::Home;
pub(crate) use vitals::Work;
pub(crate) use watching::WATCHES_MAX;

/// What the slots of one runtime share.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) dead_letters: Arc<DeadLetters>,
    /// What goes wrong on purpose.
    pub(crate) faults: Option<Arc<dyn Faults>>,
    pub(crate) pulses: Arc<Pulses>,
    /// Whoever asks decides what becomes of a question, so one that is not handled is no dead letter.
    pub(crate) is_leasing: bool,
}

#[cfg(test)]
impl House {
    /// A house without a runtime around it.
    pub(crate) fn alone(pulses: Arc<Pulses>) -> Self {
        let clock = Arc::new(crate::runtime::clock::SystemClock::new());
        let dead_letters = Arc::new(DeadLetters::new(clock, 0));
        Self { dead_letters, faults: None, pulses, is_leasing: false }
    }
}

pub(crate) struct Slot<M> {
    id: AgentId,
    role: Arc<str>,
    spec: MailboxSpec,
    dead_letters: Arc<DeadLetters>,
    /// What goes wrong on purpose.
    faults: Option<Arc<dyn Faults>>,
    pulse: Pulse,
    /// See [`House::is_leasing`].
    is_leasing: bool,
    /// Where the next activation of a virtual actor is found.
    home: Option<Arc<dyn Home<M>>>,
    crashing: Crashing,
    inner: Mutex<Inner<M>>,
}

struct Inner<M> {
    mailbox: Mailbox<Envelope<M>>,
    /// Room in the user lane. A closed semaphore stays closed, so reopening takes a new one.
    permits: Arc<Semaphore>,
    bell: Option<ActorRef<Signal>>,
    is_rung: bool,
    generation: u64,
    vitals: Vitals,
    state: AgentState,
    step: Option<Arc<str>>,
    /// Why the incarnation is to end as soon as it can be told.
    failed_early: Option<ExitReason>,
    /// What nobody pays for before somebody watches, or is watched, or ends.
    watching: Option<Box<Watching>>,
    /// Cancelled when the agent that is being drained has nothing left to do.
    drained: Option<CancellationToken>,
}

impl<M: Send + 'static> Slot<M> {
    pub(crate) fn new(id: AgentId, role: Arc<str>, spec: MailboxSpec, house: House) -> Arc<Self> {
        Self::with_home(id, role, spec, house, None)
    }

    /// A slot of one activation of an actor that may have others.
    pub(crate) fn with_home(
        id: AgentId,
        role: Arc<str>,
        spec: MailboxSpec,
        house: House,
        home: Option<Arc<dyn Home<M>>>,
    ) -> Arc<Self> {
        let inner = Inner {
            mailbox: Mailbox::new(spec),
            permits: permits_of(&spec),
            bell: None,
            is_rung: false,
            generation: 0,
            vitals: Vitals::default(),
            state: AgentState::Starting,
            step: None,
            failed_early: None,
            watching: None,
            drained: None,
        };
        let House { dead_letters, faults, pulses, is_leasing } = house;
        let (pulse, inner) = (pulses.take(), Mutex::new(inner));
        let crashing = Crashing::default();
        let slot = Arc::new(Self {
            id,
            role,
            spec,
            dead_letters,
            faults,
            pulse,
            is_leasing,
            home,
            crashing,
            inner,
        });
        pulses.own(slot.pulse.key(), Arc::downgrade(&slot) as Weak<dyn AnySlot>);
        slot
    }

    pub(crate) fn id(&self) -> &AgentId {
        &self.id
    }

    pub(crate) fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// Puts a message into a lane and rings the bell.
    pub(crate) fn send(
        &self,
        lane: Lane,
        envelope: Envelope<M>,
    ) -> Result<(), Refused<Envelope<M>>> {
        self.admit(self.lock(), lane, envelope)
    }

    fn admit(
        &self,
        mut inner: MutexGuard<'_, Inner<M>>,
        lane: Lane,
        envelope: Envelope<M>,
    ) -> Result<(), Refused<Envelope<M>>> {
        let admission = inner.mailbox.admit(lane, envelope);
        match admission {
            Admission::Accepted => inner.ring(),
            Admission::Displaced(oldest) => {
                inner.ring();
                drop(inner);
                self.bury(oldest, DeadReason::Displaced);
            }
            Admission::Full(envelope) => return Err(Refused::Full(envelope)),
            Admission::Closed(envelope) => return Err(Refused::Stopped(envelope)),
            Admission::StopAgent(envelope) => {
                if let Some(bell) = &inner.bell {
                    bell.stop(Some(OVERFLOWED.to_owned()));
                }
                return Err(Refused::Full(envelope));
            }
        }
        Ok(())
    }

    /// Delivers the outcome of an effect to the incarnation that started it, and to no other.
    pub(crate) fn send_internal(&self, generation: u64, envelope: Envelope<M>) {
        let mut inner = self.lock();
        let undelivered = if inner.generation == generation {
            let admission = inner.mailbox.admit(Lane::Internal, envelope);
            inner.ring();
            admission
        } else {
            Admission::Closed(envelope)
        };
        // What was not delivered is dropped outside the lock.
        drop(inner);
        drop(undelivered);
    }

    /// Ends an incarnation whose effect's outcome could not be made into a message.
    pub(crate) fn fail(&self, generation: u64, reason: ExitReason) {
        let mut inner = self.lock();
        if inner.generation != generation {
            return;
        }
        match &inner.bell {
            // An incarnation that takes no signal is ending already.
            Some(bell) => drop(bell.cast(Signal::Fail(reason))),
            None => inner.failed_early = Some(reason),
        }
    }

    /// Begins a new incarnation, whose effects alone count from now on, and gives its generation.
    pub(crate) fn begin(&self) -> u64 {
        let (generation, stale, watches) = {
            let mut inner = self.lock();
            inner.generation += 1;
            self.crashing.forget();
            let watches = inner.watching.as_mut().map(|watching| watching.begin());
            if inner.mailbox.is_closed() {
                inner.mailbox.reopen();
                inner.permits = permits_of(&self.spec);
                inner.drained = None;
            }
            // What a killed or stopped incarnation had in flight is not to blame for its end.
            inner.mailbox.give_back(false);
            inner.bell = None;
            inner.is_rung = false;
            inner.state = AgentState::Starting;
            inner.step = None;
            inner.vitals.begin();
            inner.failed_early = None;
            (inner.generation, inner.mailbox.forget_internal(), watches)
        };
        drop((stale, watches));
        generation
    }

    /// Lets the incarnation have messages.
    pub(crate) fn attach(&self, bell: ActorRef<Signal>) {
        let mut inner = self.lock();
        if let Some(reason) = inner.failed_early.take() {
            let _ = bell.cast(Signal::Fail(reason));
        }
        inner.bell = Some(bell);
        inner.state = AgentState::Running;
        if inner.mailbox.depth() > 0 {
            inner.ring();
        }
    }

    /// Takes the incarnation's messages away; they stay queued.
    pub(crate) fn detach(&self, generation: u64, state: AgentState) {
        let mut inner = self.lock();
        if inner.generation == generation {
            inner.bell = None;
            inner.is_rung = false;
            inner.vitals.in_flight = None;
            inner.vitals.rest(&self.pulse);
            // What was unloaded stays so.
            if inner.state != AgentState::Passive {
                inner.state = state;
            }
        }
    }

    /// Takes no further work. The token is cancelled when what there was is done, or the agent has stopped.
    pub(crate) fn drain(&self) -> CancellationToken {
        let mut inner = self.lock();
        inner.mailbox.drain();
        inner.permits.close();
        // The incarnation looks whether it has nothing left to do.
        inner.ring();
        let drained = inner.drained.get_or_insert_default().clone();
        let is_away = inner.state == AgentState::Restarting && inner.mailbox.depth() == 0;
        if inner.mailbox.is_closed() || is_away {
            drained.cancel();
        }
        drained
    }

    /// The incarnation has neither a message nor work under way.
    pub(crate) fn note_idle(&self) {
        let mut inner = self.lock();
        if inner.mailbox.depth() == 0
            && let Some(drained) = inner.drained.take()
        {
            drained.cancel();
        }
    }

    /// Whether messages wait that may be handled; when they do the bell is kept ringing.
    pub(crate) fn has_more(&self, takes_work: bool) -> bool {
        let mut inner = self.lock();
        let has_more = inner.mailbox.has_next(takes_work);
        inner.vitals.rest(&self.pulse);
        inner.is_rung = has_more;
        has_more
    }

    /// The agent has stopped for good: nothing more is accepted, what waits is dead, and those who watch
    /// are told.
    pub(crate) fn close(&self, reason: &ExitReason) {
        self.close_as(&DeadReason::Stopped, reason);
    }

    /// As [`Slot::close`]; this is why the messages are dead.
    pub(crate) fn close_as(&self, dead: &DeadReason, reason: &ExitReason) {
        let (left, ended, watches) = {
            let mut inner = self.lock();
            let watching = inner.watching.get_or_insert_default();
            let (ended, watches) = (watching.ending.end(reason), watching.take_all());
            inner.bell = None;
            if inner.state != AgentState::Passive {
                inner.state = AgentState::Stopped;
            }
            inner.step = None;
            inner.permits.close();
            if let Some(drained) = inner.drained.take() {
                drained.cancel();
            }
            (inner.mailbox.close(), ended, watches)
        };
        drop(watches);
        for envelope in left {
            self.bury(envelope, dead.clone());
        }
        tell(&self.id, ended);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // No user code runs under the lock, so a poisoned one is as consistent as any other.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason with which an overflowing agent is stopped.
pub(crate) const OVERFLOWED: &str = "mailbox overflow";

impl<M> Inner<M> {
    fn ring(&mut self) {
        if !self.is_rung
            && let Some(bell) = &self.bell
        {
            // A bell that is refused belongs to an incarnation that is ending; the next one looks into
            // the mailbox before it waits for a ring.
            self.is_rung = bell.cast(Signal::Wake).is_ok();
        }
    }
}
