//! The size of a pool of real actors.

use greenroom_core::pool::Reason;

use super::*;

/// Callers that each ask again as soon as they are answered.
async fn load(pool: &Pool<Work, u32>, n_callers: u32, span: Duration) -> Vec<usize> {
    let until = tokio::time::Instant::now() + span;
    let callers = (0..n_callers).map(|i| async move {
        while tokio::time::Instant::now() < until {
            assert_eq!(pool.ask(HOUR, Work::Slow(i, SECOND)).await, Ok(i));
        }
    });
    let sizes = async {
        let mut sizes = vec![pool.info().size()];
        while tokio::time::Instant::now() < until {
            tokio::time::sleep(SOON).await;
            let size = pool.info().size();
            if sizes.last() != Some(&size) {
                sizes.push(size);
            }
        }
        sizes
    };
    tokio::join!(join_all(callers), sizes).1
}

#[tokio::test(start_paused = true)]
async fn a_pool_grows_under_a_step_stays_and_shrinks_after_it() {
    let hall = Hall::new(PoolSpec::new(2..=16)).await;
    let sizes = load(&hall.pool, 10, MINUTE).await;
    assert!(sizes.is_sorted() && sizes.last().is_some_and(|size| *size >= 9), "{sizes:?}");
    let wait = hall.pool.info().wait_p95;
    assert!(wait.is_some_and(|wait| wait < SOON), "{wait:?}");
    let sizes = load(&hall.pool, 10, 10 * MINUTE).await;
    assert_eq!(sizes.len(), 1, "constant load, constant size: {sizes:?}");
    tokio::time::sleep(20 * MINUTE).await;
    let info = hall.pool.info();
    assert_eq!((info.size(), info.workers.len()), (2, 2), "{:?}", info.decisions);
    let is_grown = |reason: &Reason| matches!(reason, Reason::Waits { .. });
    let reasons: Vec<_> = info.decisions.iter().map(|decision| decision.reason).collect();
    assert!(is_grown(&reasons[0]) && !is_grown(&reasons[reasons.len() - 1]), "{reasons:?}");
    assert_eq!(hall.runtime.dead_letter_counts().len(), 0, "no job was lost on the way");
    hall.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_is_resized_by_hand_and_workers_finish_what_they_have() {
    let hall = Hall::new(of(4)).await;
    let jobs: Vec<_> = (0..4).map(|i| hall.give(Work::Slow(i, SECOND))).collect();
    settle().await;
    hall.pool.resize(1..=1).expect("it makes sense");
    settle().await;
    let info = hall.pool.info();
    assert_eq!((info.size(), info.workers.len(), info.n_leases()), (1, 4, 4));
    for (job, answer) in jobs.into_iter().zip(0..) {
        assert_eq!(job.await.expect("no panic"), Ok(answer));
    }
    settle().await;
    assert_eq!(hall.pool.info().workers.len(), 1, "the others are gone");
    assert_eq!(hall.log().all().len(), 4, "no job was given out twice");
    hall.pool.resize(3..=3).expect("it makes sense");
    settle().await;
    let info = hall.pool.info();
    assert!(info.workers.len() == 3 && info.workers.iter().all(|w| w.state == WorkerState::Up));
    hall.end().await;
}
