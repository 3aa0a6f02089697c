//! Deaths of workers and of the pool's own actor: nothing is lost, nothing is done twice without need.

use greenroom_core::fault::{Fault, Faults, Point};
use greenroom_core::supervision::Intensity;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_whose_worker_dies_is_given_to_another_at_once() {
    let works = [Work::CrashOnce(1), Work::FailLaterOnce(1, SOON)];
    for work in works {
        let hall = Hall::new(frail(2)).await;
        let answer = hall.pool.ask(SECOND, work.clone()).await;
        assert_eq!(answer, Ok(1), "although the dead worker is away for an hour");
        let log = hall.log().all();
        assert_eq!(log.iter().map(|(_, _, delivery)| *delivery).collect::<Vec<_>>(), [1, 2]);
        assert_ne!(log[0].0, log[1].0, "another worker");
        assert_eq!(hall.letters(), [], "it was handled in the end");
        let states: Vec<_> = hall.pool.info().workers.iter().map(|worker| worker.state).collect();
        assert_eq!(states, [WorkerState::Down, WorkerState::Up]);
        hall.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_between_messages_takes_no_job_along() {
    let hall = Hall::new(frail(2)).await;
    let job = hall.give(Work::Slow(1, SECOND));
    settle().await;
    let worker = hall.log().workers()[0].clone();
    let me = hall.notes.me.lock().expect("no test panics here")[&worker].clone();
    assert!(me.crash_on_purpose());
    assert_eq!(job.await.expect("no panic"), Ok(1));
    let log = hall.log().all();
    assert_eq!(log.len(), 2);
    assert_ne!(log[0].0, log[1].0);
    assert_eq!(hall.notes.n_open.load(Ordering::Relaxed), 0, "the first effect ended too");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn poison_is_quarantined_with_its_cause_and_harms_nobody_else() {
    for (key, work) in [("seen", Work::Poison), ("blind", Work::BlindPoison)] {
        let hall = Hall::new(of(2).deliveries_max(3)).await;
        let (poisoned, other) = tokio::join!(
            async { hall.pool.submit(work).key(key).deadline(MINUTE).await },
            hall.pool.ask(MINUTE, Work::Echo(1)),
        );
        let Err(PoolError::Quarantined { n_deliveries: 3, cause }) = poisoned else {
            panic!("{key}: {poisoned:?}");
        };
        assert!(matches!(&cause, ExitReason::Panic(_)), "{cause}");
        assert_eq!(other, Ok(1));
        assert_eq!(hall.letters(), [DeadReason::Poison { cause }], "one, and it is the pool's");
        let counts = hall.runtime.dead_letter_counts();
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("poison", 1)], "no worker has one");
        assert_eq!(hall.pool.info().n_quarantined, 1);
        assert_eq!(hall.pool.ask(MINUTE, Work::Echo(2)).await, Ok(2));
        hall.end().await;
    }
}

/// A worker that has several jobs dies of one of them; the others are innocent.
#[tokio::test(start_paused = true)]
async fn the_innocent_are_never_quarantined_with_the_guilty() {
    for guilty in [Work::Poison, Work::FailLaterOnce(9, SOON)] {
        let hall = Hall::new(of(1).concurrency(4).deliveries_max(1)).await;
        let innocent = [0, 1, 2].map(|i| hall.give(Work::Slow(i, SECOND)));
        settle().await;
        let guilty = hall.pool.ask(MINUTE, guilty).await;
        assert!(matches!(guilty, Err(PoolError::Quarantined { .. }) | Ok(9)), "{guilty:?}");
        for (job, answer) in innocent.into_iter().zip(0..) {
            assert_eq!(job.await.expect("no panic"), Ok(answer));
        }
        hall.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_death_is_not_done_again() {
    let hall = Hall::new(frail(2)).await;
    assert_eq!(hall.pool.ask(MINUTE, Work::AnswerAndCrash(1)).await, Ok(1));
    settle().await;
    assert_eq!(hall.log().all().len(), 1);
    assert_eq!(hall.pool.info().n_done, 1);
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_of_the_pools_own_actor_loses_no_job() {
    let hall = Hall::new(of(2)).await;
    let jobs: Vec<_> = (0..10).map(|i| hall.give(Work::Slow(i, SECOND))).collect();
    settle().await;
    for _ in 0..3 {
        assert!(hall.pool.crash_on_purpose());
        // Something for it to crash on.
        let _ = hall.pool.resize(2..=2);
        tokio::time::sleep(SOON).await;
    }
    let generation = hall.runtime.agents()[0].generation;
    assert!(generation > 1, "the pool's actor is in its {generation}. life");
    for (job, answer) in jobs.into_iter().zip(0..) {
        assert_eq!(job.await.expect("no panic"), Ok(answer));
    }
    let info = hall.pool.info();
    assert_eq!((info.n_done, info.n_quarantined, info.size()), (10, 0, 2));
    assert_eq!(hall.letters(), []);
    assert!(info.workers.iter().all(|w| w.agent.as_ref().is_some_and(|a| a.generation == 1)));
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_whose_actor_crashes_again_and_again_is_given_up_and_says_so() {
    let hall = Hall::new(of(1)).await;
    let job = hall.give(Work::Slow(1, HOUR));
    settle().await;
    for _ in 0..100 {
        let _ = hall.pool.crash_on_purpose();
        tokio::time::sleep(SOON).await;
        if job.is_finished() {
            break;
        }
    }
    assert_eq!(job.await.expect("no panic"), Err(PoolError::Stopped));
    assert_eq!(hall.pool.ask(HOUR, Work::Echo(2)).await, Err(PoolError::Stopped), "at once");
    hall.end().await;
}

/// The first message of the first worker is handled a minute late.
#[derive(Default)]
struct OneIsLate(std::sync::atomic::AtomicBool);

impl Faults for OneIsLate {
    fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        let Point::Message { agent, .. } = point else { return None };
        let is_first = agent.as_str() == "workers-1" && !self.0.swap(true, Ordering::Relaxed);
        is_first.then_some(Fault::Delay(MINUTE))
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_worker_that_hangs_goes_to_another_and_no_further_one_to_it() {
    let faults = OneIsLate::default();
    let runtime = Runtime::builder().seed(7).faults(faults).start().await.expect("it starts");
    let notes = Notes::default();
    let pool = open(&runtime, of(2), &notes).await.expect("it starts");
    let hall = Hall { runtime, pool, notes };
    let started = tokio::time::Instant::now();
    assert_eq!(hall.pool.ask(HOUR, Work::Echo(1)).await, Ok(1));
    assert_eq!(started.elapsed().as_secs(), 5, "as long as a worker may take to look");
    for i in 2..9 {
        assert_eq!(hall.pool.ask(SECOND, Work::Echo(i)).await, Ok(i));
    }
    assert!(hall.log().workers().iter().all(|worker| worker == "workers-2"));
    assert!(hall.pool.info().workers[0].is_mute);
    tokio::time::sleep(2 * MINUTE).await;
    assert!(!hall.pool.info().workers[0].is_mute, "it was heard");
    let n_before = hall.log().all().len();
    join_all((0..2).map(|i| hall.pool.ask(MINUTE, Work::Slow(i, SECOND)))).await;
    let workers = hall.log().workers().split_off(n_before);
    assert_ne!(workers[0], workers[1], "and takes jobs again");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_given_up_is_replaced() {
    let hall = Hall::new(frail(1).intensity(Intensity::new(0, MINUTE))).await;
    let first = hall.notes.me.lock().expect("no test panics here")["workers-1"].clone();
    assert!(first.crash_on_purpose());
    settle().await;
    assert_eq!(hall.pool.info().size(), 0, "given up");
    let started = tokio::time::Instant::now();
    assert_eq!(hall.pool.ask(MINUTE, Work::Echo(1)).await, Ok(1));
    assert_eq!(started.elapsed().as_secs_f64().round() as u64, 1, "after a second");
    assert_eq!(hall.log().workers(), ["workers-2"]);
    let info = hall.pool.info();
    assert_eq!((info.size(), info.decisions.len()), (1, 2), "{:?}", info.decisions);
    hall.end().await;
}
