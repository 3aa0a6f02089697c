//! Fan-out: every form, from inside a handler and from outside, and what becomes of branches that nobody waits
//! for any more.

mod lives;
mod tree;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom::core::fanout::BRANCHES_MAX;
use greenroom::{
    Actor, AgentRef, Branch, BranchError, Context, Failure, FanOut, Gathered, Reply, Runtime,
    Verdict,
};
use greenroom_runtime::AskError;

use crate::support::{end, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Branches = Vec<Branch<u64, &'static str>>;
type Outcome = Gathered<u64, &'static str>;

/// An actor that fans out when it is asked, and passes on what came of it.
#[derive(Default)]
struct Asker {
    waiting: Option<Reply<Outcome>>,
    relaying: Option<Reply<()>>,
    log: Log,
}

/// What the asker was told, also when nobody waited for it.
type Log = Arc<Mutex<Vec<Outcome>>>;

enum Message {
    Fan(FanOut, Mutex<Branches>, Option<Reply<Outcome>>),
    /// The same, and when it is over a second one.
    Twice(FanOut, Mutex<Branches>, Mutex<Branches>, Reply<Outcome>),
    Again(FanOut, Mutex<Branches>),
    /// Asks somebody else.
    Relay(Mutex<Option<Branch<Outcome>>>, Reply<()>),
    Found(Outcome),
    Relayed,
    Ping(Reply<()>),
    Crash,
}

impl Actor for Asker {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Fan(form, branches, reply) => {
                self.waiting = reply.as_ref().map(Reply::take);
                context.fan_out(*form, taken(branches), Message::Found);
            }
            Message::Twice(form, first, second, reply) => {
                self.waiting = Some(reply.take());
                let (form, second) = (*form, taken(second));
                let again = move |_| Message::Again(form, Mutex::new(second));
                context.fan_out(form, taken(first), again);
            }
            Message::Again(form, branches) => {
                context.fan_out(*form, taken(branches), Message::Found);
            }
            Message::Relay(branch, reply) => {
                self.relaying = Some(reply.take());
                let branch = branch.lock().expect("no test panics here").take();
                context.fan_out(FanOut::gather(), branch, |_| Message::Relayed);
            }
            Message::Relayed => {}
            Message::Found(outcome) => {
                self.log.lock().expect("no test panics here").push(outcome.clone());
                if let Some(reply) = self.waiting.take() {
                    let _ = reply.send(outcome.clone());
                }
            }
            Message::Ping(reply) => drop(reply.send(())),
            Message::Crash => panic!("told to"),
        }
        Ok(())
    }
}

fn taken(branches: &Mutex<Branches>) -> Branches {
    std::mem::take(&mut *branches.lock().expect("no test panics here"))
}

fn fan(form: FanOut, branches: Branches) -> impl FnOnce(Reply<Outcome>) -> Message {
    move |reply| Message::Fan(form, Mutex::new(branches), Some(reply))
}

/// What branches do, seen from outside.
#[derive(Clone, Default)]
struct Seen {
    n_running: Arc<AtomicUsize>,
    n_running_max: Arc<AtomicUsize>,
    n_started: Arc<AtomicUsize>,
    n_finished: Arc<AtomicUsize>,
}

/// Counts as running until it is dropped: the proof that a branch is gone, not only unheard.
struct Running(Seen);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.n_running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seen {
    /// A branch that takes so many seconds; it gives them, or fails with a text.
    fn branch(&self, seconds: u64, fails: bool) -> Branch<u64, &'static str> {
        let seen = self.clone();
        let work = async move {
            let n_running = seen.n_running.fetch_add(1, Ordering::Relaxed) + 1;
            seen.n_running_max.fetch_max(n_running, Ordering::Relaxed);
            seen.n_started.fetch_add(1, Ordering::Relaxed);
            let running = Running(seen);
            tokio::time::sleep(seconds as u32 * SECOND).await;
            running.0.n_finished.fetch_add(1, Ordering::Relaxed);
            if fails { Err("no") } else { Ok(seconds) }
        };
        Branch::future("work", HOUR, work).fallible()
    }

    /// Branches that take these many seconds; those below zero fail.
    fn branches(&self, seconds: &[i64]) -> Branches {
        seconds.iter().map(|s| self.branch(s.unsigned_abs(), *s < 0)).collect()
    }

    fn n_running(&self) -> usize {
        self.n_running.load(Ordering::Relaxed)
    }

    fn n_started(&self) -> usize {
        self.n_started.load(Ordering::Relaxed)
    }

    fn n_finished(&self) -> usize {
        self.n_finished.load(Ordering::Relaxed)
    }
}

