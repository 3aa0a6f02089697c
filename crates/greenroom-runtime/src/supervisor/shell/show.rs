//! What a supervisor shows of itself: answers to those who look, and reports of what happens.

use greenroom_core::supervision::{Fact, SupervisionEvent};

use super::State;
use crate::supervisor::Look;

impl State {
    pub(super) fn look(&self) -> Look {
        let overview = self.machine.overview(self.origin.elapsed());
        let subjects = overview
            .children
            .iter()
            .map(|child| self.children.get(&child.info.key).map(|child| child.start.subject()));
        let subjects = subjects.map(Option::unwrap_or_default).collect();
        Look { overview, subjects }
    }

    pub(super) fn report(&self, event: &SupervisionEvent) {
        let SupervisionEvent { id, generation, n_restarts, last_exit, fact, .. } = event;
        let supervisor = self.handle.id();
        match fact {
            Fact::Exited { reason, asked: false } if reason.is_abnormal() => {
                tracing::warn!(%supervisor, child = %id, %generation, n_restarts, %reason, "exited");
            }
            fact => {
                let reason = last_exit.as_ref().map(tracing::field::display);
                tracing::debug!(%supervisor, child = %id, %generation, n_restarts, reason, ?fact,
                    "child");
            }
        }
        (self.observer)(supervisor, event);
    }
}
