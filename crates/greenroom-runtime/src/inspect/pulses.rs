//! Pulses: one number for each agent, odd while a hook of it runs, side by side in memory.
//!
//! A thread that looks for blocked hooks reads nothing else, so that a look at a hundred thousand idle
//! agents costs less than locking a few hundred of them. A hook pays one store for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::actor::slot::AnySlot;

/// Pulses that are allocated together.
const CHUNK: usize = 512;

/// Pulses that share a line of the processor's cache.
const PER_LINE: usize = 8;

/// The pulses of one runtime.
#[derive(Default)]
pub(crate) struct Pulses {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    chunks: Vec<Arc<[AtomicU64]>>,
    free: Vec<u32>,
    owners: Vec<Option<Weak<dyn AnySlot>>>,
}

/// The pulse of one agent; it is given back when dropped.
pub(crate) struct Pulse {
    pulses: Arc<Pulses>,
    chunk: Arc<[AtomicU64]>,
    key: u32,
}

impl Pulses {
    pub(crate) fn take(self: &Arc<Self>) -> Pulse {
        let mut inner = self.lock();
        if inner.free.is_empty() {
            inner.grow();
        }
        let key = inner.free.pop().expect("there is room, because it was made");
        let chunk = Arc::clone(&inner.chunks[key as usize / CHUNK]);
        Pulse { pulses: Arc::clone(self), chunk, key }
    }

    /// Makes known whose pulse it is.
    pub(crate) fn own(&self, key: u32, owner: Weak<dyn AnySlot>) {
        self.lock().owners[key as usize] = Some(owner);
    }

    pub(crate) fn owner(&self, key: u32) -> Option<Arc<dyn AnySlot>> {
        self.lock().owners[key as usize].as_ref()?.upgrade()
    }

    /// The pulse of an agent now.
    pub(crate) fn beat(&self, key: u32) -> Option<u64> {
        let inner = self.lock();
        let chunk = inner.chunks.get(key as usize / CHUNK)?;
        Some(chunk[key as usize % CHUNK].load(Ordering::Relaxed))
    }

    /// The pulses of all agents with a hook that runs, as keys and numbers.
    pub(crate) fn running(&self) -> Vec<(u32, u64)> {
        let chunks = self.lock().chunks.clone();
        let mut running = Vec::new();
        for (first, chunk) in (0..).step_by(CHUNK).zip(&chunks) {
            for (i, beat) in (0..).zip(chunk.iter()) {
                let beat = beat.load(Ordering::Relaxed);
                if beat & 1 == 1 {
                    running.push((first + i, beat));
                }
            }
        }
        running
    }

    /// The agents of one chunk; `None` when there is no such chunk.
    pub(crate) fn owners(&self, chunk: usize) -> Option<Vec<(u32, Arc<dyn AnySlot>)>> {
        let inner = self.lock();
        let owners = inner.owners.get(chunk * CHUNK..(chunk + 1) * CHUNK)?;
        let keyed = (chunk as u32 * CHUNK as u32..).zip(owners);
        // The last address of an agent may be among them, and is dropped outside of the lock.
        Some(keyed.filter_map(|(key, owner)| Some((key, owner.as_ref()?.upgrade()?))).collect())
    }

    fn release(&self, key: u32) {
        let mut inner = self.lock();
        inner.chunks[key as usize / CHUNK][key as usize % CHUNK].store(0, Ordering::Relaxed);
        let owner = inner.owners[key as usize].take();
        inner.free.push(key);
        drop(inner);
        drop(owner);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn grow(&mut self) {
        let first = self.owners.len();
        self.chunks.push((0..CHUNK).map(|_| AtomicU64::new(0)).collect());
        self.owners.resize_with(first + CHUNK, || None);
        // Agents that are started one after another are busy together, so their pulses do not share a
        // line while there are others.
        let spread = (0..CHUNK).map(|i| (i * PER_LINE) % CHUNK + (i * PER_LINE) / CHUNK);
        self.free.extend(spread.rev().map(|i| (first + i) as u32));
    }
}

impl Pulse {
    pub(crate) fn set(&self, beat: u64) {
        self.chunk[self.key as usize % CHUNK].store(beat, Ordering::Relaxed);
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.pulses.release(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use greenroom_core::mailbox::MailboxSpec;

    use super::*;
    use crate::actor::slot::{House, Slot};

    fn slot(pulses: &Arc<Pulses>) -> Arc<Slot<()>> {
        let spec = MailboxSpec::default();
        Slot::new("a".into(), "actor".into(), spec, House::alone(Arc::clone(pulses)))
    }

    #[test]
    fn pulses_are_distinct_and_used_again() {
        let pulses = Arc::new(Pulses::default());
        for _ in 0..3 {
            let slots: Vec<_> = (0..CHUNK + 1).map(|_| slot(&pulses)).collect();
            let owners = (0..2).flat_map(|chunk| pulses.owners(chunk).expect("there are two"));
            let keys: BTreeSet<_> = owners.map(|(key, _)| key).collect();
            assert_eq!(keys.len(), slots.len());
            assert!(pulses.owners(2).is_none(), "no more than are needed at once");
            drop(slots);
            assert_eq!(pulses.owners(0).map(|owners| owners.len()), Some(0));
        }
    }

    #[test]
    fn agents_that_are_started_one_after_another_share_no_line() {
        let pulses = Arc::new(Pulses::default());
        let taken: Vec<_> = (0..CHUNK / PER_LINE).map(|_| pulses.take()).collect();
        let lines: BTreeSet<_> = taken.iter().map(|pulse| pulse.key as usize / PER_LINE).collect();
        assert_eq!(lines.len(), taken.len());
    }

    #[test]
    fn whoever_runs_is_seen() {
        let pulses = Arc::new(Pulses::default());
        let (idle, busy) = (pulses.take(), pulses.take());
        busy.set(3);
        idle.set(4);
        assert_eq!(pulses.running(), [(busy.key, 3)]);
        let key = busy.key;
        drop(busy);
        assert_eq!((pulses.running(), pulses.beat(key)), (vec![], Some(0)));
    }
}
