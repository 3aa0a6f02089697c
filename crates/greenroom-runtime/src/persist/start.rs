//! The start of an actor that reads its state first.

use std::sync::Arc;

use greenroom_core::supervision::ExitReason;
use ractor::ActorCell;

use super::Persistence;
use crate::actor::Actor;
use crate::supervisor::{AgentStart, Start, StartFuture};

/// Starts agents whose state is journalled.
pub(crate) struct PersistentStart<A: Actor> {
    agent: AgentStart<A>,
    persistence: Arc<Persistence<A>>,
}

impl<A: Actor> PersistentStart<A> {
    pub(crate) fn new(agent: AgentStart<A>, persistence: Persistence<A>) -> Self {
        Self { agent, persistence: Arc::new(persistence) }
    }
}

impl<A: Actor> Start for PersistentStart<A> {
    fn start(&self, supervisor: ActorCell) -> StartFuture {
        let shell = self.agent.shell().journalled(Arc::clone(&self.persistence));
        shell.start(supervisor)
    }

    fn closed(&self, reason: &ExitReason) {
        self.agent.closed(reason);
    }
}
