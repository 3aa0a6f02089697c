//! The machine of a pool: workers of one kind that pull jobs from one bounded queue.
//!
//! [`Machine`] is given events and answers with commands. It decides which worker is given which job,
//! what becomes of a job whose worker died, and how many workers there are. It holds no payload, wakes
//! nobody and reads no clock; that is the runtime's part.
//!
//! # Who is given what
//!
//! Workers pull: one that holds fewer jobs than `concurrency` has room, and is given the first job, in the
//! order below, that it may take. Of several with room the one with the fewest jobs pulls first, and among
//! equals the one whose number of jobs has not changed for longest.
//!
//! | priority | it counts as having come |
//! |---|---|
//! | high | when it came |
//! | normal | `ageing` later |
//! | low | twice `ageing` later |
//!
//! Jobs are given out in the order of that time. So a high job overtakes the normal ones that came in the
//! last ten seconds before it, and nothing waits for more than twice `ageing` behind jobs that came later:
//! no priority starves. A job that is given out again keeps its place. One whose deadline has passed is never
//! given out.
//!
//! A job with a key belongs to a home: the worker with the highest rendezvous hash of key and worker. When
//! a worker comes or goes, only the keys that it wins or held move.
//!
//! | the home | the job |
//! |---|---|
//! | has room | goes there |
//! | is busy, or restarting | waits for it, at most `sticky_wait`; then goes to whoever has room |
//! | died with the job | goes to whoever has room, at once |
//! | is gone, or retires | has another home at once |
//!
//! # What becomes of a job whose worker died
//!
//! | the job | and the others on the worker | it |
//! |---|---|---|
//! | was answered | whatever they were | is done: its answer is on the way |
//! | had not been looked at | whatever they were | is given out again; nothing is held against it |
//! | was in the handler that crashed | whatever they were | has one more death, and is given out again |
//! | was under way | nothing else was | has one more death, and is given out again |
//! | was under way | one of them crashed in its handler | is given out again; nothing is held against it |
//! | was under way | others were too | is given out again, alone on its worker, so that the next death tells |
//!
//! A worker that has not looked at a job for `heed_max` may hang: the job goes to another one, and the worker is
//! given nothing more until it handles a message, or is started again.
//!
//! With `deliveries_max` deaths it is quarantined: its caller is told the cause. A job with a death is given
//! out again alone on its worker. The end of the pool's own actor is no death of its jobs: they are given out
//! again.
//!
//! # How many workers there are
//!
//! A look is taken every `interval` while there are jobs or more workers than the least. The *wait* is the
//! larger of the 95th percentile of the last `window`, since the size last changed, and what the job that has
//! waited longest has waited; only time in which no worker had room counts, so that one busy key calls for
//! no workers that could not help it.
//!
//! | look | then |
//! |---|---|
//! | wait above `grow_above`, no change for `cool_down`, no worker in its first start | grow by half, at least one, and by no more than jobs wait |
//! | wait below `shrink_below`, no change for `hold`, and 5/4 of the most jobs at once in `hold` need fewer | shrink to what is needed, by at most a quarter |
//! | anything else | nothing |
//!
//! | constant | default | why this |
//! |---|---|---|
//! | `grow_above` | 100 ms | what a person notices as a delay (Nielsen, *Usability Engineering*, 1993) |
//! | `shrink_below` | 10 ms | ten times less: no step of a half or a quarter takes the wait from one to the other |
//! | `interval` | 500 ms | five times the wait that is looked for |
//! | `window` | 10 s | twenty looks; at most the last 1,024 jobs |
//! | `cool_down` | 2 s | four looks, in which the last step has shown what it does |
//! | `hold` | 30 s | three windows |
//! | headroom 5/4 | fixed | a shrink leaves a fifth of the workers idle at the highest load seen |
//!
//! A growth within twice `hold` of a shrink says that the shrink was a mistake, and doubles `hold`, up to 16
//! times; two shrinks in a row halve it again. So a load that comes in waves is followed at most a few times,
//! and then kept. Workers that are no longer needed retire: they are given nothing more, finish what they
//! have, and are stopped then.
//!
//! A worker that is given up is replaced after a second, and after twice as long each time, up to a minute,
//! until a job is finished.

mod crew;
mod info;
mod machine;
mod protocol;
mod queue;
mod spec;
mod tuner;

pub use info::{Decision, Info, LeaseInfo, Reason, WorkerInfo, WorkerState};
pub use machine::Machine;
pub use protocol::{
    Command, Event, Failure, JobId, Key, LeaseId, Offer, Part, Parts, Priority, WorkerId,
};
pub use spec::{LEASES_MAX, PoolSpec, SpecError, Tuning, WhenFull};

#[cfg(test)]
mod tests;
