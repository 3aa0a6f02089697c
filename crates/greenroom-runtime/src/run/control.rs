//! What an application tells runs: answers of people, messages, pauses, cancellation.

use std::time::Duration;

use greenroom_core::approval::{AnswerRefusal, Decision, PendingCall, check_answer, pending};
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, JournalError, Recorded};
use greenroom_core::message::Message;
use greenroom_core::report::{Outcome, TaskFailure, TaskFailureKind};

use crate::actor::address::{AgentRef, AskError};
use crate::agents::single::AgentOutcome;
use crate::agents::turn::TurnMessage;
use crate::agents::turn::people::Word;
use crate::recovery::look;
use crate::run::closing::{append_after, is_over};
use crate::run::ending::Ending;
use crate::run::live::{Control, LiveRun};
use crate::runtime::Runtime;

/// How long an agent may take to store what it is told.
const TOLD_MAX: Duration = Duration::from_secs(60);

/// Why a run was not told something.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// No agent of the run is at work that could be told.
    #[error("no agent of the run is at work")]
    NotAtWork,
    /// The journal has no such run.
    #[error("there is no such run")]
    Unknown,
    /// The run has its outcome.
    #[error("the run is over")]
    Over,
    /// The answer does not count.
    #[error("the answer does not count")]
    Refused(#[source] AnswerRefusal),
    /// The agent did not say that it has stored it.
    #[error("the agent did not confirm it")]
    Unconfirmed(#[source] AskError),
    /// The journal cannot be read or written.
    #[error("the journal cannot be used")]
    Journal(#[source] JournalError),
}

impl Runtime {
    /// The calls of a run that wait for a person, whether the run is at work or left alone.
    ///
    /// # Errors
    ///
    /// [`ControlError::Journal`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn pending(&self, run: RunId) -> Result<Vec<PendingCall>, ControlError> {
        let mut all = Vec::new();
        let root = self.stored(&StreamId::root(run)).await?;
        if root.is_empty() {
            return Err(ControlError::Unknown);
        }
        if is_over(&root) {
            return Ok(all);
        }
        for stream in self.journal().streams(run).await.map_err(ControlError::Journal)? {
            all.extend(pending(&stream, &self.stored(&stream).await?));
        }
        Ok(all)
    }

    /// Answers a question about a call. Completes once the answer is stored; it counts once. A run that is
    /// left alone is answered too: it goes on with the answer when it is recovered.
    ///
    /// # Errors
    ///
    /// [`ControlError::Refused`] when the call does not wait, or not for this; [`ControlError::Over`] when
    /// the run has its outcome.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the confirmation; the answer may count.
    pub async fn answer(
        &self,
        answered: &PendingCall,
        decision: Decision,
        by: impl Into<String>,
    ) -> Result<(), ControlError> {
        let run = answered.run().ok_or(ControlError::Unknown)?;
        let word = Word::Answer { answered: answered.clone(), decision, by: by.into() };
        let Some(place) = self.runs().admit(run) else {
            let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
            let _passage = live.door().pass().await;
            if live.door().nap().is_none() {
                return tell(&self.asker(&*live, answered).await?, word).await;
            }
            self.write_answer(answered, word).await?;
            self.wake(run).await;
            return Ok(());
        };
        // Nobody has the run, and as long as the place is held, nobody takes it.
        self.write_answer(answered, word).await?;
        drop(place);
        self.look_again();
        Ok(())
    }

    /// The agent of a run at work that has asked. It may be about to start.
    async fn asker(
        &self,
        live: &dyn LiveRun,
        answered: &PendingCall,
    ) -> Result<AgentRef<TurnMessage>, ControlError> {
        let stream = &answered.stream;
        let seated = async {
            loop {
                // Made before it is looked, so that no bell is missed in between.
                let seated = live.door().seated().notified();
                if let Some(agent) = live.turn(stream) {
                    return agent;
                }
                seated.await;
            }
        };
        if live.turn(stream).is_none() && pending(stream, &self.stored(stream).await?).is_empty() {
            return Err(ControlError::Refused(AnswerRefusal::NotPending));
        }
        tokio::time::timeout(TOLD_MAX, seated).await.map_err(|_| ControlError::NotAtWork)
    }

    /// Stores an answer to a run that has no actors.
    async fn write_answer(&self, answered: &PendingCall, word: Word) -> Result<(), ControlError> {
        let Word::Answer { decision, .. } = &word else { return Ok(()) };
        let (run, stream) = (answered.run().ok_or(ControlError::Unknown)?, &answered.stream);
        let open = self.pending(run).await?;
        let asked =
            open.iter().find(|asked| (&asked.stream, &asked.call) == (stream, &answered.call));
        if let Err(refusal) = check_answer(answered, decision, asked, self.clock().now()) {
            let is_over = asked.is_none() && is_over(&self.stored(&StreamId::root(run)).await?);
            return Err(if is_over { ControlError::Over } else { ControlError::Refused(refusal) });
        }
        // The other way round, a run whose process dies in between would sleep on.
        self.append_awake(run).await.map_err(ControlError::Journal)?;
        let stored = self.stored(stream).await?;
        self.append_to(stream, &stored, [word.into_event()]).await
    }

    /// Lets a call be made, as [`Runtime::answer`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::answer`].
    ///
    /// # Cancel safety
    ///
    /// As [`Runtime::answer`].
    pub async fn approve(
        &self,
        call: &PendingCall,
        by: impl Into<String>,
    ) -> Result<(), ControlError> {
        self.answer(call, Decision::Approved, by).await
    }

    /// Refuses a call, as [`Runtime::answer`]. The model reads why.
    ///
    /// # Errors
    ///
    /// As [`Runtime::answer`].
    ///
    /// # Cancel safety
    ///
    /// As [`Runtime::answer`].
    pub async fn deny(
        &self,
        call: &PendingCall,
        why: impl Into<String>,
        by: impl Into<String>,
    ) -> Result<(), ControlError> {
        self.answer(call, Decision::Denied { why: why.into() }, by).await
    }

    /// Says something to the agents of a run that are at work. Each reads it at its next safe boundary:
    /// behind the outcomes of its tool calls and before its next model call. One that was about to answer
    /// goes on with it, unless that was its last turn. A message of an id that was taken is not taken again.
    /// Completes once it is stored.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotAtWork`] when there is none.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the confirmation; send the same id again.
    pub async fn steer(
        &self,
        run: RunId,
        id: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<(), ControlError> {
        let (id, message) = (id.into(), Message::user(message.into()));
        self.tell_all(run, Word::Message { id, message }).await
    }

    /// Pauses a run: what is under way ends, and nothing else is begun until [`Runtime::resume`]. It stays
    /// paused across restarts. The deadline of a single agent waits along with it; that of a team does not.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotAtWork`] when the run is not at work here.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the confirmation.
    pub async fn pause(&self, run: RunId) -> Result<(), ControlError> {
        self.set_paused(run, true).await
    }

    pub(crate) async fn set_paused(&self, run: RunId, is_on: bool) -> Result<(), ControlError> {
        self.tell_all(run, Word::Pause(is_on)).await
    }

    /// Cancels a run, whether it is at work or left alone. Its outcome says so, unless it had one.
    ///
    /// # Errors
    ///
    /// [`ControlError::Over`] and [`ControlError::Unknown`], of a run that is not at work.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the run uncancelled.
    pub async fn cancel(&self, run: RunId) -> Result<(), ControlError> {
        let Some(place) = self.runs().admit(run) else {
            let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
            // Whoever wakes it from here on sees that it is cancelled.
            if live.door().cancel().is_none() {
                live.control(Control::Cancel);
                return Ok(());
            }
            let _passage = live.door().pass().await;
            if live.door().nap().is_some() {
                live.conclude(self.write_end(run).await?);
                drop(self.take_sleeper(run).await);
            }
            return Ok(());
        };
        self.write_end(run).await?;
        drop(place);
        self.recovery().unpark(run);
        Ok(())
    }

    /// Stores the end of a run that has no actors, and gives the event that holds it.
    async fn write_end(&self, run: RunId) -> Result<Event, ControlError> {
        let root = StreamId::root(run);
        let stored = self.stored(&root).await?;
        let first = stored.first().ok_or(ControlError::Unknown)?;
        if is_over(&stored) {
            return Err(ControlError::Over);
        }
        let usage = look(&*self.journal(), run, None)
            .await
            .map_err(ControlError::Journal)?
            .footprint
            .spent();
        let failure = TaskFailure::new(TaskFailureKind::Cancelled, "the run was cancelled");
        let failure = TaskFailure { usage, ..failure };
        let last = match &first.event {
            Event::RunAccepted { .. } => <Outcome as Ending>::without_answer(failure).into_last(),
            _ => AgentOutcome::without_answer(failure).into_last(),
        };
        self.append_to(&root, &stored, [Event::CancelRequested, last.clone()]).await?;
        Ok(last)
    }

    /// Tells every agent of the run that is at work, or that will be once the run wakes.
    async fn tell_all(&self, run: RunId, word: Word) -> Result<(), ControlError> {
        let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
        let _passage = live.door().pass().await;
        if live.door().nap().is_some() {
            return self.write_to_all(run, &word).await;
        }
        // A router that knows is enough, when nobody else is at work.
        let mut told = match word {
            Word::Pause(is_on) if live.control(Control::Pause(is_on)) => Ok(()),
            _ => Err(ControlError::NotAtWork),
        };
        for agent in live.turns() {
            match tell(&agent, word.clone()).await {
                Ok(()) => told = Ok(()),
                // It has ended meanwhile, or has its answer.
                Err(ControlError::Unconfirmed(AskError::Dead(_)) | ControlError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        told
    }

    /// Stores a word in the streams of a run that sleeps: of its agents that wait, and a pause in that of its
    /// router.
    async fn write_to_all(&self, run: RunId, word: &Word) -> Result<(), ControlError> {
        let root = StreamId::root(run);
        for stream in self.journal().streams(run).await.map_err(ControlError::Journal)? {
            let stored = self.stored(&stream).await?;
            let is_told = stored.iter().any(|recorded| match (&recorded.event, word) {
                (Event::MessageDelivered { id: known, .. }, Word::Message { id, .. }) => {
                    known == id
                }
                _ => false,
            });
            let concerns = matches!(word, Word::Pause(_)) && stream == root;
            if !is_told && (concerns || !pending(&stream, &stored).is_empty()) {
                self.append_to(&stream, &stored, [word.clone().into_event()]).await?;
            }
        }
        Ok(())
    }

    async fn stored(&self, stream: &StreamId) -> Result<Vec<Recorded>, ControlError> {
        self.journal().load(stream).await.map_err(ControlError::Journal)
    }

    /// Appends to a stream of a run whose place is held, behind what is stored.
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

async fn tell(agent: &AgentRef<TurnMessage>, word: Word) -> Result<(), ControlError> {
    let told = agent.ask(TOLD_MAX, |reply| TurnMessage::Told { word, reply }).await;
    told.map_err(ControlError::Unconfirmed)?.map_err(ControlError::Refused)
}
