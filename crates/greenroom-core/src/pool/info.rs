//! What can be seen of a pool.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{JobId, LeaseId, WorkerId};

/// A pool, at one moment. Times are since the machine's origin.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Info {
    /// The workers, in the order of their ids.
    pub workers: Vec<WorkerInfo>,
    /// How many there may be.
    pub bounds: RangeInclusive<usize>,
    /// Jobs that wait, by priority, the most urgent first.
    pub n_queued: [usize; 3],
    /// How long the oldest of them has waited since it came, its deliveries included.
    pub oldest_wait: Option<Duration>,
    /// What half of the jobs that were given out in the last window waited at most.
    pub wait_p50: Option<Duration>,
    /// What 95 of 100 of them waited at most.
    pub wait_p95: Option<Duration>,
    /// The last 32 changes of size, the oldest first.
    pub decisions: Vec<Decision>,
    /// Jobs accepted since the beginning.
    pub n_accepted: u64,
    /// Jobs answered by a worker since the beginning.
    pub n_done: u64,
    /// Jobs quarantined since the beginning.
    pub n_quarantined: u64,
}

/// A worker, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerInfo {
    /// The worker.
    pub id: WorkerId,
    /// What it is doing.
    pub state: WorkerState,
    /// Whether it is given nothing more, and stops once it has nothing left.
    pub is_retiring: bool,
    /// Whether it has not looked at a job in time, and is given nothing more until it is heard.
    pub is_mute: bool,
    /// What it has.
    pub leases: Vec<LeaseInfo>,
    /// Jobs that it answered.
    pub n_done: u64,
}

/// A job that a worker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseInfo {
    /// The lease.
    pub lease: LeaseId,
    /// The job.
    pub job: JobId,
    /// Which delivery this is, counted from 1.
    pub delivery: u32,
    /// How long the worker has had it.
    pub age: Duration,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WorkerState {
    /// It is in its first start.
    Starting,
    /// It takes jobs.
    Up,
    /// It died, and is to be started again.
    Down,
}

/// A change of a pool's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// When.
    pub at: Duration,
    /// The number of workers before.
    pub from: usize,
    /// And after.
    pub to: usize,
    /// Why.
    pub reason: Reason,
}

/// Why a pool's size changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Jobs wait too long.
    Waits {
        /// How long; see [`crate::pool`].
        wait: Duration,
    },
    /// Workers have nothing to do.
    Idle {
        /// The most jobs that workers had at once in the time that counts.
        n_leases_max: usize,
    },
    /// Somebody set other bounds.
    Bounds,
    /// A worker was given up.
    GivenUp,
    /// Workers that were given up are replaced.
    Replaced,
}
