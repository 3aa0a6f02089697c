//! What a durable supervisor has counted before, and what it counts for those that come after it.

use std::time::Duration;

use super::Machine;
use crate::ids::AgentId;
use crate::supervision::{ChildKey, Command, Counted, ExitReason};

impl Machine {
    /// Takes over what was counted before. A supervisor that has returned too often ends at once.
    pub(super) fn recall(&mut self, past: Vec<(Counted, Duration)>, returned: Option<AgentId>) {
        for (Counted { child, is_own, .. }, ago) in past {
            if is_own {
                self.past_of_children.entry(child).or_default().push(ago.saturating_sub(self.now));
            } else {
                self.window.recall(self.now, ago);
            }
        }
        for key in self.table.keys_from(ChildKey(0)) {
            self.recall_child(key);
        }
        if let Some(child) = returned.filter(|_| self.window.is_exceeded()) {
            self.close(ExitReason::IntensityExceeded { child });
        }
    }

    /// Gives a child back what was counted of one of its name, against a limit of its own.
    pub(super) fn recall_child(&mut self, key: ChildKey) {
        if self.past_of_children.is_empty() {
            return;
        }
        let Some(child) = self.table.get(key) else { return };
        let (now, past) = (self.now, self.past_of_children.remove(&child.spec.id));
        self.table.edit(key, |child| {
            let Some(window) = &mut child.window else { return };
            let ages = past.into_iter().flatten();
            ages.for_each(|ago| window.recall(now, ago.saturating_add(now)));
        });
    }

    /// Says that a restart was counted, before anything follows from it.
    pub(super) fn count(&mut self, key: ChildKey, is_own: bool) {
        if !self.spec.durable {
            return;
        }
        let Some(child) = self.table.get(key) else { return };
        let limit = child.spec.intensity.filter(|_| is_own).unwrap_or(self.spec.intensity);
        let (child, period) = (child.spec.id.clone(), limit.period);
        self.out.push(Command::Count(Counted { child, is_own, period }));
    }
}
