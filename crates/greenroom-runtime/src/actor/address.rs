//! Addresses: how agents and applications reach an agent, whichever incarnation it is in.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::Lane;
use tokio::sync::{TryAcquireError, oneshot};

use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::EffectError;
use crate::actor::envelope::{Envelope, Refused};
use crate::actor::faults;
use crate::actor::question::{Origin, Question};
use crate::actor::slot::Slot;
use crate::actor::trail::Trail;
use crate::inspect::AgentInfo;
use crate::watch::{Down, Mortal};

/// The address of an agent: cheap to clone, and valid across restarts.
pub struct AgentRef<M> {
    slot: Arc<Slot<M>>,
}

impl<M: Send + 'static> AgentRef<M> {
    pub(crate) fn new(slot: Arc<Slot<M>>) -> Self {
        Self { slot }
    }

    /// The agent's identity.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        self.slot.id()
    }

    /// What can be seen of the agent now.
    #[must_use]
    pub fn info(&self) -> AgentInfo {
        self.slot.info()
    }

    /// Sends a message, waiting for room when the mailbox is full and its policy is to wait. The wait has
    /// no bound of its own: put one around it, or ask.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when the agent has stopped for good or its policy refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes sends nothing and drops the message.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        match self.slot.wait_for_room().await {
            Ok(room) => room.send(Envelope::bare(message)).map_err(handed_back),
            Err(()) => Err(SendError { kind: SendErrorKind::Stopped, message }),
        }
    }

    /// Sends a message if there is room for it.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when there is none or the agent has stopped for good.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        match self.slot.room_now() {
            Ok(room) => room.send(Envelope::bare(message)).map_err(handed_back),
            Err(TryAcquireError::Closed) => {
                Err(SendError { kind: SendErrorKind::Stopped, message })
            }
            Err(TryAcquireError::NoPermits) => {
                Err(SendError { kind: SendErrorKind::Full, message })
            }
        }
    }

    /// Sends a message in the control lane, which is served first and which a full mailbox does not
    /// block.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when the control lane is full too.
    pub fn control(&self, message: M) -> Result<(), SendError<M>> {
        self.slot.send(Lane::Control, Envelope::bare(message)).map_err(handed_back)
    }

    /// Sends a message that carries a [`Reply`] and waits for the answer, at most until the deadline. The
    /// wait for room in the mailbox counts.
    ///
    /// | the agent | the answer |
    /// |---|---|
    /// | handles the message and replies | the reply |
    /// | handles the message and drops the `Reply` | [`AskError::NoReply`] |
    /// | restarts before it handles the message | the reply of the next incarnation |
    /// | crashes on it too often | [`AskError::Dead`] with [`DeadReason::Poison`] |
    /// | has stopped, or stops, for good | [`AskError::Dead`] with [`DeadReason::Stopped`], at once |
    /// | is too slow | [`AskError::TimedOut`] |
    /// | has a full mailbox that lets nobody wait | [`AskError::Full`], at once |
    ///
    /// # Errors
    ///
    /// As in the table.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future withdraws the question: a queued message is not handled, and the effects that
    /// a handled one started are cancelled.
    pub async fn ask<R: Send + 'static>(
        &self,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        self.ask_from(&Origin::outside(), deadline, build).await
    }

    /// As [`AgentRef::ask`], on behalf of the question that an actor is handling: with the smaller of the
    /// two deadlines, and seen when it closes a cycle. [`Context::ask`](crate::Context::ask) does this;
    /// the method is for questions inside an effect.
    ///
    /// # Errors
    ///
    /// As [`AgentRef::ask`]; in debug builds also [`AskError::Cycle`], at once, when this agent waits for
    /// the answer that the question is part of.
    ///
    /// # Cancel safety
    ///
    /// As [`AgentRef::ask`].
    pub async fn ask_from<R: Send + 'static>(
        &self,
        origin: &Origin,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        if let Some(path) = origin.here().cycle(origin.question(), &self.slot) {
            return Err(AskError::Cycle { path });
        }
        let deadline = origin.within(deadline);
        if deadline.is_zero() {
            return Err(AskError::TimedOut(deadline));
        }
        let trail = Trail::new(origin.here(), origin.question());
        let question = Arc::new(Question::new(deadline, trail));
        let (sender, receiver) = oneshot::channel();
        let sender = Arc::new(Mutex::new(Some(sender)));
        let message = build(Reply { sender, question: Arc::clone(&question) });
        let exchange = self.exchange(message, deadline, question, receiver);
        let answer = tokio::time::timeout(deadline, exchange).await;
        answer.unwrap_or(Err(AskError::TimedOut(deadline)))
    }

    async fn exchange<R>(
        &self,
        message: M,
        deadline: Duration,
        question: Arc<Question>,
        mut receiver: oneshot::Receiver<R>,
    ) -> Result<R, AskError> {
        let guard = question.gone.clone().drop_guard();
        let envelope = Envelope::ask(message, Arc::clone(&question));
        let sent = match self.slot.wait_for_room().await {
            Ok(room) => room.send(envelope),
            Err(()) => Err(Refused::Stopped(envelope)),
        };
        match sent {
            Ok(()) => {}
            Err(Refused::Full(_)) => return Err(AskError::Full),
            Err(Refused::Stopped(_)) => return Err(AskError::Dead(DeadReason::Stopped)),
        }
        let answer = tokio::select! {
            biased;
            answer = &mut receiver => answer.ok(),
            // An answer that was given before the message was given up counts.
            _ = question.verdict.wait() => receiver.try_recv().ok(),
        };
        let answer = answer.ok_or_else(|| match question.verdict.get() {
            Some(DeadReason::Expired) => AskError::TimedOut(deadline),
            Some(reason) => AskError::Dead(reason.clone()),
            None => AskError::NoReply,
        });
        let answer = match answer {
            Ok(answer) => {
                faults::at_reply(&self.slot).await.map_or(Err(AskError::NoReply), |()| Ok(answer))
            }
            refused => refused,
        };
        // Answered or refused, nobody is left to be told that the asker has gone.
        question.settle();
        drop(guard.disarm());
        answer
    }

    /// Waits until the agent has ended for good; see [`Context::watch`](crate::Context::watch). One that
    /// has ended is told of at once. The wait is as long as the agent lives, and without end for one that
    /// is never started: put a bound around it where that matters.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the wait and leaves nothing behind; it can be called again.
    pub async fn down(&self) -> Down {
        crate::watch::down(self.mortal()).await
    }

    pub(crate) fn mortal(&self) -> Arc<dyn Mortal> {
        Arc::clone(&self.slot) as Arc<dyn Mortal>
    }

    /// Makes the agent panic in its next handler, to see what its supervisor does. Returns whether there
    /// was an incarnation to crash.
    #[must_use]
    pub fn crash_on_purpose(&self) -> bool {
        self.slot.crash()
    }
}

