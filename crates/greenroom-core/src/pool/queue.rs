//! The jobs that wait: in which order, and who may take them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{JobId, Key, Priority, WorkerId};

/// When a job counts as having come, and its number.
type Place = (Duration, JobId);

/// A job that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) priority: Priority,
    /// When it came.
    pub(super) since: Duration,
    /// When it counts as having come.
    pub(super) rank: Duration,
    /// Whom it may go to.
    pub(super) lane: Lane,
    /// Whether it takes room in the queue.
    pub(super) is_new: bool,
}

/// Whom a job may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Whoever has room.
    Anyone,
    /// Whoever has nothing else.
    Alone,
    /// Its home, until then.
    Home { key: Key, home: WorkerId, until: Duration },
}

/// What a worker would be given next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Best {
    pub(super) job: JobId,
    pub(super) is_alone: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<JobId, Waiting>,
    anyone: BTreeSet<Place>,
    alone: BTreeSet<Place>,
    homes: BTreeMap<WorkerId, BTreeSet<Place>>,
    /// When jobs stop waiting for their home.
    until: BTreeSet<(Duration, JobId)>,
    arrivals: BTreeSet<(Duration, JobId)>,
    n_by_priority: [usize; 3],
    n_new: usize,
}

impl Queue {
    pub(super) fn push(&mut self, job: JobId, waiting: Waiting) {
        let place = (waiting.rank, job);
        match waiting.lane {
            Lane::Anyone => self.anyone.insert(place),
            Lane::Alone => self.alone.insert(place),
            Lane::Home { home, until, .. } => {
                self.until.insert((until, job));
                self.homes.entry(home).or_default().insert(place)
            }
        };
        self.arrivals.insert((waiting.since, job));
        self.n_by_priority[waiting.priority as usize] += 1;
        self.n_new += usize::from(waiting.is_new);
        self.waiting.insert(job, waiting);
    }

    pub(super) fn remove(&mut self, job: JobId) -> Option<Waiting> {
        let waiting = self.waiting.remove(&job)?;
        let place = (waiting.rank, job);
        match waiting.lane {
            Lane::Anyone => drop(self.anyone.remove(&place)),
            Lane::Alone => drop(self.alone.remove(&place)),
            Lane::Home { home, until, .. } => {
                self.until.remove(&(until, job));
                if let Some(jobs) = self.homes.get_mut(&home) {
                    jobs.remove(&place);
                    if jobs.is_empty() {
                        self.homes.remove(&home);
                    }
                }
            }
        }
        self.arrivals.remove(&(waiting.since, job));
        self.n_by_priority[waiting.priority as usize] -= 1;
        self.n_new -= usize::from(waiting.is_new);
        Some(waiting)
    }

    /// The first job that this worker may take.
    pub(super) fn best_for(&self, worker: WorkerId, with_alone: bool) -> Option<Best> {
        let alone = self.alone.first().filter(|_| with_alone);
        let home = self.homes.get(&worker).and_then(BTreeSet::first);
        let first = [self.anyone.first(), home, alone].into_iter().flatten().min()?;
        Some(Best { job: first.1, is_alone: alone == Some(first) })
    }

    /// Jobs that have waited for their home long enough may go to anyone.
    pub(super) fn unstick(&mut self, now: Duration) {
        while let Some((_, job)) = self.until.first().copied().filter(|(until, _)| *until <= now) {
            if let Some(waiting) = self.remove(job) {
                self.push(job, Waiting { lane: Lane::Anyone, ..waiting });
            }
        }
    }

    /// Gives jobs with a key the home that they have now.
    pub(super) fn rehome(&mut self, home_of: impl Fn(Key) -> Option<WorkerId>) {
        let jobs: Vec<_> = self.until.iter().map(|(_, job)| *job).collect();
        for job in jobs {
            let Some(waiting) = self.remove(job) else { continue };
            let lane = match waiting.lane {
                Lane::Home { key, until, .. } => match home_of(key) {
                    Some(home) => Lane::Home { key, home, until },
                    None => Lane::Anyone,
                },
                lane => lane,
            };
            self.push(job, Waiting { lane, ..waiting });
        }
    }

    /// When the next job stops waiting for its home.
    pub(super) fn next_unstick(&self) -> Option<Duration> {
        self.until.first().map(|(until, _)| *until)
    }

    /// The job that came first, and when.
    pub(super) fn oldest(&self) -> Option<(Duration, JobId)> {
        self.arrivals.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Jobs that take room in the queue.
    pub(super) fn n_new(&self) -> usize {
        self.n_new
    }

    /// Jobs by priority, the most urgent first.
    pub(super) fn n_by_priority(&self) -> [usize; 3] {
        self.n_by_priority
    }
}
