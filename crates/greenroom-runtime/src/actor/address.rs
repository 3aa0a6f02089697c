//! Addresses: how agents and applications reach an agent, whichever incarnation it is in.

pub(crate) mod error;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::Lane;
use tokio::time::Instant;

use crate::actor::dead_letters::{DeadLetter, DeadReason};
use crate::actor::envelope::{Envelope, Refused};
use crate::actor::faults;
use crate::actor::question::{Origin, Question};
use crate::actor::reply::{Answer, Asking};
use crate::actor::slot::Slot;
use crate::actor::trail::Trail;
use crate::inspect::AgentInfo;
use crate::virtual_actors::Absent;
use crate::watch::{Down, Mortal};

pub use super::reply::Reply;
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
        let sent = match self.slot.put(Envelope::bare(message)) {
            Err(refused) if self.may_wait(&refused) => {
                self.deliver(refused.into_inner(), deadline).await
            }
            decided => decided,
        };
        sent.map_err(handed_back)
    }

    /// Whether a message that cannot be put into the mailbox now can wait: for room, or for a virtual actor
    /// to be activated again.
    fn may_wait(&self, refused: &Refused<Envelope<M>>) -> bool {
        match refused {
            Refused::Full(_) => self.slot.lets_wait(),
            Refused::Stopped(_) => self.slot.home().is_some(),
            Refused::Crowded(_) => false,
        }
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
        self.slot.put(Envelope::bare(message)).map_err(handed_back)
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
        let now = Instant::now();
        let until = now.checked_add(deadline);
        let question = Question::new(until, trail, Answer::new());
        let message = build(Reply::new(&question));
        let asked = Arc::clone(&question) as Arc<Question>;
        let envelope = Envelope::ask(message, asked, now);
        let asking = Asking::new(question);
        // A message that cannot be put into the mailbox at once is rare, and its way is long: its future
        // is kept out of this one, which every question moves about.
        let delivery = match self.slot.put(envelope) {
            Ok(()) => None,
            Err(refused) if self.may_wait(&refused) => {
                Some(Box::pin(self.deliver(refused.into_inner(), Duration::MAX)))
            }
            Err(refused) => return Err(unasked(&refused)),
        };
        let answer = self.answer(delivery, asking, deadline);
        let answer = tokio::time::timeout_at(until.unwrap_or_else(|| now + LONG), answer).await;
        answer.unwrap_or(Err(AskError::TimedOut(deadline)))
    }

    /// Waits for the answer once the message is in the mailbox. The question's own deadline bounds both.
    async fn answer<R>(
        &self,
        delivery: Option<Pin<Box<impl Future<Output = Result<(), Refused<Envelope<M>>>>>>>,
        mut asking: Asking<R>,
        deadline: Duration,
    ) -> Result<R, AskError> {
        if let Some(delivery) = delivery {
            delivery.await.map_err(|refused| unasked(&refused))?;
        }
        let answer = match (&mut asking).await {
            Ok(answer) => {
                faults::at_reply(&self.slot).await.map_or(Err(AskError::NoReply), |()| Ok(answer))
            }
            Err(Some(DeadReason::Expired)) => Err(AskError::TimedOut(deadline)),
            Err(Some(reason)) => Err(AskError::Dead(reason)),
            Err(None) => Err(AskError::NoReply),
        };
        asking.settle();
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

/// A deadline later than the clock can tell is as good as this one: thirty years.
const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

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

/// Why a question was not asked.
fn unasked<M>(refused: &Refused<M>) -> AskError {
    match refused {
        Refused::Full(_) => AskError::Full,
        Refused::Stopped(_) => AskError::Dead(DeadReason::Stopped),
        Refused::Crowded(_) => AskError::Crowded,
    }
}

fn handed_back<M>(refused: Refused<Envelope<M>>) -> SendError<M> {
    let kind = refused.kind();
    SendError { kind, message: refused.into_inner().message }
}
