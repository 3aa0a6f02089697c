//! What a pool is to be like, and the check that it makes sense.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::supervision::{self, Backoff, ChildSpec, Intensity};

/// Jobs that the workers of one pool may have at once, all together.
pub const LEASES_MAX: usize = 1024;

/// A pool. The rules that its numbers are part of are at [`crate::pool`].
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct PoolSpec {
    /// The least and the most workers.
    pub workers: RangeInclusive<usize>,
    /// Jobs that one worker has at once. Default 1.
    pub concurrency: usize,
    /// Jobs that may wait. Jobs that are given out again do not count. Default 1,024.
    pub queue_max: usize,
    /// What happens to a job that finds the queue full. Default it waits.
    pub when_full: WhenFull,
    /// How long a caller that sets no deadline waits. Default 30 seconds.
    pub deadline: Duration,
    /// How many workers a job may kill before it is quarantined. Default 2.
    pub deliveries_max: u32,
    /// How long a job waits for the worker that its key belongs to. Default one second.
    pub sticky_wait: Duration,
    /// How long a worker may have a job without looking at it, before it is given to another. Default five
    /// seconds: no handler takes a thousandth of that.
    pub heed_max: Duration,
    /// How much later a job counts as having come for each step of its priority. Default ten seconds.
    pub ageing: Duration,
    /// When workers come and go.
    pub tuning: Tuning,
    /// How long a worker that died waits before it is started again. Default 10 ms, doubling up to 10 s.
    pub backoff: Backoff,
    /// How often a worker may die before it is given up, and replaced. Default 30 times in 60 seconds.
    pub intensity: Intensity,
}

/// What happens to a job that finds the queue full.
///
/// | policy | the caller |
/// |---|---|
/// | `Wait` | waits for room, at most until its deadline |
/// | `Reject` | is told at once |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenFull {
    /// The caller waits.
    #[default]
    Wait,
    /// The caller is told at once.
    Reject,
}

/// When workers come and go. What the numbers do and where the defaults come from is at [`crate::pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Tuning {
    /// How often the pool is looked at.
    pub interval: Duration,
    /// How far a look goes back.
    pub window: Duration,
    /// The wait above which the pool grows.
    pub grow_above: Duration,
    /// The wait below which the pool may shrink.
    pub shrink_below: Duration,
    /// How long after a change the pool does not grow.
    pub cool_down: Duration,
    /// How long after a change the pool does not shrink.
    pub hold: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(500),
            window: Duration::from_secs(10),
            grow_above: Duration::from_millis(100),
            shrink_below: Duration::from_millis(10),
            cool_down: Duration::from_secs(2),
            hold: Duration::from_secs(30),
        }
    }
}

impl PoolSpec {
    /// A pool with this many workers and the defaults.
    pub fn new(workers: RangeInclusive<usize>) -> Self {
        Self {
            workers,
            concurrency: 1,
            queue_max: 1024,
            when_full: WhenFull::default(),
            deadline: Duration::from_secs(30),
            deliveries_max: 2,
            sticky_wait: Duration::from_secs(1),
            heed_max: Duration::from_secs(5),
            ageing: Duration::from_secs(10),
            tuning: Tuning::default(),
            backoff: Backoff::new(Duration::from_millis(10), Duration::from_secs(10)),
            intensity: Intensity::OF_AN_AGENT,
        }
    }

    /// The same pool, whose workers have so many jobs at once.
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// The same pool, in which so many jobs may wait.
    pub fn queue_max(mut self, queue_max: usize) -> Self {
        self.queue_max = queue_max;
        self
    }

    /// The same pool, treating jobs that find the queue full otherwise.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// The same pool, with another deadline for callers that set none.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same pool, quarantining a job that killed so many workers.
    pub fn deliveries_max(mut self, deliveries_max: u32) -> Self {
        self.deliveries_max = deliveries_max;
        self
    }

