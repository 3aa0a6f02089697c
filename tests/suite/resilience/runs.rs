//! Runs of agents over one account: retries that cannot become a storm, and waits that end with their run.

use std::time::Duration;

use futures_util::future::join_all;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal};
use greenroom_core::model::ModelErrorKind;
use greenroom_core::report::TaskFailureKind;
use greenroom_models::resilience::{GovernorSpec, ResilienceSpec, RetryBudgetSpec, resilient};
use greenroom_runtime::{RunError, Runtime};
use greenroom_testkit::{Calls, ScriptedModel, ScriptedReply};
use tokio::time::Instant;

use super::world::{SECOND, governor, ms, plain};
use crate::support::{busy, end, runtime};

/// A thousand runs of one question each, over an account whose provider is down for a minute: the calls
/// that it got, and how many runs failed.
async fn calls_in_an_outage(spec: GovernorSpec) -> (usize, usize) {
    let runtime = Runtime::builder().seed(7).runs_max(2000).start().await.expect("it starts");
    let begun = Instant::now();
    let scripted = ScriptedModel::answering(move |_| match begun.elapsed() < 60 * SECOND {
        true => ScriptedReply::error(ModelErrorKind::Unavailable).after(ms(20)),
        false => ScriptedReply::text("at last"),
    });
    let calls = scripted.calls();
    let model = resilient(scripted, &governor(spec), ResilienceSpec::default());
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let outcomes = join_all((0..1000).map(|_| agent.run("Go on."))).await;
    end(runtime).await;
    (calls.n_begun(), outcomes.iter().filter(|outcome| outcome.is_err()).count())
}

#[tokio::test(start_paused = true)]
async fn rt10_a_thousand_runs_in_an_outage_make_no_storm() {
    let bucket = RetryBudgetSpec::default();
    let only_budget = GovernorSpec { retry_budget: Some(bucket), ..plain(2000) };
    let (n_calls, n_failed) = calls_in_an_outage(only_budget).await;
    assert!(n_calls <= 1200 + bucket.capacity as usize, "{n_calls}");
    assert!((1000..=1100).contains(&n_calls), "each once, and a hundred retries: {n_calls}");
    assert_eq!(n_failed, 1000);
    let (n_calls, _) = calls_in_an_outage(GovernorSpec::default()).await;
    assert!(n_calls < 100, "with a breaker and a limit the provider is left in peace: {n_calls}");
    let (n_calls, _) = calls_in_an_outage(plain(2000)).await;
    assert_eq!(n_calls, 4000, "without any of it, each run tries four times");
}

#[tokio::test(start_paused = true)]
async fn rt10_every_try_is_journalled_with_its_number_and_its_cause() {
    let journal = MemoryJournal::keeping(10);
    let runtime = Runtime::builder().seed(7).journal(journal.clone()).start().await;
    let runtime = runtime.expect("it starts");
    let script = [
        ScriptedReply::error(ModelErrorKind::Unavailable),
        busy(SECOND).into(),
        ScriptedReply::text("at last"),
    ];
    let model =
        resilient(ScriptedModel::new(script), &governor(plain(10)), ResilienceSpec::default());
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let run = agent.start("Go on.").await.expect("accepted");
    let stream = StreamId::root(run.id());
    assert_eq!(run.outcome().await.expect("an answer").text, "at last");
    let events = journal.load(&stream).await.expect("readable");
    let tries: Vec<_> = events
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::ModelCalled { attempt, .. } => Some((*attempt, None)),
            Event::ModelFailed { attempt, error, .. } => Some((*attempt, Some(error.kind))),
            _ => None,
        })
        .collect();
    let (down, limited) = (ModelErrorKind::Unavailable, ModelErrorKind::RateLimited);
    let expect = [(1, None), (1, Some(down)), (2, None), (2, Some(limited)), (3, None)];
    assert_eq!(tries, expect);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn rt11_a_run_that_waits_for_its_next_try_is_cancelled_at_once() {
    let runtime = runtime().await;
    let scripted = ScriptedModel::new([ScriptedReply::from(busy(90 * SECOND))]);
    let calls = scripted.calls();
    let model = resilient(scripted, &governor(plain(10)), ResilienceSpec::default());
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let run = agent.start("Go on.").await.expect("accepted");
    calls.until_begun(1).await;
    tokio::time::sleep(10 * SECOND).await;
    let begun = Instant::now();
    run.cancel();
    let failure = run.outcome().await.expect_err("it was cancelled");
    assert_eq!(failure.kind, TaskFailureKind::Cancelled);
    assert!(begun.elapsed() <= ms(50), "{:?}", begun.elapsed());
    end(runtime).await;
}

/// Waits until nothing is under way any more.
async fn until_idle<T>(calls: &Calls<T>, within: Duration) {
    let begun = Instant::now();
    while calls.n_in_flight() > 0 {
        assert!(begun.elapsed() < within, "the call goes on");
        tokio::time::sleep(ms(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn to04_cancelling_a_run_frees_its_place_and_closes_its_call_within_100_ms() {
    let runtime = runtime().await;
    let scripted = ScriptedModel::answering(|_| ScriptedReply::hang("half "));
    let calls = scripted.calls();
    let account = governor(plain(1));
    let model = resilient(scripted, &account, ResilienceSpec::default());
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let (first, second) = (agent.start("Go on.").await, agent.start("Go on.").await);
    let (first, second) = (first.expect("accepted"), second.expect("accepted"));
    calls.until_begun(1).await;
    first.cancel();
    first.outcome().await.expect_err("it was cancelled");
    tokio::time::timeout(ms(100), calls.until_begun(2)).await.expect("the place is free");
    second.cancel();
    second.outcome().await.expect_err("it was cancelled");
    until_idle(&calls, ms(100)).await;
    assert_eq!((account.status().n_in_flight, account.status().n_waiting), (0, 0));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn to05_a_cancel_that_races_the_answer_leaves_one_outcome() {
    for after in 0..4 {
        let runtime = runtime().await;
        let scripted = ScriptedModel::answering(|_| ScriptedReply::text("just in time"));
        let model = scripted.latency(ms(2));
        let account = governor(plain(1));
        let model = resilient(model, &account, ResilienceSpec::default());
        let agent = runtime.agent("clerk").model(model).build().expect("complete");
        let run = agent.start("Go on.").await.expect("accepted");
        tokio::time::sleep(ms(after)).await;
        run.cancel();
        let (one, other) = (run.outcome().await, run.outcome().await);
        assert_eq!(one, other, "after {after} ms");
        assert_eq!(one.is_ok(), after > 2, "after {after} ms");
        assert_eq!(account.status().n_in_flight, 0);
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ls01_a_run_too_many_is_refused_at_once_and_leaves_no_trace() {
    let journal = MemoryJournal::keeping(10);
    let builder = Runtime::builder().seed(7).runs_max(2).journal(journal.clone());
    let runtime = builder.start().await.expect("it starts");
    let hanging = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let calls = hanging.calls();
    let agent = runtime.agent("clerk").model(hanging).build().expect("complete");
    let (first, second) = (agent.start("Go on.").await, agent.start("Go on.").await);
    calls.until_begun(2).await;
    let n_events = journal.n_events();
    let begun = Instant::now();
    let third = agent.start("Go on.").await;
    assert!(matches!(third, Err(RunError::TooManyRuns)), "{third:?}");
    assert!(begun.elapsed() <= ms(10));
    assert_eq!((journal.n_events(), calls.n_begun()), (n_events, 2));
    for run in [first, second] {
        run.expect("accepted").cancel();
    }
    end(runtime).await;
}
