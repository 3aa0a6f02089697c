//! The machine: what happens, and what is to be done about it.

mod leases;
mod size;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::crew::Crew;
use super::queue::{Lane, Queue, Waiting};
use super::tuner::Tuner;
use super::{
    Command, Event, Failure, Info, JobId, Key, LeaseId, LeaseInfo, Offer, PoolSpec, Priority,
    WorkerId, WorkerInfo, WorkerState,
};

/// A job that is not over.
#[derive(Debug)]
struct Job {
    priority: Priority,
    key: Option<Key>,
    deadline: Option<Duration>,
    since: Duration,
    rank: Duration,
    n_deliveries: u32,
    n_deaths: u32,
    is_alone: bool,
    lease: Option<LeaseId>,
    /// For how long no worker had had room, ever, when it was put into the queue.
    full_at: Duration,
    queued_at: Duration,
}

/// A job that a worker has.
#[derive(Debug)]
struct Lease {
    job: JobId,
    worker: WorkerId,
    since: Duration,
}

/// For how long no worker had room, since the beginning.
#[derive(Debug, Default)]
struct Fullness {
    total: Duration,
    since: Option<Duration>,
}

impl Fullness {
    fn at(&self, now: Duration) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn set(&mut self, now: Duration, is_full: bool) {
        if is_full {
            self.since.get_or_insert(now);
        } else {
            self.total = self.at(now);
            self.since = None;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No more jobs are accepted.
    Closed,
    /// … and none is left.
    Drained,
}

/// A pool's machine. The rules are at [`crate::pool`].
///
/// # Guarantees
///
/// A job that was offered is over exactly once: by `Done`, or by [`Command::Fail`]. It is with one worker at a
/// time. The number of workers that are to stay is within the bounds, except while one that was given up is
/// not replaced yet.
#[derive(Debug)]
pub struct Machine {
    spec: PoolSpec,
    bounds: RangeInclusive<usize>,
    queue: Queue,
    crew: Crew,
    jobs: BTreeMap<JobId, Job>,
    leases: BTreeMap<LeaseId, Lease>,
    tuner: Tuner,
    fullness: Fullness,
    phase: Phase,
    /// Workers that there are to be.
    target: usize,
    replacing: size::Replacing,
    look_at: Option<Duration>,
    n_leases: u64,
    n_accepted: u64,
    n_done: u64,
    n_quarantined: u64,
    out: Vec<Command>,
}

impl Machine {
    /// A pool without workers. It begins with [`Event::Start`].
    ///
    /// # Errors
    ///
    /// When the spec makes no sense.
    pub fn new(spec: PoolSpec) -> Result<Self, super::SpecError> {
        spec.check()?;
        Ok(Self {
            bounds: spec.workers.clone(),
            queue: Queue::default(),
            crew: Crew::new(spec.concurrency),
            jobs: BTreeMap::new(),
            leases: BTreeMap::new(),
            tuner: Tuner::new(spec.tuning),
            fullness: Fullness::default(),
            phase: Phase::Open,
            target: 0,
            replacing: size::Replacing::default(),
            look_at: None,
            n_leases: 0,
            n_accepted: 0,
            n_done: 0,
            n_quarantined: 0,
            out: Vec::new(),
            spec,
        })
    }

    /// What is to be done after an event at `now`, which never goes back.
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Command> {
        match event {
            Event::Start => self.start(now),
            Event::Offer(offer) => self.offer(now, offer),
            Event::Withdraw(job) => self.withdraw(now, job),
            Event::Done(lease) => self.done(now, lease),
            Event::Declined(lease) => self.ended(now, lease, Failure::Declined),
            Event::Expired(lease) => self.ended(now, lease, Failure::Expired),
            Event::Unheard(lease) => self.unheard(now, lease),
            Event::Heard(worker) => {
                self.crew.change(worker, |worker| worker.is_mute = false);
            }
            Event::Unfit { lease, cause } => self.unfit(now, lease, cause),
            Event::Lost { lease, cause, parts } => self.lost(now, lease, &cause, &parts),
            Event::Up(worker) => self.up(worker),
            Event::Down { worker, cause, parts } => {
                self.down(now, worker, &cause, &parts);
            }
            Event::Gone { worker, cause, parts } => self.gone(now, worker, &cause, &parts),
            Event::Resize(bounds) => self.resize(now, bounds),
            Event::Tick => self.tick(now),
            Event::Recovered => self.recovered(now),
            Event::Close => self.close(),
            Event::Abandon => self.abandon(),
        }
        self.dispatch(now);
        self.fullness.set(now, !self.crew.has_room());
        self.tuner.note(self.leases.len(), self.queue.len());
        self.plan_look(now);
        if self.phase == Phase::Closed && self.jobs.is_empty() {
            self.phase = Phase::Drained;
            self.out.push(Command::Drained);
        }
        std::mem::take(&mut self.out)
    }

    /// When [`Event::Tick`] is needed next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Duration> {
        // A job stops waiting for its home to no effect while nobody else has room.
        let unstick = self.queue.next_unstick().filter(|_| self.crew.has_room());
        [unstick, self.look_at, self.replacing.due()].into_iter().flatten().min()
    }

    /// What can be seen of the pool.
    #[must_use]
    pub fn info(&self, now: Duration) -> Info {
        let lease_info = |id: &LeaseId| {
            let lease = self.leases.get(id)?;
            let delivery = self.jobs.get(&lease.job)?.n_deliveries;
            let age = now.saturating_sub(lease.since);
            Some(LeaseInfo { lease: *id, job: lease.job, delivery, age })
        };
        let workers = self.crew.iter().map(|(id, worker)| WorkerInfo {
            id,
            state: worker.state,
            is_retiring: worker.is_retiring,
            is_mute: worker.is_mute,
            leases: worker.leases.iter().filter_map(lease_info).collect(),
            n_done: worker.n_done,
        });
        Info {
            workers: workers.collect(),
            bounds: self.bounds.clone(),
            n_queued: self.queue.n_by_priority(),
            oldest_wait: self.queue.oldest().map(|(since, _)| now.saturating_sub(since)),
            wait_p50: self.tuner.wait(now, 50),
            wait_p95: self.tuner.wait(now, 95),
            decisions: self.tuner.decisions(),
            n_accepted: self.n_accepted,
            n_done: self.n_done,
            n_quarantined: self.n_quarantined,
        }
    }

    /// Jobs that are not over.
    #[must_use]
    pub fn n_jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Workers that are to stay.
    #[must_use]
    pub fn size(&self) -> usize {
        self.crew.size()
    }

    fn offer(&mut self, now: Duration, offer: Offer) {
        let Offer { job, priority, key, deadline } = offer;
        let refusal = match self.phase {
            Phase::Open if self.queue.n_new() >= self.spec.queue_max => Some(Failure::Full),
            Phase::Open => None,
            Phase::Closed | Phase::Drained => Some(Failure::Closed),
        };
        if let Some(failure) = refusal {
            self.out.push(Command::Fail { job, failure });
            return;
        }
        let age = self.spec.ageing.saturating_mul(priority as u32);
        let added = Job {
            priority,
            key,
            deadline,
            since: now,
            rank: now.saturating_add(age),
            n_deliveries: 0,
            n_deaths: 0,
            is_alone: false,
            lease: None,
            full_at: Duration::ZERO,
            queued_at: now,
        };
        self.n_accepted += 1;
        self.jobs.insert(job, added);
        self.enqueue(now, job);
    }

    /// Puts a job into the queue, in its place.
    fn enqueue(&mut self, now: Duration, id: JobId) {
        let full_at = self.fullness.at(now);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.lease = None;
        job.queued_at = now;
        job.full_at = full_at;
        // A job that was given out before has had its chance to wait for its home.
        let is_new = job.n_deliveries == 0;
        let home = job.key.filter(|_| is_new).and_then(|key| Some((key, self.crew.home(key)?)));
        let lane = match home {
            _ if job.is_alone => Lane::Alone,
            Some((key, home)) => {
                let until = now.saturating_add(self.spec.sticky_wait);
                Lane::Home { key, home, until }
            }
            None => Lane::Anyone,
        };
        let (priority, since, rank) = (job.priority, job.since, job.rank);
        self.queue.push(id, Waiting { priority, since, rank, lane, is_new });
    }

    /// Ends a job without an answer.
    fn fail(&mut self, id: JobId, failure: Failure) {
        self.queue.remove(id);
        if self.jobs.remove(&id).is_some() {
            self.n_quarantined += u64::from(matches!(failure, Failure::Quarantined { .. }));
            self.out.push(Command::Fail { job: id, failure });
        }
    }

    fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closed;
        }
    }

    fn abandon(&mut self) {
        self.close();
        let leases: Vec<_> = self.leases.keys().copied().collect();
        for lease in leases {
            self.out.push(Command::Cancel(lease));
            if let Some(Lease { worker, .. }) = self.leases.remove(&lease) {
                self.crew.change(worker, |worker| worker.leases.remove(&lease));
            }
        }
        while let Some((job, _)) = self.jobs.first_key_value() {
            self.fail(*job, Failure::Closed);
        }
    }

    fn up(&mut self, worker: WorkerId) {
        let before = self.crew.get(worker).map(|worker| worker.state);
        self.crew.change(worker, |worker| {
            worker.state = WorkerState::Up;
            worker.is_mute = false;
        });
        if before == Some(WorkerState::Starting) {
            self.rehome();
        }
    }

    fn rehome(&mut self) {
        let crew = &self.crew;
        self.queue.rehome(|key| crew.home(key));
    }
}
