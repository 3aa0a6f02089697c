//! Delivery: the messages that an incarnation takes, one after another, and what became of each.

use std::any::type_name;

use greenroom_core::mailbox::{Lease, Redelivery};
use greenroom_core::supervision::ExitReason;
use tokio::time::Instant;

use super::{Inner, Slot};
use crate::actor::dead_letters::DeadReason;
use crate::actor::envelope::Envelope;

impl<M: Send + 'static> Slot<M> {
    /// The message before was handled. Gives the next one that is still wanted, or `None`, after which the
    /// bell must be rung again.
    pub(crate) fn next(
        &self,
        mut before: Option<Lease<Envelope<M>>>,
        takes_work: bool,
    ) -> Option<Lease<Envelope<M>>> {
        loop {
            let mut inner = self.lock();
            let handled = before.take().map(|lease| inner.done(lease));
            let Some(mut lease) = inner.mailbox.lease(takes_work) else {
                inner.is_rung = false;
                inner.vitals.rest(&self.pulse);
                drop(inner);
                drop(handled);
                return None;
            };
            let room = inner.vacate(&mut lease.message);
            let watch = lease.message.watch.map(|id| inner.take_watch(id));
            if let Some(None) = watch {
                // A watch that was taken off wins over its notice, however far that has come.
                let withdrawn = inner.mailbox.discard(lease);
                drop(inner);
                drop((handled, withdrawn));
                continue;
            }
            let now = Instant::now();
            let reason = lease.message.unwanted(now);
            if reason.is_none() {
                lease.message.n_deliveries = lease.delivery;
                inner.vitals.begin_message(now, &self.pulse, type_name::<M>(), lease.delivery);
            }
            drop(inner);
            if let Some(room) = room {
                room.add_permits(1);
            }
            lease.message.effect = None;
            drop(handled);
            match reason {
                None => return Some(lease),
                Some(reason) => self.bury_leased(lease, reason),
            }
        }
    }

    /// The message was handled.
    pub(crate) fn done(&self, lease: Lease<Envelope<M>>) {
        let envelope = self.lock().done(lease);
        drop(envelope);
    }

    /// The incarnation crashed on the message.
    pub(crate) fn crashed(&self, lease: Lease<Envelope<M>>, cause: &ExitReason) {
        let redelivery = {
            let mut inner = self.lock();
            inner.vitals.in_flight = None;
            inner.mailbox.crashed(lease)
        };
        match redelivery {
            Redelivery::Requeued => {}
            Redelivery::Quarantined(envelope) => {
                self.bury(envelope, DeadReason::Poison { cause: cause.clone() });
            }
            Redelivery::Closed(envelope) => self.bury(envelope, DeadReason::Stopped),
        }
    }
}

impl<M> Inner<M> {
    fn done(&mut self, lease: Lease<Envelope<M>>) -> Envelope<M> {
        self.vitals.in_flight = None;
        self.mailbox.done(lease)
    }
}
