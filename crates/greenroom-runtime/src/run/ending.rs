//! What comes of runs: the outcome of a team's, the result of a single agent's.

use greenroom_core::journal::{Event, JournalErrorKind};
use greenroom_core::report::{Outcome, Status, TaskFailure, TaskFailureKind};

use crate::agents::single::AgentOutcome;

/// What can come of a run. The last event of its root stream holds it.
pub(crate) trait Ending: Clone + Send + Sync + 'static {
    /// Nothing but a reason.
    fn without_answer(failure: TaskFailure) -> Self;

    /// What an event says that came of a run.
    fn of(event: Event) -> Option<Self>;

    /// The event that says so.
    fn into_last(self) -> Event;

    /// As a failure, which is one of the journal.
    fn unstored(self, why: JournalErrorKind) -> Self;
}

impl Ending for Outcome {
    fn without_answer(failure: TaskFailure) -> Self {
        let status = match failure.kind {
            TaskFailureKind::Cancelled | TaskFailureKind::Parked => Status::Cancelled,
            _ => Status::Failed,
        };
        Self { usage: failure.usage, ..Self::without_answer(status, Some(failure)) }
    }

    fn of(event: Event) -> Option<Self> {
        match event {
            Event::RunFinished { outcome } => Some(*outcome),
            _ => None,
        }
    }

    fn into_last(self) -> Event {
        Event::RunFinished { outcome: Box::new(self) }
    }

    fn unstored(self, why: JournalErrorKind) -> Self {
        let with = |failure| TaskFailure { unstored: Some(why), ..failure };
        Self { failure: self.failure.map(with), ..self }
    }
}

impl Ending for AgentOutcome {
    fn without_answer(failure: TaskFailure) -> Self {
        Err(failure)
    }

    fn of(event: Event) -> Option<Self> {
        match event {
            Event::TaskFinished { result } => Some(result),
            _ => None,
        }
    }

    fn into_last(self) -> Event {
        Event::TaskFinished { result: self }
    }

    fn unstored(self, why: JournalErrorKind) -> Self {
        self.map_err(|failure| TaskFailure { unstored: Some(why), ..failure })
    }
}
