//! Actors whose own state is journalled: what their user writes, and the hook of their contexts.
//!
//! The order of storing, applying and answering is decided by [`greenroom_core::persistence`]; an
//! incarnation's shell performs it with what is in `ledger`.

pub(crate) mod ledger;
mod start;

use std::fmt;
use std::sync::Arc;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{AdminError, ChildSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Runtime;
use crate::actor::address::AgentRef;
use crate::actor::slot::Slot;
use crate::actor::{Actor, Context};
use crate::supervisor::Start;

pub(crate) use ledger::{Keeper, Ledger, Persistence};
pub(crate) use start::PersistentStart;

/// An actor whose state is a fold of events in the journal, and is there again after a crash.
///
/// # Contract
///
/// Handlers change no journalled state themselves. They record an event with [`Context::persist`]; once it
/// is stored, [`Persistent::apply`] changes the state, and then the continuation answers. So nobody is told
/// of what a crash could undo.
///
/// | while an event is being stored | |
/// |---|---|
/// | messages of others | wait in the mailbox, in order |
/// | control messages, the actor's own effects | are handled; what they record goes into the next append |
/// | the message whose handler recorded it | is in flight until its continuations have run |
///
/// What one handler records is stored together or not at all. When the journal refuses, does not answer
/// within 30 seconds, or more than 4,096 events wait for it, the incarnation ends abnormally, and the
/// message is delivered again.
///
/// A message that is delivered again may have been stored before the crash. Then
/// [`Context::was_persisted`] says so: answer, and record nothing.
///
/// An incarnation begins with the last snapshot and the events since, of which there are fewer than
/// [`PersistentSpec::snapshot_every`] and those of one append. [`Actor::started`] runs after that. A stream
/// that cannot be read is a failed start.
pub trait Persistent: Actor {
    /// What happens to the state. It is stored as JSON and has to be readable by later versions of the
    /// type.
    type Event: Serialize + DeserializeOwned + Send + 'static;

    /// The state as a whole, also stored as JSON.
    type Snapshot: Serialize + DeserializeOwned + Send + 'static;

    /// Changes the state. It must depend on the state and the event alone, and must not panic: it would
    /// panic again in every incarnation.
    fn apply(&mut self, event: &Self::Event);

    /// The state that the events so far have made.
    fn snapshot(&self) -> Self::Snapshot;

    /// Takes up the state of an earlier incarnation.
    fn restore(&mut self, snapshot: Self::Snapshot);
}

impl<A: Persistent> Context<'_, A> {
    /// Records an event. Once it is stored it is applied, and then the continuation runs, as a hook of the
    /// actor does: it may answer, start effects and record further events. Until then the message is in
    /// flight.
    ///
    /// To answer from the continuation, clone the message's [`Reply`](crate::Reply): the message keeps
    /// its own, which the next incarnation needs when this one crashes meanwhile.
    ///
    /// What a handler recorded that fails or panics is not stored. Recording in an actor that was not
    /// started with [`Runtime::spawn_persistent`] is a failure of the handler.
    pub fn persist(
        &mut self,
        event: A::Event,
        then: impl FnOnce(&mut A, &mut Context<'_, A>) + Send + 'static,
    ) {
        self.ledger.record(event, then);
    }

    /// Whether the events that an earlier delivery of this message recorded are stored, and part of the
    /// state already. Always false for a first delivery, and for one whose events a crash prevented.
    #[must_use]
    pub fn was_persisted(&self) -> bool {
        self.ledger.was_persisted
    }
}

/// How many events are stored between two snapshots, unless a spec says otherwise.
pub(crate) const SNAPSHOT_EVERY: u64 = 100;

/// How a persistent actor is started.
#[derive(Debug, Clone)]
#[must_use]
pub struct PersistentSpec {
    pub(crate) child: ChildSpec,
    pub(crate) mailbox: MailboxSpec,
    pub(crate) snapshot_every: u64,
}

impl PersistentSpec {
    /// The default: the default mailbox, and a snapshot every 100 events.
    pub fn new(id: impl Into<AgentId>) -> Self {
        Self {
            child: ChildSpec::worker(id.into()),
            mailbox: MailboxSpec::default(),
            snapshot_every: SNAPSHOT_EVERY,
        }
    }

    /// How the actor is supervised. It replaces the id, too.
    pub fn child(mut self, child: ChildSpec) -> Self {
        self.child = child;
        self
    }

    /// The actor's mailbox.
    pub fn mailbox(mut self, mailbox: MailboxSpec) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Takes a snapshot every so many events, at least every one. It costs one append of the whole state;
    /// the fewer events, the less a recovery reads.
    pub fn snapshot_every(mut self, n_events: u64) -> Self {
        self.snapshot_every = n_events;
        self
    }
}

impl Runtime {
    /// Starts a supervised actor whose state is journalled, in the stream of its id. Completes once the
    /// state is read.
    ///
    /// A stream has one writer: no two actors of processes that share a journal may have the same id.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when the id is taken, the spec makes no sense, or the actor does not start; that its
    /// state cannot be read is such a reason.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the address; the actor is started all the same.
    pub async fn spawn_persistent<A: Persistent>(
        &self,
        spec: PersistentSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<AgentRef<A::Message>, AdminError> {
        let child = spec.child.clone();
        let (slot, start) = self.persistent_start(spec, factory);
        self.install(child, &slot, start).await?;
        Ok(AgentRef::new(slot))
    }

    /// A persistent actor as a child of a supervisor that is not started yet, with its address. Of the spec,
    /// everything counts but how the actor is supervised.
    pub fn persistent_child<A: Persistent>(
        &self,
        spec: PersistentSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> (AgentRef<A::Message>, Arc<dyn Start>) {
        let (slot, start) = self.persistent_start(spec, factory);
        self.show(&slot);
        (AgentRef::new(slot), Arc::new(start))
    }

    fn persistent_start<A: Persistent>(
        &self,
        spec: PersistentSpec,
        factory: impl Fn() -> A + Send + Sync + 'static,
    ) -> (Arc<Slot<A::Message>>, PersistentStart<A>) {
        let PersistentSpec { child, mailbox, snapshot_every } = spec;
        let (slot, start) = self.agent_start(child.id.clone(), "actor", mailbox, factory);
        let persistence = Persistence::of(self, snapshot_every)(child.id);
        (slot, PersistentStart::new(start, persistence))
    }
}

impl<A: Actor> fmt::Debug for Ledger<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("n_recorded", &self.n_recorded()).finish_non_exhaustive()
    }
}
