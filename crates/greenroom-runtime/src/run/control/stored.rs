//! What runs are told that have no actors: it is written to their streams. Whoever does holds the run's door, or
//! its place.

use greenroom_core::approval::{PendingCall, check_answer, pending};
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::recovery::Footprint;
use greenroom_core::report::{Outcome, TaskFailure, TaskFailureKind};

use super::ControlError;
use crate::agents::single::AgentOutcome;
use crate::agents::turn::people::Word;
use crate::recovery::look;
use crate::run::closing::{append_after, is_over};
use crate::run::ending::Ending;
use crate::run::sleep::awake;
use crate::runtime::Runtime;

impl Runtime {
    /// Stores an answer.
    pub(super) async fn write_answer(
        &self,
        answered: &PendingCall,
        word: Word,
    ) -> Result<(), ControlError> {
        let Word::Answer { decision, .. } = &word else { return Ok(()) };
        let (run, now) = (answered.run().ok_or(ControlError::Unknown)?, self.clock().now());
        let root = StreamId::root(run);
        let of_root = self.stored(&root).await?;
        if of_root.is_empty() {
            return Err(ControlError::Unknown);
        }
        if is_over(&of_root) {
            return Err(ControlError::Over);
        }
        let of_task = match answered.stream == root {
            true => None,
            false => Some(self.stored(&answered.stream).await?),
        };
        let open = pending(&answered.stream, of_task.as_ref().unwrap_or(&of_root));
        let asked = open.iter().find(|asked| asked.call == answered.call);
        check_answer(answered, decision, asked, now).map_err(ControlError::Refused)?;
        let (awake, word) = (awake(&of_root, now), word.into_event());
        match of_task {
            None => self.append_to(&root, &of_root, awake.into_iter().chain([word])).await,
            Some(stored) => {
                // The other way round, a run whose process dies in between would sleep on.
                self.append_to(&root, &of_root, awake).await?;
                self.append_to(&answered.stream, &stored, [word]).await
            }
        }
    }

    /// Stores the end of a run, and gives the event that holds it.
    pub(super) async fn write_end(&self, run: RunId) -> Result<Event, ControlError> {
        let seen = look(&*self.journal(), run, None).await.map_err(ControlError::Journal)?;
        let stored = seen.root.take().unwrap_or_default();
        let first = stored.first().ok_or(ControlError::Unknown)?;
        if is_over(&stored) {
            return Err(ControlError::Over);
        }
        let failure = TaskFailure::new(TaskFailureKind::Cancelled, "the run was cancelled");
        let failure = TaskFailure { usage: seen.footprint.spent(), ..failure };
        let last = match &first.event {
            Event::RunAccepted { .. } => <Outcome as Ending>::without_answer(failure).into_last(),
            _ => AgentOutcome::without_answer(failure).into_last(),
        };
        let events = [Event::CancelRequested, last.clone()];
        self.append_to(&StreamId::root(run), &stored, events).await?;
        Ok(last)
    }

    /// Stores a message in the streams of all agents of a run that have not done their part.
    pub(super) async fn write_message(&self, run: RunId, word: Word) -> Result<(), ControlError> {
        let Word::Message { id, message } = word else { return Ok(()) };
        let streams = self.journal().streams(run).await.map_err(ControlError::Journal)?;
        for stream in streams {
            let stored = self.stored(&stream).await?;
            if takes(&stored, &id) {
                let event = Event::MessageDelivered { id: id.clone(), message: message.clone() };
                self.append_to(&stream, &stored, [event]).await?;
            }
        }
        Ok(())
    }

    /// Stores that a run is paused, or that it is not any more, and so does not sleep either; whether that is
    /// new. Its agents learn it when they begin.
    pub(crate) async fn write_paused(
        &self,
        run: RunId,
        is_paused: bool,
    ) -> Result<bool, ControlError> {
        let (root, now) = (StreamId::root(run), self.clock().now());
        let stored = self.stored(&root).await?;
        if Footprint::of_root(&stored).is_paused() == is_paused {
            return Ok(false);
        }
        let awake = awake(&stored, now).filter(|_| !is_paused);
        let events = awake.into_iter().chain([Word::Pause(is_paused).into_event()]);
        self.append_to(&root, &stored, events).await.map(|()| true)
    }

    pub(super) async fn stored(&self, stream: &StreamId) -> Result<Vec<Recorded>, ControlError> {
        self.journal().load(stream).await.map_err(ControlError::Journal)
    }

    /// Appends to a stream that nobody else writes to, behind what is stored.
    async fn append_to(
        &self,
        stream: &StreamId,
        stored: &[Recorded],
        events: impl IntoIterator<Item = Event> + Send,
    ) -> Result<(), ControlError> {
        let (journal, now) = (self.journal(), self.clock().now());
        let appended = append_after(stored, &*journal, stream, now, events).await;
        appended.map_err(ControlError::Journal)
    }
}

/// Whether a stream is that of an agent that has not done its part, and has not taken that message.
fn takes(stored: &[Recorded], message: &str) -> bool {
    let is_agent =
        stored.first().is_some_and(|first| matches!(first.event, Event::TaskStarted { .. }));
    let is_it =
        |event: &Event| matches!(event, Event::MessageDelivered { id, .. } if id == message);
    is_agent && !is_over(stored) && !stored.iter().any(|recorded| is_it(&recorded.event))
}
