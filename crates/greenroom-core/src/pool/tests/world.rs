//! Workers and callers as simple as can be, and what must hold after every event.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What a job is in the model.
#[derive(Debug, Clone)]
struct ModelJob {
    offer: Offer,
    came_at: Duration,
    n_deliveries: u32,
    n_deaths: u32,
    with: Option<(LeaseId, WorkerId)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ModelWorker {
    pub(super) is_up: bool,
    pub(super) was_up: bool,
    pub(super) is_stopped: bool,
}

pub(super) struct World {
    pub(super) machine: Machine,
    pub(super) now: Duration,
    spec: PoolSpec,
    jobs: BTreeMap<JobId, ModelJob>,
    pub(super) workers: BTreeMap<WorkerId, ModelWorker>,
    pub(super) leases: BTreeMap<LeaseId, (JobId, WorkerId)>,
    /// Answers on their way, of workers that are dead.
    answered: BTreeMap<LeaseId, JobId>,
    /// How each job ended; `None` when it was answered.
    pub(super) over: BTreeMap<JobId, Option<Failure>>,
    n_offered: u64,
    pub(super) is_drained: bool,
    bounds: std::ops::RangeInclusive<usize>,
    /// Whether a worker was given up and may not be replaced yet.
    may_be_short: bool,
}

impl World {
    pub(super) fn new(spec: PoolSpec) -> Self {
        let machine = Machine::new(spec.clone()).expect("the spec makes sense");
        let bounds = spec.workers.clone();
        let mut world = Self {
            machine,
            now: Duration::ZERO,
            spec,
            jobs: BTreeMap::new(),
            workers: BTreeMap::new(),
            leases: BTreeMap::new(),
            answered: BTreeMap::new(),
            over: BTreeMap::new(),
            n_offered: 0,
            is_drained: false,
            bounds,
            may_be_short: false,
        };
        world.send(Event::Start);
        world
    }

    /// A world whose workers are up.
    pub(super) fn up(spec: PoolSpec) -> Self {
        let mut world = Self::new(spec);
        world.all_up();
        world
    }

    pub(super) fn all_up(&mut self) {
        let down: Vec<_> = self.workers.iter().filter(|(_, worker)| !worker.is_up).collect();
        let down: Vec<_> = down.into_iter().map(|(id, _)| *id).collect();
        for worker in down {
            self.worker_up(worker);
        }
    }

    pub(super) fn worker_up(&mut self, worker: WorkerId) {
        if let Some(known) = self.workers.get_mut(&worker) {
            (known.is_up, known.was_up) = (true, true);
        }
        self.send(Event::Up(worker));
    }

    pub(super) fn worker_down(&mut self, worker: WorkerId, parts: Parts) {
        if let Some(known) = self.workers.get_mut(&worker) {
            known.is_up = false;
        }
        self.count_deaths(worker, &parts);
        self.send(Event::Down { worker, cause: crash(), parts });
    }

    pub(super) fn worker_gone(&mut self, worker: WorkerId, parts: Parts) {
        let Some(known) = self.workers.remove(&worker) else { return };
        self.may_be_short |= !known.is_stopped;
        self.count_deaths(worker, &parts);
        self.send(Event::Gone { worker, cause: crash(), parts });
    }

    pub(super) fn lost(&mut self, lease: LeaseId, parts: Parts) {
        if let Some((_, worker)) = self.leases.get(&lease).copied() {
            let mut all = parts.clone();
            all.retain(|(other, _)| *other != lease);
            all.push((lease, Part::Crashed));
            self.workers.get_mut(&worker).expect("it has a lease").is_up = false;
            self.count_deaths(worker, &all);
        }
        self.send(Event::Lost { lease, cause: crash(), parts });
    }

    /// The rule of the table, written once more.
    fn count_deaths(&mut self, worker: WorkerId, parts: &Parts) {
        let on_it = self.leases.iter().filter(|(_, (_, at))| *at == worker);
        let held: Vec<_> = on_it.map(|(lease, (job, _))| (*lease, *job)).collect();
        let part = |lease| parts.iter().find(|p| p.0 == lease).map_or(Part::Begun, |p| p.1);
        let crashed: Vec<_> = held.iter().filter(|(l, _)| part(*l) == Part::Crashed).collect();
        let begun: Vec<_> = held.iter().filter(|(l, _)| part(*l) == Part::Begun).collect();
        let guilty = match (crashed.len(), begun.len()) {
            (0, 1) => begun,
            _ => crashed,
        };
        for (_, job) in guilty {
            self.jobs.get_mut(job).expect("it is not over").n_deaths += 1;
        }
        let answered: Vec<_> = held.iter().filter(|(l, _)| part(*l) == Part::Answered).collect();
        for (lease, job) in answered {
            self.leases.remove(lease);
            self.answered.insert(*lease, *job);
        }
    }

