//! The seam for faults on purpose: what is about to happen, and what is to go wrong with it.
//!
//! It injects nothing itself. The runtime asks before it starts an incarnation, hands a message to a
//! handler, or passes an answer on, and does to it what it is told. A runtime that was given no [`Faults`]
//! does not ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::AgentId;

/// Decides what goes wrong, and when.
///
/// # Contract
///
/// It is asked on the runtime's own threads, so it answers at once, and it does not panic. An answer that
/// depends on nothing but a seed and on how often the same agent has come to the same point makes a test
/// that fails reproducible, however the threads were scheduled.
pub trait Faults: Send + Sync + 'static {
    /// What is to go wrong with what is about to happen; `None` lets it happen.
    fn strike(&self, point: &Point<'_>) -> Option<Fault>;
}

const _: fn(&dyn Faults) = |_| {};

impl<F: Faults + ?Sized> Faults for Arc<F> {
    fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        (**self).strike(point)
    }
}

/// What is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point<'a> {
    /// An incarnation of an agent is being started.
    Start {
        /// The agent.
        agent: &'a AgentId,
        /// Which life it will be, counted from 1.
        generation: u64,
    },
    /// A message is about to be given to an agent's handler.
    Message {
        /// The agent.
        agent: &'a AgentId,
        /// Which delivery of this message it is, counted from 1: more than 1 after a crash.
        delivery: u32,
    },
    /// An agent's answer is on its way to the asker.
    Reply {
        /// The agent that answered.
        agent: &'a AgentId,
    },
}

impl<'a> Point<'a> {
    /// The agent that it happens to.
    #[must_use]
    pub fn agent(&self) -> &'a AgentId {
        match self {
            Self::Start { agent, .. } | Self::Message { agent, .. } | Self::Reply { agent } => {
                agent
            }
        }
    }
}

/// What goes wrong.
///
/// | fault | at a start | at a message | at a reply |
/// |---|---|---|---|
/// | `Panic` | the start panics | the handler panics on it | as `Fail` |
/// | `Fail` | the start fails | the handler fails on it | the asker is told at once that none comes |
/// | `Delay` | it takes so much longer | the incarnation does nothing for so long, then handles it | it is late |
/// | `Hang` | it never completes | the incarnation does nothing more until it is killed | it is lost: the asker waits until its deadline |
///
/// An incarnation that hangs ends like any that does not stop: its supervisor kills it once its shutdown
/// time is over, and the message counts as one that the incarnation crashed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It panics.
    Panic,
    /// It fails with an error.
    Fail,
    /// It goes on after this time.
    Delay(Duration),
    /// It does not go on.
    Hang,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panic => f.write_str("panic"),
            Self::Fail => f.write_str("failure"),
            Self::Delay(span) => write!(f, "delay of {span:?}"),
            Self::Hang => f.write_str("hang"),
        }
    }
}

/// The text of every panic and failure that is injected, so that a log or a test can tell them from others.
pub const INJECTED: &str = "a fault was injected";
