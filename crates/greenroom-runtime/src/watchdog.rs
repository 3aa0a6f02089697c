//! The watchdog of a runtime: a thread that sees hooks which do not return, and a task that sees agents
//! which make no progress. The machine in core decides what is worth telling.
//!
//! Blocked hooks are looked for by a thread of the system, because the threads of the async runtime may be
//! the ones that are blocked. Its clock is the machine's: virtual time stands still while a hook runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::supervision::ExitReason;
use greenroom_core::watchdog::{Finding, Found, OnStuck, Sign, Stillness, Watchdog, WatchdogSpec};
use tokio::time::Instant;

use crate::actor::slot::AnySlot;
use crate::inspect::facts::Facts;
use crate::inspect::pulses::Pulses;
use crate::runtime::error::StartError;
use crate::runtime::tasks::{Tasks, spawn_thread};

/// Starts both; they end when the runtime is over, or its tasks are dropped.
pub(crate) fn start(
    spec: WatchdogSpec,
    pulses: &Arc<Pulses>,
    facts: &Arc<Facts>,
    tasks: &Tasks,
) -> Result<(), StartError> {
    let thread = Thread::start(spec.handler_max, Arc::clone(pulses), Arc::clone(facts))?;
    let (pulses, facts, spawner) = (Arc::clone(pulses), Arc::clone(facts), tasks.clone());
    tasks.spawn("watchdog", async move {
        let mut stuck = Stuck::new(spec, pulses, facts);
        let interval = stuck.watchdog.interval();
        loop {
            tokio::select! {
                biased;
                () = spawner.over().cancelled() => break,
                () = tokio::time::sleep(interval) => stuck.look().await,
            }
        }
        // It ends at once, but not on a thread that others wait for.
        let _ = spawner.spawn_blocking("watchdog", move || thread.end()).await;
    });
    Ok(())
}

/// What was told and is not over.
type Told = BTreeMap<u32, (AgentId, u64, Found)>;

/// The thread that looks for blocked hooks. Dropping it tells it to end.
struct Thread {
    stop: Arc<(Mutex<bool>, Condvar)>,
    handle: Option<JoinHandle<()>>,
}

impl Thread {
    fn start(max: Duration, pulses: Arc<Pulses>, facts: Arc<Facts>) -> Result<Self, StartError> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let handle = spawn_thread("greenroom-watchdog", move || {
            look_for_blocked(max, &pulses, &facts, &stopped);
        });
        let handle = Some(handle.map_err(|error| StartError::new("watchdog", error))?);
        Ok(Self { stop, handle })
    }

    fn end(mut self) {
        self.tell();
        // A thread that panicked has ended too.
        let _ = self.handle.take().map(JoinHandle::join);
    }

    fn tell(&self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.tell();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time that a thread is blocked for is real, whatever the clock of the runtime shows"
)]
fn look_for_blocked(max: Duration, pulses: &Pulses, facts: &Facts, stop: &(Mutex<bool>, Condvar)) {
    let origin = std::time::Instant::now();
    let mut watchdog = Watchdog::new(max);
    let mut told = Told::new();
    let mut is_over = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*is_over {
        drop(is_over);
        let running = pulses.running();
        let signs = running.iter().map(|(key, beat)| sign(*key, *beat, Duration::ZERO));
        for still in watchdog.look(origin.elapsed(), signs) {
            if let Some(finding) = blocked(still, pulses, &mut told) {
                facts.found(finding);
            }
        }
        is_over = stop.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_over {
            let waited = stop.1.wait_timeout(is_over, watchdog.interval());
            is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn sign(key: u32, mark: u64, protected_until: Duration) -> Sign<u32> {
    Sign { key, mark, protected_until }
}

/// The finding that a hook which stands still is, unless it has returned meanwhile.
fn blocked(still: Stillness<u32>, pulses: &Pulses, told: &mut Told) -> Option<Finding> {
    if still.is_over {
        return over(&still, told);
    }
    let info = pulses.owner(still.key)?.info();
    let message = info.in_flight?.message;
    if pulses.beat(still.key) != Some(still.mark) {
        return None;
    }
    Some(begun(&still, (info.id, info.generation, Found::Blocked { message }), told))
}

fn begun(still: &Stillness<u32>, what: (AgentId, u64, Found), told: &mut Told) -> Finding {
    told.insert(still.key, what.clone());
    finding(still, what)
}

fn over(still: &Stillness<u32>, told: &mut Told) -> Option<Finding> {
    Some(finding(still, told.remove(&still.key)?))
}

fn finding(still: &Stillness<u32>, (agent, generation, what): (AgentId, u64, Found)) -> Finding {
    Finding::new(agent, generation, what, still.lasted, still.is_over)
}

/// Looks for agents that make no progress.
struct Stuck {
    watchdog: Watchdog<u32>,
    on_stuck: OnStuck,
    pulses: Arc<Pulses>,
    facts: Arc<Facts>,
    told: Told,
    origin: Instant,
}

impl Stuck {
    fn new(spec: WatchdogSpec, pulses: Arc<Pulses>, facts: Arc<Facts>) -> Self {
        let (watchdog, origin) = (Watchdog::new(spec.progress_max), Instant::now());
        Self { watchdog, on_stuck: spec.on_stuck, pulses, facts, told: Told::new(), origin }
    }

    async fn look(&mut self) {
        let mut signs = Vec::new();
        for chunk in 0.. {
            let Some(owners) = self.pulses.owners(chunk) else { break };
            for (key, slot) in owners {
                let Some(work) = slot.work() else { continue };
                let until = work.protected_until.map(|at| at.duration_since(self.origin));
                signs.push(sign(key, work.mark, until.unwrap_or_default()));
            }
            // A look at many agents is no reason to let others on this thread wait.
            tokio::task::yield_now().await;
        }
        for still in self.watchdog.look(self.origin.elapsed(), signs) {
            if still.is_over {
                if let Some(finding) = over(&still, &mut self.told) {
                    self.facts.found(finding);
                }
            } else if let Some(slot) = self.pulses.owner(still.key) {
                self.stuck(&still, &*slot);
            }
        }
    }

    fn stuck(&mut self, still: &Stillness<u32>, slot: &dyn AnySlot) {
        // It may have made progress meanwhile.
        let Some(work) = slot.work().filter(|work| work.mark == still.mark) else { return };
        let what = Found::Stuck { n_effects: work.n_effects, n_queued: work.n_queued };
        let what = (slot.id().clone(), work.generation, what);
        self.facts.found(begun(still, what, &mut self.told));
        if self.on_stuck == OnStuck::End {
            slot.fail(work.generation, ExitReason::Stuck);
        }
    }
}
