//! Journals that break one promise on purpose, to see whether anybody notices.

use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use greenroom_core::BoxFuture;
use greenroom_core::budget::Usage;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded, RunHead, Runs};
use greenroom_core::tool::EffectClass;

/// Which promise is broken.
///
/// Each is a mistake that a runtime could make, made at the seam where the runtime would make it: between
/// what it decides and what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mutant {
    /// An append is confirmed before it is stored: it is stored with the next one.
    AckBeforeSync,
    /// A call of a tool is made without its intent being stored.
    SkipIntent,
    /// A call in doubt is made again, whatever its class.
    RetryInDoubt,
    /// What was spent before the process began is forgotten.
    ResetBudget,
}

/// A journal with a [`Mutant`] in it. It is the journal of one process: the next one wraps the same inner
/// journal anew.
pub struct MutantJournal {
    inner: Arc<dyn Journal>,
    mutant: Mutant,
    /// Confirmed, and not stored yet.
    late: Mutex<Option<Append>>,
}

type Append = (StreamId, Arc<[Recorded]>);

type Answer = BoxFuture<'static, Result<(), JournalError>>;

impl MutantJournal {
    /// Breaks a promise of a journal.
    pub fn new(inner: impl Journal, mutant: Mutant) -> Self {
        Self { inner: Arc::new(inner), mutant, late: Mutex::default() }
    }

    /// Stores what was confirmed before, and keeps this for later.
    fn replace(&self, next: Option<Append>) -> Answer {
        let late = &mut *self.late.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(late, next) {
            Some((stream, events)) => self.inner.append(&stream, events),
            None => Box::pin(ready(Ok(()))),
        }
    }
}

/// The event that is stored in the place of one. An intent that is skipped leaves something that says nothing.
fn mistaken(recorded: &Recorded) -> Recorded {
    match recorded.event {
        Event::ToolStarted { .. } => Recorded { event: Event::WorkResumed, ..recorded.clone() },
        _ => recorded.clone(),
    }
}

/// What a recovery makes of an event.
fn misread(mutant: Mutant, event: Event) -> Event {
    match (mutant, event) {
        (Mutant::RetryInDoubt, Event::ToolStarted { call, tool, arguments, .. }) => {
            Event::ToolStarted { call, tool, arguments, effect: EffectClass::Idempotent }
        }
        (Mutant::ResetBudget, Event::ModelReplied { turn, mut reply }) => {
            reply.usage = Usage::default();
            Event::ModelReplied { turn, reply }
        }
        (_, event) => event,
    }
}

impl Journal for MutantJournal {
    fn append(&self, stream: &StreamId, events: Arc<[Recorded]>) -> Answer {
        match self.mutant {
            Mutant::AckBeforeSync => self.replace(Some((stream.clone(), events))),
            Mutant::SkipIntent => self.inner.append(stream, events.iter().map(mistaken).collect()),
            Mutant::RetryInDoubt | Mutant::ResetBudget => self.inner.append(stream, events),
        }
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        let (late, mutant) = (self.replace(None), self.mutant);
        let loaded = self.inner.load(stream);
        Box::pin(async move {
            late.await?;
            let events = loaded.await?.into_iter();
            let misread = |recorded: Recorded| Recorded {
                event: misread(mutant, recorded.event),
                ..recorded
            };
            Ok(events.map(misread).collect())
        })
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        let (late, heads) = (self.replace(None), self.inner.runs(which));
        Box::pin(async move {
            late.await?;
            heads.await
        })
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        self.inner.flush()
    }
}

impl fmt::Debug for MutantJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutantJournal").field("mutant", &self.mutant).finish_non_exhaustive()
    }
}
