//! What a user writes to make an actor: one trait, and the context its hooks are given.

pub(crate) mod address;
pub(crate) mod dead_letters;
pub(crate) mod effect;
pub(crate) mod envelope;
pub(crate) mod faults;
pub(crate) mod question;
pub(crate) mod reply;
pub(crate) mod shell;
pub(crate) mod slot;
mod stream;
pub(crate) mod trail;

use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{Detail, ExitReason};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::actor::address::{AgentRef, AskError, Reply};
use crate::actor::effect::{EffectError, Effects};
use crate::actor::question::{Origin, Question, Tie};
use crate::actor::slot::AnySlot;
use crate::actor::trail::Here;
use crate::persist::Ledger;
use crate::watch::{Down, WatchId};

/// A supervised actor.
///
/// # Contract
///
/// Hooks are synchronous: they decide, and they return in well under a millisecond. Whatever has to be
/// waited for is an effect ([`Context::effect`], [`Context::ask`], [`Context::blocking`]) that answers with
/// a message. So an actor can be asked, stopped and inspected while its model call is under way.
///
/// A hook that blocks its thread all the same cannot be killed before it returns, and the task that its
/// thread was about to run next waits with it.
///
/// A message is lent to [`Actor::handle`] and not given: when the hook panics or fails, the mailbox still
/// has the message, and delivers it again to the next incarnation until
/// [`deliveries_max`](greenroom_core::mailbox::MailboxSpec::deliveries_max) is reached. What the hook wants
/// to keep of the message it clones.
///
/// | the hook | the incarnation | the message |
/// |---|---|---|
/// | returns `Ok` | lives | is done |
/// | returns `Err` | ends with [`ExitReason::Failed`] | is delivered again, then quarantined |
/// | panics | ends with [`ExitReason::Panic`] | is delivered again, then quarantined |
/// | calls [`Context::stop`] and returns `Ok` | ends with [`ExitReason::Normal`] | is done |
/// | starts more than 4,096 effects and timers | ends with [`ExitReason::Failed`] | is delivered again, then quarantined |
///
/// The outcomes of an incarnation's own effects end with it: they are not delivered to the next one. An
/// actor that has 1,024 effects under way is given no message of others until one of them is done.
pub trait Actor: Sized + Send + 'static {
    /// What the actor is sent.
    type Message: Send + 'static;

    /// Runs once per incarnation, before its first message.
    ///
    /// # Errors
    ///
    /// A failure is a failed start, which the supervisor treats by the child's restart type.
    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let _ = context;
        Ok(())
    }

    /// Handles one message.
    ///
    /// # Errors
    ///
    /// A failure ends the incarnation; see the table above.
    fn handle(
        &mut self,
        message: &Self::Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure>;

    /// What a message is called by those who look: by default its type. A `match` on the variants says
    /// more. It is called before each [`Actor::handle`], so it only looks.
    #[must_use]
    fn message_name(message: &Self::Message) -> &'static str {
        let _ = message;
        std::any::type_name::<Self::Message>()
    }

    /// Runs when the incarnation ends in an orderly way; not after a kill, a panic or a failure.
    fn stopped(&mut self) {}
}

/// Why an incarnation gives up. There is no conversion from other errors: ending an agent is a decision,
/// and a `?` on a failed send must not make it by accident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    reason: Detail,
}

impl Failure {
    /// A failure for this reason, cut to 1 KiB.
    #[must_use]
    pub fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: Detail::new(reason.as_ref()) }
    }

    pub(crate) fn into_exit(self) -> ExitReason {
        ExitReason::Failed(self.reason)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

/// What an actor's hook can do.
pub struct Context<'a, A: Actor> {
    pub(crate) effects: &'a Effects<A::Message>,
    /// The question that is being handled, or that the outcome being handled was worked out for.
    pub(crate) question: Option<Arc<Question>>,
    pub(crate) delivery: u32,
    pub(crate) is_stopping: bool,
    pub(crate) wants_rest: bool,
    pub(crate) ledger: Ledger<A>,
}

