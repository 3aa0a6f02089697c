//! The workers: what they have, who has room, and where keys are at home.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Key, LeaseId, WorkerId, WorkerState};
use crate::random::SplitMix64;

/// Who pulls first: the fewest jobs, then the longest without a change.
type Rank = (usize, Duration, WorkerId);

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) state: WorkerState,
    /// It is given nothing more.
    pub(super) is_retiring: bool,
    /// It was told to stop.
    pub(super) is_stopping: bool,
    pub(super) leases: BTreeSet<LeaseId>,
    /// It has not looked at a job in time, and has not been heard since.
    pub(super) is_mute: bool,
    /// What it has is to have it for itself.
    pub(super) is_alone: bool,
    /// When its number of jobs last changed.
    pub(super) since: Duration,
    pub(super) n_done: u64,
}

impl Worker {
    fn has_room(&self, concurrency: usize) -> bool {
        self.state == WorkerState::Up
            && !self.is_retiring
            && !self.is_alone
            && !self.is_mute
            && self.leases.len() < concurrency
    }

    /// Whether keys may be at home here.
    fn is_member(&self) -> bool {
        !self.is_retiring && self.state != WorkerState::Starting
    }
}

#[derive(Debug)]
pub(super) struct Crew {
    workers: BTreeMap<WorkerId, Worker>,
    /// The workers with room.
    ready: BTreeSet<Rank>,
    concurrency: usize,
    n_hired: u64,
}

impl Crew {
    pub(super) fn new(concurrency: usize) -> Self {
        Self { workers: BTreeMap::new(), ready: BTreeSet::new(), concurrency, n_hired: 0 }
    }

    /// A new worker, which is to be started.
    pub(super) fn hire(&mut self, now: Duration) -> WorkerId {
        self.n_hired += 1;
        let id = WorkerId(self.n_hired);
        let worker = Worker {
            state: WorkerState::Starting,
            is_retiring: false,
            is_stopping: false,
            leases: BTreeSet::new(),
            is_mute: false,
            is_alone: false,
            since: now,
            n_done: 0,
        };
        self.workers.insert(id, worker);
        id
    }

    pub(super) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.workers.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    /// Changes a worker, and with it whether and when it pulls.
    pub(super) fn change<T>(
        &mut self,
        id: WorkerId,
        change: impl FnOnce(&mut Worker) -> T,
    ) -> Option<T> {
        let worker = self.workers.get_mut(&id)?;
        self.ready.remove(&(worker.leases.len(), worker.since, id));
        let result = change(worker);
        if worker.has_room(self.concurrency) {
            self.ready.insert((worker.leases.len(), worker.since, id));
        }
        Some(result)
    }

    pub(super) fn remove(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.workers.remove(&id)?;
        self.ready.remove(&(worker.leases.len(), worker.since, id));
        Some(worker)
    }

    /// The workers with room and how many jobs they have, the least loaded first.
    pub(super) fn ready(&self) -> impl Iterator<Item = (usize, WorkerId)> {
        self.ready.iter().map(|(load, _, id)| (*load, *id))
    }

    pub(super) fn has_room(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The worker that a key belongs to: rendezvous hashing, so that a worker that comes or goes moves only
    /// the keys that it wins or held.
    pub(super) fn home(&self, key: Key) -> Option<WorkerId> {
        let members = self.workers.iter().filter(|(_, worker)| worker.is_member());
        members.map(|(id, _)| *id).max_by_key(|id| {
            let mut mixed = SplitMix64::new(id.0);
            SplitMix64::new(mixed.bits() ^ key.0).bits()
        })
    }

    /// Workers that are to stay.
    pub(super) fn size(&self) -> usize {
        self.workers.values().filter(|worker| !worker.is_retiring).count()
    }

    /// Workers in their first start.
    pub(super) fn n_starting(&self) -> usize {
        self.workers.values().filter(|worker| worker.state == WorkerState::Starting).count()
    }

    /// Whom to do without first: those that are not up, then those with the fewest jobs, and among equals the
    /// youngest.
    pub(super) fn least_needed(&self) -> Option<WorkerId> {
        let staying = self.workers.iter().filter(|(_, worker)| !worker.is_retiring);
        let rank = |(id, worker): &(&WorkerId, &Worker)| {
            (worker.state == WorkerState::Up, worker.leases.len(), std::cmp::Reverse(**id))
        };
        staying.min_by_key(rank).map(|(id, _)| *id)
    }

    /// A worker that retires and has not been told to stop: it can stay after all.
    pub(super) fn recallable(&self) -> Option<WorkerId> {
        let mut retiring =
            self.workers.iter().filter(|(_, worker)| worker.is_retiring && !worker.is_stopping);
        retiring.next().map(|(id, _)| *id)
    }
}
