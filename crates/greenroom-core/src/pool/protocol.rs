//! What goes into a pool's machine and what comes out of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::supervision::ExitReason;

/// A job, chosen by the caller and never used twice. Jobs with the same place in the queue are given out in
/// the order of their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// One delivery of a job to a worker. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LeaseId(pub u64);

/// A worker, across its restarts. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u64);

/// What jobs that belong together have in common, for example a tenant. Two texts with the same hash share
/// a home, which costs balance and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub(super) u64);

impl Key {
    /// The key with this text: its 64-bit FNV-1a hash, the same in every process.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash)
    }
}

/// How urgent a job is; the table is at [`crate::pool`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Priority {
    /// Somebody is waiting at a screen.
    High,
    /// The usual.
    #[default]
    Normal,
    /// Whenever there is room.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// A job that is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// Its number.
    pub job: JobId,
    /// How urgent it is.
    pub priority: Priority,
    /// What it belongs to.
    pub key: Option<Key>,
    /// When it is no longer wanted.
    pub deadline: Option<Duration>,
}

/// How far a job had come when its worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The worker had not looked at it.
    Untouched,
    /// It was under way.
    Begun,
    /// It was in the handler that crashed.
    Crashed,
    /// The worker had answered, and the answer is on its way.
    Answered,
}

/// How far each job of a dead worker had come. Leases that are not named count as begun.
pub type Parts = Vec<(LeaseId, Part)>;

/// What the machine is told. News of a lease that is over, or of a worker that is unknown, is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The pool begins: its least number of workers is to be started.
    Start,
    /// A job is to be done.
    Offer(Offer),
    /// Nobody waits for the job any more.
    Withdraw(JobId),
    /// The worker answered.
    Done(LeaseId),
    /// The worker lives, and will not answer.
    Declined(LeaseId),
    /// The job's deadline passed while the worker had it.
    Expired(LeaseId),
    /// The worker has not looked at the job for too long: it may hang.
    Unheard(LeaseId),
    /// The worker, which had not been heard, handles messages again.
    Heard(WorkerId),
    /// The job could not be made into a message for the worker.
    Unfit {
        /// The lease.
        lease: LeaseId,
        /// Why.
        cause: ExitReason,
    },
    /// The worker crashed while it handled the job.
    Lost {
        /// The lease of that job.
        lease: LeaseId,
        /// How the worker ended.
        cause: ExitReason,
        /// How far its other jobs had come.
        parts: Parts,
    },
    /// The worker is up.
    Up(WorkerId),
    /// The worker died, and may come back.
    Down {
        /// The worker.
        worker: WorkerId,
        /// How it ended.
        cause: ExitReason,
        /// How far its jobs had come.
        parts: Parts,
    },
    /// The worker will not come back.
    Gone {
        /// The worker.
        worker: WorkerId,
        /// How it ended.
        cause: ExitReason,
        /// How far its jobs had come.
        parts: Parts,
    },
    /// There are to be so many workers.
    Resize(RangeInclusive<usize>),
    /// Time has passed; see [`Machine::next_wake`](super::Machine::next_wake).
    Tick,
    /// Whoever performs commands is new: every lease has ended with the one before, and its commands are lost.
    Recovered,
    /// No more jobs are accepted.
    Close,
    /// No more jobs are accepted, and those that are left are given up.
    Abandon,
}

/// What the machine wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Give a worker a job. Answered by one of the events about leases, or by the end of the worker.
    Lease {
        /// The lease.
        lease: LeaseId,
        /// The job.
        job: JobId,
        /// The worker.
        worker: WorkerId,
        /// Which delivery of the job this is, counted from 1.
        delivery: u32,
    },
    /// The lease is over without an answer: what the worker does for it is not wanted.
    Cancel(LeaseId),
    /// The job is over without an answer.
    Fail {
        /// The job.
        job: JobId,
        /// Why.
        failure: Failure,
    },
    /// Start a worker.
    Start(WorkerId),
    /// Stop a worker, which has nothing to do.
    Stop(WorkerId),
    /// The pool is closed and every job is over. Given once.
    Drained,
}

/// Why a job is over without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The queue is full.
    Full,
    /// Its deadline passed.
    Expired,
    /// Nobody waits for it any more.
    Withdrawn {
        /// Whether it was in the queue, and not with a worker.
        was_queued: bool,
    },
    /// A worker handled it and will not answer.
    Declined,
    /// It killed its workers too often, or could not be made into a message.
    Quarantined {
        /// How often it was given out.
        n_deliveries: u32,
        /// How the last delivery ended.
        cause: ExitReason,
    },
    /// The pool is closed.
    Closed,
}
