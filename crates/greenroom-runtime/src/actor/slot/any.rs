//! A slot for those who do not know what its agent is sent.

use greenroom_core::supervision::ExitReason;

use super::{Slot, Work};
use crate::inspect::AgentInfo;
use crate::watch::Mortal;

/// A slot whose messages are of no interest.
pub(crate) trait AnySlot: Mortal {
    fn info(&self) -> AgentInfo;
    fn crash(&self) -> bool;
    /// What there is to do, if there is something.
    fn work(&self) -> Option<Work>;
    /// The agent's own word that it makes progress.
    fn tick(&self);
    fn fail(&self, generation: u64, reason: ExitReason);
}

impl<M: Send + 'static> AnySlot for Slot<M> {
    fn info(&self) -> AgentInfo {
        Self::info(self)
    }

    fn crash(&self) -> bool {
        Self::crash(self)
    }

    fn work(&self) -> Option<Work> {
        self.lock().work()
    }

    fn tick(&self) {
        self.lock().vitals.tick();
    }

    fn fail(&self, generation: u64, reason: ExitReason) {
        Self::fail(self, generation, reason);
    }
}
