//! What can be seen of a running system.

pub(crate) mod facts;
pub(crate) mod pulses;
pub(crate) mod registry;
mod text;
pub(crate) mod tree;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;
use greenroom_core::timing::Timing;
use tokio::time::Instant;

/// One agent, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AgentInfo {
    /// Its identity.
    pub id: AgentId,
    /// What it is for, for example `research`.
    pub role: Arc<str>,
    /// What it is doing.
    pub state: AgentState,
    /// Which life this is, counted from 1; restarts are one fewer.
    pub generation: u64,
    /// Messages that wait.
    pub n_queued: usize,
    /// The most messages that ever waited at once.
    pub n_queued_max: usize,
    /// Messages that were accepted.
    pub n_admitted: u64,
    /// Messages that were handled.
    pub n_handled: u64,
    /// How long the next message has waited.
    pub head_age: Option<Duration>,
    /// The message that is being handled.
    pub in_flight: Option<InFlight>,
    /// What the agent says it is doing, for example `turn 2: search`.
    pub step: Option<Arc<str>>,
    /// How long its handlers took, over all incarnations. The time of a handler that has just returned is
    /// taken when the next one begins, or none follows.
    pub timing: Timing,
    /// Effects under way.
    pub n_effects: usize,
    /// Timers under way.
    pub n_timers: usize,
    /// How many wait for its end.
    pub n_watchers: usize,
    /// How its last incarnation ended; the one that lives now has not.
    pub last_exit: Option<ExitReason>,
}

impl AgentInfo {
    /// How often the agent was restarted.
    #[must_use]
    pub fn n_restarts(&self) -> u64 {
        self.generation.saturating_sub(1)
    }

    /// Whether it handles nothing, has nothing to handle, and waits for no effect. Timers are not counted:
    /// whatever they are for has not begun.
    pub(crate) fn is_at_rest(&self) -> bool {
        let is_idle = self.n_effects == 0 && self.n_queued == 0 && self.in_flight.is_none();
        self.state == AgentState::Stopped || (self.state == AgentState::Running && is_idle)
    }
}

/// A message that is being handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InFlight {
    /// What it is; see [`Actor::message_name`](crate::Actor::message_name). While the actor starts or
    /// stops, the name of that hook.
    pub message: &'static str,
    /// Which delivery this is, counted from 1; 0 while the actor starts or stops.
    pub delivery: u32,
    /// Since when.
    pub since: Instant,
}

impl InFlight {
    /// How long it has been handled.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }
}

/// What an agent is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgentState {
    /// Its incarnation is being started.
    Starting,
    /// It handles messages, or waits for some.
    Running,
    /// It crashed and is to be started again; messages wait.
    Restarting,
    /// It has stopped for good.
    Stopped,
    /// It was unloaded, and its next message activates it.
    Passive,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopped => "stopped",
            Self::Passive => "passive",
        })
    }
}
