//! A machine and its stream, and the actor around them: events are stored first, then folded, then acted
//! upon.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use greenroom_core::BoxFuture;
use greenroom_core::agent;
use greenroom_core::ids::{CallId, StreamId};
use greenroom_core::journal::{
    Event, EventText, Journal, JournalError, JournalErrorKind, Recorded,
};
use greenroom_core::retriever::SearchCost;
use greenroom_core::time::Clock;

use crate::actor::effect::EffectError;
use crate::actor::{Actor, Context, Failure};
use crate::run::live::Pace;

/// A machine that folds events.
pub(crate) trait Fold: Clone {
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

/// Events on their way into the journal.
type Batch = Arc<[Recorded]>;

/// The events of a stream, when they are known before its actor begins. Its first incarnation takes them and
/// reads nothing; those after it read.
#[derive(Clone, Default)]
pub(crate) struct Known(Arc<Mutex<Option<Vec<Recorded>>>>);

impl Known {
    pub(crate) fn of(events: Vec<Recorded>) -> Self {
        Self(Arc::new(Mutex::new(Some(events))))
    }

    /// Adds events that were stored behind the others.
    pub(crate) fn extend(&self, events: &[Recorded]) {
        if let Some(known) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            known.extend_from_slice(events);
        }
    }

    pub(crate) fn take(&self) -> Option<Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// How long the journal may take before the actor gives up and is restarted.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(30);

/// What the journal did for an actor.
pub(crate) enum Stored {
    Loaded(Result<Result<Vec<Recorded>, JournalError>, EffectError>),
    Appended(Batch, Result<Result<(), JournalError>, EffectError>),
}

/// An actor whose state is a journalled machine. A journal that answers at once costs it no task.
pub(crate) trait JournalledActor: Actor<Message: From<Stored>> {
    type Machine: Fold;

    fn journalled(&mut self) -> &mut Journalled<Self::Machine>;

    /// Goes on from what the stream holds.
    fn hydrated(
        &mut self,
        events: &[Recorded],
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure>;

    /// Looks at what was stored and folded, before anything is done about it.
    fn folded(&mut self, batch: &[Recorded]) {
        let _ = batch;
    }

    fn perform(
        &mut self,
        command: <Self::Machine as Fold>::Command,
        context: &mut Context<'_, Self>,
    );

    /// Reads the stream, once per incarnation, unless it is known.
    fn hydrate(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        if let Some(known) = self.journalled().known.take() {
            return self.stored(&Stored::Loaded(Ok(Ok(known))), context);
        }
        let mut load = self.journalled().load();
        match load.as_mut().now_or_never() {
            Some(loaded) => self.stored(&Stored::Loaded(Ok(loaded)), context),
            None => {
                let message = |loaded| Stored::Loaded(loaded).into();
                context.shielded("hydrate", JOURNAL_TIMEOUT, load, message);
                Ok(())
            }
        }
    }

    /// Takes what the journal did.
    fn stored(&mut self, stored: &Stored, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match stored {
            Stored::Loaded(Ok(Ok(events))) => {
                self.journalled().fold_stored(events);
                self.hydrated(events, context)?;
            }
            Stored::Appended(batch, Ok(Ok(()))) => {
                let commands = self.journalled().appended(batch);
                self.folded(batch);
                for command in commands {
                    self.perform(command, context);
                }
            }
            Stored::Appended(_, Ok(Err(error))) => {
                self.journalled().pace.appended(Some(error.kind));
                return Err(Failure::new(error.to_string()));
            }
            Stored::Loaded(Ok(Err(error))) => {
                self.journalled().pace.journal_did(Some(error.kind));
                return Err(Failure::new(error.to_string()));
            }
            Stored::Loaded(Err(error)) | Stored::Appended(_, Err(error)) => {
                self.journalled().pace.journal_did(Some(JournalErrorKind::Unavailable));
                return Err(Failure::new(format!("the journal: {error}")));
            }
        }
        self.advance(context)
    }

    /// Records what follows, and does what was recorded, as far as possible without waiting.
    fn advance(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        loop {
            match self.journalled().next().map_err(|error| Failure::new(error.to_string()))? {
                Next::Wait => return Ok(()),
                Next::Perform(batch, commands) => {
                    self.folded(&batch);
                    for command in commands {
                        self.perform(command, context);
                    }
                }
                Next::Append(batch, append) => {
                    let message = move |appended| Stored::Appended(batch, appended).into();
                    context.shielded("journal", JOURNAL_TIMEOUT, append, message);
                    return Ok(());
                }
            }
        }
    }
}

/// What has to happen next.
enum Next<C> {
    /// Nothing, until an effect answers.
    Wait,
    /// These commands, of these events, which are stored and folded.
    Perform(Batch, Vec<C>),
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
    known: Known,
    n_stored: u64,
    /// Whether the stream was read: before that, nothing can be appended to it.
    is_loaded: bool,
    queue: Vec<Event>,
    /// Events that are on their way into the journal.
    n_appending: u64,
    pace: Pace,
    /// Kept by debug builds.
    past: Option<Box<Past<M>>>,
}

/// How many events of a stream a debug build reads again after each. No run of a test has more; longer ones of users
/// must not become slower with each event.
const REREAD_MAX: usize = 1_024;

/// What a machine is read back from. A debug build evicts it after each event: what it goes on with is a new
/// machine and the text of the stream. So every test that runs an agent or a team shows that all they know is
/// in the journal.
struct Past<M> {
    blank: M,
    events: Vec<Event>,
}

impl<M: Fold> Past<M> {
    /// The machine as the next incarnation would have it.
    fn reread(&mut self, event: &Event) -> Option<M> {
        if self.events.len() >= REREAD_MAX {
            return None;
        }
        let EventText { kind, version, body } = event.to_text();
        let read = Event::from_text(&kind, version, &body);
        self.events.push(read.expect("what is stored can be read"));
        let mut machine = self.blank.clone();
        self.events.iter().for_each(|event| machine.apply(event));
        Some(machine)
    }
}

impl<M: Fold> Journalled<M> {
    pub(crate) fn new(
        machine: M,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        stream: StreamId,
        pace: Pace,
    ) -> Self {
        let (n_stored, is_loaded, queue, n_appending) = (0, false, Vec::new(), 0);
        let known = Known::default();
        let past = || Box::new(Past { blank: machine.clone(), events: vec![] });
        let past = cfg!(debug_assertions).then(past);
        Self {
            machine,
            journal,
            clock,
            stream,
            known,
            n_stored,
            is_loaded,
            queue,
            n_appending,
            pace,
            past,
        }
    }

