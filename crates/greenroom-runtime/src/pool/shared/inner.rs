//! What is under the lock: the machine, and what its numbers stand for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::pool::{Command, Event, Failure, JobId, LeaseId, Machine, Parts, WorkerId};
use greenroom_core::supervision::AdminError;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Ask;
use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::pool::actor::Message;
use crate::pool::job::Mark;

pub(super) struct Inner<J, R> {
    pub(super) machine: Machine,
    pub(super) jobs: HashMap<JobId, Pending<J, R>>,
    pub(super) leases: HashMap<LeaseId, Held>,
    pub(super) workers: BTreeMap<WorkerId, Arc<dyn AnySlot>>,
    /// What the actor has to do.
    pub(super) to_do: VecDeque<Command>,
    pub(super) actor: Option<AgentRef<Message>>,
    pub(super) is_rung: bool,
    /// When the actor's timer runs out.
    pub(super) armed_at: Option<Duration>,
    pub(super) n_jobs: u64,
    pub(super) ready: Option<Ready>,
}

/// Whoever waits for the pool to be up.
pub(super) struct Ready {
    pub(super) n_missing: usize,
    pub(super) reply: oneshot::Sender<Result<(), AdminError>>,
}

pub(super) struct Pending<J, R> {
    pub(super) ask: Ask<J, R>,
    pub(super) span: Duration,
    pub(super) until: Option<Instant>,
}

pub(super) struct Held {
    pub(super) job: JobId,
    pub(super) worker: WorkerId,
    pub(super) token: CancellationToken,
    pub(super) mark: Arc<Mark>,
}

/// What follows from an event once the lock is released: user code must not run under it.
pub(super) struct Aftermath<J, R> {
    pub(super) cancelled: Vec<CancellationToken>,
    pub(super) over: Vec<(Pending<J, R>, Failure)>,
    pub(super) is_drained: bool,
    pub(super) bell: Option<AgentRef<Message>>,
}

impl<J, R> Inner<J, R> {
    pub(super) fn new(machine: Machine, ready: Ready) -> Self {
        Self {
            machine,
            jobs: HashMap::new(),
            leases: HashMap::new(),
            workers: BTreeMap::new(),
            to_do: VecDeque::new(),
            actor: None,
            is_rung: false,
            armed_at: None,
            n_jobs: 0,
            ready: Some(ready),
        }
    }

    /// Tells the machine, and sorts what it says by who does it.
    pub(super) fn on(&mut self, now: Duration, event: Event) -> Aftermath<J, R> {
        let (mut cancelled, mut over, mut is_drained) = (Vec::new(), Vec::new(), false);
        for command in self.machine.on(now, event) {
            match command {
                Command::Lease { lease, job, worker, .. } => {
                    let (token, mark) = (CancellationToken::new(), Arc::default());
                    self.leases.insert(lease, Held { job, worker, token, mark });
                    self.to_do.push_back(command);
                }
                Command::Start(_) | Command::Stop(_) => self.to_do.push_back(command),
                Command::Cancel(lease) => {
                    cancelled.extend(self.leases.remove(&lease).map(|held| held.token));
                }
                Command::Fail { job, failure } => {
                    over.extend(self.jobs.remove(&job).map(|pending| (pending, failure)));
                }
                Command::Drained => is_drained = true,
            }
        }
        let has_work = !self.to_do.is_empty() || self.unarmed().is_some();
        let bell = self.actor.clone().filter(|_| has_work && !self.is_rung);
        self.is_rung |= bell.is_some();
        Aftermath { cancelled, over, is_drained, bell }
    }

    /// When the machine has to be told of the time before the actor's timer runs out.
    pub(super) fn unarmed(&self) -> Option<Duration> {
        let wake = self.machine.next_wake()?;
        self.armed_at.is_none_or(|armed_at| wake < armed_at).then_some(wake)
    }

    /// How far the jobs of a worker have come.
    pub(super) fn parts(&self, worker: WorkerId) -> Parts {
        let held = self.leases.iter().filter(|(_, held)| held.worker == worker);
        held.map(|(lease, held)| (*lease, held.mark.part())).collect()
    }
}