    pub(super) fn offer(&mut self, priority: Priority, key: Option<&str>) -> JobId {
        self.offer_until(priority, key, None)
    }

    pub(super) fn offer_until(
        &mut self,
        priority: Priority,
        key: Option<&str>,
        deadline: Option<Duration>,
    ) -> JobId {
        self.n_offered += 1;
        let job = JobId(self.n_offered);
        let offer = Offer { job, priority, key: key.map(Key::new), deadline };
        let (came_at, with) = (self.now, None);
        let model = ModelJob { offer, came_at, n_deliveries: 0, n_deaths: 0, with };
        self.jobs.insert(job, model);
        self.send(Event::Offer(offer));
        job
    }

    pub(super) fn done(&mut self, lease: LeaseId) {
        let leased = self.leases.remove(&lease).map(|(job, _)| job);
        if let Some(job) = leased.or_else(|| self.answered.remove(&lease)) {
            self.finish(job, None);
        }
        self.send(Event::Done(lease));
    }

    /// The lease of a job.
    #[track_caller]
    pub(super) fn lease_of(&self, job: JobId) -> LeaseId {
        self.jobs[&job].with.expect("a worker has it").0
    }

    pub(super) fn worker_of(&self, job: JobId) -> Option<WorkerId> {
        self.jobs.get(&job)?.with.map(|(_, worker)| worker)
    }

    fn finish(&mut self, job: JobId, failure: Option<Failure>) {
        self.jobs.remove(&job).expect("it was not over");
        assert_eq!(self.over.insert(job, failure), None, "{job:?} was over already");
    }

    pub(super) fn send(&mut self, event: Event) {
        let commands = self.machine.on(self.now, event);
        for command in commands {
            self.perform(command);
        }
        self.check();
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::Lease { lease, job, worker, delivery } => {
                self.check_order(job, worker);
                let model = self.jobs.get_mut(&job).expect("it is not over");
                assert_eq!(model.with, None, "{job:?} is with two workers");
                assert!(model.offer.deadline.is_none_or(|deadline| deadline > self.now));
                model.n_deliveries += 1;
                assert_eq!(delivery, model.n_deliveries);
                model.with = Some((lease, worker));
                let known = self.workers[&worker];
                assert!(known.is_up && !known.is_stopped, "{worker:?} takes nothing");
                self.leases.insert(lease, (job, worker));
            }
            Command::Cancel(lease) => {
                let leased = self.leases.remove(&lease).map(|(job, _)| job);
                let job = leased.or_else(|| self.answered.remove(&lease));
                if let Some(model) = job.and_then(|job| self.jobs.get_mut(&job)) {
                    model.with = None;
                }
            }
            Command::Fail { job, failure } => {
                let model = &self.jobs[&job];
                assert_eq!(model.with, None, "its lease is cancelled first");
                if let Failure::Quarantined { n_deliveries, .. } = &failure {
                    assert_eq!(*n_deliveries, model.n_deliveries);
                    assert_eq!(model.n_deaths, self.spec.deliveries_max);
                }
                self.finish(job, Some(failure));
            }
            Command::Start(worker) => {
                let is_new = self.workers.insert(worker, ModelWorker::default()).is_none();
                assert!(is_new, "{worker:?} was started already");
            }
            Command::Stop(worker) => {
                let has_none = self.leases.values().all(|(_, at)| *at != worker);
                assert!(has_none, "{worker:?} is stopped with jobs");
                if let Some(known) = self.workers.get_mut(&worker) {
                    known.is_stopped = true;
                }
            }
            Command::Drained => {
                assert!(!self.is_drained && self.jobs.is_empty());
                self.is_drained = true;
            }
        }
    }

