//! The driver: it performs what the machine says, and tells it what has happened.

use std::pin::pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use greenroom_core::fanout::{Command, Event, FanOut, Machine, Member, Verdict};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::actor::effect::joined;
use crate::actor::question::{Origin, Tie};
use crate::fan_out::branch::{Branch, BranchError, Launch};
use crate::fan_out::gathered::Gathered;

/// Drives a fan-out from its beginning to its verdict. It has no more time than the question that it is for.
///
/// # Cancel safety
///
/// Dropping the future cancels the branches that run and are not shielded.
pub(crate) async fn drive<R, E>(
    launch: Launch,
    form: FanOut,
    branches: Vec<Branch<R, E>>,
) -> Gathered<R, E>
where
    R: Send + 'static,
    E: Send + 'static,
{
    let mut machine = Machine::new(form, branches.iter().map(Branch::is_shielded).collect());
    let mut results: Vec<_> = branches.iter().map(|_| None).collect();
    let mut aborts = Aborts::new(branches.len());
    let mut waiting: Vec<_> = branches.into_iter().map(Some).collect();
    let (mut running, mut ended) = (FuturesUnordered::new(), Vec::new());
    let bound = Bound::new(form, &launch.origin);
    let mut unwanted = pin!(unwanted(&launch, bound));
    let mut commands = machine.on(Event::Begin);
    loop {
        for command in commands {
            match command {
                Command::Start(i) => {
                    let branch = waiting[i].take().expect("a branch is started once");
                    let (name, is_shielded) = (branch.name(), branch.is_shielded());
                    let task = launch.tasks.spawn(name, branch.run(launch.clone()));
                    if !is_shielded {
                        aborts.0[i] = Some(task.abort_handle());
                    }
                    running.push(async move { (i, joined(task).await) });
                }
                Command::Cancel(i) => aborts.abort(i),
                Command::Finish(verdict) => return gathered(verdict, &machine, ended, results),
            }
        }
        let event = tokio::select! {
            biased;
            // First, so that what ends at the very deadline is late.
            event = &mut unwanted => event,
            Some((i, result)) = running.next() => {
                aborts.0[i] = None;
                ended.push(i);
                let result = result.unwrap_or_else(|error| Err(error.into()));
                let is_ok = result.is_ok();
                results[i] = Some(result);
                Event::Ended { member: i, is_ok }
            }
        };
        commands = machine.on(event);
    }
}

/// When a fan-out is over at the latest.
#[derive(Clone, Copy)]
struct Bound(Option<Instant>);

impl Bound {
    fn new(form: FanOut, origin: &Origin) -> Self {
        let own = form.deadline_after().and_then(|span| Instant::now().checked_add(span));
        Self(own.into_iter().chain(origin.deadline()).min())
    }

    fn has_passed(self) -> bool {
        self.0.is_some_and(|until| until <= Instant::now())
    }

    async fn pass(self) {
        match self.0 {
            Some(until) => tokio::time::sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}

/// Completes when nobody waits for the fan-out any more.
async fn unwanted(launch: &Launch, bound: Bound) -> Event {
    let tie = Tie::Origin(launch.origin.clone());
    tokio::select! {
        biased;
        () = launch.tasks.over().cancelled() => Event::Cancelled,
        () = bound.pass() => Event::Deadline,
        // The asker goes away at its deadline too.
        () = tie.cut() => if bound.has_passed() { Event::Deadline } else { Event::Cancelled },
    }
}

fn gathered<R, E>(
    verdict: Verdict,
    machine: &Machine,
    ended: Vec<usize>,
    results: Vec<Option<Result<R, BranchError<E>>>>,
) -> Gathered<R, E> {
    let results = machine.members().iter().zip(results).map(|(member, result)| match member {
        Member::Succeeded | Member::Failed => result.expect("a branch that has ended has a result"),
        Member::Cancelled => Err(match verdict {
            Verdict::Partial | Verdict::Late => BranchError::Late,
            _ => BranchError::Cancelled,
        }),
        Member::Running | Member::Detached => Err(BranchError::Detached),
        Member::Waiting | Member::NotStarted => Err(BranchError::NotStarted),
    });
    Gathered { verdict, ended, results: results.collect() }
}

/// How to cancel what runs; dropping it does.
struct Aborts(Vec<Option<AbortHandle>>);

impl Aborts {
    fn new(n: usize) -> Self {
        Self((0..n).map(|_| None).collect())
    }

    fn abort(&mut self, i: usize) {
        if let Some(handle) = self.0[i].take() {
            handle.abort();
        }
    }
}

impl Drop for Aborts {
    fn drop(&mut self) {
        for i in 0..self.0.len() {
            self.abort(i);
        }
    }
}
