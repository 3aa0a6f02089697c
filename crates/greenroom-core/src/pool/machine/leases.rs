//! Who is given which job, and what becomes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Lease, Machine};
use crate::pool::{Command, Failure, JobId, LeaseId, Part, WorkerId, WorkerState};
use crate::supervision::ExitReason;

impl Machine {
    /// Gives out what can be given out.
    pub(super) fn dispatch(&mut self, now: Duration) {
        self.queue.unstick(now);
        while let Some((worker, job)) = self.pick() {
            let deadline = self.jobs.get(&job).and_then(|job| job.deadline);
            if deadline.is_some_and(|deadline| deadline <= now) {
                self.fail(job, Failure::Expired);
            } else {
                self.lease(now, job, worker);
            }
        }
    }

    /// The next worker that pulls, and what it is given.
    fn pick(&self) -> Option<(WorkerId, JobId)> {
        let mut with_alone = true;
        for (load, worker) in self.crew.ready().take_while(|_| self.queue.len() > 0) {
            match self.queue.best_for(worker, with_alone) {
                // The least loaded worker takes nothing more until it can have this job for itself.
                Some(best) if best.is_alone && load > 0 => with_alone = false,
                Some(best) => return Some((worker, best.job)),
                None => {}
            }
        }
        None
    }

    fn lease(&mut self, now: Duration, id: JobId, worker: WorkerId) {
        self.queue.remove(id);
        let full = self.fullness.at(now);
        let Some(job) = self.jobs.get_mut(&id) else { return };
        self.n_leases += 1;
        let lease = LeaseId(self.n_leases);
        job.lease = Some(lease);
        job.n_deliveries += 1;
        let (is_alone, delivery) = (job.is_alone, job.n_deliveries);
        let waited = now.saturating_sub(job.queued_at);
        self.tuner.leased(now, waited, full.saturating_sub(job.full_at));
        self.leases.insert(lease, Lease { job: id, worker, since: now });
        self.crew.change(worker, |worker| {
            worker.leases.insert(lease);
            worker.is_alone = is_alone;
            worker.since = now;
        });
        self.out.push(Command::Lease { lease, job: id, worker, delivery });
    }

    /// Takes a lease from its worker, which may have room for another one then.
    fn take_back(&mut self, now: Duration, lease: LeaseId) -> Option<Lease> {
        let taken = self.leases.remove(&lease)?;
        self.crew.change(taken.worker, |worker| {
            worker.leases.remove(&lease);
            worker.is_alone = false;
            worker.since = now;
        });
        self.stop_if_idle(taken.worker);
        Some(taken)
    }

    pub(super) fn done(&mut self, now: Duration, lease: LeaseId) {
        let Some(Lease { job, worker, .. }) = self.take_back(now, lease) else { return };
        self.jobs.remove(&job);
        self.crew.change(worker, |worker| worker.n_done += 1);
        self.n_done += 1;
        self.replacing.succeeded();
    }

    /// The lease ended without an answer, and without a death.
    pub(super) fn ended(&mut self, now: Duration, lease: LeaseId, failure: Failure) {
        if self.leases.contains_key(&lease) {
            self.out.push(Command::Cancel(lease));
        }
        if let Some(Lease { job, .. }) = self.take_back(now, lease) {
            self.fail(job, failure);
        }
    }

    /// The worker may hang: the job goes to another one, and it is given nothing more until it is heard.
    pub(super) fn unheard(&mut self, now: Duration, lease: LeaseId) {
        let Some(Lease { worker, .. }) = self.leases.get(&lease) else { return };
        self.crew.change(*worker, |worker| worker.is_mute = true);
        self.out.push(Command::Cancel(lease));
        if let Some(Lease { job, .. }) = self.take_back(now, lease) {
            self.spared(now, job, false);
        }
    }

    pub(super) fn unfit(&mut self, now: Duration, lease: LeaseId, cause: ExitReason) {
        let job = self.leases.get(&lease).and_then(|lease| self.jobs.get(&lease.job));
        let n_deliveries = job.map_or(0, |job| job.n_deliveries);
        self.ended(now, lease, Failure::Quarantined { n_deliveries, cause });
    }

