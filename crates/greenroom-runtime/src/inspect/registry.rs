//! The directory of an application's own agents, for those who look at the system.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use dashmap::DashMap;
use greenroom_core::ids::AgentId;

use crate::actor::slot::{AnySlot, Slot};
use crate::inspect::AgentInfo;

/// Agents by id. Guards of the map never cross an await: every use is a single statement.
///
/// It keeps no agent: one whose spec and addresses are gone is forgotten.
#[derive(Default)]
pub(crate) struct Registry {
    slots: DashMap<AgentId, Weak<dyn AnySlot>>,
    /// The size at which the forgotten are swept out; it doubles with what is left.
    sweep_at: AtomicUsize,
}

impl Registry {
    pub(crate) fn add<M: Send + 'static>(&self, slot: &Arc<Slot<M>>) {
        let slot_of_any: Weak<dyn AnySlot> = Arc::downgrade(slot) as Weak<dyn AnySlot>;
        self.slots.insert(slot.id().clone(), slot_of_any);
        if self.slots.len() > self.sweep_at.load(Ordering::Relaxed) {
            self.slots.retain(|_, slot| slot.strong_count() > 0);
            self.sweep_at.store(2 * self.slots.len() + 64, Ordering::Relaxed);
        }
    }

    pub(crate) fn agents(&self) -> Vec<AgentInfo> {
        let known = self.slots.iter().filter_map(|entry| entry.value().upgrade());
        let mut agents: Vec<_> = known.map(|slot| slot.info()).collect();
        agents.sort_by(|left, right| left.id.cmp(&right.id));
        agents
    }
}
