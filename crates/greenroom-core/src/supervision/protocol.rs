//! What goes into the machine and what comes out of it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::AgentId;
use crate::supervision::{AutoShutdown, ChildSpec, Counted, ExitReason, SpecError};

/// One insertion of a child spec. A child that is deleted and added again gets another key, never an
/// old one; keys rise in start order. The children a supervisor starts with have the keys 0, 1, 2, …
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChildKey(pub u64);

/// One incarnation of a child, counted from 1; the number rises with every attempt to start it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Generation(pub u64);

/// A timer that the machine asked for. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimerId(pub u64);

/// A request of the administration, chosen by the caller and answered exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How a request names a child.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// By its name: whoever has it now.
    Id(AgentId),
    /// By its key: this insertion and no later one.
    Key(ChildKey),
}

impl From<AgentId> for Target {
    fn from(id: AgentId) -> Self {
        Self::Id(id)
    }
}

impl From<&str> for Target {
    fn from(id: &str) -> Self {
        Self::Id(id.into())
    }
}

impl From<ChildKey> for Target {
    fn from(key: ChildKey) -> Self {
        Self::Key(key)
    }
}

/// What the machine is told.
///
/// Each [`Command::Spawn`] is answered by at most one `Started` and exactly one of `Ignored`,
/// `StartFailed` and `Exited`, in that order, all with the spawn's generation. Whatever comes with
/// another generation, or twice, is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What a durable supervisor had counted before. It comes first, and to no other supervisor.
    Recalled {
        /// The restarts, each with how long ago it was, the oldest first.
        past: Vec<(Counted, Duration)>,
        /// The supervisor's own name, when its process has died since. That is one of the restarts.
        returned: Option<AgentId>,
    },
    /// The supervisor begins: its initial children are to be started.
    Start,
    /// The child is up.
    Started {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
    },
    /// The child's start declined: there is nothing to run, and that is no failure.
    Ignored {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
    },
    /// The child's start failed, or was aborted: there is nothing left of it.
    StartFailed {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
        /// Why.
        cause: ExitReason,
    },
    /// The child is gone.
    Exited {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
        /// Why.
        reason: ExitReason,
    },
    /// A timer ran out. One that was disarmed in the meantime is ignored.
    TimerFired(TimerId),
    /// A request; answered by [`Command::Reply`].
    Admin {
        /// Its number.
        request: RequestId,
        /// What is wanted.
        admin: Admin,
    },
    /// The supervisor is to stop its children and end. With [`ExitReason::Killed`] they are killed
    /// at once and together, even when an orderly shutdown is under way; otherwise the first
    /// shutdown's reason stands.
    Shutdown {
        /// The reason it ends with.
        reason: ExitReason,
    },
}

/// What can be asked of a running supervisor. The table is at [`crate::supervision`].
#[derive(Debug, Clone, PartialEq)]
pub enum Admin {
    /// Add a child and start it.
    StartChild(ChildSpec),
    /// Stop a child. Its spec stays, unless it is temporary or the supervisor dynamic.
    TerminateChild(Target),
    /// Start a child that is stopped.
    RestartChild(AgentId),
    /// Drop the spec of a child that is stopped.
    DeleteChild(AgentId),
    /// Change whether a child is significant.
    SetSignificant {
        /// The child.
        id: AgentId,
        /// Whether it is to be.
        significant: bool,
    },
    /// Change whether the supervisor stops by itself. Looks at later endings only.
    SetAutoShutdown(AutoShutdown),
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// The initial children are up: the supervisor has started. Given once, and not at all when the
    /// start fails.
    Ready,
    /// A `StartChild` was accepted: what starting the child needs is to be kept under this key.
    Keep {
        /// The child.
        key: ChildKey,
        /// The request that brought it.
        request: RequestId,
    },
    /// No further `Spawn` of this child will come: what starting it needs can be released. Given at
    /// once for temporary children that are up. A live incarnation may remain.
    Forget {
        /// The child.
        key: ChildKey,
    },
    /// A durable supervisor has counted a restart: it is to be stored before anything that follows.
    Count(Counted),
    /// Start an incarnation.
    Spawn {
        /// The child.
        key: ChildKey,
        /// The incarnation.
        generation: Generation,
    },
    /// Cut off a start that has not answered. Confirmed by `StartFailed` or `Exited`; a `Started`
    /// that was already under way may come first.
    AbortSpawn {
        /// The child.
        key: ChildKey,
        /// The incarnation.
        generation: Generation,
    },
    /// Ask an incarnation to end.
    Stop {
        /// The child.
        key: ChildKey,
        /// The incarnation.
        generation: Generation,
    },
    /// End an incarnation without asking.
    Kill {
        /// The child.
        key: ChildKey,
        /// The incarnation.
        generation: Generation,
    },
    /// Send `TimerFired` after this time.
    Arm {
        /// The timer.
        timer: TimerId,
        /// From now.
        after: Duration,
    },
    /// The timer is no longer wanted.
    Disarm(TimerId),
    /// Answer a request.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        reply: Result<Done, AdminError>,
    },
    /// Something worth recording happened.
    Report(SupervisionEvent),
    /// The supervisor ends. Its children are gone, but for those reported as abandoned; no timer is
    /// armed. Nothing but refusals of late requests comes after it.
    Exit(ExitReason),
}

