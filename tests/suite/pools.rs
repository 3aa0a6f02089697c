//! Pools of real actors in virtual time: leases, deaths, deadlines, priorities, keys, sizes.

mod deaths;
mod sizes;
mod stress;

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use greenroom_core::pool::{PoolSpec, Priority, SpecError, WhenFull, WorkerState};
use greenroom_core::supervision::{AdminError, Backoff, ExitReason};
use greenroom_runtime::{
    Actor, AgentRef, Context, DeadReason, Failure, Job, JobReply, Pool, PoolError, PoolStartError,
    Runtime,
};

use crate::support::{end, runtime};

const SOON: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What a job is to do to its worker.
#[derive(Debug, Clone, PartialEq)]
enum Work {
    /// Be answered at once.
    Echo(u32),
    /// Be answered later, by an effect.
    Slow(u32, Duration),
    /// Crash every worker.
    Poison,
    /// Crash every worker, which has not even looked at it.
    BlindPoison,
    /// Crash the first worker.
    CrashOnce(u32),
    /// Fail the first worker when its effect is done.
    FailLaterOnce(u32, Duration),
    /// Never be answered.
    Forget,
    /// Be answered, and have the worker crash right after that, in another handler.
    AnswerAndCrash(u32),
}

/// Who was given what, and which delivery that was.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, Work, u32)>>>);

impl Log {
    fn all(&self) -> Vec<(String, Work, u32)> {
        self.0.lock().expect("no test panics here").clone()
    }

    fn works(&self) -> Vec<Work> {
        self.all().into_iter().map(|(_, work, _)| work).collect()
    }

    fn workers(&self) -> Vec<String> {
        self.all().into_iter().map(|(worker, _, _)| worker).collect()
    }
}

#[derive(Clone, Default)]
struct Notes {
    log: Log,
    /// Effects under way.
    n_open: Arc<AtomicUsize>,
    /// The latest address of each worker.
    me: Arc<Mutex<std::collections::BTreeMap<String, AgentRef<Message>>>>,
    /// Starts that fail.
    n_bad_starts: Arc<AtomicUsize>,
}

struct Worker {
    notes: Notes,
}

enum Message {
    Do(Job<Work, u32>),
    Done(u32, JobReply<u32>),
    Fail(#[expect(dead_code, reason = "it dies with the worker")] JobReply<u32>),
    Crash,
}

/// Counts what is under way, until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(n_open: &Arc<AtomicUsize>) -> Self {
        n_open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(n_open))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Actor for Worker {
    type Message = Message;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        let n_bad = &self.notes.n_bad_starts;
        if n_bad.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            return Err(Failure::new("a bad start"));
        }
        let mut me = self.notes.me.lock().expect("no test panics here");
        me.insert(context.id().to_string(), context.me());
        Ok(())
    }

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Do(job) => self.begin(job, context)?,
            Message::Done(answer, reply) => _ = reply.send(*answer),
            Message::Fail(_) => return Err(Failure::new("told to fail")),
            Message::Crash => panic!("told to crash"),
        }
        Ok(())
    }
}

impl Worker {
    fn begin(
        &mut self,
        job: &Job<Work, u32>,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        // To look at the payload is to begin, so a blind one is told by its key.
        assert_ne!(job.key(), Some("blind"), "crashed without a look");
        let work = (**job.payload()).clone();
        let note = (context.id().to_string(), work.clone(), job.delivery());
        self.notes.log.0.lock().expect("no test panics here").push(note);
        match work {
            // A caller that has gone needs no answer.
            Work::Echo(answer) => _ = job.reply().send(answer),
            Work::Slow(answer, span) => {
                let (open, reply) = (Open::new(&self.notes.n_open), job.reply().take());
                let work = async move {
                    let _open = open;
                    tokio::time::sleep(span).await;
                };
                context.effect("work", HOUR, work, move |_| Message::Done(answer, reply));
            }
            Work::Poison | Work::BlindPoison => panic!("poison"),
            Work::CrashOnce(_) if job.delivery() == 1 => panic!("once"),
            Work::FailLaterOnce(_, span) if job.delivery() == 1 => {
                let (work, reply) = (tokio::time::sleep(span), job.reply().take());
                context.effect("work", HOUR, work, move |_| Message::Fail(reply));
            }
            Work::CrashOnce(answer) | Work::FailLaterOnce(answer, _) => {
                let _ = job.reply().send(answer);
            }
            Work::Forget => {}
            Work::AnswerAndCrash(answer) => {
                context.me().control(Message::Crash).expect("room");
                let _ = job.reply().send(answer);
            }
        }
        Ok(())
    }
}

