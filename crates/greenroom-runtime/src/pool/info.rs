//! What can be seen of a pool.

use std::ops::RangeInclusive;
use std::time::Duration;

use greenroom_core::ids::AgentId;
use greenroom_core::pool::{Decision, LeaseInfo, WorkerState};

use crate::inspect::AgentInfo;

/// A pool, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolInfo {
    /// Its identity.
    pub id: AgentId,
    /// Its workers, the oldest first.
    pub workers: Vec<PoolWorker>,
    /// How many there may be.
    pub bounds: RangeInclusive<usize>,
    /// Jobs that wait, by priority, the most urgent first.
    pub n_queued: [usize; 3],
    /// How long ago the oldest of them came.
    pub oldest_wait: Option<Duration>,
    /// What half of the jobs that were given out in the last window waited at most.
    pub wait_p50: Option<Duration>,
    /// What 95 of 100 of them waited at most.
    pub wait_p95: Option<Duration>,
    /// The last 32 changes of size with their reasons, the oldest first; their times are since the pool's
    /// start.
    pub decisions: Vec<Decision>,
    /// Jobs accepted since the beginning.
    pub n_accepted: u64,
    /// Jobs answered since the beginning.
    pub n_done: u64,
    /// Jobs quarantined since the beginning.
    pub n_quarantined: u64,
}

impl PoolInfo {
    /// Workers that are to stay.
    #[must_use]
    pub fn size(&self) -> usize {
        self.workers.iter().filter(|worker| !worker.is_retiring).count()
    }

    /// Jobs that workers have.
    #[must_use]
    pub fn n_leases(&self) -> usize {
        self.workers.iter().map(|worker| worker.leases.len()).sum()
    }
}

/// A worker of a pool, at one moment.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PoolWorker {
    /// Its identity.
    pub id: AgentId,
    /// The agent that it is; `None` until it is first started.
    pub agent: Option<AgentInfo>,
    /// What it is doing for the pool.
    pub state: WorkerState,
    /// Whether it is given nothing more, and stops once it has nothing left.
    pub is_retiring: bool,
    /// Whether it has not looked at a job in time, and is given nothing more until it is heard.
    pub is_mute: bool,
    /// The jobs that it has.
    pub leases: Vec<LeaseInfo>,
    /// Jobs that it answered.
    pub n_done: u64,
}