    /// The same pool, in which jobs wait so long for the worker that their key belongs to.
    pub fn sticky_wait(mut self, sticky_wait: Duration) -> Self {
        self.sticky_wait = sticky_wait;
        self
    }

    /// The same pool, whose workers may have a job so long without looking at it.
    pub fn heed_max(mut self, heed_max: Duration) -> Self {
        self.heed_max = heed_max;
        self
    }

    /// The same pool, with another distance between priorities.
    pub fn ageing(mut self, ageing: Duration) -> Self {
        self.ageing = ageing;
        self
    }

    /// The same pool, growing and shrinking otherwise.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// The same pool, whose workers wait otherwise before they are started again.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// The same pool, with another limit of deaths for each worker.
    pub fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// One of its workers, as a child of its supervisor.
    pub fn worker(&self, id: impl Into<crate::ids::AgentId>) -> ChildSpec {
        ChildSpec::worker(id).backoff(self.backoff).intensity(self.intensity)
    }

    /// Checks the pool.
    ///
    /// # Errors
    ///
    /// The first mistake found.
    pub fn check(&self) -> Result<(), SpecError> {
        self.check_workers(&self.workers)?;
        let Tuning { interval, window, grow_above, shrink_below, .. } = self.tuning;
        let checks = [
            (self.queue_max == 0, SpecError::QueueZero),
            (self.deliveries_max == 0, SpecError::DeliveriesZero),
            (self.deadline.is_zero(), SpecError::DeadlineZero),
            (self.heed_max.is_zero(), SpecError::HeedZero),
            (interval.is_zero(), SpecError::IntervalZero),
            (window < interval, SpecError::WindowBelowInterval),
            (shrink_below >= grow_above, SpecError::NoHysteresis),
        ];
        if let Some((_, error)) = checks.into_iter().find(|(is_wrong, _)| *is_wrong) {
            return Err(error);
        }
        self.worker("worker").check(supervision::AutoShutdown::Never).map_err(SpecError::Worker)
    }

    /// Checks another number of workers for the pool.
    ///
    /// # Errors
    ///
    /// The first mistake found.
    pub fn check_workers(&self, workers: &RangeInclusive<usize>) -> Result<(), SpecError> {
        if *workers.start() == 0 {
            return Err(SpecError::WorkersZero);
        }
        if workers.start() > workers.end() {
            return Err(SpecError::WorkersEmpty);
        }
        if self.concurrency == 0 {
            return Err(SpecError::ConcurrencyZero);
        }
        if workers.end().checked_mul(self.concurrency).is_none_or(|most| most > LEASES_MAX) {
            return Err(SpecError::TooManyLeases);
        }
        Ok(())
    }
}

/// What is wrong with a pool's spec.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// There may be no worker.
    #[error("the least number of workers is zero")]
    WorkersZero,
    /// The least number is above the most.
    #[error("the least number of workers is above the most")]
    WorkersEmpty,
    /// Workers take no job.
    #[error("the concurrency is zero")]
    ConcurrencyZero,
    /// The workers could have more jobs at once than a pool can keep.
    #[error("the workers could have more than {LEASES_MAX} jobs at once")]
    TooManyLeases,
    /// No job may wait.
    #[error("the queue has no room")]
    QueueZero,
    /// A job may not be given out.
    #[error("the maximum of deliveries is zero")]
    DeliveriesZero,
    /// A job has no time.
    #[error("the deadline is zero")]
    DeadlineZero,
    /// No worker could look at a job in time.
    #[error("the time to look at a job is zero")]
    HeedZero,
    /// The pool would be looked at all the time.
    #[error("the interval of looks is zero")]
    IntervalZero,
    /// A look would see less than has happened since the last one.
    #[error("the window is shorter than the interval of looks")]
    WindowBelowInterval,
    /// The pool would grow and shrink at the same wait.
    #[error("the wait to shrink below is not less than the wait to grow above")]
    NoHysteresis,
    /// The workers' restarts make no sense.
    #[error(transparent)]
    Worker(supervision::SpecError),
}
