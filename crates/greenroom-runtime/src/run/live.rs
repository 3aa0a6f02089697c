//! The runs that are at work in a runtime, by id.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, JournalErrorKind};
use greenroom_core::time::Timestamp;
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
    is_refused: Arc<AtomicBool>,
    /// Why the journal does not do what the run asks of it, since it did so last.
    refusal: Arc<Mutex<Option<JournalErrorKind>>>,
}

impl Pace {
    /// The journal took, or refused, what the run appended.
    pub(crate) fn appended(&self, refusal: Option<JournalErrorKind>) {
        self.refuse(refusal.is_some());
        self.journal_did(refusal);
    }

    /// The journal did, or did not do, what the run asked of it.
    pub(crate) fn journal_did(&self, refusal: Option<JournalErrorKind>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    pub(crate) fn refusal(&self) -> Option<JournalErrorKind> {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether the journal refused what was appended last, by a run or to begin one.
    pub(crate) fn refuse(&self, is_refused: bool) {
        // Written by every append of every run, so it is written only when it changes.
        if self.is_refused() != is_refused {
            self.is_refused.store(is_refused, Ordering::Relaxed);
        }
    }

    /// Whether the journal refused what was appended last.
    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

/// A run at work, whatever comes of it.
pub(crate) trait LiveRun: Send + Sync + 'static {
    fn run(&self) -> RunId;
    fn door(&self) -> &Arc<Door>;
    fn is_over(&self) -> bool;
    /// Whether whoever asks is the one to close the run.
    fn begins_to_close(&self) -> bool;
    /// Tells the run's router, or its only agent. Whether it has been told says nothing of what it does.
    fn control(&self, control: Control) -> bool;
    /// The agent that writes a stream, when there was one.
    fn turn(&self, stream: &StreamId) -> Option<AgentRef<TurnMessage>>;
    /// All such agents, some of which may have ended.
    fn turns(&self) -> Vec<AgentRef<TurnMessage>>;
    /// How many messages its agents have taken in all; `None` while one of them has something under way.
    fn at_rest(&self) -> Option<u64>;
    /// Notes that the run sleeps, forgets the agents that are stopped for it, and gives its place back.
    fn lie_down(&self, until: Timestamp, runtime: WeakRuntime);
    /// Notes that the run does not sleep any more, and takes a place, whether there is one or not.
    fn get_up(&self);
    /// Ends the run with what its last event says.
    fn conclude(&self, last: Event);
    /// Ends the run for whoever waits for it here: it is left to the next process.
    fn release(&self);
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// How many runs may be asleep for each that may be at work. One more keeps its place: what a runtime has in
/// memory is bounded.
const ASLEEP_PER_PLACE: usize = 10;

/// How many runs a runtime has in memory at most, those that wake while there is no room included.
pub(crate) fn known_max(runs_max: usize) -> usize {
    runs_max.max(1).saturating_mul(1 + ASLEEP_PER_PLACE)
}

/// Room for runs, and those that have taken it.
pub(crate) struct LiveRuns {
    runs_max: usize,
    /// Cancelled once no run is accepted any more.
    pub(crate) draining: CancellationToken,
    /// What runs have in common of how they get on.
    pub(crate) pace: Pace,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    /// A place that is taken and has no run yet is one that is being started.
    taken: HashMap<RunId, Option<Arc<dyn LiveRun>>>,
    /// All but those of runs that sleep. Runs that wake may make it more than there is room for.
    n_counted: usize,
}

impl LiveRuns {
    pub(crate) fn new(runs_max: usize) -> Arc<Self> {
        let (draining, pace) = (CancellationToken::new(), Pace::default());
        Arc::new(Self { runs_max: runs_max.max(1), draining, pace, places: Mutex::default() })
    }

    /// A place for a run; `None` when there is no room, or somebody has the run.
    pub(crate) fn admit(self: &Arc<Self>, run: RunId) -> Option<Place> {
        self.take(run, true, |places| places.n_counted < self.runs_max)
    }

    /// A place for a run that sleeps; `None` when too many do, or somebody has the run.
    pub(crate) fn lodge(self: &Arc<Self>, run: RunId) -> Option<Place> {
        self.take(run, false, |places| self.has_bed(places))
    }

    /// Keeps everybody from taking a run while its streams are written to; `None` when somebody has it.
    pub(crate) fn hold(self: &Arc<Self>, run: RunId) -> Option<Place> {
        self.take(run, false, |_| true)
    }

    fn has_bed(&self, places: &Places) -> bool {
        let asleep_max = self.runs_max.saturating_mul(ASLEEP_PER_PLACE);
        places.taken.len() - places.n_counted < asleep_max
    }

    fn take(
        self: &Arc<Self>,
        run: RunId,
        counts: bool,
        has_room: impl FnOnce(&Places) -> bool,
    ) -> Option<Place> {
        let mut places = self.lock();
        if !has_room(&places) || places.taken.contains_key(&run) {
            return None;
        }
        places.n_counted += usize::from(counts);
        places.taken.insert(run, None);
        Some(Place { run, runs: Arc::downgrade(self), counts })
    }

    /// Whether the run is at work here, or is being started.
    pub(crate) fn has(&self, run: RunId) -> bool {
        self.lock().taken.contains_key(&run)
    }

    /// The runs that are at work here or are being started, in the order of their ids, with what
    /// [`LiveRun::at_rest`] says of each.
    pub(crate) fn at_rest(&self) -> BTreeMap<RunId, Option<u64>> {
        // Agents are looked at after the lock: whoever drops the last owner of a run takes it.
        let runs: Vec<_> =
            self.lock().taken.iter().map(|(run, live)| (*run, live.clone())).collect();
        runs.into_iter().map(|(run, live)| (run, live.and_then(|live| live.at_rest()))).collect()
    }

    /// How many runs are at work here or are being started, those that sleep left out.
    pub(crate) fn n_at_work(&self) -> usize {
        self.lock().n_counted
    }

    /// How many runs are here.
    pub(crate) fn n_places(&self) -> usize {
        self.lock().taken.len()
    }

    /// Whether there is room for another run.
    pub(crate) fn has_room(&self) -> bool {
        self.n_at_work() < self.runs_max
    }

    /// The run, when it is at work here.
    pub(crate) fn find(&self, run: RunId) -> Option<Arc<dyn LiveRun>> {
        self.lock().taken.get(&run).cloned().flatten()
    }

    /// The run, when it is at work here and this comes of it.
    pub(crate) fn find_of<O: Send + Sync + 'static>(
        &self,
        run: RunId,
    ) -> Option<Arc<RunShared<O>>> {
        self.find(run)?.into_any().downcast().ok()
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        // Nothing panics while the lock is held.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run's place among the runs of its runtime, given up when it is dropped.
pub(crate) struct Place {
    run: RunId,
    runs: Weak<LiveRuns>,
    /// Whether it takes room.
    counts: bool,
}

impl Place {
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// How the run gets on, from here on.
    pub(crate) fn pace(&self) -> Pace {
        let pace = self.runs.upgrade().map(|runs| runs.pace.clone()).unwrap_or_default();
        Pace { moved: CancellationToken::new(), refusal: Arc::default(), ..pace }
    }

    /// Takes room when the run wakes, whether there is some or not, and gives it back when it sleeps.
    pub(crate) fn count(&mut self, counts: bool) {
        let Some(runs) = self.runs.upgrade() else { return };
        let mut places = runs.lock();
        match (self.counts, counts) {
            (false, true) => places.n_counted += 1,
            (true, false) if runs.has_bed(&places) => places.n_counted -= 1,
            _ => return,
        }
        self.counts = counts;
    }

    /// Makes the run known.
    pub(crate) fn show(&self, run: Arc<dyn LiveRun>) {
        if let Some(runs) = self.runs.upgrade() {
            runs.lock().taken.insert(self.run, Some(run));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(runs) = self.runs.upgrade() {
            // What is removed is dropped after the lock: it may be the last owner of a run.
            let mut places = runs.lock();
            places.n_counted -= usize::from(self.counts);
            let removed = places.taken.remove(&self.run);
            drop(places);
            drop(removed);
        }
    }
}
