//! When an incarnation of a virtual actor has nothing to do, and what follows.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ractor::ActorRef;

use super::{Life, STOPPED_ITSELF, Shell};
use crate::actor::Actor;
use crate::actor::envelope::Signal;

/// Told by the incarnations of a virtual actor what they are up to.
pub(crate) trait Tenancy: Send + Sync {
    /// Nothing waits and nothing is under way.
    fn rested(&self);
    /// There is something to do.
    fn busy(&self);
}

impl<A: Actor> Life<A> {
    /// Whether nothing is under way that ends with the incarnation. Only its own hooks begin such things,
    /// and none of them runs now.
    fn is_quiet(&self) -> bool {
        let n_open = self.effects.n_open.load(Ordering::Acquire);
        n_open + self.effects.n_timers.load(Ordering::Acquire) == 0 && self.is_stored()
    }
}

impl<A: Actor> Shell<A> {
    /// Lets the incarnation live in a family.
    pub(crate) fn let_to(self, tenancy: Arc<dyn Tenancy>) -> Self {
        Self { tenancy: Some(tenancy), ..self }
    }

    /// An incarnation that is given nothing to do says so, too.
    pub(super) fn move_in(&self, myself: &ActorRef<Signal>) {
        if self.tenancy.is_some() {
            // An actor that has just begun takes signals.
            let _ = myself.cast(Signal::Wake);
        }
    }

    /// Unloads the incarnation if that is wanted and it has nothing to do.
    pub(super) fn rest(&self, myself: &ActorRef<Signal>, life: &mut Life<A>, is_asked: bool) {
        let Some(tenancy) = self.tenancy.as_ref().filter(|_| !life.is_stopping) else { return };
        let is_quiet = life.is_quiet() && self.slot.is_empty();
        if is_quiet && (is_asked || life.wants_rest) && self.slot.rest() {
            life.is_stopping = true;
            myself.stop(Some(STOPPED_ITSELF.to_owned()));
        } else if is_quiet {
            life.is_resting = true;
            tenancy.rested();
        } else if is_asked || std::mem::take(&mut life.is_resting) {
            tenancy.busy();
        }
    }
}
