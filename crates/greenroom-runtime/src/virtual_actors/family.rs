//! A family of virtual actors: it activates keys, asks idle actors to leave, and makes senders wait for room.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::directory::{Activation, Census, Directory};
use greenroom_core::ids::AgentId;
use greenroom_core::supervision::{AdminError, ExitReason, SupervisorSpec};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::start::{Tenant, VirtualStart};
use super::{AtLimit, VirtualSpec};
use crate::Runtime;
use crate::actor::dead_letters::DeadReason;
use crate::actor::slot::{Home, Slot};
use crate::inspect::AgentInfo;
use crate::persist::{Persistence, Persistent};
use crate::runtime::tasks::Tasks;
use crate::supervisor::{AgentStart, Start, SupervisorRef};

/// Supervisors that share the actors of a family.
const PARTITIONS: usize = 8;

/// Starts that may fail in a row before an activation is given up.
const STARTS_MAX: u32 = 3;

/// How long the second start of an activation waits; the third waits twice as long.
const START_PAUSE: Duration = Duration::from_millis(100);

/// How often a sender looks again for an actor that was unloaded under its hands.
const LOOKS_MAX: usize = 64;

/// Why there is no live actor to send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// As many are live as may be, and none makes room.
    Crowded,
    /// The family has ended.
    Stopped,
}

/// Makes the slot and the start of one activation.
type Make<M> =
    dyn Fn(&Arc<Family<M>>, &AgentId, Activation) -> (Arc<Slot<M>>, Arc<dyn Start>) + Send + Sync;

pub(crate) struct Family<M> {
    kind: Arc<str>,
    spec: VirtualSpec,
    make: Box<Make<M>>,
    partitions: Vec<SupervisorRef>,
    tasks: Tasks,
    inner: Mutex<Inner<M>>,
    /// Room for live actors. Whoever waits for it is served in turn.
    room: Arc<Semaphore>,
    origin: Instant,
    over: CancellationToken,
}

struct Inner<M> {
    directory: Directory<Arc<Resident<M>>>,
    /// A task waits until the next actor has been idle for long enough.
    is_sweeping: bool,
}

/// A live actor.
struct Resident<M> {
    id: AgentId,
    activation: Activation,
    slot: Arc<Slot<M>>,
    start: Arc<dyn Start>,
    /// Messages that were handled when the last incarnation was asked for.
    n_handled: AtomicU64,
    /// Cancelled once the key may be activated again.
    gone: CancellationToken,
    _room: OwnedSemaphorePermit,
}

/// Declares a family, with its supervisors.
pub(super) async fn start<A: Persistent>(
    runtime: &Runtime,
    kind: &str,
    spec: VirtualSpec,
    factory: Arc<dyn Fn(&str) -> A + Send + Sync>,
) -> Result<Arc<Family<A::Message>>, AdminError> {
    let names = (0..PARTITIONS).map(|i| AgentId::new(format!("{kind}-{i}")));
    let family = Arc::new(Family {
        kind: kind.into(),
        make: make(runtime, &spec, factory),
        partitions: names.map(SupervisorRef::new).collect(),
        tasks: runtime.tasks().clone(),
        inner: Mutex::new(Inner { directory: Directory::new(spec.idle_after), is_sweeping: false }),
        room: Arc::new(Semaphore::new(spec.live_max.clamp(1, Semaphore::MAX_PERMITS))),
        origin: Instant::now(),
        over: CancellationToken::new(),
        spec,
    });
    let ended = Arc::clone(&family);
    let on_closed = Arc::new(move |_: &ExitReason| ended.end());
    let spec = SupervisorSpec::dynamic();
    runtime.supervise_partitions(kind.into(), &family.partitions, &spec, on_closed).await?;
    Ok(family)
}

/// It keeps no runtime: a family must not keep the runtime alive that it is part of.
fn make<A: Persistent>(
    runtime: &Runtime,
    spec: &VirtualSpec,
    factory: Arc<dyn Fn(&str) -> A + Send + Sync>,
) -> Box<Make<A::Message>> {
    let (house, tasks) = (runtime.house(), runtime.tasks().clone());
    let new_persistence = Persistence::<A>::of(runtime, spec.snapshot_every);
    let mailbox = spec.mailbox;
    Box::new(move |family, id, activation| {
        let home: Arc<dyn Home<A::Message>> = Arc::clone(family) as Arc<dyn Home<A::Message>>;
        let (role, house) = (Arc::clone(&family.kind), house.clone());
        let slot = Slot::with_home(id.clone(), role, mailbox, house, Some(home));
        let (factory, family, key) = (Arc::clone(&factory), Arc::clone(family), id.clone());
        let tenant = Tenant { family: Arc::clone(&family), id: id.clone(), activation };
        let agent = AgentStart {
            slot: Arc::clone(&slot),
            tasks: tasks.clone(),
            factory: Arc::new(move || factory(family.key_of(&key))),
            on_closed: None,
        };
        let start = VirtualStart::new(agent, new_persistence(id.clone()), tenant);
        (slot, Arc::new(start))
    })
}

