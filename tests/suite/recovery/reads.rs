//! What is read of a run: what is known already is not.

use greenroom_core::budget::{Budget, Usage};
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal as _, Recorded};
use greenroom_core::report::TaskFailureKind;
use greenroom_core::time::Timestamp;
use greenroom_testkit::{ScriptedModel, ScriptedReply};

use super::{call, clerk, finished, process, runtime, unfinished};
use crate::support::{Asked, NotedJournal};

/// What was read of it since the last time.
fn read(journal: &NotedJournal) -> Vec<Asked> {
    let asked = journal.take().into_iter();
    asked.filter(|asked| !matches!(asked, Asked::Append)).collect()
}

#[test]
fn a_new_run_reads_nothing_and_one_that_goes_on_is_read_once() {
    let journal = NotedJournal::default();
    let model = ScriptedModel::new([
        ScriptedReply::calls([call("look", 1)]),
        ScriptedReply::hang(""),
        ScriptedReply::text("here I am"),
    ]);
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    });
    assert_eq!((read(&journal), model.calls().n_begun()), (vec![], 2));
    let run = unfinished(&journal.inner)[0];
    let outcome = finished(journal.clone(), &model, run);
    assert_eq!(outcome.map(|report| report.text).as_deref(), Ok("here I am"));
    assert_eq!(read(&journal), [Asked::Load(StreamId::root(run))]);
}

#[test]
fn a_run_with_further_streams_is_read_whole() {
    let journal = NotedJournal::default();
    let model = ScriptedModel::new([ScriptedReply::hang(""), ScriptedReply::text("for free")]);
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    });
    let root = StreamId::root(unfinished(&journal.inner)[0]);
    let task = root.child(&"t1".into());
    let usage = Usage { model_calls: 1_000, ..Usage::default() };
    let spent = Event::SearchSpent { call: "1-1".into(), model: "e".into(), usage };
    let spent = Recorded::sequence(0, Timestamp::from_millis(1), [spent]);
    process(journal.inner.append(&task, spent)).expect("it is new");
    assert_eq!(read(&journal), []);
    let outcome = finished(journal.clone(), &model, root.run().expect("it is a run's"));
    assert_eq!(outcome.expect_err("nothing is left").kind, TaskFailureKind::Limit);
    assert_eq!(read(&journal)[..3], [Asked::Load(root), Asked::Streams, Asked::Load(task)]);
}

#[test]
fn an_agent_that_crashes_reads_what_was_stored_meanwhile() {
    let journal = NotedJournal::default();
    let model = ScriptedModel::new([
        ScriptedReply::calls([call("look", 1)]),
        ScriptedReply::hang(""),
        ScriptedReply::text("here I am"),
    ]);
    let outcome = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run =
            clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted");
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert!(run.crash_on_purpose(&"clerk".into()));
        let (id, outcome) = (run.id(), run.outcome().await);
        assert_eq!(read(&journal), [Asked::Load(StreamId::root(id))]);
        runtime.shutdown().await;
        outcome
    });
    assert_eq!(outcome.map(|report| report.text).as_deref(), Ok("here I am"));
    assert_eq!(
        model.calls().n_begun(),
        3,
        "the call of the tool was not made again by asking for it"
    );
}
