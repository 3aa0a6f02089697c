//! What goes wrong on purpose: what a plan strikes, and crashes that are asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use greenroom_core::fault::{Fault, Point};

use super::Slot;
use crate::actor::envelope::Signal;

/// Whether the incarnation is to panic in its next handler.
#[derive(Debug, Default)]
pub(super) struct Crashing(AtomicBool);

impl Crashing {
    /// A new incarnation is not to pay for what was asked of the one before.
    pub(super) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl<M: Send + 'static> Slot<M> {
    /// What is to go wrong with what is about to happen.
    pub(crate) fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        self.faults.as_ref()?.strike(point)
    }

    /// Asks the incarnation to panic in its next handler; false when there is none.
    ///
    /// The flag is up before the bell rings, and is looked at behind each message that is taken: a message
    /// that is sent after this call meets it, also when a batch is under way that heard no bell.
    pub(crate) fn crash(&self) -> bool {
        let inner = self.lock();
        let Some(bell) = &inner.bell else { return false };
        self.crashing.0.store(true, Ordering::Release);
        bell.cast(Signal::Wake).is_ok()
    }

    /// Whether the crash is due now; it is due once.
    pub(crate) fn takes_crash(&self) -> bool {
        self.crashing.0.load(Ordering::Acquire) && self.crashing.0.swap(false, Ordering::AcqRel)
    }
}
