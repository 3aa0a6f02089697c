//! Unloading: an actor that has nothing to do closes its mailbox for good, unless a message came first.

use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::ids::AgentId;

use super::Slot;
use crate::actor::envelope::Signal;
use crate::inspect::AgentState;
use crate::virtual_actors::Absent;

/// Where the next activation of an unloaded actor is found.
pub(crate) trait Home<M>: Send + Sync {
    /// The slot of the live actor of this id, which is activated if need be.
    fn live(self: Arc<Self>, id: AgentId) -> BoxFuture<'static, Result<Arc<Slot<M>>, Absent>>;
}

impl<M: Send + 'static> Slot<M> {
    /// Who knows the next activation.
    pub(crate) fn home(&self) -> Option<&Arc<dyn Home<M>>> {
        self.home.as_ref()
    }

    /// Whether the actor was unloaded. The slot takes no message any more, and has none.
    pub(crate) fn is_passive(&self) -> bool {
        self.lock().state == AgentState::Passive
    }

    /// Whether no message waits or is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        let inner = self.lock();
        inner.mailbox.depth() == 0 && !inner.mailbox.holds() && inner.vitals.in_flight.is_none()
    }

    /// Closes the mailbox if it is empty; who sends after that is refused, and looks for the next
    /// activation. Senders take the same lock, so a message is either here before or there after.
    pub(crate) fn rest(&self) -> bool {
        let mut inner = self.lock();
        if inner.state == AgentState::Passive {
            return true;
        }
        let is_busy =
            inner.mailbox.depth() > 0 || inner.mailbox.holds() || inner.vitals.in_flight.is_some();
        if is_busy || inner.mailbox.is_closed() {
            return false;
        }
        inner.bell = None;
        inner.is_rung = false;
        inner.state = AgentState::Passive;
        inner.step = None;
        inner.permits.close();
        let nothing = inner.mailbox.close();
        drop(inner);
        drop(nothing);
        true
    }

    /// Asks the incarnation to be unloaded if it has nothing to do; false when there is none to ask.
    pub(crate) fn ask_to_rest(&self) -> bool {
        self.lock().bell.as_ref().is_some_and(|bell| bell.cast(Signal::Rest).is_ok())
    }
}
