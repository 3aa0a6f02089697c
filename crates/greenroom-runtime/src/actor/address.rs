//! Addresses: how agents and applications reach an agent, whichever incarnation it is in.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::Lane;
use tokio::sync::{TryAcquireError, oneshot};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::EffectError;
use crate::actor::envelope::{Asker, Envelope, Refused};
use crate::actor::faults;
use crate::actor::slot::Slot;
use crate::inspect::AgentInfo;

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
        let (sender, receiver) = oneshot::channel();
        let message = build(Reply { sender: Mutex::new(Some(sender)) });
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let asker = Asker { gone, verdict: Arc::new(OnceLock::new()) };
        let exchange = self.exchange(message, asker, deadline, receiver, guard);
        let answer = tokio::time::timeout(deadline, exchange).await;
        answer.unwrap_or(Err(AskError::TimedOut(deadline)))
    }

    async fn exchange<R>(
        &self,
        message: M,
        asker: Asker,
        deadline: Duration,
        receiver: oneshot::Receiver<R>,
        guard: DropGuard,
    ) -> Result<R, AskError> {
        let verdict = Arc::clone(&asker.verdict);
        let until = Instant::now().checked_add(deadline);
        let envelope = Envelope { deadline: until, asker: Some(asker), ..Envelope::bare(message) };
        let sent = match self.slot.wait_for_room().await {
            Ok(room) => room.send(envelope),
            Err(()) => Err(Refused::Stopped(envelope)),
        };
        match sent {
            Ok(()) => {}
            Err(Refused::Full(_)) => return Err(AskError::Full),
            Err(Refused::Stopped(_)) => return Err(AskError::Dead(DeadReason::Stopped)),
        }
        let answer = receiver.await.map_err(|_| match verdict.get() {
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
        drop(guard.disarm());
        answer
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
pub struct Reply<R> {
    sender: Mutex<Option<oneshot::Sender<R>>>,
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
            Some(sender) => sender.send(answer),
            None => Err(answer),
        }
    }

    /// Takes the reply out of its message, to answer after the handler has returned. What is left behind
    /// answers nobody.
    #[must_use]
    pub fn take(&self) -> Self {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        Self { sender: Mutex::new(sender) }
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