impl<M> Clone for AgentRef<M> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot) }
    }
}

impl<M: Send + 'static> fmt::Debug for AgentRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AgentRef").field(self.slot.id()).finish()
    }
}

fn handed_back<M>(refused: Refused<Envelope<M>>) -> SendError<M> {
    let (kind, envelope) = match refused {
        Refused::Full(envelope) => (SendErrorKind::Full, envelope),
        Refused::Stopped(envelope) => (SendErrorKind::Stopped, envelope),
    };
    SendError { kind, message: envelope.message }
}

/// Where the answer to a message goes. It can be used once; the first answer counts.
///
/// Clones answer the same asker, who is told that there will be no answer once all of them are gone.
pub struct Reply<R> {
    sender: Arc<Mutex<Option<oneshot::Sender<R>>>>,
    question: Arc<Question>,
}

impl<R> Reply<R> {
    /// Answers. Returns the answer when nobody waits for it: the asker has gone, or was answered before.
    ///
    /// # Errors
    ///
    /// The undelivered answer.
    pub fn send(&self, answer: R) -> Result<(), R> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        match sender {
            Some(sender) => {
                self.question.settle();
                sender.send(answer)
            }
            None => Err(answer),
        }
    }

    /// Takes the reply out of its message, to answer after the handler has returned. What is left behind
    /// answers nobody, nor do clones.
    #[must_use]
    pub fn take(&self) -> Self {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        Self { sender: Arc::new(Mutex::new(sender)), question: Arc::clone(&self.question) }
    }
}

impl<R> Clone for Reply<R> {
    fn clone(&self) -> Self {
        Self { sender: Arc::clone(&self.sender), question: Arc::clone(&self.question) }
    }
}

impl<R> fmt::Debug for Reply<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

/// A message that was not sent.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("message not sent: {kind}")]
pub struct SendError<M> {
    /// Why.
    pub kind: SendErrorKind,
    /// The message, handed back.
    pub message: M,
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The mailbox is full and its policy does not let the sender wait.
    Full,
    /// The agent has stopped for good.
    Stopped,
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the mailbox is full",
            Self::Stopped => "the agent has stopped",
        })
    }
}

/// Why a question was not answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The deadline passed.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The agent handled the message and will not answer.
    #[error("the agent did not answer")]
    NoReply,
    /// The message was not handled.
    #[error("not handled: {0}")]
    Dead(DeadReason),
    /// The mailbox is full and its policy does not let the sender wait.
    #[error("the mailbox is full")]
    Full,
    /// The question would come back to an agent that waits for its answer. Found in debug builds only.
    #[error("the question would wait for itself: {}", Arrows(path))]
    Cycle {
        /// The agents from the one that waits to itself, each of which asked the next.
        path: Vec<AgentId>,
    },
    /// The asker's own work was cancelled.
    #[error("cancelled")]
    Cancelled,
}

impl From<EffectError> for AskError {
    fn from(error: EffectError) -> Self {
        match error {
            EffectError::TimedOut(deadline) => Self::TimedOut(deadline),
            EffectError::Panicked(_) => Self::NoReply,
            EffectError::Cancelled => Self::Cancelled,
        }
    }
}

/// Agents, each of which asked the next.
struct Arrows<'a>(&'a [AgentId]);

impl fmt::Display for Arrows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { "" } else { " -> " })?;
        }
        Ok(())
    }
}