    pub(super) fn withdraw(&mut self, now: Duration, id: JobId) {
        let Some(job) = self.jobs.get(&id) else { return };
        let is_late = job.deadline.is_some_and(|deadline| deadline <= now);
        match job.lease {
            Some(lease) => self.ended(now, lease, Failure::Withdrawn { was_queued: false }),
            None if is_late => self.fail(id, Failure::Expired),
            None => self.fail(id, Failure::Withdrawn { was_queued: true }),
        }
    }

    /// A worker crashed in its handler of this lease.
    pub(super) fn lost(
        &mut self,
        now: Duration,
        lease: LeaseId,
        cause: &ExitReason,
        parts: &[(LeaseId, Part)],
    ) {
        let Some(Lease { worker, .. }) = self.leases.get(&lease) else { return };
        let worker = *worker;
        let others = parts.iter().filter(|(other, _)| *other != lease).copied();
        let parts: Vec<_> = others.chain([(lease, Part::Crashed)]).collect();
        self.down(now, worker, cause, &parts);
    }

    /// A worker died: what it had is given out again, or quarantined.
    pub(super) fn down(
        &mut self,
        now: Duration,
        worker: WorkerId,
        cause: &ExitReason,
        parts: &[(LeaseId, Part)],
    ) {
        let held = self.crew.change(worker, |worker| {
            if worker.state == WorkerState::Up {
                worker.state = WorkerState::Down;
            }
            worker.is_alone = false;
            worker.since = now;
            std::mem::take(&mut worker.leases)
        });
        let held = held.unwrap_or_default();
        let part_of = |lease: &LeaseId| {
            let known = parts.iter().find(|(other, _)| other == lease);
            known.map_or(Part::Begun, |(_, part)| *part)
        };
        let with = |part| held.iter().filter(|lease| part_of(lease) == part).count();
        let (n_crashed, n_begun) = (with(Part::Crashed), with(Part::Begun));
        for lease in held.iter().filter(|lease| part_of(lease) != Part::Answered) {
            let Some(Lease { job, .. }) = self.leases.remove(lease) else { continue };
            self.out.push(Command::Cancel(*lease));
            match part_of(lease) {
                Part::Crashed => self.died(now, job, cause),
                Part::Begun if n_crashed == 0 && n_begun == 1 => self.died(now, job, cause),
                Part::Begun => self.spared(now, job, n_crashed == 0),
                Part::Untouched | Part::Answered => self.spared(now, job, false),
            }
        }
        self.stop_if_idle(worker);
    }

    /// A worker died of the job.
    fn died(&mut self, now: Duration, id: JobId, cause: &ExitReason) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.n_deaths += 1;
        job.is_alone = true;
        if job.n_deaths >= self.spec.deliveries_max {
            let (n_deliveries, cause) = (job.n_deliveries, cause.clone());
            self.fail(id, Failure::Quarantined { n_deliveries, cause });
        } else {
            self.enqueue(now, id);
        }
    }

    /// A worker died that had the job, and of something else, as far as one can tell.
    fn spared(&mut self, now: Duration, id: JobId, is_suspect: bool) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.is_alone |= is_suspect;
            self.enqueue(now, id);
        }
    }

    /// Every lease has ended with whoever performed the commands.
    pub(super) fn recovered(&mut self, now: Duration) {
        for (lease, Lease { job, .. }) in std::mem::take(&mut self.leases) {
            self.out.push(Command::Cancel(lease));
            self.spared(now, job, false);
        }
        let workers: BTreeSet<_> = self.crew.iter().map(|(id, _)| id).collect();
        for worker in workers {
            self.crew.change(worker, |worker| {
                worker.leases.clear();
                // Whoever would have heard it is gone.
                worker.is_mute = false;
                worker.is_alone = false;
                worker.since = now;
            });
            self.resume(worker);
        }
    }
}
