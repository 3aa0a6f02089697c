//! The part of a slot that watches and is watched. Most agents do neither and pay a pointer for it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;

use super::{Inner, Slot};
use crate::actor::effect::Effects;
use crate::actor::envelope::Envelope;
use crate::watch::{Down, Ending, Mortal, Watch, WatchId};

/// Watches that an incarnation may have on at once; each can put one notice into its mailbox.
pub(crate) const WATCHES_MAX: usize = 65_536;

/// What a slot knows of watches in both directions.
pub(super) struct Watching {
    pub(super) ending: Ending,
    /// Whom the incarnation watches.
    on: BTreeMap<WatchId, Watch>,
    id_next: WatchId,
}

impl Default for Watching {
    fn default() -> Self {
        Self { ending: Ending::default(), on: BTreeMap::new(), id_next: WatchId::FIRST }
    }
}

impl Watching {
    /// An incarnation begins; gives the watches of the last one, to be dropped outside of the lock.
    pub(super) fn begin(&mut self) -> BTreeMap<WatchId, Watch> {
        self.ending.begin();
        self.take_all()
    }

    pub(super) fn take_all(&mut self) -> BTreeMap<WatchId, Watch> {
        std::mem::take(&mut self.on)
    }
}

impl<M> Inner<M> {
    /// Takes a watch off, to be dropped outside of the lock.
    pub(super) fn take_watch(&mut self, id: WatchId) -> Option<Watch> {
        self.watching.as_mut()?.on.remove(&id)
    }
}

impl<M: Send + 'static> Slot<M> {
    /// The number of a watch to be, unless there are too many.
    fn new_watch(&self) -> Option<WatchId> {
        let mut inner = self.lock();
        let watching = inner.watching.get_or_insert_default();
        let id = watching.id_next;
        watching.id_next = id.next();
        (watching.on.len() < WATCHES_MAX).then_some(id)
    }

    pub(crate) fn unwatch(&self, id: WatchId) {
        let watch = self.lock().take_watch(id);
        drop(watch);
    }

    /// An incarnation has ended, or did not come up: its watches end with it.
    pub(crate) fn exited(&self, reason: &ExitReason) {
        let watches = {
            let mut inner = self.lock();
            let watching = inner.watching.get_or_insert_default();
            watching.ending.exited(reason);
            watching.take_all()
        };
        drop(watches);
    }
}

impl<M: Send + 'static> Mortal for Slot<M> {
    fn id(&self) -> &AgentId {
        &self.id
    }

    fn with_ending(&self, change: &mut dyn FnMut(&mut Ending)) {
        change(&mut self.lock().watching.get_or_insert_default().ending);
    }
}

impl<M: Send + 'static> Effects<M> {
    /// Has the incarnation told of an end by message.
    pub(crate) fn watch(
        &self,
        target: &Arc<dyn Mortal>,
        into_message: impl FnOnce(Down) -> M + Send + 'static,
    ) -> Option<WatchId> {
        let id = self.slot.new_watch()?;
        let (watcher, generation) = (Arc::downgrade(&self.slot), self.generation);
        let (tasks, panics) = (self.tasks.clone(), self.tasks.panics().clone());
        // The message is made in a task of the watcher's: a function that blocks or panics is its own
        // misfortune, and not that of the supervisor that tells of the end.
        let notify = move |down| {
            let work = move || {
                let Some(watcher) = watcher.upgrade() else { return };
                match catch_unwind(AssertUnwindSafe(|| into_message(down))) {
                    Ok(message) => {
                        let notice = Envelope { watch: Some(id), ..Envelope::bare(message) };
                        watcher.send_internal(generation, notice);
                    }
                    Err(payload) => {
                        watcher.fail(generation, ExitReason::Panic(panics.here(&*payload)));
                    }
                }
            };
            tasks.spawn("down", async move { work() });
        };
        let watch = Watch::new(target, Box::new(notify));
        // Nothing is delivered before this hook has returned, so the notice finds its watch.
        self.slot.lock().watching.get_or_insert_default().on.insert(id, watch);
        Some(id)
    }
}