/// What became of the branches, in their order: what they gave, or why they gave nothing.
fn told(outcome: &Outcome) -> String {
    let results = outcome.results().iter().map(|result| match result {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    });
    format!("{}: {}", outcome.verdict(), results.collect::<Vec<_>>().join(", "))
}

/// Lets everything happen that needs no time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

async fn asker(runtime: &Runtime) -> (AgentRef<Message>, Log) {
    let log = Log::default();
    let kept = Arc::clone(&log);
    let factory = move || Asker { log: Arc::clone(&kept), ..Asker::default() };
    (runtime.spawn("asker", factory).await.expect("it starts"), log)
}

/// Runs a fan-out of branches that take these many seconds (those below zero fail), once from outside and once
/// from inside a handler, and compares what comes of it, how long it takes and what is left.
async fn check(form: FanOut, seconds: &[i64], expect: &str, after: Duration) {
    let runtime = runtime().await;
    let (asker, _) = asker(&runtime).await;
    for is_inside in [false, true] {
        let (seen, begun) = (Seen::default(), tokio::time::Instant::now());
        let branches = seen.branches(seconds);
        let outcome = if is_inside {
            asker.ask(HOUR, fan(form, branches)).await.expect("it answers")
        } else {
            runtime.fan_out(form, branches).await
        };
        assert_eq!(told(&outcome), expect, "inside: {is_inside}");
        let took = begun.elapsed();
        assert!(took >= after && took < after + Duration::from_millis(20), "{took:?}");
        settle().await;
        assert_eq!(seen.n_running(), 0, "a branch that nobody waits for is gone");
        assert_eq!(runtime.n_tasks(), 0);
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn gather_keeps_the_order_and_every_error() {
    let expect = "complete: 3, no, 1, no";
    check(FanOut::gather(), &[3, -2, 1, -4], expect, 4 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn all_or_nothing_cancels_the_siblings_at_the_first_failure() {
    check(FanOut::all(), &[3, 1, 2], "complete: 3, 1, 2", 3 * SECOND).await;
    let expect = "impossible: cancelled, 1, no, cancelled";
    check(FanOut::all(), &[3, 1, -2, 9], expect, 2 * SECOND).await;
    let expect = "impossible: no, not started";
    check(FanOut::all().width(1), &[-2, 1], expect, 2 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_success_cancels_the_losers() {
    let expect = "complete: cancelled, 2, no, cancelled";
    check(FanOut::first(), &[3, 2, -1, 9], expect, 2 * SECOND).await;
    check(FanOut::first(), &[-3, -2], "impossible: no, no", 3 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn k_of_n_is_over_as_soon_as_it_is_decided() {
    let expect = "complete: cancelled, 2, no, 3";
    check(FanOut::at_least(2), &[4, 2, -1, 3], expect, 3 * SECOND).await;
    let expect = "impossible: cancelled, no, no";
    check(FanOut::at_least(2), &[4, -2, -1], expect, 2 * SECOND).await;
    let expect = "impossible: not started, not started";
    check(FanOut::at_least(3), &[1, 2], expect, Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_gives_what_is_there() {
    let form = FanOut::gather().deadline(5 * SECOND / 2);
    let expect = "partial: not done by the deadline, 2, not done by the deadline";
    check(form, &[3, 2, 4], expect, 5 * SECOND / 2).await;
    check(FanOut::gather().deadline(9 * SECOND), &[3, 2, 4], "complete: 3, 2, 4", 4 * SECOND).await;
    let expect = "late: not done by the deadline, no";
    check(form, &[3, -2], expect, 5 * SECOND / 2).await;
    let expect = "partial: 2, not done by the deadline, not started";
    check(form.width(1), &[2, 1, 1], expect, 5 * SECOND / 2).await;
    let expect = "partial: not done by the deadline, 1, not done by the deadline";
    let form = FanOut::gather().deadline(2 * SECOND);
    check(form, &[2, 1, -2], expect, 2 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_race_ends_with_the_first_end_well_or_not() {
    check(FanOut::race(), &[3, 1, 2], "complete: cancelled, 1, cancelled", SECOND).await;
    check(FanOut::race(), &[3, -1, 2], "complete: cancelled, no, cancelled", SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_runs_so_many_at_a_time_without_a_barrier_and_keeps_the_order() {
    // Two at a time: 4 s beside 1 + 2 + 1 s, and the last second alone. A barrier would take 4 + 2 + 1.
    check(FanOut::gather().width(2), &[4, 1, 2, 1, 1], "complete: 4, 1, 2, 1, 1", 5 * SECOND).await;
    let runtime = runtime().await;
    let (seen, n) = (Seen::default(), 200);
    let seconds: Vec<i64> = (0..n).map(|i| 1 + i * 7 % 5).collect();
    let outcome = runtime.fan_out(FanOut::gather().width(3), seen.branches(&seconds));
    let mut outcome = std::pin::pin!(outcome);
    assert_eq!(seen.n_started(), 0, "nothing starts before it is polled");
    let outcome = loop {
        tokio::select! {
            outcome = &mut outcome => break outcome,
            () = tokio::time::sleep(SECOND / 3) => assert!(runtime.n_tasks() <= 3),
        }
    };
    let expect: Vec<_> = seconds.iter().map(|s| *s as u64).collect();
    assert_eq!(outcome.into_values(), expect);
    assert_eq!(seen.n_running_max.load(Ordering::Relaxed), 3);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_without_branches_is_over_at_once() {
    for form in [FanOut::gather(), FanOut::all(), FanOut::first(), FanOut::race()] {
        check(form, &[], "complete: ", Duration::ZERO).await;
    }
    check(FanOut::at_least(1), &[], "impossible: ", Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn too_many_branches_are_refused_and_none_is_started() {
    let runtime = runtime().await;
    let (asker, _) = asker(&runtime).await;
    let seen = Seen::default();
    let seconds = vec![1; BRANCHES_MAX + 1];
    let endless = std::iter::repeat_with(|| seen.branch(1, false));
    let outside = runtime.fan_out(FanOut::gather(), endless).await;
    let inside = asker.ask(HOUR, fan(FanOut::gather(), seen.branches(&seconds))).await;
    for outcome in [outside, inside.expect("it answers")] {
        assert_eq!(outcome.verdict(), Verdict::Refused);
        assert_eq!(outcome.first(), Err(&BranchError::NotStarted));
    }
    assert_eq!(seen.n_started(), 0);
    let outcome = runtime.fan_out(FanOut::gather(), seen.branches(&seconds[1..])).await;
    assert_eq!(outcome.verdict(), Verdict::Complete, "as many as may be");
    assert_eq!(outcome.into_values().len(), BRANCHES_MAX);
    end(runtime).await;
}

/// An agent that answers after so many seconds, or refuses, or never answers.
struct Source;

enum Search {
    After(u64, Reply<u64>),
    Refuse(Reply<Result<u64, &'static str>>),
    Drop(#[expect(dead_code, reason = "the reply is never sent")] Reply<u64>),
    Answer(u64, Reply<u64>),
}

impl Actor for Source {
    type Message = Search;

    fn handle(&mut self, message: &Search, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Search::After(seconds, reply) => {
                let answer = Search::Answer(*seconds, reply.take());
                context.after(*seconds as u32 * SECOND, answer);
            }
            Search::Answer(seconds, reply) => drop(reply.send(*seconds)),
            Search::Refuse(reply) => drop(reply.send(Err("no"))),
            Search::Drop(_) => {}
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_is_an_error_of_its_own() {
    let runtime = runtime().await;
    let source = runtime.spawn("source", || Source).await.expect("it starts");
    let slow = || source.branch(HOUR, |reply| Search::After(10, reply));
    let branches = vec![
        source.branch(SECOND, |reply| Search::After(0, reply)),
        source.branch(SECOND, |reply| Search::After(2, reply)),
        source.branch(SECOND, Search::Drop),
        Branch::future("panics", SECOND, async { panic!("inside") }),
        Branch::future("slow", SECOND, async {
            tokio::time::sleep(HOUR).await;
            0
        }),
        Branch::blocking("blocks", HOUR, || 7),
        Branch::blocking("blocks", HOUR, || panic!("on its thread")),
        slow(),
    ];
    let outcome = runtime.fan_out(FanOut::gather().deadline(5 * SECOND), branches).await;
    let panicked = |text: &str| Err(BranchError::Panicked(text.into()));
    let expect = [
        Ok(0),
        Err(BranchError::TimedOut(SECOND)),
        Err(BranchError::Ask(AskError::NoReply)),
        panicked("inside"),
        Err(BranchError::TimedOut(SECOND)),
        Ok(7),
        panicked("on its thread"),
        Err(BranchError::Late),
    ];
    assert_eq!(outcome.results(), expect);
    assert_eq!(outcome.errors().count(), 6);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_an_error_is_a_failure_when_it_is_taken_for_one() {
    let runtime = runtime().await;
    let source = runtime.spawn("source", || Source).await.expect("it starts");
    let plain = runtime.fan_out(FanOut::all(), [source.branch(SECOND, Search::Refuse)]).await;
    assert_eq!((plain.verdict(), plain.into_values()), (Verdict::Complete, vec![Err("no")]));
    let branches = [
        source.branch(SECOND, Search::Refuse).fallible(),
        source.branch(SECOND, Search::Refuse).fallible(),
    ];
    let fallible = runtime.fan_out(FanOut::all().width(1), branches).await;
    let expect = [Err(BranchError::Failed("no")), Err(BranchError::NotStarted)];
    assert_eq!((fallible.verdict(), fallible.results()), (Verdict::Impossible, &expect[..]));
    runtime.supervisor().terminate_child("source").await.expect("it stops");
    let branches = [source.branch(SECOND, Search::Refuse).fallible()];
    let dead = runtime.fan_out(FanOut::gather(), branches).await;
    assert!(matches!(dead.into_first(), Err(BranchError::Ask(AskError::Dead(_)))));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_there_is_can_be_asked_in_several_ways() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let run = |form, seconds: &[i64]| runtime.fan_out(form, seen.branches(seconds));
    let outcome = run(FanOut::gather(), &[3, -2, 1, -1]).await;
    assert_eq!(outcome.ended(), [2, 3, 1, 0]);
    assert_eq!(outcome.values().collect::<Vec<_>>(), [&3, &1]);
    assert_eq!(outcome.first(), Ok(&1), "the first in time");
    assert_eq!(outcome.all(), Err(&BranchError::Failed("no")));
    assert_eq!(outcome.errors().map(|(i, _)| i).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(outcome.clone().into_first(), Ok(1));
    assert_eq!(outcome.into_values(), [3, 1]);
    let failed = run(FanOut::all(), &[3, -2]).await;
    assert_eq!(failed.all(), Err(&BranchError::Failed("no")), "the cause, and not a victim");
    assert_eq!(failed.first(), Err(&BranchError::Failed("no")));
    assert_eq!(failed.into_all(), Err(BranchError::Failed("no")));
    let whole = run(FanOut::all(), &[3, 2]).await;
    assert_eq!(whole.all(), Ok(vec![&3, &2]));
    assert_eq!(whole.into_all(), Ok(vec![3, 2]));
    let lost = run(FanOut::race(), &[3, -2]).await;
    assert_eq!(lost.into_first(), Err(BranchError::Failed("no")), "it was the first");
    let none = run(FanOut::race(), &[]).await;
    assert_eq!(none.first(), Err(&BranchError::NotStarted));
    assert_eq!(none.into_first(), Err(BranchError::NotStarted));
    end(runtime).await;
}