    /// Nothing that counts as having come earlier waits for this worker.
    fn check_order(&self, job: JobId, worker: WorkerId) {
        let rank = |job: &ModelJob| {
            (job.came_at + self.spec.ageing * job.offer.priority as u32, job.offer.job)
        };
        let leased = &self.jobs[&job];
        for other in self.jobs.values().filter(|other| other.with.is_none()) {
            let is_held_back = other.n_deaths > 0 || other.n_deliveries > 0 || {
                let until = other.came_at + self.spec.sticky_wait;
                other.offer.key.is_some() && until > self.now
            };
            if !is_held_back && other.offer.job != job {
                assert!(rank(leased) < rank(other), "{job:?} goes to {worker:?} before {other:?}");
            }
        }
    }

    fn check(&mut self) {
        let mut loads: BTreeMap<WorkerId, usize> = BTreeMap::new();
        for (_, worker) in self.leases.values() {
            *loads.entry(*worker).or_default() += 1;
        }
        assert!(loads.values().all(|load| *load <= self.spec.concurrency), "{loads:?}");
        let jobs: BTreeSet<_> = self.leases.values().map(|(job, _)| job).collect();
        assert_eq!(jobs.len(), self.leases.len(), "a job is with two workers");
        assert_eq!(self.machine.n_jobs(), self.jobs.len());
        let info = self.machine.info(self.now);
        let n_leased: usize = info.workers.iter().map(|worker| worker.leases.len()).sum();
        assert_eq!(n_leased, self.leases.len());
        let n_answered = self.answered.len();
        assert_eq!(info.n_queued.iter().sum::<usize>() + n_leased + n_answered, self.jobs.len());
        let size = info.workers.iter().filter(|worker| !worker.is_retiring).count();
        self.may_be_short &= size < *self.bounds.end();
        assert!(size <= *self.bounds.end(), "{size} of {:?}", self.bounds);
        assert!(size >= *self.bounds.start() || self.may_be_short, "{size} of {:?}", self.bounds);
        self.check_nobody_waits_for_nothing(&info, &loads);
    }

    /// Nobody idles while a job waits that may go to anyone.
    fn check_nobody_waits_for_nothing(&self, info: &Info, loads: &BTreeMap<WorkerId, usize>) {
        let is_idle = |worker: &&WorkerInfo| {
            worker.state == WorkerState::Up
                && !worker.is_retiring
                && !worker.is_mute
                && !loads.contains_key(&worker.id)
        };
        let n_idle = info.workers.iter().filter(is_idle).count();
        let is_free = |job: &&ModelJob| {
            let is_home_bound = job.offer.key.is_some()
                && job.n_deliveries == 0
                && job.came_at + self.spec.sticky_wait > self.now;
            job.with.is_none() && !is_home_bound
        };
        let n_free = self.jobs.values().filter(is_free).count();
        assert!(n_idle == 0 || n_free == 0, "{n_idle} idle, {n_free} wait");
    }

    pub(super) fn resize(&mut self, bounds: std::ops::RangeInclusive<usize>) {
        self.bounds = bounds.clone();
        self.send(Event::Resize(bounds));
    }

    /// Lets time pass, with the ticks that are asked for.
    pub(super) fn wait(&mut self, span: Duration) {
        let until = self.now + span;
        let mut n_ticks = 0;
        while let Some(wake) = self.machine.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.send(Event::Tick);
            n_ticks += 1;
            assert!(n_ticks < 100_000, "it ticks without end");
        }
        self.now = until;
    }

    /// The workers that were stopped are gone.
    pub(super) fn bury_stopped(&mut self) {
        let stopped: Vec<_> = self.workers.iter().filter(|(_, worker)| worker.is_stopped).collect();
        let stopped: Vec<_> = stopped.into_iter().map(|(id, _)| *id).collect();
        for worker in stopped {
            self.worker_gone(worker, Parts::new());
        }
    }

    /// Everything is finished; how long the pool takes is bounded.
    pub(super) fn run_out(&mut self) {
        self.send(Event::Close);
        for _ in 0..10_000 {
            if self.is_drained {
                break;
            }
            self.bury_stopped();
            self.all_up();
            let workers: Vec<_> = self.workers.keys().copied().collect();
            workers.into_iter().for_each(|worker| self.send(Event::Heard(worker)));
            let leases: Vec<_> = self.leases.keys().chain(self.answered.keys()).copied().collect();
            for lease in leases {
                self.done(lease);
            }
            if self.leases.is_empty() {
                self.wait(secs(1));
            }
        }
        assert!(self.is_drained, "{:?} are not over", self.jobs.keys());
        assert_eq!(self.over.len() as u64, self.n_offered);
    }
}
