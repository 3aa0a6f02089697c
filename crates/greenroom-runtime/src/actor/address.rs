//! Addresses: how agents and applications reach an agent, whichever incarnation it is in.

pub(crate) mod error;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::Lane;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::actor::dead_letters::{DeadLetter, DeadReason};
use crate::actor::envelope::{Envelope, Refused};
use crate::actor::faults;
use crate::actor::question::{Origin, Question};
use crate::actor::slot::Slot;
use crate::actor::trail::Trail;
use crate::inspect::AgentInfo;
use crate::virtual_actors::Absent;
use crate::watch::{Down, Mortal};

pub use error::{AskError, RedeliverError, SendError, SendErrorKind};

/// The address of an agent: cheap to clone, and valid across restarts.
///
/// A message of another type does not compile:
///
/// ```compile_fail,E0308
/// async fn wrong(counter: greenroom_runtime::AgentRef<u32>) {
///     let _ = counter.try_send("one");
/// }
/// ```
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

    /// Sends a message, waiting for room when the mailbox is full and its policy is to wait: at most as
    /// long as the mailbox lets its senders wait, see
    /// [`wait_max`](greenroom_core::mailbox::MailboxSpec::wait_max).
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when there was no room in time, the agent has stopped for good, or
    /// its policy refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes sends nothing and drops the message.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.send_timeout(message, self.slot.wait_max()).await
    }

    /// Sends a message, waiting for room at most until the deadline, whatever the mailbox would allow.
    ///
    /// # Errors
    ///
    /// As [`AgentRef::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`AgentRef::send`].
    pub async fn send_timeout(&self, message: M, deadline: Duration) -> Result<(), SendError<M>> {
        self.deliver(Envelope::bare(message), deadline).await.map_err(handed_back)
    }

    /// Puts a message into the mailbox once there is room. One for a virtual actor that was unloaded
    /// meanwhile goes to its next activation.
    async fn deliver(
        &self,
        envelope: Envelope<M>,
        wait: Duration,
    ) -> Result<(), Refused<Envelope<M>>> {
        let begun = Instant::now();
        let mut sent = deliver_to(&self.slot, envelope, wait).await;
        let Some(home) = self.slot.home() else { return sent };
        for _ in 0..MOVES_MAX {
            let Err(Refused::Stopped(envelope)) = sent else { return sent };
            let left = wait.saturating_sub(begun.elapsed());
            let live = Arc::clone(home).live(self.slot.id().clone());
            let live = tokio::time::timeout(left, live).await.unwrap_or(Err(Absent::Crowded));
            sent = match live {
                Ok(slot) => deliver_to(&slot, envelope, left).await,
                Err(Absent::Stopped) => return Err(Refused::Stopped(envelope)),
                Err(Absent::Crowded) => return Err(Refused::Crowded(envelope)),
            };
        }
        sent
    }

    /// Sends a message if there is room for it.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when there is none or the agent has stopped for good.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        match self.slot.room_now() {
            Ok(room) => room.send(Envelope::bare(message)).map_err(handed_back),
            Err(kind) => Err(SendError { kind, message }),
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
        // The question's own deadline bounds the wait.
        match self.deliver(envelope, Duration::MAX).await {
            Ok(()) => {}
            Err(Refused::Full(_)) => return Err(AskError::Full),
            Err(Refused::Stopped(_)) => return Err(AskError::Dead(DeadReason::Stopped)),
            Err(Refused::Crowded(_)) => return Err(AskError::Crowded),
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

    /// Sends the agent's dead letters again, oldest first: those that are kept, are of its message type, and
    /// are wanted. Returns how many.
    ///
    /// Each is admitted as if it were new, behind what waits and by the mailbox's policy, and without its
    /// asker, who was told long ago: a [`Reply`] in it answers nobody. Each is sent at most once in a call,
    /// also when it becomes a dead letter again meanwhile. `deadline` bounds the waits for room together.
    ///
    /// # Errors
    ///
    /// [`RedeliverError`] when the mailbox takes one of them not, or not in time: that one and those after
    /// it stay dead letters.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no letter: what was not sent stays.
    pub async fn redeliver(
        &self,
        deadline: Duration,
        mut wanted: impl FnMut(&DeadLetter) -> bool,
    ) -> Result<usize, RedeliverError> {
        let begun = Instant::now();
        let letters = self.slot.dead_letters();
        let mine = letters.kept::<M>().into_iter().filter(|letter| letter.to == *self.id());
        let wanted: Vec<_> = mine.filter(|letter| wanted(letter)).collect();
        let mut n_sent = 0;
        for letter in wanted {
            let room = self.slot.room(deadline.saturating_sub(begun.elapsed())).await;
            let room = room.map_err(|kind| RedeliverError { n_sent, kind })?;
            // Whoever took it meanwhile has it.
            let Some((letter, message)) = letters.take::<M>(letter.number) else { continue };
            if let Err(refused) = room.send(Envelope::bare(message)) {
                let kind = refused.kind();
                letters.put_back(letter, refused.into_inner().message);
                return Err(RedeliverError { n_sent, kind });
            }
            n_sent += 1;
        }
        Ok(n_sent)
    }

    pub(crate) fn slot(&self) -> &Arc<Slot<M>> {
        &self.slot
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

/// How often one message may find that its actor was unloaded just before.
const MOVES_MAX: usize = 16;

async fn deliver_to<M: Send + 'static>(
    slot: &Slot<M>,
    envelope: Envelope<M>,
    wait: Duration,
) -> Result<(), Refused<Envelope<M>>> {
    match slot.room(wait).await {
        Ok(room) => room.send(envelope),
        Err(SendErrorKind::Stopped) => Err(Refused::Stopped(envelope)),
        Err(_) => Err(Refused::Full(envelope)),
    }
}

fn handed_back<M>(refused: Refused<Envelope<M>>) -> SendError<M> {
    let kind = refused.kind();
    SendError { kind, message: refused.into_inner().message }
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