impl<A: Actor> Context<'_, A> {
    /// The actor's identity.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        self.effects.slot.id()
    }

    /// The actor's own address.
    #[must_use]
    pub fn me(&self) -> AgentRef<A::Message> {
        AgentRef::new(Arc::clone(&self.effects.slot))
    }

    /// Which delivery of the message this is, counted from 1: more than 1 after a crash.
    #[must_use]
    pub fn delivery(&self) -> u32 {
        self.delivery
    }

    /// Which life of the actor this is, counted from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.effects.generation
    }

    /// When the question that is being handled has to be answered: the deadline of whoever asked, also
    /// while an outcome of work for that question is handled. `None` when nobody waits for an answer, or
    /// it was given.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.origin().deadline()
    }

    /// What the work that this hook starts inherits, for asks inside an effect:
    /// [`AgentRef::ask_from`](crate::AgentRef::ask_from).
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin::new(self.question.clone(), Here::of(&self.effects.slot))
    }

    /// Ends the incarnation in an orderly way once the hook has returned and what it recorded is stored.
    pub fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Unloads a virtual actor as soon as nothing waits in its mailbox and nothing is under way, without
    /// the time that it would be left idle. An actor of another kind is not unloaded.
    pub fn passivate(&mut self) {
        self.wants_rest = true;
    }

    /// Starts work that the hook does not wait for. Its outcome comes back as a message, in the lane that
    /// a full mailbox does not block.
    ///
    /// The work ends with the incarnation. When the message being handled is an ask, it has no more time
    /// than the ask has left, and ends with [`EffectError::Cancelled`] when the asker goes away; see
    /// [`Origin`]. A panic in it is an outcome, not a crash.
    pub fn effect<T, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        work: F,
        into_message: impl FnOnce(Result<T, EffectError>) -> A::Message + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.effects.run(name, deadline, self.tie(), work, into_message);
    }

    /// Starts work that outlives its asker: only the end of the incarnation cancels it, and only its own
    /// deadline bounds it.
    pub fn shielded<T, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        work: F,
        into_message: impl FnOnce(Result<T, EffectError>) -> A::Message + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.effects.run(name, deadline, Tie::Free, work, into_message);
    }

    /// Starts work that a token of the actor's own can cancel, with [`EffectError::Cancelled`].
    pub fn cancellable<T, F>(
        &self,
        name: &'static str,
        deadline: Duration,
        token: CancellationToken,
        work: F,
        into_message: impl FnOnce(Result<T, EffectError>) -> A::Message + Send + 'static,
    ) where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.effects.run(name, deadline, Tie::Token(token), work, into_message);
    }

    /// Runs a blocking function on a thread of its own. At the deadline the outcome is
    /// [`EffectError::TimedOut`], although the thread cannot be stopped and runs to its end: it keeps its place
    /// among tokio's blocking threads, of which there are 512 by default, and further work waits for one.
    pub fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
        into_message: impl FnOnce(Result<T, EffectError>) -> A::Message + Send + 'static,
    ) {
        let tasks = self.effects.tasks.clone();
        let joined = async move { effect::joined(tasks.spawn_blocking(name, work)).await };
        self.effects.run(name, deadline, self.tie(), joined, |outcome| {
            into_message(outcome.and_then(|joined| joined))
        });
    }

    /// Sends another agent a message and gets its answer as a message.
    ///
    /// When the message being handled is an ask, this one has no more time than it has left, and is
    /// withdrawn when its asker goes away. In debug builds, an ask that closes a cycle of agents which wait
    /// for each other is answered with [`AskError::Cycle`] at once.
    pub fn ask<M, R>(
        &self,
        to: &AgentRef<M>,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M + Send + 'static,
        into_message: impl FnOnce(Result<R, AskError>) -> A::Message + Send + 'static,
    ) where
        M: Send + 'static,
        R: Send + 'static,
    {
        let (to, origin) = (to.clone(), self.origin());
        let deadline = origin.within(deadline);
        let answer = async move { to.ask_from(&origin, deadline, build).await };
        // The ask has its own deadline; the effect's is only a second bound behind it.
        let bound = deadline.saturating_add(Duration::from_secs(1));
        self.effects.run("ask", bound, self.tie(), answer, |outcome| {
            into_message(outcome.unwrap_or_else(|error| Err(error.into())))
        });
    }

    fn tie(&self) -> Tie {
        Tie::Origin(self.origin())
    }

    /// Sends the actor itself a message after a delay, unless the incarnation ends before.
    pub fn after(&self, delay: Duration, message: A::Message) {
        self.effects.after(delay, message);
    }

    /// Watches another agent: its end for good comes back as a message, in the lane that a full mailbox
    /// does not block. An agent that has ended already is told of at once; a restart is not told.
    ///
    /// | | |
    /// |---|---|
    /// | the agent ends | one notice for each watch |
    /// | the agent restarts | none |
    /// | the watch is taken off | none, even when one waits in the mailbox |
    /// | this incarnation ends | none: the next one watches nobody until it does so again |
    ///
    /// The notice may overtake messages that the agent had sent before its end. At most 65,536 watches may
    /// be on; an incarnation that wants more fails.
    pub fn watch<M: Send + 'static>(
        &self,
        agent: &AgentRef<M>,
        into_message: impl FnOnce(Down) -> A::Message + Send + 'static,
    ) -> WatchId {
        self.effects.watch(&agent.mortal(), into_message).unwrap_or_else(|| {
            self.effects.has_overrun.store(true, Ordering::Relaxed);
            WatchId::FIRST
        })
    }

    /// Takes a watch off: no notice of it is handled from now on. One that is off already stays so.
    pub fn unwatch(&self, watch: WatchId) {
        self.effects.slot.unwatch(watch);
    }

    /// Says what the actor is doing, for those who look at it; see
    /// [`AgentInfo::step`](crate::AgentInfo::step).
    pub fn set_step(&self, step: &str) {
        self.effects.slot.set_step(Some(step.into()));
    }

    /// A handle with which an effect says that it makes progress, for the
    /// [watchdog](crate::RuntimeBuilder::watchdog).
    #[must_use]
    pub fn progress(&self) -> Progress {
        let slot: Arc<dyn AnySlot> = Arc::clone(&self.effects.slot) as _;
        Progress { slot: Arc::downgrade(&slot) }
    }

    /// Declares that no progress is expected for this long: the watchdog does not take the agent for stuck
    /// before. It replaces a protection that is on, so zero ends one.
    pub fn protect(&self, span: Duration) {
        self.effects.slot.protect(span);
    }

    /// The token that is cancelled when the incarnation ends, for work that is handed elsewhere.
    #[must_use]
    pub fn cancellation(&self) -> CancellationToken {
        self.effects.token.child_token()
    }
}

/// Says that an agent makes progress, from within an effect of its own. Cheap to clone; it keeps no agent.
#[derive(Clone)]
pub struct Progress {
    slot: Weak<dyn AnySlot>,
}

impl Progress {
    /// There was progress, such as another piece of a long answer.
    pub fn made(&self) {
        if let Some(slot) = self.slot.upgrade() {
            slot.tick();
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}

impl<A: Actor> fmt::Debug for Context<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("id", self.id()).finish_non_exhaustive()
    }
}
