//! Runs: what is shared by the agents of one, and the handle that its owner holds.

pub(crate) mod account;
pub(crate) mod closing;
pub(crate) mod control;
pub(crate) mod door;
pub(crate) mod dozing;
pub(crate) mod ending;
pub(crate) mod events;
pub(crate) mod live;
pub(crate) mod sleep;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use greenroom_core::budget::{Budget, Ledger, Spent, Usage};
use greenroom_core::ids::{AgentId, RunId, StreamId};
use greenroom_core::journal::Event;
use greenroom_core::recovery::Footprint;
use greenroom_core::report::Goal;
use greenroom_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::turn::TurnMessage;
use crate::inspect::{AgentInfo, AgentState};
use crate::run::account::Account;
use crate::run::closing::parked;
use crate::run::door::Door;
use crate::run::ending::Ending;
use crate::run::events::{Emitter, RunEvent, RunEvents};
use crate::run::live::{Control, LiveRun, Pace, Place};
use crate::runtime::error::RunError;
use crate::runtime::{Runtime, WeakRuntime};

/// What the agents of a run share. `O` is what comes of it.
pub(crate) struct RunShared<O> {
    pub(crate) id: RunId,
    pub(crate) account: Arc<Account>,
    pub(crate) events: Emitter,
    /// The most passages that one search of the run may return.
    pub(crate) top_k: usize,
    agents: Mutex<Vec<Arc<dyn AnySlot>>>,
    /// The agents that write streams of tasks.
    turns: Mutex<BTreeMap<StreamId, AgentRef<TurnMessage>>>,
    pub(crate) door: Arc<Door>,
    outcome: OnceLock<O>,
    over: CancellationToken,
    pub(crate) pace: Pace,
    /// Set once the run's own actor can be told things.
    controls: Mutex<Option<Controls>>,
    is_closing: AtomicBool,
    /// The run's place among the runs of the runtime, given up when it is over. It does not count while the
    /// run sleeps.
    place: Mutex<Option<Place>>,
}

type Controls = Arc<dyn Fn(Control) -> bool + Send + Sync>;

