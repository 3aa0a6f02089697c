//! Sleep: a run that waits for nothing but people, or is paused, has no actors. One actor of the runtime knows all that
//! sleep, and wakes those whose questions expire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{AgentId, RunId, StreamId};
use greenroom_core::journal::{Event, JournalError, Recorded};
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::recovery::{Footprint, Nap};
use greenroom_core::supervision::ChildSpec;
use greenroom_core::time::Timestamp;
use tokio::sync::OnceCell;

use crate::actor::address::{AgentRef, Reply};
use crate::actor::{Actor, Context, Failure};
use crate::journalled::Known;
use crate::recovery::{Resuming, Seen};
use crate::run::RunShared;
use crate::run::closing::append_after;
use crate::run::door::Passage;
use crate::run::ending::Ending;
use crate::run::live::LiveRun;
use crate::runtime::error::RunError;
use crate::runtime::{Runtime, WeakRuntime};

/// How long the answer of the actor that knows the sleeping may take, and waking one.
const ASKED_MAX: Duration = Duration::from_secs(60);

/// After how long it is looked again whether a run is to be woken, whatever the clock did meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// When a run is woken that could not be.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Starts the actors of a run again.
pub(crate) type Wakes =
    Arc<dyn Fn(&Runtime, Known) -> BoxFuture<'static, Result<(), RunError>> + Send + Sync>;

/// A run that sleeps. When it is dropped before it is woken, whoever waits for the run is told.
pub(crate) struct Sleeper {
    pub(crate) live: Arc<dyn LiveRun>,
    pub(crate) wakes: Wakes,
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if self.live.door().is_asleep() {
            self.live.release();
        }
    }
}

/// The actor that knows the sleeping, once the first run has fallen asleep.
#[derive(Default)]
pub(crate) struct Dormitory {
    actor: OnceCell<AgentRef<SleepMessage>>,
}

impl Runtime {
    /// Puts a run to sleep: stops what is left of its actors, and keeps it. Whoever puts it to sleep has
    /// [begun to close](LiveRun::begins_to_close) it, and holds its door.
    pub(crate) fn put_to_sleep(&self, until: Timestamp, sleeper: Sleeper, passage: Passage) {
        let (runtime, run) = (self.clone(), sleeper.live.run());
        sleeper.live.lie_down(until, self.downgrade());
        self.tasks().spawn("sleep-run", async move {
            // Its supervisor may have ended already.
            let child = AgentId::new(format!("run-{run}"));
            let _ = runtime.partition(run).terminate_child(child).await;
            let live = Arc::clone(&sleeper.live);
            runtime.keep_asleep(until, sleeper).await;
            drop(passage);
            if live.door().is_cancelled() {
                // Whoever cancelled it told an actor that was stopped. It may have its outcome meanwhile.
                let _ = runtime.cancel(run).await;
            }
        });
    }

    /// Continues a run of another process: it is started, or goes on sleeping.
    pub(crate) fn go_on<O: Ending>(
        &self,
        shared: Arc<RunShared<O>>,
        wakes: Wakes,
        seen: &Seen,
    ) -> Resuming {
        let (runtime, known, moved) = (self.clone(), seen.root.clone(), shared.pace.moved.clone());
        let Some(Nap { until, .. }) = seen.footprint.nap() else {
            shared.show();
            return Box::pin(async move { wakes(&runtime, known).await.map(|()| moved) });
        };
        // It does nothing, so it cannot be what kills the process.
        moved.cancel();
        // Nobody knows it yet, so nobody is in its door; and whoever finds it, finds it asleep.
        let passage = shared.door.try_pass();
        shared.lie_down(until, self.downgrade());
        shared.show();
        let sleeper = Sleeper { live: shared, wakes };
        Box::pin(async move {
            runtime.keep_asleep(until, sleeper).await;
            drop(passage);
            Ok(moved)
        })
    }

    /// Keeps a run that sleeps and has no actors.
    async fn keep_asleep(&self, until: Timestamp, sleeper: Sleeper) {
        if sleeper.live.is_over() {
            sleeper.live.door().get_up();
        } else if let Ok(actor) = self.dormitory().actor.get_or_try_init(|| self.open()).await {
            // A runtime that stops tells those who wait for the run.
            let sleeper = Arc::new(sleeper);
            let _ = actor.send(SleepMessage::Sleep(until, sleeper)).await;
        }
    }

    async fn open(&self) -> Result<AgentRef<SleepMessage>, RunError> {
        let runtime = self.downgrade();
        let child = ChildSpec::worker(AgentId::new("asleep"));
        let factory = move || Sleepers::new(runtime.clone());
        let started = self.resident(child, "asleep", MailboxSpec::default(), factory).await;
        started.map(AgentRef::new).map_err(RunError::Supervisor)
    }

    /// Takes a run away from the sleeping, to wake it or to end it; `None` when somebody was quicker.
    pub(crate) async fn take_sleeper(&self, run: RunId) -> Option<Arc<Sleeper>> {
        let actor = self.dormitory().actor.get()?;
        actor.ask(ASKED_MAX, |reply| SleepMessage::Take(run, reply)).await.ok().flatten()
    }

    /// Stores that a run is awake, if it sleeps by its root stream.
    pub(crate) async fn append_awake(&self, run: RunId) -> Result<(), JournalError> {
        let (journal, root, now) = (self.journal(), StreamId::root(run), self.clock().now());
        let stored = journal.load(&root).await?;
        append_after(&stored, &*journal, &root, now, awake(&stored, now)).await
    }

