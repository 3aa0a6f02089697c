//! A machine and its stream: events are stored first, then folded, then acted upon.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt;
use greenroom_core::BoxFuture;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, JournalError, Recorded};
use greenroom_core::time::Clock;
use greenroom_core::{agent, router};

/// A machine that folds events.
pub(crate) trait Fold {
    type Command;
    fn apply(&mut self, event: &Event);
    fn decide(&self) -> Vec<Event>;
    fn command(&self, event: &Event) -> Option<Self::Command>;
}

impl Fold for agent::Machine {
    type Command = agent::Command;

    fn apply(&mut self, event: &Event) {
        Self::apply(self, event);
    }

    fn decide(&self) -> Vec<Event> {
        Self::decide(self)
    }

    fn command(&self, event: &Event) -> Option<agent::Command> {
        Self::command(self, event)
    }
}

impl Fold for router::Machine {
    type Command = router::Command;

    fn apply(&mut self, event: &Event) {
        Self::apply(self, event);
    }

    fn decide(&self) -> Vec<Event> {
        Self::decide(self)
    }

    fn command(&self, event: &Event) -> Option<router::Command> {
        Self::command(self, event)
    }
}

/// Events on their way into the journal.
pub(crate) type Batch = Arc<[Recorded]>;

/// What has to happen next.
pub(crate) enum Next<C> {
    /// Nothing, until an effect answers.
    Wait,
    /// These commands, whose events are stored and folded.
    Perform(Vec<C>),
    /// The journal is at work; its answer goes to [`Journalled::appended`].
    Append(Batch, BoxFuture<'static, Result<(), JournalError>>),
}

/// A machine with its stream. At most one append is under way, and what is recorded meanwhile goes
/// into the next one.
pub(crate) struct Journalled<M> {
    pub(crate) machine: M,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    stream: StreamId,
    n_stored: u64,
    queue: VecDeque<Event>,
    is_appending: bool,
}

impl<M: Fold> Journalled<M> {
    pub(crate) fn new(
        machine: M,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        stream: StreamId,
    ) -> Self {
        let queue = VecDeque::new();
        Self { machine, journal, clock, stream, n_stored: 0, queue, is_appending: false }
    }

    /// Reads the stream, for [`Journalled::hydrate`].
    pub(crate) fn load(&self) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.journal.load(&self.stream)
    }

    /// Folds what the stream holds.
    pub(crate) fn hydrate(&mut self, events: &[Recorded]) {
        for recorded in events {
            self.machine.apply(&recorded.event);
        }
        self.n_stored = events.len() as u64;
    }

    /// Puts a fact in line for the journal.
    pub(crate) fn record(&mut self, event: Event) {
        self.queue.push_back(event);
    }

    /// Goes as far as possible without waiting. A journal that answers at once costs no task.
    pub(crate) fn next(&mut self) -> Result<Next<M::Command>, JournalError> {
        if self.is_appending {
            return Ok(Next::Wait);
        }
        if self.queue.is_empty() {
            self.queue.extend(self.machine.decide());
        }
        if self.queue.is_empty() {
            return Ok(Next::Wait);
        }
        let at = self.clock.now();
        let recorded = (self.n_stored..).zip(self.queue.drain(..));
        let batch: Batch = recorded.map(|(seq, event)| Recorded { seq, at, event }).collect();
        let mut append = self.journal.append(&self.stream, Arc::clone(&batch));
        match append.as_mut().now_or_never() {
            Some(Ok(())) => Ok(Next::Perform(self.fold(&batch))),
            Some(Err(error)) => Err(error),
            None => {
                self.is_appending = true;
                Ok(Next::Append(batch, append))
            }
        }
    }

    /// The journal has stored the batch.
    pub(crate) fn appended(&mut self, batch: &Batch) -> Vec<M::Command> {
        self.is_appending = false;
        self.fold(batch)
    }

    fn fold(&mut self, batch: &Batch) -> Vec<M::Command> {
        self.n_stored += batch.len() as u64;
        let mut commands = Vec::new();
        for recorded in batch.iter() {
            self.machine.apply(&recorded.event);
            commands.extend(self.machine.command(&recorded.event));
        }
        commands
    }
}