/// What a request achieved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// The child is up.
    Started {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
        /// What its start had to tell besides. The machine knows nothing of it: whoever performs the start
        /// puts it in.
        info: Info,
    },
    /// The child's start declined.
    Ignored,
    /// It is done.
    Done,
}

/// What a start tells whoever asked for it, beside that the child is up: OTP's `{ok, Pid, Info}`. Mostly
/// nothing. Two are equal when they are the same thing.
#[derive(Clone, Default)]
pub struct Info(Option<Arc<dyn Any + Send + Sync>>);

impl Info {
    /// Something to tell.
    #[must_use]
    pub fn new<T: Send + Sync + 'static>(info: T) -> Self {
        Self(Some(Arc::new(info)))
    }

    /// What was told, when there is something and it is of this type.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl PartialEq for Info {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Info {}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Info(…)" } else { "Info" })
    }
}

/// Why a request was refused or failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// There is no such child.
    #[error("no such child")]
    NotFound,
    /// A child of this name is up.
    #[error("a child of this name is running")]
    AlreadyStarted {
        /// The child.
        key: ChildKey,
        /// Its incarnation.
        generation: Generation,
    },
    /// A child of this name exists, but is not up.
    #[error("a child of this name exists")]
    AlreadyPresent,
    /// The child is up.
    #[error("the child is running")]
    Running,
    /// The child is being started, or waits for it.
    #[error("the child is restarting")]
    Restarting,
    /// There is no room for another child.
    #[error("the supervisor has {children_max} children, its maximum")]
    MaxChildren {
        /// How many may be.
        children_max: usize,
    },
    /// A dynamic supervisor keeps no spec of a stopped child that could be restarted or deleted.
    #[error("not for a dynamic supervisor")]
    Dynamic,
    /// The child did not start.
    #[error("the child did not start: {cause}")]
    StartFailed {
        /// Why.
        cause: ExitReason,
    },
    /// The child was stopped before it was up.
    #[error("the child was stopped before it was up")]
    Interrupted,
    /// The child was killed and is still not gone; it cannot be started again until it is.
    #[error("the child does not end")]
    Stuck,
    /// Too many requests wait for this child to be gone.
    #[error("too many requests wait for the child")]
    Busy,
    /// There was no answer in time. What was asked for may still happen.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The supervisor is ending.
    #[error("the supervisor is shutting down")]
    ShuttingDown,
    /// The request does not make sense.
    #[error(transparent)]
    Invalid(#[from] SpecError),
}

/// One fact about one child, for logs, metrics and screens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisionEvent {
    /// The child.
    pub id: AgentId,
    /// The insertion of its spec.
    pub key: ChildKey,
    /// Its latest incarnation.
    pub generation: Generation,
    /// How often it was started again by its supervisor.
    pub n_restarts: u64,
    /// How its last incarnation that has ended did so: why it is restarted, given up or escalated.
    pub last_exit: Option<ExitReason>,
    /// What happened.
    pub fact: Fact,
}

/// What happened to a child.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// It is up.
    Started,
    /// Its start declined.
    Ignored,
    /// It did not start.
    StartFailed {
        /// Why.
        cause: ExitReason,
    },
    /// It is gone.
    Exited {
        /// Why.
        reason: ExitReason,
        /// Whether its supervisor had asked for it.
        asked: bool,
    },
    /// It failed, and will be started again; so will those that the strategy ties to it.
    Restarting {
        /// After this wait, which begins once those are stopped.
        after: Duration,
    },
    /// It did not end in time when asked to, and was killed.
    Overran,
    /// It was killed, and was not gone in time. It is no longer waited for.
    Abandoned,
    /// It failed more often than its own limit allows, and is dropped.
    GivenUp,
    /// It is why the supervisor ends: it failed too often, or could not be stopped.
    Escalated,
    /// It was significant, and its end stops the supervisor.
    AutoShutdown,
}
