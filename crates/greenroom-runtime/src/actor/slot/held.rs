//! Messages that stay in flight after their handlers have returned, until what they recorded is stored.

use greenroom_core::mailbox::{Lease, Ticket};
use greenroom_core::supervision::ExitReason;

use super::Slot;
use crate::actor::dead_letters::DeadReason;
use crate::actor::envelope::Envelope;

impl<M: Send + 'static> Slot<M> {
    /// Keeps a message in flight.
    pub(crate) fn hold(&self, lease: Lease<Envelope<M>>) -> Ticket {
        self.lock().mailbox.hold(lease)
    }

    /// The events of these messages are about to be appended, the first of them at this place.
    pub(crate) fn intend(&self, tickets: impl Iterator<Item = Ticket>, seq: u64) {
        self.lock().mailbox.intend(tickets, seq);
    }

    /// The stream of the incarnation that begins is this long.
    pub(crate) fn recovered(&self, n_stored: u64) {
        self.lock().mailbox.recovered(n_stored);
    }

    /// A message that was kept in flight is handled.
    pub(crate) fn done_held(&self, ticket: Ticket) {
        let envelope = {
            let mut inner = self.lock();
            let envelope = inner.mailbox.done_held(ticket);
            if !inner.mailbox.holds() {
                inner.vitals.in_flight = None;
            }
            envelope
        };
        drop(envelope);
    }

    /// The incarnation crashed while messages were kept in flight.
    pub(crate) fn crashed_held(&self, generation: u64, cause: &ExitReason) {
        let quarantined = {
            let mut inner = self.lock();
            if inner.generation == generation { inner.mailbox.give_back(true) } else { Vec::new() }
        };
        for envelope in quarantined {
            self.bury(envelope, DeadReason::Poison { cause: cause.clone() });
        }
    }
}
