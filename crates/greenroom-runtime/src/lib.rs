//! Agents, supervisors and routers as ractor actors.
//!
//! The machines of `greenroom-core` decide; the actors here act. A handler never awaits a model, a tool, a
//! disk or a peer: it starts an effect, and the effect answers with a message.

mod actor;
mod supervisor;

mod fan_out;
mod persist;
mod virtual_actors;

mod journalled;

mod pool;

mod agents;

mod recovery;
mod run;
mod team;

mod feed;
mod inspect;
mod panics;
mod watch;
mod watchdog;

mod runtime;

pub use actor::address::{AgentRef, AskError, RedeliverError, Reply, SendError, SendErrorKind};
pub use actor::dead_letters::{DeadLetter, DeadReason};
pub use actor::effect::EffectError;
pub use actor::question::Origin;
pub use actor::{Actor, Context, Failure, Progress};
pub use agents::single::{Agent, AgentBuilder, AgentOutcome};
pub use fan_out::branch::{Branch, BranchError};
pub use fan_out::gathered::Gathered;
pub use feed::{Feed, Told};
pub use inspect::facts::Supervised;
pub use inspect::tree::{Node, NodeState, SupervisorInfo};
pub use inspect::{AgentInfo, AgentState, InFlight};
pub use panics::PanicLocations;
pub use persist::{Persistent, PersistentSpec};
pub use pool::{Job, JobReply, Pool, PoolError, PoolInfo, PoolStartError, PoolWorker, Submit};
pub use recovery::{Recovered, ResumeError};
pub use run::Run;
pub use run::control::ControlError;
pub use run::events::{RunEvent, RunEvents};
pub use runtime::clock::SystemClock;
pub use runtime::error::{RunError, StartError};
pub use runtime::{DrainReport, Health, HealthState, Runtime, RuntimeBuilder};
pub use supervisor::{Drained, Ignored, RactorChild, Start, StartFuture, Subject, SupervisorRef};
pub use team::specialist::Task;
pub use team::{Team, TeamBuilder};
pub use watch::{Down, WatchId};

pub use virtual_actors::{AtLimit, VirtualActors, VirtualInfo, VirtualRef, VirtualSpec};

/// What cancels work: see [`Context::cancellation`].
pub use tokio_util::sync::CancellationToken;

/// The actor library underneath, for actors of the user's own.
pub use ractor;

#[cfg(panic = "abort")]
compile_error!(
    "Greenroom restarts agents that panic, which `panic = \"abort\"` makes impossible: \
     one panic would end the process. Remove it from the profile in Cargo.toml."
);