    /// Spares it reading what is known.
    pub(crate) fn knowing(self, known: &Known) -> Self {
        Self { known: known.clone(), ..self }
    }

    fn load(&self) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.journal.load(&self.stream)
    }

    /// Folds what the stream holds.
    fn fold_stored(&mut self, events: &[Recorded]) {
        for recorded in events {
            self.apply(&recorded.event);
        }
        self.n_stored = events.len() as u64;
        self.is_loaded = true;
    }

    /// Whether the stream was read.
    pub(crate) fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    fn apply(&mut self, event: &Event) {
        self.machine.apply(event);
        let reread = self.past.as_mut().and_then(|past| past.reread(event));
        if let Some(machine) = reread {
            self.machine = machine;
        }
    }

    /// Puts a fact in line for the journal. The answer is its place in the stream.
    pub(crate) fn record(&mut self, event: Event) -> u64 {
        if self.queue.capacity() == 0 {
            // One is the rule, and they are large.
            self.queue.reserve_exact(1);
        }
        self.queue.push(event);
        self.n_stored + self.n_appending + self.queue.len() as u64 - 1
    }

    /// Puts in line what a search has cost.
    pub(crate) fn record_costs(&mut self, call: &CallId, costs: &[SearchCost]) {
        for SearchCost { model, usage } in costs.iter().cloned() {
            self.record(Event::SearchSpent { call: call.clone(), model, usage });
        }
    }

    /// Whether everything that was recorded is stored.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_loaded && self.queue.is_empty() && self.n_appending == 0
    }

    /// Goes as far as possible without waiting.
    fn next(&mut self) -> Result<Next<M::Command>, JournalError> {
        if self.n_appending > 0 || !self.is_loaded {
            return Ok(Next::Wait);
        }
        if self.queue.is_empty() {
            // What is not begun now is decided again by the next process.
            let is_parking = self.pace.parking.is_cancelled();
            self.queue = self.machine.decide();
            self.queue.retain(|event| !(is_parking && event.is_intent()));
        }
        if self.queue.is_empty() {
            return Ok(Next::Wait);
        }
        let at = self.clock.now();
        let batch = Recorded::sequence(self.n_stored, at, self.queue.drain(..));
        let mut append = self.journal.append(&self.stream, Arc::clone(&batch));
        match append.as_mut().now_or_never() {
            Some(Ok(())) => {
                let commands = self.fold(&batch);
                Ok(Next::Perform(batch, commands))
            }
            Some(Err(error)) => {
                self.pace.appended(Some(error.kind));
                Err(error)
            }
            None => {
                self.n_appending = batch.len() as u64;
                Ok(Next::Append(batch, append))
            }
        }
    }

    /// The journal has stored the batch.
    fn appended(&mut self, batch: &Batch) -> Vec<M::Command> {
        self.n_appending = 0;
        self.fold(batch)
    }

    fn fold(&mut self, batch: &Batch) -> Vec<M::Command> {
        self.n_stored += batch.len() as u64;
        self.pace.appended(None);
        let mut commands = Vec::new();
        for recorded in batch.iter() {
            self.apply(&recorded.event);
            if recorded.event.is_result() && !self.pace.moved.is_cancelled() {
                self.pace.moved.cancel();
            }
            if let Some(command) = self.machine.command(&recorded.event) {
                // One is the rule, and they are large.
                commands.reserve_exact(1);
                commands.push(command);
            }
        }
        commands
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Known")
    }
}

#[cfg(test)]
mod tests;
