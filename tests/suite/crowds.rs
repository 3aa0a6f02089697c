//! Many runs that are started at once: how many of them are at work, and what becomes of those that wait for their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use greenroom_core::journal::{Journal as _, MemoryJournal, Runs};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::report::{Goal, Status};
use greenroom_models::Extractive;
use greenroom_runtime::{RunError, Runtime};
use greenroom_testkit::ScriptedModel;
use tokio::task::JoinSet;

use crate::support::{end, runtime};
use crate::teams::{QUESTION, calculator, docs};

const N: usize = 1_000;

/// How many may be at work on one thread, where four start at once. 8 were seen, and 986 when all start at once.
const AT_WORK_MAX: usize = 50;

#[tokio::test(start_paused = true)]
async fn a_crowd_is_begun_no_faster_than_it_gets_on() {
    let runtime = runtime().await;
    let (n_begun, n_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let at_work_max = Arc::new(AtomicUsize::new(0));
    let model = {
        let (n_over, at_work_max) = (Arc::clone(&n_over), Arc::clone(&at_work_max));
        ScriptedModel::answering(move |_: &ChatRequest| {
            let n_begun = n_begun.fetch_add(1, Ordering::Relaxed) + 1;
            at_work_max.fetch_max(n_begun - n_over.load(Ordering::Relaxed), Ordering::Relaxed);
            ChatReply::text("done")
        })
    };
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let mut runs = JoinSet::new();
    for _ in 0..N {
        let (agent, n_over) = (agent.clone(), Arc::clone(&n_over));
        runs.spawn(async move {
            let answer = agent.run("Well?").await;
            n_over.fetch_add(1, Ordering::Relaxed);
            answer
        });
    }
    for answer in runs.join_all().await {
        assert_eq!(answer.as_deref(), Ok("done"));
    }
    let at_work_max = at_work_max.load(Ordering::Relaxed);
    assert!(at_work_max < AT_WORK_MAX, "{at_work_max} were at work at once");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn runs_that_wait_keep_no_other_from_starting() {
    let runtime = runtime().await;
    let minute = Duration::from_secs(60);
    let model = ScriptedModel::answering(|_: &ChatRequest| ChatReply::text("done")).latency(minute);
    let calls = model.calls();
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let mut runs = JoinSet::new();
    for _ in 0..N {
        let agent = agent.clone();
        runs.spawn(async move { agent.run("Well?").await });
    }
    tokio::time::sleep(minute / 2).await;
    assert_eq!(calls.n_begun(), N);
    for answer in runs.join_all().await {
        assert_eq!(answer.as_deref(), Ok("done"));
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_submitter_did_not_wait_for_its_turn_goes_on() {
    let journal = MemoryJournal::keeping(N);
    let runtime = Runtime::builder().journal(journal.clone()).seed(1).start().await;
    let runtime = runtime.expect("it starts");
    let model = ScriptedModel::answering(|_: &ChatRequest| ChatReply::text("done"));
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let team = runtime.team().model(Extractive::new()).source(docs()).tools(calculator());
    let team = team.start().await.expect("it starts");
    let n = 100;
    for _ in 0..n {
        assert!(agent.start("Well?").now_or_never().is_none(), "it does not wait");
        assert!(team.submit(Goal::new(QUESTION)).now_or_never().is_none(), "it does not wait");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let heads = journal.runs(Runs::Newest(3 * n)).await.expect("it can be read");
    let done = heads.iter().filter(|head| head.status == Some(Status::Completed));
    assert_eq!((heads.len(), done.count()), (2 * n, 2 * n));
    drop(team);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_turn_when_the_runtime_stops_is_told() {
    let runtime = runtime().await;
    let model = ScriptedModel::answering(|_: &ChatRequest| ChatReply::text("done"))
        .latency(Duration::from_secs(60));
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let mut runs = JoinSet::new();
    for _ in 0..N {
        let agent = agent.clone();
        runs.spawn(async move { agent.start("Well?").await });
    }
    // All have asked, and few have had their turn.
    tokio::task::yield_now().await;
    runtime.shutdown().await;
    let started = runs.join_all().await;
    let n_told = started
        .iter()
        .filter(|started| matches!(started, Err(RunError::Supervisor(_) | RunError::Draining)))
        .count();
    assert!(n_told > N / 2, "{n_told} were told");
    assert_eq!(started.iter().filter(|started| started.is_ok()).count(), N - n_told);
    drop((started, agent));
    end(runtime).await;
}
