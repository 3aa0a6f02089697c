//! What one incarnation needs to journal its state: what its handlers recorded, and its end of the stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use greenroom_core::BoxFuture;
use greenroom_core::ids::{AgentId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded};
use greenroom_core::mailbox::Ticket;
use greenroom_core::persistence::{Recovery, Step, Writer};
use greenroom_core::time::Clock;
use serde_json::Value;
use tokio::time::error::Elapsed;

use super::Persistent;
use crate::Runtime;
use crate::actor::question::Question;
use crate::actor::{Actor, Context, Failure};

/// How long the journal may take before the incarnation gives up.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What the journal answered to an append, or that it did not.
pub(crate) type Answer = Result<Result<(), JournalError>, Elapsed>;

/// What is done with an event once it is stored.
type Then<A> = Box<dyn FnOnce(&mut A, &mut Context<'_, A>) + Send>;

/// One recorded event, until it is stored, applied and acted upon.
pub(crate) struct Deed<A: Actor> {
    payload: Value,
    pub(crate) then: Then<A>,
}

/// A deed with what its continuation is told of its message.
pub(crate) struct Entry<A: Actor> {
    pub(crate) deed: Deed<A>,
    pub(crate) question: Option<Arc<Question>>,
    pub(crate) delivery: u32,
}

/// What one hook records.
pub(crate) struct Ledger<A: Actor> {
    is_journalled: bool,
    pub(crate) was_persisted: bool,
    deeds: Vec<Deed<A>>,
    failure: Option<Failure>,
}

impl<A: Actor> Ledger<A> {
    /// A ledger for one hook of an incarnation that is journalled, or is not.
    pub(crate) fn new(is_journalled: bool, was_persisted: bool) -> Self {
        Self { is_journalled, was_persisted, deeds: Vec::new(), failure: None }
    }

    pub(super) fn n_recorded(&self) -> usize {
        self.deeds.len()
    }

    pub(super) fn record(
        &mut self,
        event: A::Event,
        then: impl FnOnce(&mut A, &mut Context<'_, A>) + Send + 'static,
    ) where
        A: Persistent,
    {
        if !self.is_journalled {
            self.failure =
                Some(Failure::new("its state is not journalled: spawn_persistent does that"));
            return;
        }
        match serde_json::to_value(&event) {
            Ok(payload) => {
                let then: Then<A> = Box::new(move |actor, context| {
                    actor.apply(&event);
                    then(actor, context);
                });
                self.deeds.push(Deed { payload, then });
            }
            Err(error) => {
                self.failure = Some(Failure::new(format!("an event is no JSON: {error}")))
            }
        }
    }

    /// What was recorded.
    ///
    /// # Errors
    ///
    /// When something could not be recorded; nothing is stored then.
    pub(crate) fn close(&mut self) -> Result<Vec<Deed<A>>, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut self.deeds)),
        }
    }
}

/// Where an actor's state is journalled, and how it is read and written. The functions know the types of
/// events and snapshots, so that nobody else has to.
pub(crate) struct Persistence<A> {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    stream: StreamId,
    snapshot_every: u64,
    restore: fn(&mut A, &Value) -> Result<(), serde_json::Error>,
    replay: fn(&mut A, &Value) -> Result<(), serde_json::Error>,
    snapshot: fn(&A) -> Result<Value, serde_json::Error>,
}

impl<A: Persistent> Persistence<A> {
    /// Makes what agents of one kind need, without the runtime, which may end before them.
    pub(crate) fn of(
        runtime: &Runtime,
        snapshot_every: u64,
    ) -> impl Fn(AgentId) -> Self + Send + Sync + 'static {
        let (journal, clock) = (runtime.journal(), runtime.clock());
        move |agent| Self::new(Arc::clone(&journal), Arc::clone(&clock), agent, snapshot_every)
    }

    fn new(
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        agent: AgentId,
        snapshot_every: u64,
    ) -> Self {
        Self {
            journal,
            clock,
            stream: StreamId::of_agent(agent),
            snapshot_every,
            restore: |actor, state| {
                serde::Deserialize::deserialize(state).map(|s| actor.restore(s))
            },
            replay: |actor, event| serde::Deserialize::deserialize(event).map(|e| actor.apply(&e)),
            snapshot: |actor| serde_json::to_value(actor.snapshot()),
        }
    }
}

impl<A: Actor> Persistence<A> {
    /// Reads the stream.
    ///
    /// # Errors
    ///
    /// When the journal refuses, or does not answer in time.
    pub(crate) async fn load(&self) -> Result<Vec<Recorded>, Failure> {
        let loaded = tokio::time::timeout(JOURNAL_TIMEOUT, self.journal.load(&self.stream)).await;
        loaded.map_err(|_| late())?.map_err(|error| Failure::new(error.to_string()))
    }

