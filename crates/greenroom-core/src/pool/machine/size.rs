//! How many workers there are.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Machine, Phase};
use crate::pool::tuner::Seen;
use crate::pool::{Command, Decision, Part, Reason, WorkerId, WorkerState};
use crate::supervision::ExitReason;

/// The first wait before workers that were given up are replaced.
const REPLACE_AFTER: Duration = Duration::from_secs(1);
/// The longest.
const REPLACE_AFTER_MAX: Duration = Duration::from_secs(60);

/// The replacement of workers that were given up.
#[derive(Debug, Default)]
pub(super) struct Replacing {
    due: Option<Duration>,
    n_in_a_row: u32,
}

impl Replacing {
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    pub(super) fn succeeded(&mut self) {
        self.n_in_a_row = 0;
    }

    fn plan(&mut self, now: Duration) {
        let wait = REPLACE_AFTER.saturating_mul(1 << self.n_in_a_row.min(6));
        self.due.get_or_insert(now.saturating_add(wait.min(REPLACE_AFTER_MAX)));
        self.n_in_a_row = self.n_in_a_row.saturating_add(1);
    }
}

impl Machine {
    pub(super) fn start(&mut self, now: Duration) {
        self.set_size(now, *self.bounds.start());
    }

    /// Makes the workers that stay so many.
    fn set_size(&mut self, now: Duration, size: usize) {
        self.target = size;
        let before = self.crew.size();
        for _ in before..size {
            match self.crew.recallable() {
                Some(worker) => {
                    self.crew.change(worker, |worker| worker.is_retiring = false);
                }
                None => {
                    let worker = self.crew.hire(now);
                    self.out.push(Command::Start(worker));
                }
            }
        }
        for _ in size..before {
            let Some(worker) = self.crew.least_needed() else { break };
            self.crew.change(worker, |worker| worker.is_retiring = true);
            self.stop_if_idle(worker);
        }
        if before != size {
            self.rehome();
        }
    }

    /// Stops a worker that retires and has nothing left.
    pub(super) fn stop_if_idle(&mut self, id: WorkerId) {
        let stops = self.crew.change(id, |worker| {
            let is_due = worker.is_retiring && worker.leases.is_empty() && !worker.is_stopping;
            worker.is_stopping |= is_due;
            is_due
        });
        if stops == Some(true) {
            self.out.push(Command::Stop(id));
        }
    }

    /// Says again what may not have been done.
    pub(super) fn resume(&mut self, id: WorkerId) {
        let Some(worker) = self.crew.get(id) else { return };
        if worker.is_stopping {
            self.out.push(Command::Stop(id));
        } else if worker.is_retiring {
            self.stop_if_idle(id);
        } else if worker.state == WorkerState::Starting {
            self.out.push(Command::Start(id));
        }
    }

    pub(super) fn gone(
        &mut self,
        now: Duration,
        id: WorkerId,
        cause: &ExitReason,
        parts: &[(crate::pool::LeaseId, Part)],
    ) {
        self.down(now, id, cause, parts);
        let Some(worker) = self.crew.remove(id) else { return };
        self.rehome();
        let size = self.crew.size();
        if !worker.is_retiring {
            let (from, to) = (size + 1, size);
            self.tuner.record(Decision { at: now, from, to, reason: Reason::GivenUp });
        }
        if size < self.target {
            self.replacing.plan(now);
        }
    }

    pub(super) fn resize(&mut self, now: Duration, bounds: RangeInclusive<usize>) {
        if self.spec.check_workers(&bounds).is_err() {
            return;
        }
        self.bounds = bounds;
        let from = self.crew.size();
        let to = self.target.clamp(*self.bounds.start(), *self.bounds.end());
        if to != self.target {
            self.set_size(now, to);
            self.tuner.resized(Decision { at: now, from, to, reason: Reason::Bounds });
        }
    }

    pub(super) fn tick(&mut self, now: Duration) {
        if self.replacing.due.is_some_and(|due| due <= now) {
            self.replacing.due = None;
            let (from, to) = (self.crew.size(), self.target);
            if from < to && self.phase != Phase::Drained {
                self.set_size(now, to);
                self.tuner.record(Decision { at: now, from, to, reason: Reason::Replaced });
            }
        }
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = None;
            self.look(now);
        }
    }

    fn look(&mut self, now: Duration) {
        let full = self.fullness.at(now);
        let oldest = self.queue.oldest().and_then(|(_, job)| self.jobs.get(&job));
        let seen = Seen {
            size: self.crew.size(),
            n_starting: self.crew.n_starting(),
            concurrency: self.spec.concurrency,
            n_leases: self.leases.len(),
            oldest_full: oldest.map_or(Duration::ZERO, |job| full.saturating_sub(job.full_at)),
        };
        if let Some(decision) = self.tuner.look(now, seen, &self.bounds) {
            self.set_size(now, decision.to);
        }
    }

    /// Looks are taken while there is something to see, and once more after that.
    pub(super) fn plan_look(&mut self, now: Duration) {
        let can_change = self.bounds.start() < self.bounds.end() && self.phase == Phase::Open;
        let has_more = self.crew.size() > *self.bounds.start();
        if !can_change {
            self.look_at = None;
        } else if has_more || !self.jobs.is_empty() {
            self.look_at.get_or_insert(now.saturating_add(self.spec.tuning.interval));
        }
    }
}
