//! Many jobs, many deaths: every caller is answered once, and the sum is right.

use super::*;

/// Every n-th job crashes the first worker that has it.
const CRASH_EVERY: u32 = 500;

async fn flood(hall: &Hall, n_jobs: u32, n_callers: u32) {
    let (pool, n_answers) = (&hall.pool, AtomicUsize::new(0));
    let callers = (0..n_callers).map(|caller| {
        let n_answers = &n_answers;
        async move {
            let mut sum = 0_u64;
            for job in (caller..n_jobs).step_by(n_callers as usize) {
                let work = match job % CRASH_EVERY {
                    0 => Work::CrashOnce(job),
                    250 => Work::AnswerAndCrash(job),
                    _ => Work::Echo(job),
                };
                let answer = pool.ask(HOUR, work).await;
                assert_eq!(answer, Ok(job), "every caller gets the answer to its own job");
                n_answers.fetch_add(1, Ordering::Relaxed);
                sum += u64::from(job);
            }
            sum
        }
    });
    let sum: u64 = join_all(callers).await.into_iter().sum();
    assert_eq!(sum, u64::from(n_jobs) * u64::from(n_jobs - 1) / 2);
    assert_eq!(n_answers.into_inner(), n_jobs as usize);
    let info = pool.info();
    assert_eq!((info.n_done, info.n_quarantined), (u64::from(n_jobs), 0));
    let given = hall.log().all();
    // One that its first worker never looked at, because another job killed that worker, crashes nobody.
    let is_crash =
        |(_, work, delivery): &(_, Work, _)| matches!((work, delivery), (Work::CrashOnce(_), 1));
    let n_crashes = given.iter().filter(|given| is_crash(given)).count();
    assert!(n_crashes > 0, "somebody crashed");
    assert!(given.len() >= n_jobs as usize + n_crashes, "{}: again after a crash", given.len());
    assert_eq!(hall.letters(), []);
}

fn spec() -> PoolSpec {
    PoolSpec::new(4..=12).concurrency(2).backoff(Backoff::new(Duration::ZERO, Duration::ZERO))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_jobs_with_a_crash_every_500_are_all_answered_once() {
    let hall = Hall::new(spec()).await;
    flood(&hall, 100_000, 64).await;
    hall.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn so_are_they_on_several_threads() {
    let hall = Hall::new(spec()).await;
    flood(&hall, 20_000, 64).await;
    end(hall.runtime).await;
}
