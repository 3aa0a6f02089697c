//! What becomes of messages that nobody handles.

use super::Slot;
use crate::actor::dead_letters::DeadReason;
use crate::actor::dead_letters::ring::Notice;
use crate::actor::envelope::{Envelope, Kind};
use greenroom_core::mailbox::Lease;

impl<M: Send + 'static> Slot<M> {
    pub(super) fn bury_leased(&self, lease: Lease<Envelope<M>>, reason: DeadReason) {
        let envelope = self.lock().mailbox.discard(lease);
        self.bury(envelope, reason);
    }

    /// Makes a message a dead letter and tells whoever waits for its answer.
    pub(super) fn bury(&self, envelope: Envelope<M>, reason: DeadReason) {
        if let Some(question) = envelope.asked() {
            // The verdict is out before the reply inside the message goes away, and also when it does not.
            question.refuse(reason.clone());
        }
        if self.is_leasing && envelope.asked().is_some() {
            return;
        }
        let Envelope { message, kind, n_deliveries, .. } = envelope;
        let is_ask = kind == Kind::Ask;
        let notice = Notice { to: self.id.clone(), reason, n_deliveries, is_ask };
        // The outcome of an incarnation's work is for no other one.
        let keeps = self.spec.keeps_dead_letters && kind != Kind::Outcome;
        let (kept, dropped) = if keeps { (Some(message), None) } else { (None, Some(message)) };
        drop(dropped);
        self.dead_letters.push(notice, kept);
    }
}