impl<O: Clone + Send + Sync + 'static> RunShared<O> {
    pub(crate) fn new(id: RunId, ledger: Ledger, events: Emitter, top_k: usize) -> Self {
        Self {
            id,
            account: Arc::new(Account::new(ledger)),
            events,
            top_k,
            agents: Mutex::new(Vec::new()),
            turns: Mutex::default(),
            door: Arc::default(),
            outcome: OnceLock::new(),
            over: CancellationToken::new(),
            pace: Pace::default(),
            controls: Mutex::default(),
            is_closing: AtomicBool::new(false),
            place: Mutex::default(),
        }
    }

    /// A run that takes a place, and is shown there.
    pub(crate) fn open(place: Place, ledger: Ledger, events: Emitter, top_k: usize) -> Arc<Self>
    where
        O: Ending,
    {
        let shared = Self::placed(place, ledger, events, top_k);
        shared.show();
        shared
    }

    /// A run that goes on from what its streams say. Nobody finds it before it is [shown](Self::show).
    pub(crate) fn reopen(place: Place, seen: &Footprint) -> Arc<Self> {
        let (ledger, top_k) = (Ledger::new(seen.budget(), seen.spent()), seen.top_k());
        let top_k = top_k.unwrap_or(Goal::TOP_K);
        let shared = Self::placed(place, ledger, Emitter::watched(), top_k);
        shared.door.pause(seen.is_paused());
        shared
    }

    fn placed(place: Place, ledger: Ledger, events: Emitter, top_k: usize) -> Arc<Self> {
        let (pace, place_of) = (place.pace(), Self::new(place.run(), ledger, events, top_k));
        Arc::new(Self { pace, place: Mutex::new(Some(place)), ..place_of })
    }

    /// Makes the run known to the others of its runtime.
    pub(crate) fn show(self: &Arc<Self>)
    where
        O: Ending,
    {
        if let Some(place) = &*self.lock_place() {
            place.show(Arc::clone(self) as Arc<dyn LiveRun>);
        }
    }

    /// A run that is over.
    pub(crate) fn ended(id: RunId, outcome: O) -> Arc<Self> {
        let ledger = Ledger::new(Budget::default(), Usage::default());
        let shared = Self::new(id, ledger, Emitter::default(), 0);
        shared.finish(outcome);
        Arc::new(shared)
    }

    /// Ends the run; the first outcome counts.
    pub(crate) fn finish(&self, outcome: O) {
        let _ = self.outcome.set(outcome);
        self.over.cancel();
        self.pace.moved.cancel();
        self.abandon();
    }

    /// Gives the run's place up, also without an outcome: when it could not be started.
    pub(crate) fn abandon(&self) {
        let place = self.lock_place().take();
        drop(place);
    }

    /// Says how the run's own actor is told things.
    pub(crate) fn controlled_by(&self, controls: impl Fn(Control) -> bool + Send + Sync + 'static) {
        *self.lock_controls() = Some(Arc::new(controls));
    }

    /// Tells the run's own actor, or ends a run that has none. One that is about to be started, or stopped,
    /// is not told: so a cancellation is noted in the door first.
    fn tell(&self, control: Control) -> bool {
        if matches!(control, Control::Cancel)
            && let Some(runtime) = self.door.cancel()
        {
            return sleep::cancel(&runtime, self.id);
        }
        let controls = self.lock_controls().clone();
        controls.is_some_and(|controls| controls(control))
    }

    /// Whether whoever asks is the one to close the run: it has no outcome, and nobody asked before.
    pub(crate) fn begins_to_close(&self) -> bool {
        !self.is_over() && !self.is_closing.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Makes an agent of the run known. A second one of the same id is a repeated assignment that found
    /// the first one at work.
    pub(crate) fn add_agent(&self, slot: Arc<dyn AnySlot>) {
        let mut agents = self.lock_agents();
        let id = slot.info().id;
        if agents.iter().all(|known| known.info().id != id) {
            agents.push(slot);
        }
    }

    /// Makes the agent known that writes a stream from now on.
    pub(crate) fn add_turn(&self, stream: StreamId, agent: AgentRef<TurnMessage>) {
        let mut turns = self.lock_turns();
        // A repeated assignment found the first one at work, and this one will never be.
        if turns.get(&stream).is_none_or(|known| known.id() != agent.id()) {
            turns.insert(stream, agent);
        }
        drop(turns);
        self.door.seated().notify_waiters();
    }

    pub(crate) fn agents(&self) -> Vec<AgentInfo> {
        self.lock_agents().iter().map(|slot| slot.info()).collect()
    }

    pub(crate) fn crash(&self, id: &AgentId) -> bool {
        self.lock_agents().iter().any(|slot| slot.info().id == *id && slot.crash())
    }

    pub(crate) fn emit(&self, event: impl FnOnce() -> RunEvent) {
        self.events.emit(event);
    }

    /// A stream of the run's events that ends with the run; `None` when the run cannot be watched.
    pub(crate) fn subscribe(&self) -> Option<RunEvents> {
        self.events.subscribe(&self.over)
    }

    pub(crate) async fn outcome(&self) -> O {
        self.over.cancelled().await;
        self.outcome.get().cloned().expect("the outcome is set before the run is over")
    }

    fn lock_place(&self) -> MutexGuard<'_, Option<Place>> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_controls(&self) -> MutexGuard<'_, Option<Controls>> {
        self.controls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_turns(&self) -> MutexGuard<'_, BTreeMap<StreamId, AgentRef<TurnMessage>>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_agents(&self) -> MutexGuard<'_, Vec<Arc<dyn AnySlot>>> {
        self.agents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O: Ending> LiveRun for RunShared<O> {
    fn run(&self) -> RunId {
        self.id
    }

    fn door(&self) -> &Arc<Door> {
        &self.door
    }

    fn is_over(&self) -> bool {
        self.is_over()
    }

    fn begins_to_close(&self) -> bool {
        self.begins_to_close()
    }

    fn control(&self, control: Control) -> bool {
        self.tell(control)
    }

    fn turn(&self, stream: &StreamId) -> Option<AgentRef<TurnMessage>> {
        self.lock_turns().get(stream).cloned()
    }

    fn turns(&self) -> Vec<AgentRef<TurnMessage>> {
        self.lock_turns().values().cloned().collect()
    }

    fn at_rest(&self) -> Option<u64> {
        let agents = self.agents().into_iter();
        agents.map(|agent| agent.is_at_rest().then_some(agent.n_admitted)).sum()
    }

    fn lie_down(&self, until: Timestamp, runtime: WeakRuntime) {
        self.door.lie_down(until, runtime);
        self.lock_place().iter_mut().for_each(|place| place.count(false));
        self.lock_turns().clear();
        // Those that were done before are still told of.
        self.lock_agents().retain(|slot| slot.info().state == AgentState::Stopped);
        self.emit(|| RunEvent::Asleep { until });
    }

    fn get_up(&self) {
        self.lock_place().iter_mut().for_each(|place| place.count(true));
        self.door.get_up();
        self.is_closing.store(false, Ordering::Release);
    }

    fn conclude(&self, last: Event) {
        if let Some(outcome) = O::of(last) {
            self.door.get_up();
            self.finish(outcome);
        }
    }

    fn release(&self) {
        self.door.get_up();
        self.finish(O::without_answer(parked()));
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A run that was submitted, or recovered. Dropping the handle does not cancel the run; it is the runtime's.
pub struct Run<O> {
    shared: Arc<RunShared<O>>,
    events: Option<RunEvents>,
}

impl<O: Clone + Send + Sync + 'static> Run<O> {
    /// A handle of a run, with its events from now on.
    pub(crate) fn new(shared: Arc<RunShared<O>>) -> Self {
        let events = shared.subscribe();
        Self { shared, events }
    }

    /// A handle of a run that is at work, or that is over by its root stream, one event of which holds what
    /// came of it.
    pub(crate) async fn attach(runtime: &Runtime, run: RunId) -> Result<Option<Self>, RunError>
    where
        O: Ending,
    {
        if let Some(shared) = runtime.runs().find_of(run) {
            return Ok(Some(Self::new(shared)));
        }
        let stored = runtime.journal().load(&StreamId::root(run)).await;
        let events = stored.map_err(RunError::Journal)?.into_iter().map(|recorded| recorded.event);
        let outcome = events.filter_map(O::of).next();
        Ok(outcome.map(|outcome| Self::new(RunShared::ended(run, outcome))))
    }

    /// Until when the run sleeps because it waits for people, or is paused; `None` when it does not. It wakes
    /// once somebody answers or resumes it, and at that time by itself.
    #[must_use]
    pub fn asleep_until(&self) -> Option<Timestamp> {
        self.shared.door.asleep_until()
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.shared.id
    }

    /// The next event; `None` once the run is over and everything was read, or when the run was
    /// submitted without being watched.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn next_event(&mut self) -> Option<RunEvent> {
        match &mut self.events {
            Some(events) => events.next().await,
            None => None,
        }
    }

    /// Another stream of the run's events, from now on.
    #[must_use]
    pub fn subscribe(&self) -> Option<RunEvents> {
        self.shared.subscribe()
    }

    /// Waits for the outcome. The future does not borrow the handle, so a task of its own can wait.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; it can be called again.
    pub fn outcome(&self) -> impl Future<Output = O> + Send + use<O> {
        let shared = Arc::clone(&self.shared);
        async move { shared.outcome().await }
    }

    /// Cancels the run. Its outcome says so, unless it had one already.
    pub fn cancel(&self) {
        self.shared.tell(Control::Cancel);
    }

    /// The agents that work or have worked for the run alone, in the order of their first start.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentInfo> {
        self.shared.agents()
    }

    /// What each agent has spent on each model so far, in the order of their first calls. It tells of this
    /// process: a run that goes on after the end of another process has spent more than that.
    #[must_use]
    pub fn spending(&self) -> Vec<Spent> {
        self.shared.account.spending()
    }

    /// Makes an agent of the run panic in its next handler. Returns whether there was one to crash.
    #[must_use]
    pub fn crash_on_purpose(&self, agent: &AgentId) -> bool {
        self.shared.crash(agent)
    }
}

impl<O> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.shared.id).finish_non_exhaustive()
    }
}
