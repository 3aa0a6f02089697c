//! Virtual actors: a family of actors known by key, of which only the busy ones are live.
//!
//! [`greenroom_core::directory`] decides who leaves; `family` performs it, and an incarnation's shell says
//! when it has nothing to do.

pub(crate) mod family;
mod start;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::directory::Census;
use greenroom_core::ids::AgentId;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::supervision::{AdminError, Backoff, ChildSpec, Intensity, Restart};
use tokio::time::Instant;

use crate::Runtime;
use crate::actor::address::{AgentRef, AskError, Reply, SendError, SendErrorKind};
use crate::actor::dead_letters::DeadReason;
use crate::inspect::AgentInfo;
use crate::persist::{Persistent, SNAPSHOT_EVERY};
pub(crate) use family::Absent;
use family::Family;

/// How the actors of a family live.
#[derive(Debug, Clone)]
#[must_use]
pub struct VirtualSpec {
    pub(crate) idle_after: Duration,
    pub(crate) live_max: usize,
    pub(crate) at_limit: AtLimit,
    pub(crate) mailbox: MailboxSpec,
    pub(crate) snapshot_every: u64,
    pub(crate) child: ChildSpec,
}

/// What happens to a sender when as many actors are live as may be. One that is idle always makes room;
/// this is about the case that none is.
///
/// | policy | `send`, `ask` | `try_send`, `control` |
/// |---|---|---|
/// | `Wait` | wait until one is; an ask at most until its deadline | are refused |
/// | `Refuse` | are refused | are refused |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AtLimit {
    /// The sender waits.
    #[default]
    Wait,
    /// The sender gets its message back at once.
    Refuse,
}

impl VirtualSpec {
    /// Actors that are unloaded once they had nothing to do for so long; at most 10,000 are live, with the
    /// default mailbox and a snapshot every 100 events.
    pub fn idle_after(idle_after: Duration) -> Self {
        Self {
            idle_after,
            live_max: 10_000,
            at_limit: AtLimit::Wait,
            mailbox: MailboxSpec::default(),
            snapshot_every: SNAPSHOT_EVERY,
            child: ChildSpec::worker("").intensity(Intensity::OF_AN_AGENT),
        }
    }

    /// The most actors that are live at once, at least 1.
    pub fn live_max(mut self, live_max: usize) -> Self {
        self.live_max = live_max.max(1);
        self
    }

    /// What happens when they are and none is idle.
    pub fn at_limit(mut self, at_limit: AtLimit) -> Self {
        self.at_limit = at_limit;
        self
    }

    /// The mailbox of each.
    pub fn mailbox(mut self, mailbox: MailboxSpec) -> Self {
        self.mailbox = mailbox;
        self
    }

    /// Takes a snapshot of each every so many events; see [`PersistentSpec`](crate::PersistentSpec).
    pub fn snapshot_every(mut self, n_events: u64) -> Self {
        self.snapshot_every = n_events;
        self
    }

    /// How long one that crashed waits before it is started again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.child = self.child.backoff(backoff);
        self
    }

    /// How often one may crash before it is given up. Default 30 times in 60 seconds. Its messages are dead
    /// letters then, and the next one activates it anew.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.child = self.child.intensity(intensity);
        self
    }

    /// How one key's actor is supervised.
    pub(crate) fn child_of(&self, id: AgentId) -> ChildSpec {
        let mut child = self.child.clone().restart(Restart::Transient);
        child.id = id;
        child
    }
}

impl Runtime {
    /// Declares a family of actors that are known by key. None of them is started: the first message to a
    /// key is what starts its actor, from `factory` and from what the journal holds of it. One that had
    /// nothing to do for a while is unloaded, and the next message starts it again.
    ///
    /// The actor of key `42` in the family `customer` has the id `customer/42`, which also names its stream
    /// in the journal. At any time at most one incarnation of a key is alive in this runtime.
    ///
    /// | what ends an activation | messages that wait | the next message |
    /// |---|---|---|
    /// | it has nothing to do for `idle_after`, or makes room | there are none | activates it |
    /// | [`Context::passivate`](crate::Context::passivate), once there is nothing to do | there are none | activates it |
    /// | [`Context::stop`](crate::Context::stop) | are handled by the next activation, which begins at once | waits with them |
    /// | it crashes more often than its intensity allows | are dead letters | activates it |
    /// | it cannot be started three times in a row | are dead letters | activates it |
    /// | the runtime shuts down | are dead letters | is refused |
    ///
    /// An actor is unloaded only when nothing waits in its mailbox, nothing is in flight, and it has no
    /// effect, timer or append under way. A [`Reply`] that it keeps for later does not count: keep an
    /// effect or a timer open with it.
    ///
    /// # Errors
    ///
    /// [`AdminError`] when there is a family or an actor of this name, or the runtime stops.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses the address; the family is there all the same.
    pub async fn virtual_actors<A: Persistent>(
        &self,
        kind: &str,
        spec: VirtualSpec,
        factory: impl Fn(&str) -> A + Send + Sync + 'static,
    ) -> Result<VirtualActors<A::Message>, AdminError> {
        let family = family::start::<A>(self, kind, spec, Arc::new(factory)).await?;
        Ok(VirtualActors { family })
    }
}

/// A family of virtual actors. Cheap to clone; see [`Runtime::virtual_actors`].
pub struct VirtualActors<M> {
    family: Arc<Family<M>>,
}

