//! Agents, supervisors and routers as ractor actors.
//!
//! The machines of `greenroom-core` decide; the actors here act. A handler never awaits a model, a tool, a
//! disk or a peer: it starts an effect, and the effect answers with a message.

mod tasks;

mod clock;

mod dead_letters;

mod envelope;

mod slot;

mod address;

mod effect;

mod actor;

mod shell;

mod supervisor;

mod inspect;

mod registry;

mod journalled;

mod events;

mod run;

mod prompts;

mod specialist;

mod agents;

mod agent;

mod team;

mod error;

mod runtime;

pub use actor::{Actor, Context, Failure};
pub use address::{AgentRef, AskError, Reply, SendError, SendErrorKind};
pub use agent::{Agent, AgentBuilder, AgentOutcome};
pub use clock::SystemClock;
pub use dead_letters::{DeadLetter, DeadReason};
pub use effect::EffectError;
pub use error::{RunError, StartError};
pub use events::{RunEvent, RunEvents};
pub use inspect::{AgentInfo, AgentState, InFlight};
pub use run::Run;
pub use runtime::{Runtime, RuntimeBuilder};
pub use specialist::Task;
pub use supervisor::{Ignored, RactorChild, Start, StartFuture, SupervisorRef};
pub use team::{Team, TeamBuilder};

/// What cancels work: see [`Context::cancellation`].
pub use tokio_util::sync::CancellationToken;

/// The actor library underneath, for actors of the user's own.
pub use ractor;

#[cfg(panic = "abort")]
compile_error!(
    "Greenroom restarts agents that panic, which `panic = \"abort\"` makes impossible: \
     one panic would end the process. Remove it from the profile in Cargo.toml."
);
