//! The door of a run. Whoever tells its agents something passes it, and whoever puts the run to sleep or wakes
//! it holds it meanwhile: so nothing is told to an agent that is about to be stopped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use greenroom_core::ids::StreamId;
use greenroom_core::journal::Event;
use greenroom_core::time::Timestamp;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::runtime::WeakRuntime;

/// Held by whoever is in the door.
pub(crate) type Passage = OwnedMutexGuard<()>;

/// See the module.
#[derive(Default)]
pub(crate) struct Door {
    passage: Arc<tokio::sync::Mutex<()>>,
    inside: Mutex<Inside>,
    /// Rung when an agent is there.
    seated: Notify,
}

#[derive(Default)]
struct Inside {
    /// The agents that do nothing before a person answers, by their streams, with the time at which their
    /// first question expires.
    waiting: BTreeMap<StreamId, Timestamp>,
    /// Until when it sleeps, and where.
    asleep: Option<(Timestamp, WeakRuntime)>,
    /// Whether somebody cancels the run. Whoever starts its actors, or has stopped them, looks.
    is_cancelled: bool,
    /// Whether the run is paused. An agent that begins looks.
    is_paused: bool,
}

impl Door {
    /// Waits for whoever is in the door.
    pub(crate) async fn pass(&self) -> Passage {
        Arc::clone(&self.passage).lock_owned().await
    }

    /// Passes if nobody is in the door.
    pub(crate) fn try_pass(&self) -> Option<Passage> {
        Arc::clone(&self.passage).try_lock_owned().ok()
    }

    /// Notes whether an agent waits for people, and until when.
    pub(crate) fn waits(&self, stream: &StreamId, until: Option<Timestamp>) {
        let mut inside = self.lock();
        match until {
            Some(until) => inside.waiting.insert(stream.clone(), until),
            None => inside.waiting.remove(stream),
        };
    }

    /// Until when an agent waits for people, if it does.
    pub(crate) fn waits_until(&self, stream: &StreamId) -> Option<Timestamp> {
        self.lock().waiting.get(stream).copied()
    }

    /// Whether any agent waits for people.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    /// The run sleeps from here on, in this runtime.
    pub(crate) fn lie_down(&self, until: Timestamp, runtime: WeakRuntime) {
        self.lock().asleep = Some((until, runtime));
    }

    /// The run does not sleep any more, and what its agents wait for they will say again.
    pub(crate) fn get_up(&self) {
        let mut inside = self.lock();
        (inside.waiting, inside.asleep) = (BTreeMap::new(), None);
    }

    /// Notes that somebody cancels the run. The answer is the runtime that it sleeps in, when it does.
    pub(crate) fn cancel(&self) -> Option<WeakRuntime> {
        let mut inside = self.lock();
        inside.is_cancelled = true;
        inside.asleep.as_ref().map(|(_, runtime)| runtime.clone())
    }

    /// Notes whether the run is paused.
    pub(crate) fn pause(&self, is_paused: bool) {
        self.lock().is_paused = is_paused;
    }

    /// Whether the run is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().is_paused
    }

    /// What an agent is to store that is paused or not, when that is not so of its run any more.
    pub(crate) fn pace_of(&self, is_paused: bool) -> Option<Event> {
        match (is_paused, self.is_paused()) {
            (false, true) => Some(Event::WorkPaused),
            (true, false) => Some(Event::WorkResumed),
            _ => None,
        }
    }

    /// Whether somebody cancels the run.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Until when the run sleeps; `None` when it does not.
    pub(crate) fn asleep_until(&self) -> Option<Timestamp> {
        self.lock().asleep.as_ref().map(|(until, _)| *until)
    }

    /// Whether the run sleeps.
    pub(crate) fn is_asleep(&self) -> bool {
        self.asleep_until().is_some()
    }

    /// Rung when an agent has come.
    pub(crate) fn seated(&self) -> &Notify {
        &self.seated
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        // Nothing panics while the lock is held.
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
