//! Draining: a child stops once it has done what it was sent.

use std::time::Duration;

use greenroom_core::supervision::AdminError;

use super::SupervisorRef;
use crate::actor::address::AgentRef;
use crate::inspect::AgentState;

/// How a child was drained. It is stopped in every case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drained {
    /// It had nothing left to do.
    Done,
    /// It had not done everything by the deadline. What waited became dead letters.
    TimedOut {
        /// Messages that waited.
        n_left: usize,
    },
    /// It had stopped for good before, or did so on the way.
    Stopped,
}

impl SupervisorRef {
    /// Stops a child once it has done what it was sent, at the latest at the deadline. Its spec stays,
    /// unless it is temporary or the supervisor dynamic.
    ///
    /// | from the call on | |
    /// |---|---|
    /// | new messages, senders that wait for room | are handed back: [`Stopped`](crate::SendErrorKind::Stopped) |
    /// | control messages, outcomes of its own work | are taken |
    /// | messages that wait | are handled, also by the next incarnation after a crash |
    /// | work under way | is waited for, timers are not |
    /// | the deadline | stops it in an orderly way all the same; what waits becomes dead letters |
    ///
    /// # Errors
    ///
    /// As [`SupervisorRef::terminate_child`]; a child of another supervisor is not found, and goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves a child that takes no new messages: drain it again, or terminate it.
    pub async fn drain_child<M: Send + 'static>(
        &self,
        agent: &AgentRef<M>,
        deadline: Duration,
    ) -> Result<Drained, AdminError> {
        let id = agent.id();
        if !self.which_children().await.iter().any(|child| child.id == *id) {
            return Err(AdminError::NotFound);
        }
        let drained = agent.slot().drain();
        let in_time = tokio::time::timeout(deadline, drained.cancelled()).await;
        let (info, n_left) = (agent.info(), agent.info().n_queued);
        match self.terminate_child(id.clone()).await {
            // A child that was given up meanwhile is not there any more.
            Ok(_) | Err(AdminError::NotFound) => {}
            Err(error) => return Err(error),
        }
        Ok(match in_time {
            _ if info.state == AgentState::Stopped => Drained::Stopped,
            Ok(()) => Drained::Done,
            Err(_) => Drained::TimedOut { n_left },
        })
    }
}
