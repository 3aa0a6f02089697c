//! Starting a runtime: the root supervisor and the supervisors below it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::fault::Faults;
use greenroom_core::ids::AgentId;
use greenroom_core::journal::{Journal, MemoryJournal};
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{
    ChildSpec, ExitReason, Intensity, Strategy, SupervisionEvent, SupervisorSpec,
};
use greenroom_core::time::{Clock, SteadyClock};
use greenroom_core::watchdog::WatchdogSpec;
use ractor::Actor as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::durable::Durable;
use super::{Inner, PARTITIONS, Runtime};
use crate::actor::dead_letters::ring::{DeadLetters, KEPT_MAX};
use crate::actor::slot::House;
use crate::inspect::facts::Facts;
use crate::inspect::registry::Registry;
use crate::panics::{PanicLocations, Panics};
use crate::run::live::known_max;
use crate::runtime::clock::SystemClock;
use crate::runtime::error::StartError;
use crate::runtime::tasks::Tasks;
use crate::supervisor::{Observer, Start, SupervisorRef, SupervisorShell, SupervisorStart};
use crate::watchdog;

/// Makes a [`Runtime`].
#[must_use]
pub struct RuntimeBuilder {
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) faults: Option<Arc<dyn Faults>>,
    pub(super) seed: Option<u64>,
    pub(super) runs_max: usize,
    pub(super) watchdog: Option<WatchdogSpec>,
    pub(super) panic_locations: Option<PanicLocations>,
    pub(super) dead_letters_max: usize,
}

impl RuntimeBuilder {
    pub(super) fn new() -> Self {
        Self {
            journal: None,
            clock: None,
            faults: None,
            seed: None,
            runs_max: 100_000,
            watchdog: None,
            panic_locations: None,
            dead_letters_max: KEPT_MAX,
        }
    }

    /// Where events are kept. The default is a [`MemoryJournal`], which does not survive the process.
    pub fn journal(mut self, journal: impl Journal) -> Self {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// Where time is read, the time of day once. The default is a [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// What goes wrong with agents on purpose, to test what holds then. Default nothing.
    pub fn faults(mut self, faults: impl Faults) -> Self {
        self.faults = Some(Arc::new(faults));
        self
    }

    /// Makes run ids and jitter reproducible. Two runtimes with the same seed give out the same ids.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The most runs at work at once; further ones are refused. Runs that sleep do not count, up to ten times as
    /// many. Default 100,000.
    pub fn runs_max(mut self, runs_max: usize) -> Self {
        self.runs_max = runs_max;
        self
    }

    /// Looks for hooks that block their thread and for agents that make no progress; see
    /// [`WatchdogSpec`] and [`Runtime::findings`]. Default: nobody looks.
    ///
    /// It costs one thread of the system, which looks four times in
    /// [`handler_max`](WatchdogSpec::handler_max), and a task that looks at each agent four times in
    /// [`progress_max`](WatchdogSpec::progress_max). Like the debug mode of other event loops it is off
    /// unless asked for: a process that is idle is not woken 40 times in a second.
    pub fn watchdog(mut self, spec: WatchdogSpec) -> Self {
        self.watchdog = Some(spec);
        self
    }

    /// Tells where panics happened in the reasons of exits. Default: their messages alone.
    pub fn panic_locations(mut self, locations: &PanicLocations) -> Self {
        self.panic_locations = Some(locations.clone());
        self
    }

    /// Of how many dead letters the messages themselves are kept, the newest, so that they can be sent
    /// again. Default and maximum 256; with 0 none are. It is a number of messages and not of bytes: with
    /// messages of a megabyte, 256 are 256 megabytes. An agent whose messages are not to be kept says so in
    /// its [`MailboxSpec`](greenroom_core::mailbox::MailboxSpec::keeps_dead_letters).
    pub fn dead_letters_max(mut self, dead_letters_max: usize) -> Self {
        self.dead_letters_max = dead_letters_max;
        self
    }

    /// Starts the supervisors.
    ///
    /// # Errors
    ///
    /// [`StartError`] when there is no randomness to be had, a supervisor does not start, or there is no
    /// thread for the watchdog.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with time enabled.
    pub async fn start(self) -> Result<Runtime, StartError> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => random_seed().map_err(|error| StartError::new("randomness", error))?,
        };
        let tasks = Tasks::new(Panics(self.panic_locations));
        let facts = Arc::new(Facts::default());
        let observer = observer(&facts);
        let each = Some(Intensity::OF_AN_AGENT);
        let team = SupervisorRef::with_child_intensity("team".into(), each);
        let names = (0..PARTITIONS).map(|i| AgentId::new(format!("runs-{i}")));
        let partitions: Vec<_> = names.map(SupervisorRef::new).collect();
        let spec = SupervisorSpec::dynamic().intensity(10, Duration::from_secs(60));
        let mut children = vec![subtree(&team, spec, &tasks, &observer, seed)];
        for (i, partition) in (1..).zip(&partitions) {
            let spec = SupervisorSpec::dynamic().children_max(known_max(self.runs_max));
            children.push(subtree(partition, spec, &tasks, &observer, seed.wrapping_add(i)));
        }
        let root = SupervisorRef::new("runtime".into());
        let start = SupervisorStart {
            handle: root.clone(),
            spec: SupervisorSpec::new(Strategy::OneForOne),
            children,
            tasks: tasks.clone(),
            observer: Arc::clone(&observer),
            archive: None,
            seed,
            on_closed: None,
        };
        let (ready, is_ready) = oneshot::channel();
        let spawned = SupervisorShell::spawn(None, SupervisorShell, start.args(ready)).await;
        let (_, ended) = spawned.map_err(|error| StartError::new("root supervisor", error))?;
        match is_ready.await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Err(StartError::new("root supervisor", Ended(reason))),
            Err(_) => {
                let reason = ExitReason::failed("it ended during its start");
                return Err(StartError::new("root supervisor", Ended(reason)));
            }
        }
        let clock = steady(self.clock);
        let dead_letters = DeadLetters::new(Arc::clone(&clock), self.dead_letters_max);
        watch(ended, tasks.over().clone(), start);
        let house = House {
            dead_letters: Arc::new(dead_letters),
            faults: self.faults,
            pulses: Arc::default(),
            is_leasing: false,
        };
        if let Some(spec) = self.watchdog {
            watchdog::start(spec, &house.pulses, &facts, &tasks)?;
        }
        Ok(Runtime {
            inner: Arc::new(Inner {
                tasks,
                house,
                journal: self.journal.unwrap_or_else(|| Arc::new(MemoryJournal::new())),
                clock,
                root,
                team,
                partitions,
                registry: Registry::default(),
                facts,
                observer,
                random: Mutex::new(SplitMix64::new(seed)),
                durable: Durable::new(self.runs_max, seed),
            }),
        })
    }
}

