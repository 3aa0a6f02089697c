//! What can go wrong between a sender and a mailbox.

use std::fmt;
use std::time::Duration;

use greenroom_core::ids::AgentId;

use crate::actor::dead_letters::DeadReason;
use crate::actor::effect::EffectError;

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
    /// The mailbox is full, and its policy does not let the sender wait, or no longer.
    Full,
    /// The agent has stopped for good, or takes nothing new because it is being drained.
    Stopped,
    /// As many virtual actors are live as may be, and none of them makes room.
    Crowded,
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the mailbox is full",
            Self::Stopped => "the agent has stopped",
            Self::Crowded => "as many actors are live as may be",
        })
    }
}

/// Dead letters were sent again, and then the mailbox took no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped after {n_sent} letters: {kind}")]
#[non_exhaustive]
pub struct RedeliverError {
    /// How many were sent.
    pub n_sent: usize,
    /// Why the next one was not. It is a dead letter still, and so are those after it.
    pub kind: SendErrorKind,
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
    /// The question would come back to an agent that waits for its answer. Found in debug builds only.
    #[error("the question would wait for itself: {}", Arrows(path))]
    Cycle {
        /// The agents from the one that waits to itself, each of which asked the next.
        path: Vec<AgentId>,
    },
    /// As many virtual actors are live as may be, and none of them makes room.
    #[error("as many actors are live as may be")]
    Crowded,
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

/// Agents, each of which asked the next.
struct Arrows<'a>(&'a [AgentId]);

impl fmt::Display for Arrows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, id) in self.0.iter().enumerate() {
            write!(f, "{}{id}", if i == 0 { "" } else { " -> " })?;
        }
        Ok(())
    }
}