/// A runtime with a pool.
struct Hall {
    runtime: Runtime,
    pool: Pool<Work, u32>,
    notes: Notes,
}

impl Hall {
    async fn new(spec: PoolSpec) -> Self {
        let (runtime, notes) = (runtime().await, Notes::default());
        let pool = open(&runtime, spec, &notes).await.expect("it starts");
        Self { runtime, pool, notes }
    }

    fn log(&self) -> &Log {
        &self.notes.log
    }

    /// Why jobs are dead letters. Workers have letters of their own, for what they sent to themselves.
    fn letters(&self) -> Vec<DeadReason> {
        let letters = self.runtime.dead_letters().into_iter();
        let jobs = letters.filter(|letter| letter.message_type.ends_with("Work"));
        jobs.map(|letter| {
            assert_eq!(letter.to.as_str(), "workers", "it is the pool's");
            letter.reason
        })
        .collect()
    }

    /// Gives the pool a job, and lets it begin.
    fn give(&self, work: Work) -> tokio::task::JoinHandle<Result<u32, PoolError>> {
        self.give_to(work, |pool, work| {
            let pool = pool.clone();
            async move { pool.ask(HOUR, work).await }
        })
    }

    fn give_to<F>(
        &self,
        work: Work,
        ask: impl FnOnce(&Pool<Work, u32>, Work) -> F,
    ) -> tokio::task::JoinHandle<Result<u32, PoolError>>
    where
        F: Future<Output = Result<u32, PoolError>> + Send + 'static,
    {
        #[expect(clippy::disallowed_methods, reason = "a test owns its tasks")]
        tokio::spawn(ask(&self.pool, work))
    }

    async fn end(self) {
        end(self.runtime).await;
        let n_alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        assert_eq!(n_alive, 0, "actors were left behind");
    }
}

async fn open(
    runtime: &Runtime,
    spec: PoolSpec,
    notes: &Notes,
) -> Result<Pool<Work, u32>, PoolStartError> {
    let notes = notes.clone();
    runtime.pool("workers", spec, move || Worker { notes: notes.clone() }, Message::Do).await
}

fn of(n_workers: usize) -> PoolSpec {
    PoolSpec::new(n_workers..=n_workers)
}

/// Workers that are away for an hour when they die.
fn frail(n_workers: usize) -> PoolSpec {
    of(n_workers).backoff(Backoff::new(HOUR, HOUR).jitter(0.0))
}