    /// Starts the actors of a run again that is awake by its stream, and whose door is held.
    pub(crate) async fn wake(&self, run: RunId) {
        if let Some(sleeper) = self.take_sleeper(run).await {
            // Whoever waits for a run that cannot be started is told by what could not start it.
            let _ = sleeper.wake(self).await;
        }
    }
}

/// The event by which a run wakes that sleeps by its root stream.
pub(crate) fn awake(root: &[Recorded], now: Timestamp) -> Option<Event> {
    let nap = Footprint::of_root(root).nap()?;
    Some(Event::RunAwake { slept: now.since(nap.since) })
}

impl Sleeper {
    async fn wake(&self, runtime: &Runtime) -> Result<(), RunError> {
        self.live.get_up();
        let woken = (self.wakes)(runtime, Known::default()).await;
        if woken.is_err() {
            self.live.release();
        }
        woken
    }

    /// Wakes a run whose first question has expired.
    async fn expire(self: Arc<Self>, runtime: Runtime) -> Result<(), JournalError> {
        let _passage = self.live.door().pass().await;
        if self.live.door().is_asleep() {
            runtime.append_awake(self.live.run()).await?;
            let _ = self.wake(&runtime).await;
        }
        Ok(())
    }
}

/// Cancels a run that has no actor to be told.
pub(crate) fn cancel(runtime: &WeakRuntime, run: RunId) -> bool {
    let Some(runtime) = runtime.upgrade() else { return false };
    let tasks = runtime.tasks().clone();
    tasks.spawn("cancel-run", async move {
        // It may have its outcome meanwhile.
        let _ = runtime.cancel(run).await;
    });
    true
}

pub(crate) enum SleepMessage {
    Sleep(Timestamp, Arc<Sleeper>),
    /// Somebody answers, or cancels.
    Take(RunId, Reply<Option<Arc<Sleeper>>>),
    /// The time has come that was waited for.
    Due(Timestamp),
    /// A run was to be woken.
    Woken(Arc<Sleeper>),
}

/// All runs of a runtime that sleep.
struct Sleepers {
    runtime: WeakRuntime,
    asleep: BTreeMap<RunId, (Timestamp, Arc<Sleeper>)>,
    alarms: BTreeSet<(Timestamp, RunId)>,
    /// What the timer is for that counts.
    armed_for: Option<Timestamp>,
}

impl Sleepers {
    fn new(runtime: WeakRuntime) -> Self {
        let (asleep, alarms) = (BTreeMap::new(), BTreeSet::new());
        Self { runtime, asleep, alarms, armed_for: None }
    }

    fn add(&mut self, until: Timestamp, sleeper: &Arc<Sleeper>) {
        let run = sleeper.live.run();
        self.alarms.insert((until, run));
        self.asleep.insert(run, (until, Arc::clone(sleeper)));
    }

    fn take(&mut self, run: RunId) -> Option<(Timestamp, Arc<Sleeper>)> {
        let (until, sleeper) = self.asleep.remove(&run)?;
        self.alarms.remove(&(until, run));
        Some((until, sleeper))
    }

    /// Wakes those whose time has come.
    fn due(&mut self, runtime: &Runtime, context: &Context<'_, Self>) {
        let now = runtime.clock().now();
        while let Some((until, run)) = self.alarms.first().copied()
            && until <= now
        {
            self.alarms.pop_first();
            let Some((_, sleeper)) = self.asleep.remove(&run) else { continue };
            let woken = Arc::clone(&sleeper).expire(runtime.clone());
            context.shielded("wake-run", ASKED_MAX, woken, |_| SleepMessage::Woken(sleeper));
        }
    }

    /// One timer is enough for all.
    fn arm(&mut self, runtime: &Runtime, context: &Context<'_, Self>) {
        let Some((first, _)) = self.alarms.first() else { return };
        if self.armed_for.is_none_or(|armed| *first < armed) {
            let now = runtime.clock().now();
            let at = (*first).min(now.after(LOOK_EVERY));
            self.armed_for = Some(at);
            context.after(at.since(now), SleepMessage::Due(at));
        }
    }
}

impl Actor for Sleepers {
    type Message = SleepMessage;

    fn handle(
        &mut self,
        message: &SleepMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let Some(runtime) = self.runtime.upgrade() else { return Ok(()) };
        match message {
            SleepMessage::Sleep(until, sleeper) => self.add(*until, sleeper),
            SleepMessage::Take(run, reply) => {
                // Whoever asked may have gone.
                if let Some((until, sleeper)) = self.take(*run)
                    && reply.send(Some(Arc::clone(&sleeper))).is_err()
                {
                    self.add(until, &sleeper);
                }
            }
            SleepMessage::Due(at) => {
                self.armed_for.take_if(|armed| armed == at);
            }
            SleepMessage::Woken(sleeper) if sleeper.live.door().is_asleep() => {
                self.add(runtime.clock().now().after(AGAIN_AFTER), sleeper);
            }
            SleepMessage::Woken(_) => {}
        }
        self.due(&runtime, context);
        self.arm(&runtime, context);
        Ok(())
    }
}

impl fmt::Debug for SleepMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sleep(..) => "Sleep",
            Self::Take(..) => "Take",
            Self::Due(_) => "Due",
            Self::Woken(_) => "Woken",
        })
    }
}

#[cfg(test)]
mod tests;