impl<M: Send + 'static> VirtualActors<M> {
    /// The address of the actor of a key: cheap, and valid whether or not it is live.
    #[must_use]
    pub fn get(&self, key: &str) -> VirtualRef<M> {
        VirtualRef { id: self.family.id_of(key), family: Arc::clone(&self.family) }
    }

    /// Sends the actor of a key a message; see [`VirtualRef::send`].
    ///
    /// # Errors
    ///
    /// As [`VirtualRef::send`].
    ///
    /// # Cancel safety
    ///
    /// As [`VirtualRef::send`].
    pub async fn send(&self, key: &str, message: M) -> Result<(), SendError<M>> {
        self.get(key).send(message).await
    }

    /// Asks the actor of a key; see [`VirtualRef::ask`].
    ///
    /// # Errors
    ///
    /// As [`VirtualRef::ask`].
    ///
    /// # Cancel safety
    ///
    /// As [`VirtualRef::ask`].
    pub async fn ask<R: Send + 'static>(
        &self,
        key: &str,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        self.get(key).ask(deadline, build).await
    }

    /// What can be seen of the family now.
    #[must_use]
    pub fn info(&self) -> VirtualInfo {
        let (census, agents) = self.family.survey();
        VirtualInfo { census, agents }
    }
}

impl<M> Clone for VirtualActors<M> {
    fn clone(&self) -> Self {
        Self { family: Arc::clone(&self.family) }
    }
}

impl<M: Send + 'static> fmt::Debug for VirtualActors<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualActors").field(&self.family.kind()).finish()
    }
}

/// A family of virtual actors, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VirtualInfo {
    /// How many there are, and were.
    pub census: Census,
    /// The live ones, in the order of their ids.
    pub agents: Vec<AgentInfo>,
}

/// The address of a virtual actor: cheap to clone, and valid whether or not the actor is live.
pub struct VirtualRef<M> {
    id: AgentId,
    family: Arc<Family<M>>,
}

impl<M: Send + 'static> VirtualRef<M> {
    /// The actor's identity, for example `customer/42`.
    #[must_use]
    pub fn id(&self) -> &AgentId {
        &self.id
    }

    /// The actor's key in its family.
    #[must_use]
    pub fn key(&self) -> &str {
        self.family.key_of(&self.id)
    }

    /// What can be seen of the actor now; `None` when it is not live.
    #[must_use]
    pub fn info(&self) -> Option<AgentInfo> {
        self.family.look(&self.id).map(|slot| slot.info())
    }

    /// Sends a message, activating the actor if it is not live. It waits for room in the mailbox and, when
    /// the family's policy is to wait, among the live actors. The wait has no bound of its own: put one
    /// around it, or ask.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, when the runtime has stopped or a policy refuses.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes sends nothing and drops the message.
    pub async fn send(&self, message: M) -> Result<(), SendError<M>> {
        match self.family.live(&self.id).await {
            Ok(slot) => AgentRef::new(slot).send(message).await,
            Err(absent) => Err(SendError { kind: absent.into(), message }),
        }
    }

    /// Sends a message if the actor is live or can be activated without waiting, and has room for it.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, otherwise.
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        match self.family.live_now(&self.id) {
            Ok(slot) => AgentRef::new(slot).try_send(message),
            Err(absent) => Err(SendError { kind: absent.into(), message }),
        }
    }

    /// Sends a message in the control lane, if the actor is live or can be activated without waiting.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the message, otherwise, and when the control lane is full.
    pub fn control(&self, message: M) -> Result<(), SendError<M>> {
        match self.family.live_now(&self.id) {
            Ok(slot) => AgentRef::new(slot).control(message),
            Err(absent) => Err(SendError { kind: absent.into(), message }),
        }
    }

    /// Asks the actor, activating it if it is not live. The waits for room, here and among the live actors,
    /// count; see [`AgentRef::ask`].
    ///
    /// # Errors
    ///
    /// As [`AgentRef::ask`]; also [`AskError::Crowded`] when no room is made for the actor and the
    /// family's policy is to refuse, and [`AskError::Dead`] with [`DeadReason::NotStarted`] when the actor
    /// cannot be started.
    ///
    /// # Cancel safety
    ///
    /// As [`AgentRef::ask`].
    pub async fn ask<R: Send + 'static>(
        &self,
        deadline: Duration,
        build: impl FnOnce(Reply<R>) -> M,
    ) -> Result<R, AskError> {
        let since = Instant::now();
        let live = tokio::time::timeout(deadline, self.family.live(&self.id)).await;
        let slot = live.map_err(|_| AskError::TimedOut(deadline))??;
        let left = deadline.saturating_sub(since.elapsed());
        let answer = AgentRef::new(slot).ask(left, build).await;
        answer.map_err(|error| match error {
            AskError::TimedOut(_) => AskError::TimedOut(deadline),
            error => error,
        })
    }

    /// Unloads the actor as soon as it has nothing to do. Returns whether it is live and was told; one that
    /// is busy when it hears it stays.
    pub fn passivate(&self) -> bool {
        self.family.look(&self.id).is_some_and(|slot| slot.ask_to_rest())
    }

    /// Makes the actor panic in its next handler; see [`AgentRef::crash_on_purpose`].
    #[must_use]
    pub fn crash_on_purpose(&self) -> bool {
        self.family.look(&self.id).is_some_and(|slot| slot.crash())
    }
}

impl<M> Clone for VirtualRef<M> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), family: Arc::clone(&self.family) }
    }
}

impl<M: Send + 'static> fmt::Debug for VirtualRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualRef").field(&self.id).finish()
    }
}

impl From<Absent> for SendErrorKind {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Crowded => Self::Crowded,
            Absent::Stopped => Self::Stopped,
        }
    }
}

impl From<Absent> for AskError {
    fn from(absent: Absent) -> Self {
        match absent {
            Absent::Crowded => Self::Crowded,
            Absent::Stopped => Self::Dead(DeadReason::Stopped),
        }
    }
}