    /// Folds what the stream holds into a fresh actor.
    ///
    /// # Errors
    ///
    /// When the stream is not that of this type of actor.
    pub(crate) fn recover(
        self: &Arc<Self>,
        actor: &mut A,
        loaded: &[Recorded],
    ) -> Result<Box<Keeper<A>>, Failure> {
        let unreadable = |place: &dyn std::fmt::Display, error: &dyn std::fmt::Display| {
            Failure::new(format!("journal stream {}: {place}: {error}", self.stream))
        };
        let recovery =
            Recovery::read(loaded).map_err(|error| unreadable(&"not an actor's state", &error))?;
        if let Some(state) = recovery.snapshot {
            (self.restore)(actor, state).map_err(|error| unreadable(&"the snapshot", &error))?;
        }
        for (seq, event) in &recovery.events {
            (self.replay)(actor, event)
                .map_err(|error| unreadable(&format_args!("event {seq}"), &error))?;
        }
        let n_since_snapshot = recovery.events.len() as u64;
        let writer = Writer::new(recovery.n_stored, n_since_snapshot, self.snapshot_every);
        let persistence = Arc::clone(self);
        Ok(Box::new(Keeper { persistence, writer, n_recovered: recovery.n_stored }))
    }
}

/// One incarnation's end of its stream.
pub(crate) struct Keeper<A: Actor> {
    persistence: Arc<Persistence<A>>,
    writer: Writer<Entry<A>>,
    /// The length of the stream when the incarnation began.
    pub(crate) n_recovered: u64,
}

/// An append that has been called.
pub(crate) struct Append {
    /// The place of its first event.
    pub(crate) seq: u64,
    pub(crate) answer: BoxFuture<'static, Result<(), JournalError>>,
}

impl<A: Actor> Keeper<A> {
    /// Puts what a hook recorded for a message in line.
    ///
    /// # Errors
    ///
    /// When too much waits already.
    pub(crate) fn record(
        &mut self,
        ticket: Ticket,
        deeds: Vec<Deed<A>>,
        question: Option<&Arc<Question>>,
        delivery: u32,
    ) -> Result<(), Failure> {
        let entries =
            deeds.into_iter().map(|deed| Entry { deed, question: question.cloned(), delivery });
        self.writer.record(ticket, entries).map_err(|error| Failure::new(error.to_string()))
    }

    /// Calls the next append, if there is one to call.
    ///
    /// # Errors
    ///
    /// When the snapshot that is due is no JSON.
    pub(crate) fn append(&mut self, actor: &A) -> Result<Option<Append>, Failure> {
        let Persistence { journal, clock, stream, snapshot, .. } = &*self.persistence;
        let at = clock.now();
        let (seq, batch) = match self.writer.begin() {
            None => return Ok(None),
            Some(Step::Snapshot { seq }) => {
                let state = snapshot(actor)
                    .map_err(|error| Failure::new(format!("a snapshot is no JSON: {error}")))?;
                (seq, Recorded::sequence(seq, at, [Event::ActorSnapshot { state }]))
            }
            Some(Step::Events { seq }) => {
                let payloads = self.writer.under_way().map(|(_, entry)| entry.deed.payload.clone());
                let events = payloads.map(|payload| Event::ActorEvent { payload });
                (seq, Recorded::sequence(seq, at, events))
            }
        };
        Ok(Some(Append { seq, answer: journal.append(stream, batch) }))
    }

    /// The messages whose events the append that is under way stores.
    pub(crate) fn under_way(&self) -> impl Iterator<Item = Ticket> {
        self.writer.under_way().map(|(ticket, _)| *ticket)
    }

    /// What is to be applied, now that the journal has answered.
    ///
    /// # Errors
    ///
    /// When nothing was stored, or nobody knows.
    pub(crate) fn answered(
        &mut self,
        answer: Answer,
    ) -> Result<VecDeque<(Ticket, Entry<A>)>, Failure> {
        match answer {
            Ok(Ok(())) => Ok(self.writer.stored()),
            Ok(Err(error)) => Err(Failure::new(error.to_string())),
            Err(_) => Err(late()),
        }
    }

    /// Whether something of this message is still to be stored.
    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        self.writer.is_open(ticket)
    }

    /// Whether nothing is being stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.writer.is_idle()
    }
}

impl Append {
    /// The answer of a journal that answers at once; otherwise what has to be waited for.
    pub(crate) fn now(mut self) -> Result<Answer, BoxFuture<'static, Answer>> {
        match self.answer.as_mut().now_or_never() {
            Some(answer) => Ok(Ok(answer)),
            None => Err(Box::pin(tokio::time::timeout(JOURNAL_TIMEOUT, self.answer))),
        }
    }
}

fn late() -> Failure {
    Failure::new(format!("the journal did not answer within {JOURNAL_TIMEOUT:?}"))
}
