//! The census: what of one runtime is alive, by name. It keeps nothing alive.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::alive::{Living, LivingKind};
use greenroom_core::ids::AgentId;

/// Tasks and timers have names of the program's own, so there are few, and each has a counter that is never
/// dropped. Actors come and go with their ids, so theirs are.
#[derive(Debug, Default)]
pub(crate) struct Census {
    works: Mutex<BTreeMap<(LivingKind, &'static str), Arc<AtomicUsize>>>,
    actors: Mutex<BTreeMap<(LivingKind, AgentId), usize>>,
}

impl Census {
    /// Counts a piece of work until the answer is dropped.
    pub(crate) fn work(&self, kind: LivingKind, name: &'static str) -> CountedWork {
        let n_alive = Arc::clone(lock(&self.works).entry((kind, name)).or_default());
        n_alive.fetch_add(1, Ordering::Relaxed);
        CountedWork(n_alive)
    }

    /// Counts an actor until the answer is dropped.
    pub(crate) fn actor(self: &Arc<Self>, kind: LivingKind, id: AgentId) -> CountedActor {
        *lock(&self.actors).entry((kind, id.clone())).or_default() += 1;
        CountedActor { census: Arc::clone(self), key: (kind, id) }
    }

    pub(crate) fn alive(&self) -> Vec<Living> {
        let actors = lock(&self.actors);
        let actors = actors.iter().map(|((kind, id), n)| (*kind, id.to_string(), *n));
        let mut alive: Vec<_> = actors.collect();
        let works = lock(&self.works);
        let works = works.iter().map(|((kind, name), n)| (*kind, *name, n.load(Ordering::Relaxed)));
        alive.extend(works.filter(|(_, _, n)| *n > 0).map(|(k, name, n)| (k, name.to_owned(), n)));
        alive.sort();
        alive.into_iter().map(|(kind, name, n)| Living { kind, name, n }).collect()
    }
}

/// A piece of work that is alive.
#[derive(Debug)]
pub(crate) struct CountedWork(Arc<AtomicUsize>);

impl Drop for CountedWork {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An actor that is alive.
#[derive(Debug)]
pub(crate) struct CountedActor {
    census: Arc<Census>,
    key: (LivingKind, AgentId),
}

impl Drop for CountedActor {
    fn drop(&mut self) {
        let mut actors = lock(&self.census.actors);
        if let Some(n) = actors.get_mut(&self.key) {
            *n -= 1;
            if *n == 0 {
                actors.remove(&self.key);
            }
        }
    }
}

/// Nothing panics while one of these locks is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
