//! Runs whose journal refuses what they store.

use std::time::Duration;

use greenroom_core::budget::Budget;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal as _, JournalErrorKind, Runs};
use greenroom_core::report::TaskFailureKind;
use greenroom_runtime::HealthState;
use greenroom_testkit::{ScriptedModel, ScriptedReply};

use super::{attached, call, clerk, n_replies, process, recover, runtime};
use crate::persistence::{Mood, MoodyJournal};

/// Whoever waits for a run whose journal takes nothing any more is told why. The run is not over, and goes on once
/// there is room.
#[test]
fn a_run_that_its_journal_fails_is_not_over_and_goes_on_later() {
    let journal = MoodyJournal::default();
    let model = ScriptedModel::answering(|request| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("look", 1)]),
        _ => ScriptedReply::text("done"),
    });
    let (model, calls) = (model.clone().latency(Duration::from_secs(1)), model.calls());
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        let run = clerk.start("look").await.expect("accepted");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        journal.set(Mood::Refusing);
        let failure = run.outcome().await.expect_err("nothing is stored");
        assert_eq!(failure.kind, TaskFailureKind::AgentLost, "{failure}");
        assert_eq!(failure.unstored, Some(JournalErrorKind::Full));
        assert_eq!(runtime.health().state, HealthState::Failing);
        // There is room again, and the same process goes on.
        journal.set(Mood::Prompt);
        assert_eq!(recover(&runtime).await, [run.id()]);
        let report = attached(&clerk, run.id()).await.outcome().await.expect("an answer");
        assert_eq!(report.text, "done");
        runtime.shutdown().await;
    });
    let n_calls = calls.n_begun();
    assert!(n_calls > 2, "the reply that was not stored is asked for again: {n_calls}");
}

/// A journal that failed once is no excuse for what comes later: a run that is given up after that is over.
#[test]
fn a_run_that_its_journal_failed_before_is_given_up_as_any_other() {
    let journal = MoodyJournal::default();
    let model = ScriptedModel::answering(|request| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("look", 1)]),
        _ => ScriptedReply::hang(""),
    });
    let model = model.latency(Duration::from_secs(1));
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        let run = clerk.start("look").await.expect("accepted");
        // The reply is not stored, and is asked for again.
        journal.set(Mood::Refusing);
        tokio::time::sleep(Duration::from_millis(1_010)).await;
        journal.set(Mood::Prompt);
        tokio::time::sleep(Duration::from_secs(2)).await;
        for _ in 0..10 {
            let _ = run.crash_on_purpose(&"clerk".into());
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let failure = run.outcome().await.expect_err("it crashed too often");
        assert_eq!((failure.kind, failure.unstored), (TaskFailureKind::AgentLost, None));
        let unfinished = journal.runs(Runs::Unfinished).await.expect("it answers");
        assert_eq!(unfinished, []);
        let events = journal.load(&StreamId::root(run.id())).await.expect("it answers");
        let n_replied =
            events.iter().filter(|r| matches!(r.event, Event::ModelReplied { .. })).count();
        assert_eq!(n_replied, 1, "{events:?}");
        runtime.shutdown().await;
    });
}
