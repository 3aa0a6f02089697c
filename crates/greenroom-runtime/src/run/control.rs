//! What an application tells runs: answers of people, messages, pauses, cancellation.

mod stored;

use std::time::Duration;

use greenroom_core::approval::{AnswerRefusal, Decision, PendingCall, pending};
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::JournalError;
use greenroom_core::message::Message;

use crate::actor::address::{AgentRef, AskError};
use crate::agents::turn::TurnMessage;
use crate::agents::turn::people::Word;
use crate::run::closing::is_over;
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
        let Some(place) = self.runs().hold(run) else {
            let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
            let _passage = live.door().pass().await;
            if !live.door().is_asleep() {
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
    /// paused across restarts, and falls asleep: it has no actors then, and its deadline waits along with it.
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
        let Some(place) = self.runs().hold(run) else {
            let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
            // Whoever wakes it from here on sees that it is cancelled.
            if live.door().cancel().is_none() {
                live.control(Control::Cancel);
                return Ok(());
            }
            let _passage = live.door().pass().await;
            if live.door().is_asleep() {
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

    /// Tells every agent of the run that is at work, or that will be once the run wakes.
    async fn tell_all(&self, run: RunId, word: Word) -> Result<(), ControlError> {
        let live = self.runs().find(run).ok_or(ControlError::NotAtWork)?;
        let _passage = live.door().pass().await;
        if live.door().is_asleep() {
            return match word {
                Word::Pause(is_paused) => self.pause_asleep(&*live, is_paused).await,
                word => self.write_message(run, word).await,
            };
        }
        let (mut told, was_paused) = (Err(ControlError::NotAtWork), live.door().is_paused());
        if let Word::Pause(is_paused) = word {
            // Agents that are not there yet look in the door.
            live.door().pause(is_paused);
            if live.control(Control::Pause(is_paused)) {
                // A router that knows is enough, when nobody else is at work.
                told = Ok(());
            }
        }
        for agent in live.turns() {
            match tell(&agent, word.clone()).await {
                Ok(()) => told = Ok(()),
                // It has ended meanwhile, or has its answer.
                Err(ControlError::Unconfirmed(AskError::Dead(_)) | ControlError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if told.is_err() {
            live.door().pause(was_paused);
        }
        told
    }

    /// Pauses a run that sleeps, or resumes it, which wakes it.
    async fn pause_asleep(&self, live: &dyn LiveRun, is_paused: bool) -> Result<(), ControlError> {
        let run = live.run();
        if self.write_paused(run, is_paused).await? {
            live.door().pause(is_paused);
            if !is_paused {
                self.wake(run).await;
            }
        }
        Ok(())
    }
}

async fn tell(agent: &AgentRef<TurnMessage>, word: Word) -> Result<(), ControlError> {
    let told = agent.ask(TOLD_MAX, |reply| TurnMessage::Told { word, reply }).await;
    told.map_err(ControlError::Unconfirmed)?.map_err(ControlError::Refused)
}
