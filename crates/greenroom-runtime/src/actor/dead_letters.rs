//! Messages that nobody handled: why, and from which mailbox. A bounded ring, with counters that are not.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;

/// Letters that are kept; older ones only count.
const KEPT_MAX: usize = 256;

/// A message that was not handled.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// The agent it was for.
    pub to: AgentId,
    /// The type of the message.
    pub message_type: &'static str,
    /// Why it was not handled.
    pub reason: DeadReason,
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
        }
    }
}

/// The dead letters of one runtime.
#[derive(Debug, Default)]
pub(crate) struct DeadLetters {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<DeadLetter>,
    counts: BTreeMap<&'static str, u64>,
}

impl DeadLetters {
    pub(crate) fn push(&self, letter: DeadLetter) {
        tracing::warn!(to = %letter.to, message = letter.message_type, reason = %letter.reason,
            "dead letter");
        let mut inner = self.lock();
        *inner.counts.entry(letter.reason.name()).or_default() += 1;
        if inner.kept.len() == KEPT_MAX {
            inner.kept.pop_front();
        }
        inner.kept.push_back(letter);
    }

    pub(crate) fn recent(&self) -> Vec<DeadLetter> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
