//! Messages that nobody handled: which, why, and the messages themselves, to be sent again.

pub(crate) mod ring;

use std::fmt;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;
use greenroom_core::time::Timestamp;

/// A message that was not handled.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number among the dead letters of its runtime, counted from 1.
    pub number: u64,
    /// The agent it was for.
    pub to: AgentId,
    /// The type of the message.
    pub message_type: &'static str,
    /// Why it was not handled.
    pub reason: DeadReason,
    /// When it was given up, by the runtime's clock.
    pub at: Timestamp,
    /// How often it had been delivered.
    pub n_deliveries: u32,
    /// Whether somebody waited for an answer. They were told why there is none.
    pub is_ask: bool,
    /// Whether the message itself is kept, so that it can be sent again:
    /// [`AgentRef::redeliver`](crate::AgentRef::redeliver).
    pub is_kept: bool,
}

/// Why a message was not handled.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeadReason {
    /// It crashed its agent as often as the mailbox allows.
    Poison {
        /// How the last delivery ended.
        cause: ExitReason,
    },
    /// Its deadline passed while it waited.
    Expired,
    /// Whoever asked has gone.
    Cancelled,
    /// The mailbox was full, and its policy drops the oldest.
    Displaced,
    /// The agent stopped for good.
    Stopped,
    /// The virtual actor could not be started.
    NotStarted {
        /// Why the last start failed.
        cause: ExitReason,
    },
}

impl DeadReason {
    /// The reason as one word, for counters.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Poison { .. } => "poison",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Displaced => "displaced",
            Self::Stopped => "stopped",
            Self::NotStarted { .. } => "not started",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poison { cause } => write!(f, "it crashed its agent: {cause}"),
            Self::Expired => f.write_str("its deadline passed in the mailbox"),
            Self::Cancelled => f.write_str("whoever asked has gone"),
            Self::Displaced => f.write_str("the mailbox was full"),
            Self::Stopped => f.write_str("the agent has stopped"),
            Self::NotStarted { cause } => write!(f, "the agent did not start: {cause}"),
        }
    }
}
