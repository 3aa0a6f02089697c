//! How a run ends whose actors ended without an outcome.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded};
use greenroom_core::report::{TaskFailure, TaskFailureKind};
use greenroom_core::supervision::ExitReason;
use greenroom_core::time::{Clock, Timestamp};

use crate::run::RunShared;
use crate::run::ending::Ending;
use crate::runtime::Runtime;
use crate::runtime::tasks::Tasks;

/// How long the last event of a run may take to be stored.
const STORE_MAX: Duration = Duration::from_secs(5);

/// Writes the last event of runs that are given up. It does not keep the runtime.
#[derive(Clone)]
pub(crate) struct Closer {
    tasks: Tasks,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

impl Closer {
    pub(crate) fn of(runtime: &Runtime) -> Self {
        let (journal, clock) = (runtime.journal(), runtime.clock());
        Self { tasks: runtime.tasks().clone(), journal, clock }
    }

    /// Ends a run that [begins to close](RunShared::begins_to_close), for whoever waits for it.
    ///
    /// | its actors | the journal |
    /// |---|---|
    /// | failed too often | says so, before anybody is told: the run is over |
    /// | … because the journal failed them | says nothing: the next recovery finds the run |
    /// | were stopped in an orderly way | says that the run was left to the next process |
    /// | were killed with their runtime | says nothing: the next process finds the run |
    pub(crate) fn close<O: Ending>(
        &self,
        shared: &Arc<RunShared<O>>,
        reason: &ExitReason,
        outcome: O,
    ) {
        let last = match (reason, shared.pace.refusal()) {
            (ExitReason::Killed, _) => return shared.finish(outcome),
            (reason, Some(why)) if reason.is_abnormal() => {
                return shared.finish(outcome.unstored(why));
            }
            (reason, _) if reason.is_abnormal() => outcome.clone().into_last(),
            _ => Event::RunReleased,
        };
        let (this, shared) = (self.clone(), Arc::clone(shared));
        self.tasks.spawn("close-run", async move {
            // A journal that does not take it leaves the run unfinished, and recovery finds it.
            let _ = tokio::time::timeout(STORE_MAX, this.append(shared.id, last)).await;
            shared.finish(outcome);
        });
    }

    /// Appends an event to a root stream that has no writer any more, unless it is complete.
    async fn append(&self, run: RunId, event: Event) -> Result<(), JournalError> {
        let stream = StreamId::root(run);
        let stored = self.journal.load(&stream).await?;
        if is_over(&stored) {
            return Ok(());
        }
        append_after(&stored, &*self.journal, &stream, self.clock.now(), [event]).await
    }
}

/// Why a run has no outcome here whose actor ended for this reason.
pub(crate) fn without_outcome(actor: &str, reason: &ExitReason) -> TaskFailure {
    match reason.is_abnormal() {
        true => TaskFailure::new(TaskFailureKind::AgentLost, format!("{actor} ended: {reason}")),
        false => parked(),
    }
}

/// Why a run has no outcome here that the next process goes on with.
pub(crate) fn parked() -> TaskFailure {
    TaskFailure::new(TaskFailureKind::Parked, "the run is left to the next process")
}

/// Whether a stream is complete.
pub(super) fn is_over(stored: &[Recorded]) -> bool {
    stored.iter().any(|recorded| recorded.event.is_terminal())
}

/// Appends events to a stream that nobody writes to, behind what is stored.
pub(super) async fn append_after(
    stored: &[Recorded],
    journal: &dyn Journal,
    stream: &StreamId,
    at: Timestamp,
    events: impl IntoIterator<Item = Event>,
) -> Result<(), JournalError> {
    let next = stored.last().map_or(0, |last| last.seq + 1);
    let events = Recorded::sequence(next, at, events);
    if events.is_empty() { Ok(()) } else { journal.append(stream, events).await }
}