/// Lets everything happen that needs no time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn jobs_are_spread_over_the_workers_and_answered() {
    let hall = Hall::new(of(3)).await;
    let jobs = (0..6).map(|i| hall.pool.ask(MINUTE, Work::Slow(i, SECOND)));
    let started = tokio::time::Instant::now();
    let answers = join_all(jobs).await;
    assert_eq!(answers, (0..6).map(Ok).collect::<Vec<_>>());
    assert_eq!(started.elapsed().as_secs(), 2, "three at once");
    let info = hall.pool.info();
    assert_eq!((info.n_accepted, info.n_done, info.size(), info.n_leases()), (6, 6, 3, 0));
    let done: Vec<_> = info.workers.iter().map(|worker| worker.n_done).collect();
    assert_eq!(done, [2, 2, 2]);
    assert!(info.workers.iter().all(|worker| worker.state == WorkerState::Up));
    assert_eq!(info.wait_p95.map(|wait| wait.as_secs()), Some(1), "half of them waited");
    let agents: Vec<_> = hall.runtime.agents().iter().map(|agent| agent.id.to_string()).collect();
    assert_eq!(agents, ["workers", "workers-1", "workers-2", "workers-3"]);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_drops_the_reply_is_not_asked_again() {
    let hall = Hall::new(of(2)).await;
    assert_eq!(hall.pool.ask(MINUTE, Work::Forget).await, Err(PoolError::NoReply));
    assert_eq!(hall.log().all().len(), 1);
    assert_eq!(hall.letters(), []);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_too_late_is_cancelled_and_its_worker_is_free() {
    let hall = Hall::new(of(1)).await;
    let late = hall.give_to(Work::Slow(1, HOUR), |pool, work| {
        let pool = pool.clone();
        async move { pool.ask(SECOND, work).await }
    });
    settle().await;
    assert_eq!(hall.notes.n_open.load(Ordering::Relaxed), 1);
    let next = hall.pool.ask(MINUTE, Work::Echo(2)).await;
    assert_eq!(next, Ok(2), "it waited for the worker");
    assert_eq!(late.await.expect("no panic"), Err(PoolError::TimedOut(SECOND)));
    let unsaid = hall.pool.submit(Work::Slow(3, HOUR)).await;
    assert_eq!(unsaid, Err(PoolError::TimedOut(30 * SECOND)), "no call without a deadline");
    settle().await;
    assert_eq!(hall.notes.n_open.load(Ordering::Relaxed), 0, "what it did is cancelled");
    assert_eq!(hall.letters(), []);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_job_that_expires_in_the_queue_is_never_handled() {
    let hall = Hall::new(of(1)).await;
    let busy = hall.give(Work::Slow(1, MINUTE));
    settle().await;
    let late = hall.pool.ask(SECOND, Work::Echo(2)).await;
    assert_eq!(late, Err(PoolError::TimedOut(SECOND)));
    assert_eq!(hall.letters(), [DeadReason::Expired]);
    assert_eq!(busy.await.expect("no panic"), Ok(1));
    settle().await;
    assert_eq!(hall.log().works(), [Work::Slow(1, MINUTE)]);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_caller_withdraws_the_job() {
    let hall = Hall::new(of(1)).await;
    let (leased, queued) = (hall.give(Work::Slow(1, HOUR)), hall.give(Work::Echo(2)));
    settle().await;
    assert_eq!(hall.pool.info().n_queued, [0, 1, 0]);
    queued.abort();
    settle().await;
    assert_eq!(hall.pool.info().n_queued, [0, 0, 0]);
    assert_eq!(hall.letters(), [DeadReason::Cancelled]);
    leased.abort();
    settle().await;
    assert_eq!(hall.notes.n_open.load(Ordering::Relaxed), 0, "what it did is cancelled");
    assert_eq!(hall.pool.ask(SECOND, Work::Echo(3)).await, Ok(3), "the worker is free");
    assert_eq!(hall.log().works(), [Work::Slow(1, HOUR), Work::Echo(3)]);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_makes_wait_or_rejects() {
    for when_full in [WhenFull::Wait, WhenFull::Reject] {
        let hall = Hall::new(of(1).queue_max(2).when_full(when_full)).await;
        let busy = hall.give(Work::Slow(1, MINUTE));
        settle().await;
        let queued = [hall.give(Work::Echo(2)), hall.give(Work::Echo(3))];
        settle().await;
        let late = hall.pool.ask(SECOND, Work::Echo(4)).await;
        let expect = match when_full {
            WhenFull::Wait => PoolError::TimedOut(SECOND),
            WhenFull::Reject => PoolError::Full,
        };
        assert_eq!(late, Err(expect));
        let waits = hall.give(Work::Echo(5));
        settle().await;
        assert_eq!(hall.pool.info().n_queued, [0, 2, 0], "never more than there is room for");
        assert_eq!(busy.await.expect("no panic"), Ok(1));
        for (job, answer) in queued.into_iter().zip(2..) {
            assert_eq!(job.await.expect("no panic"), Ok(answer));
        }
        let waited = waits.await.expect("no panic");
        let expect = if when_full == WhenFull::Wait { Ok(5) } else { Err(PoolError::Full) };
        assert_eq!(waited, expect);
        hall.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn priorities_are_respected_and_grow_old() {
    let hall = Hall::new(of(1)).await;
    let submit = |n, priority| {
        hall.give_to(Work::Echo(n), move |pool, work| {
            let pool = pool.clone();
            async move { pool.submit(work).priority(priority).deadline(HOUR).await }
        })
    };
    let busy = hall.give(Work::Slow(0, MINUTE));
    settle().await;
    let mut jobs = vec![submit(1, Priority::Low), submit(2, Priority::Normal)];
    settle().await;
    jobs.push(submit(3, Priority::High));
    tokio::time::sleep(12 * SECOND).await;
    jobs.push(submit(4, Priority::High));
    settle().await;
    assert_eq!(hall.pool.info().n_queued, [2, 1, 1]);
    assert_eq!(busy.await.expect("no panic"), Ok(0));
    join_all(jobs).await;
    let order: Vec<_> = hall.log().works().into_iter().skip(1).collect();
    assert_eq!(order, [3, 2, 4, 1].map(Work::Echo), "the high one of later overtakes only the low");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_goes_to_one_worker_while_that_has_room_in_time() {
    let hall = Hall::new(of(4)).await;
    for key in ["a", "b", "c"] {
        let before = hall.log().all().len();
        for i in 0..5 {
            assert_eq!(hall.pool.submit(Work::Echo(i)).key(key).await, Ok(i));
        }
        let workers = hall.log().workers().split_off(before);
        assert!(workers.iter().all(|worker| *worker == workers[0]), "{key}: {workers:?}");
    }
    let submit = |n| {
        hall.give_to(Work::Slow(n, MINUTE), move |pool, work| {
            let pool = pool.clone();
            async move { pool.submit(work).key("a").deadline(HOUR).await }
        })
    };
    let before = hall.log().all().len();
    let jobs = [submit(1), submit(2)];
    settle().await;
    assert_eq!(hall.log().all().len(), before + 1, "the second waits for its home");
    tokio::time::sleep(SECOND).await;
    let workers = hall.log().workers().split_off(before);
    assert_eq!(workers.len(), 2, "and after a second goes to another");
    assert_ne!(workers[0], workers[1]);
    join_all(jobs).await;
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn draining_finishes_what_is_there_and_refuses_the_rest() {
    let hall = Hall::new(of(1)).await;
    let jobs = [hall.give(Work::Slow(1, SECOND)), hall.give(Work::Slow(2, SECOND))];
    settle().await;
    let (n_left, refused) = tokio::join!(hall.pool.drain(MINUTE), async {
        settle().await;
        hall.pool.ask(MINUTE, Work::Echo(3)).await
    });
    assert_eq!((n_left, refused), (0, Err(PoolError::Stopped)));
    for (job, answer) in jobs.into_iter().zip(1..) {
        assert_eq!(job.await.expect("no panic"), Ok(answer));
    }
    assert!(hall.pool.info().workers.iter().all(|w| w.agent.is_none()), "its workers are gone");
    assert_eq!(hall.pool.drain(MINUTE).await, 0, "again");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn draining_gives_up_what_is_left_at_its_deadline() {
    let hall = Hall::new(of(1)).await;
    let jobs = [hall.give(Work::Slow(1, HOUR)), hall.give(Work::Echo(2))];
    settle().await;
    assert_eq!(hall.pool.drain(SECOND).await, 2);
    for job in jobs {
        assert_eq!(job.await.expect("no panic"), Err(PoolError::Stopped));
    }
    assert_eq!(hall.letters(), [DeadReason::Stopped, DeadReason::Stopped]);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_runtime_answers_everybody() {
    let hall = Hall::new(of(1)).await;
    let jobs = [hall.give(Work::Slow(1, HOUR)), hall.give(Work::Echo(2))];
    settle().await;
    hall.runtime.shutdown().await;
    for job in jobs {
        assert_eq!(job.now_or_never().expect("done").expect("no panic"), Err(PoolError::Stopped));
    }
    assert_eq!(hall.pool.ask(HOUR, Work::Echo(3)).await, Err(PoolError::Stopped), "at once");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_cannot_start_leaves_nothing() {
    let (runtime, notes) = (runtime().await, Notes::default());
    let wrong = open(&runtime, of(1).concurrency(0), &notes).await;
    assert_eq!(wrong.err(), Some(PoolStartError::Spec(SpecError::ConcurrencyZero)));
    notes.n_bad_starts.store(1, Ordering::Relaxed);
    let failed = open(&runtime, of(3), &notes).await;
    let cause = ExitReason::failed("a bad start");
    let expect = PoolStartError::Supervisor(AdminError::StartFailed { cause });
    assert_eq!(failed.err(), Some(expect));
    assert!(runtime.supervisor().which_children().await.is_empty());
    let pool = open(&runtime, of(1), &notes).await.expect("the name is free");
    let taken = open(&runtime, of(1), &notes).await;
    assert!(matches!(taken.err(), Some(PoolStartError::Supervisor(_))), "the name is taken");
    assert_eq!(pool.ask(MINUTE, Work::Echo(1)).await, Ok(1));
    assert_eq!(pool.resize(0..=1), Err(SpecError::WorkersZero));
    end(runtime).await;
}

/// A user's function that makes the message panics.
#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_made_into_a_message_is_quarantined_at_once() {
    let (runtime, notes) = (runtime().await, Notes::default());
    let factory = move || Worker { notes: notes.clone() };
    let build = |job: Job<Work, u32>| match **job.payload() {
        Work::Poison => panic!("no such message"),
        _ => Message::Do(job),
    };
    let pool = runtime.pool("workers", of(1), factory, build).await.expect("it starts");
    let cause = ExitReason::panic("no such message");
    let expect = PoolError::Quarantined { n_deliveries: 1, cause: cause.clone() };
    assert_eq!(pool.ask(MINUTE, Work::Poison).await, Err(expect));
    assert_eq!(runtime.dead_letters()[0].reason, DeadReason::Poison { cause });
    assert_eq!(pool.ask(MINUTE, Work::Echo(1)).await, Ok(1));
    assert_eq!(pool.info().workers[0].agent.as_ref().map(|agent| agent.generation), Some(1));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_asks_a_pool_in_an_effect() {
    struct Boss {
        pool: Pool<Work, u32>,
        heard: Arc<Mutex<Vec<Result<u32, PoolError>>>>,
    }
    enum Order {
        Go,
        Heard(Result<u32, PoolError>),
    }
    impl Actor for Boss {
        type Message = Order;

        fn handle(
            &mut self,
            order: &Order,
            context: &mut Context<'_, Self>,
        ) -> Result<(), Failure> {
            match order {
                Order::Go => {
                    let pool = self.pool.clone();
                    let work = async move { pool.ask(SECOND, Work::Echo(7)).await };
                    context.effect("ask", MINUTE, work, |outcome| {
                        Order::Heard(outcome.unwrap_or(Err(PoolError::NoReply)))
                    });
                }
                Order::Heard(result) => {
                    self.heard.lock().expect("no test panics here").push(result.clone());
                }
            }
            Ok(())
        }
    }
    let hall = Hall::new(of(1)).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (pool, notes) = (hall.pool.clone(), Arc::clone(&heard));
    let boss = move || Boss { pool: pool.clone(), heard: Arc::clone(&notes) };
    let boss = hall.runtime.spawn("boss", boss).await.expect("it starts");
    boss.send(Order::Go).await.expect("it lives");
    settle().await;
    assert_eq!(*heard.lock().expect("no test panics here"), [Ok(7)]);
    hall.end().await;
}

/// Nothing to wait for.
#[tokio::test(start_paused = true)]
async fn a_pool_without_jobs_sleeps() {
    let hall = Hall::new(PoolSpec::new(1..=4)).await;
    assert_eq!(hall.pool.ask(MINUTE, Work::Echo(1)).await, Ok(1));
    tokio::time::sleep(MINUTE).await;
    let n_tasks = hall.runtime.n_tasks();
    assert_eq!(n_tasks, 0, "no timer is left, and actors are none of the runtime's tasks");
    let never = tokio::time::timeout(HOUR, pending::<()>()).await;
    assert!(never.is_err());
    hall.end().await;
}
