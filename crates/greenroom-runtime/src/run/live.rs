//! The runs that are at work in a runtime, by id.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, JournalErrorKind};
use greenroom_core::recovery::Nap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::actor::address::AgentRef;
use crate::agents::turn::TurnMessage;
use crate::run::RunShared;
use crate::run::door::Door;
use crate::runtime::WeakRuntime;

/// What a run is told from outside.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    Cancel,
    Pause(bool),
}

/// How a run gets on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace {
    /// Cancelled once the run has got further than it was when this process took it.
    pub(crate) moved: CancellationToken,
    /// Cancelled once no run begins anything any more.
    pub(crate) parking: CancellationToken,
    /// Whether the journal refused what was appended last.
    pub(crate) is_refused: Arc<AtomicBool>,
    /// Why the journal does not do what the run asks of it, since it did so last.
    refusal: Arc<Mutex<Option<JournalErrorKind>>>,
}

impl Pace {
    /// The journal did, or did not do, what the run asked of it.
    pub(crate) fn journal_did(&self, refusal: Option<JournalErrorKind>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    pub(crate) fn refusal(&self) -> Option<JournalErrorKind> {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run at work, whatever comes of it.
pub(crate) trait LiveRun: Send + Sync + 'static {
    fn run(&self) -> RunId;
    fn door(&self) -> &Arc<Door>;
    fn is_over(&self) -> bool;
    /// Tells the run's router, or its only agent. Whether it has been told says nothing of what it does.
    fn control(&self, control: Control) -> bool;
    /// The agent that writes a stream, when there was one.
    fn turn(&self, stream: &StreamId) -> Option<AgentRef<TurnMessage>>;
    /// All such agents, some of which may have ended.
    fn turns(&self) -> Vec<AgentRef<TurnMessage>>;
    /// How many messages its agents have taken in all; `None` while one of them has something under way.
    fn at_rest(&self) -> Option<u64>;
    /// Notes that the run sleeps, and forgets the agents that are stopped for it.
    fn lie_down(&self, nap: Nap, runtime: WeakRuntime);
    /// Notes that the run does not sleep any more.
    fn get_up(&self);
    /// Ends the run with what its last event says.
    fn conclude(&self, last: Event);
    /// Ends the run for whoever waits for it here: it is left to the next process.
    fn release(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// Room for runs, and those that have taken it.
pub(crate) struct LiveRuns {
    room: Arc<Semaphore>,
    /// Cancelled once no run is accepted any more.
    pub(crate) draining: CancellationToken,
    /// Cancelled once no run begins anything any more.
    pub(crate) parking: CancellationToken,
    /// Whether the journal refused what was appended last, by a run or to begin one.
    pub(crate) is_refused: Arc<AtomicBool>,
    /// A place that is taken and has no run yet is one that is being started.
    places: Mutex<HashMap<RunId, Option<Arc<dyn LiveRun>>>>,
}

impl LiveRuns {
    pub(crate) fn new(runs_max: usize) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(runs_max.clamp(1, Semaphore::MAX_PERMITS)));
        let (draining, parking) = (CancellationToken::new(), CancellationToken::new());
        let (is_refused, places) = (Arc::default(), Mutex::default());
        Arc::new(Self { room, draining, parking, is_refused, places })
    }

    /// A place for a run; `None` when there is no room.
    pub(crate) fn admit(self: &Arc<Self>, run: RunId) -> Option<Place> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let mut places = self.lock();
        if places.contains_key(&run) {
            return None;
        }
        places.insert(run, None);
        Some(Place { run, runs: Arc::downgrade(self), _permit: permit })
    }

    /// Whether the run is at work here, or is being started.
    pub(crate) fn has(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// The runs that are at work here or are being started, in the order of their ids, with what
    /// [`LiveRun::at_rest`] says of each.
    pub(crate) fn at_rest(&self) -> BTreeMap<RunId, Option<u64>> {
        // Agents are looked at after the lock: whoever drops the last owner of a run takes it.
        let places: Vec<_> = self.lock().iter().map(|(run, live)| (*run, live.clone())).collect();
        places.into_iter().map(|(run, live)| (run, live.and_then(|live| live.at_rest()))).collect()
    }

    /// How many runs are at work here, or are being started.
    pub(crate) fn n_places(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is room for another run.
    pub(crate) fn has_room(&self) -> bool {
        self.room.available_permits() > 0
    }

    /// The run, when it is at work here.
    pub(crate) fn find(&self, run: RunId) -> Option<Arc<dyn LiveRun>> {
        self.lock().get(&run).cloned().flatten()
    }

    /// The run, when it is at work here and this comes of it.
    pub(crate) fn find_of<O: Send + Sync + 'static>(
        &self,
        run: RunId,
    ) -> Option<Arc<RunShared<O>>> {
        self.find(run)?.into_any().downcast().ok()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Option<Arc<dyn LiveRun>>>> {
        // Nothing panics while the lock is held.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's place among the runs of its runtime, given up when it is dropped.
pub(crate) struct Place {
    run: RunId,
    runs: Weak<LiveRuns>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// How the run gets on, from here on.
    pub(crate) fn pace(&self) -> Pace {
        let pace = |runs: Arc<LiveRuns>| {
            let (parking, is_refused) = (runs.parking.clone(), Arc::clone(&runs.is_refused));
            Pace { parking, is_refused, ..Pace::default() }
        };
        self.runs.upgrade().map(pace).unwrap_or_default()
    }

    /// Makes the run known.
    pub(crate) fn show(&self, run: Arc<dyn LiveRun>) {
        if let Some(runs) = self.runs.upgrade() {
            runs.lock().insert(self.run, Some(run));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(runs) = self.runs.upgrade() {
            // What is removed is dropped after the lock: it may be the last owner of a run.
            let removed = runs.lock().remove(&self.run);
            drop(removed);
        }
    }
}