/// How an activation ends with its family.
fn stopped() -> (DeadReason, ExitReason) {
    (DeadReason::Stopped, ExitReason::Shutdown)
}

impl<M: Send + 'static> Family<M> {
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn id_of(&self, key: &str) -> AgentId {
        AgentId::new(format!("{}/{key}", self.kind))
    }

    pub(super) fn key_of<'a>(&self, id: &'a AgentId) -> &'a str {
        id.as_str().get(self.kind.len() + 1..).unwrap_or_default()
    }

    /// The slot of a live actor.
    pub(super) fn look(&self, id: &AgentId) -> Option<Arc<Slot<M>>> {
        self.lock().directory.find(id).map(|resident| Arc::clone(&resident.slot))
    }

    pub(super) fn survey(&self) -> (Census, Vec<AgentInfo>) {
        let (census, residents) = {
            let inner = self.lock();
            let residents: Vec<_> = inner.directory.residents().map(Arc::clone).collect();
            (inner.directory.census(), residents)
        };
        let mut agents: Vec<_> = residents.iter().map(|resident| resident.slot.info()).collect();
        agents.sort_by(|left, right| left.id.cmp(&right.id));
        (census, agents)
    }

    /// The slot of a key's actor, which is activated if it is not live.
    pub(super) async fn live(self: &Arc<Self>, id: &AgentId) -> Result<Arc<Slot<M>>, Absent> {
        for _ in 0..LOOKS_MAX {
            let found = self.lock().directory.find(id).map(Arc::clone);
            match found {
                Some(resident) if !resident.slot.is_passive() => {
                    return Ok(Arc::clone(&resident.slot));
                }
                // It is being unloaded, which takes no longer than its last hook.
                Some(resident) => resident.gone.cancelled().await,
                None => {
                    let room = self.wait_for_room().await?;
                    return self.activate(id, room);
                }
            }
        }
        Err(Absent::Crowded)
    }

    /// As [`Family::live`], for those who do not wait.
    pub(super) fn live_now(self: &Arc<Self>, id: &AgentId) -> Result<Arc<Slot<M>>, Absent> {
        if let Some(slot) = self.look(id) {
            return if slot.is_passive() { Err(Absent::Crowded) } else { Ok(slot) };
        }
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| self.absence())?;
        self.activate(id, room)
    }

    /// Why there is no room now.
    fn absence(&self) -> Absent {
        if self.over.is_cancelled() { Absent::Stopped } else { Absent::Crowded }
    }

    async fn wait_for_room(self: &Arc<Self>) -> Result<OwnedSemaphorePermit, Absent> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
            return Ok(room);
        }
        let (asked, has_prospect) = {
            let mut inner = self.lock();
            let asked = inner.directory.wait();
            (asked, inner.directory.has_prospect())
        };
        let _waiting = Waiting(Arc::clone(self));
        self.ask_to_leave(asked);
        if self.spec.at_limit == AtLimit::Refuse && !has_prospect {
            return Err(self.absence());
        }
        Arc::clone(&self.room).acquire_owned().await.map_err(|_| Absent::Stopped)
    }

    /// Makes a key live, unless somebody else has done so.
    fn activate(
        self: &Arc<Self>,
        id: &AgentId,
        room: OwnedSemaphorePermit,
    ) -> Result<Arc<Slot<M>>, Absent> {
        let (mut room, mut new) = (Some(room), None);
        let resident = {
            let mut inner = self.lock();
            if self.over.is_cancelled() {
                return Err(Absent::Stopped);
            }
            let resident = inner.directory.activate(id.clone(), |activation| {
                let (slot, start) = (self.make)(self, id, activation);
                let (gone, n_handled) = (CancellationToken::new(), AtomicU64::new(0));
                let _room = room.take().expect("a key is activated once");
                let id = id.clone();
                let resident = Resident { id, activation, slot, start, n_handled, gone, _room };
                let resident = Arc::new(resident);
                new = Some(Arc::clone(&resident));
                resident
            });
            Arc::clone(resident)
        };
        if let Some(new) = new {
            self.bring_up(new);
        }
        Ok(Arc::clone(&resident.slot))
    }

    /// Starts a resident's actor. Messages wait in its slot meanwhile.
    fn bring_up(self: &Arc<Self>, resident: Arc<Resident<M>>) {
        let family = Arc::clone(self);
        self.tasks.spawn("activate", async move {
            if let Err((dead, reason)) = family.start_resident(&resident).await {
                resident.slot.close_as(&dead, &reason);
                family.gone(&resident.id, resident.activation, false);
            }
        });
    }

    async fn start_resident(&self, resident: &Resident<M>) -> Result<(), (DeadReason, ExitReason)> {
        let mut hasher = DefaultHasher::new();
        resident.id.hash(&mut hasher);
        let partition = &self.partitions[hasher.finish() as usize % PARTITIONS];
        let mut n_starts = 0;
        loop {
            let child = self.spec.child_of(resident.id.clone());
            n_starts += 1;
            match partition.start_child(child, Arc::clone(&resident.start)).await {
                Ok(_) => return Ok(()),
                Err(AdminError::StartFailed { cause }) if n_starts == STARTS_MAX => {
                    return Err((DeadReason::NotStarted { cause: cause.clone() }, cause));
                }
                Err(AdminError::StartFailed { .. }) => {
                    tokio::select! {
                        () = self.over.cancelled() => return Err(stopped()),
                        () = tokio::time::sleep(START_PAUSE * n_starts) => {}
                    }
                }
                Err(_) => return Err(stopped()),
            }
        }
    }

    /// The last incarnation of an activation is gone, and its supervisor starts no other.
    pub(super) fn ended(
        self: &Arc<Self>,
        id: &AgentId,
        activation: Activation,
        reason: &ExitReason,
    ) {
        let Some(resident) = self.lock().directory.find(id).map(Arc::clone) else { return };
        if resident.activation != activation {
            return;
        }
        let slot = &resident.slot;
        let n_handled = slot.info().n_handled;
        let has_worked = resident.n_handled.swap(n_handled, Ordering::Relaxed) < n_handled;
        if *reason == ExitReason::Normal && slot.rest() {
            self.gone(id, activation, true);
        } else if *reason == ExitReason::Normal && has_worked {
            // It stopped itself; what it left goes to the next incarnation.
            self.bring_up(resident);
        } else {
            slot.close(reason);
            self.gone(id, activation, false);
        }
    }

    fn gone(&self, id: &AgentId, activation: Activation, is_passivated: bool) {
        let resident = self.lock().directory.gone(id, activation, is_passivated);
        if let Some(resident) = &resident {
            resident.gone.cancel();
        }
        // The room that it takes is given back outside the lock.
        drop(resident);
    }

    pub(super) fn rested(self: &Arc<Self>, id: &AgentId, activation: Activation) {
        let now = self.origin.elapsed();
        let (asked, begins_sweeping) = {
            let mut inner = self.lock();
            let asked = inner.directory.rested(id, activation, now);
            let is_needed = inner.directory.next_due().is_some() && !self.over.is_cancelled();
            let begins = is_needed && !std::mem::replace(&mut inner.is_sweeping, is_needed);
            (asked, begins)
        };
        self.ask_to_leave(asked);
        if begins_sweeping {
            let family = Arc::clone(self);
            self.tasks.spawn("idle-actors", async move { family.sweep().await });
        }
    }

    pub(super) fn busy(&self, id: &AgentId, activation: Activation) {
        let asked = self.lock().directory.busy(id, activation);
        self.ask_to_leave(asked);
    }

    /// Asks those to leave who were idle for long enough, as long as anybody is idle.
    async fn sweep(&self) {
        loop {
            let due = {
                let mut inner = self.lock();
                let due = inner.directory.next_due();
                inner.is_sweeping = due.is_some();
                due
            };
            let Some(due) = due else { return };
            tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                () = tokio::time::sleep_until(self.origin + due) => {}
            }
            let asked = self.lock().directory.due(self.origin.elapsed());
            self.ask_to_leave(asked);
        }
    }

    /// Whoever has no incarnation that could be asked has something to do: it is being started.
    fn ask_to_leave(&self, asked: Vec<Arc<Resident<M>>>) {
        let mut asked = asked;
        while let Some(resident) = asked.pop() {
            if !resident.slot.ask_to_rest() {
                let instead = self.lock().directory.busy(&resident.id, resident.activation);
                asked.extend(instead);
            }
        }
    }

    /// The family's supervisor has ended for good.
    fn end(&self) {
        self.over.cancel();
        self.room.close();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // The directory is consistent between any two of its operations, and no user code runs in one.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Send + 'static> Home<M> for Family<M> {
    fn live(self: Arc<Self>, id: AgentId) -> BoxFuture<'static, Result<Arc<Slot<M>>, Absent>> {
        Box::pin(async move { Self::live(&self, &id).await })
    }
}

/// A sender that waits for room; it is counted until it has some or gives up.
struct Waiting<M: Send + 'static>(Arc<Family<M>>);

impl<M: Send + 'static> Drop for Waiting<M> {
    fn drop(&mut self) {
        self.0.lock().directory.waited();
    }
}