impl fmt::Debug for RuntimeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeBuilder").field("runs_max", &self.runs_max).finish_non_exhaustive()
    }
}

/// A supervisor that could not start, as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Ended(ExitReason);

/// Closes what the root supervisor held once it has ended, and says so.
fn watch(ended: JoinHandle<()>, over: CancellationToken, root: SupervisorStart) {
    // The root outlives every task that is counted, so its own end is not one of them.
    Tasks::default().spawn("root", async move {
        // Aborted or not, the root is gone.
        let _ = ended.await;
        root.closed(&ExitReason::Shutdown);
        over.cancel();
    });
}

/// Hands the facts of supervision on to those who read them.
fn observer(facts: &Arc<Facts>) -> Observer {
    let facts = Arc::clone(facts);
    Arc::new(move |supervisor: &AgentId, event: &SupervisionEvent| {
        facts.supervised(supervisor, event)
    })
}

pub(super) fn subtree(
    handle: &SupervisorRef,
    spec: SupervisorSpec,
    tasks: &Tasks,
    observer: &Observer,
    seed: u64,
) -> (ChildSpec, Arc<dyn Start>) {
    let start = SupervisorStart {
        handle: handle.clone(),
        spec,
        children: Vec::new(),
        tasks: tasks.clone(),
        observer: Arc::clone(observer),
        archive: None,
        seed,
        on_closed: None,
    };
    (ChildSpec::supervisor(handle.id().clone()), Arc::new(start))
}

fn random_seed() -> Result<u64, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Where a runtime reads time: deadlines are instants of it, so the time of day is read once. Ours does that by itself.
fn steady(clock: Option<Arc<dyn Clock>>) -> Arc<dyn Clock> {
    match clock {
        Some(clock) => Arc::new(SteadyClock::new(clock)),
        None => Arc::new(SystemClock::new()),
    }
}
