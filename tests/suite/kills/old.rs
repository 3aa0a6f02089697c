//! D6: stores that older versions left in the middle of runs, runs of a newer one, and journals that do not
//! fit what is configured.
//!
//! `tests/golden` holds the stores. They are added to and never changed; `GREENROOM_GOLDEN` names the folder
//! into which a run of this suite writes those of this version.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::approval::Ask;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{
    Event, Journal, JournalError, JournalErrorKind, MemoryJournal, Recorded, RunHead, Runs,
};
use greenroom_core::recovery::{Parked, RecoverySpec};
use greenroom_core::time::Timestamp;
use greenroom_core::tool::{Approval, EffectClass};
use greenroom_journal::SqliteJournal;
use greenroom_runtime::{Agent, AgentBuilder, Runtime, SystemClock};
use greenroom_testkit::kills::{Note, Witness, inquest};
use greenroom_testkit::{Death, MortalJournal, ScriptedModel, ScriptedReply, ScriptedTool};
use serde_json::json;

use super::told;
use super::workflows::{Pace, Workflow};
use crate::recovery::{call, n_replies, process, real, runtime, unfinished};

const PACE: Pace = Pace::of(Duration::from_millis(5));

/// The folder of the stores. The end of a name is the sum of what is in the file.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");

/// FNV-1a.
fn sum(bytes: &[u8]) -> u32 {
    let next = |sum: u32, byte: &u8| (sum ^ u32::from(*byte)).wrapping_mul(16_777_619);
    bytes.iter().fold(2_166_136_261, next)
}

/// The stores of older versions, each with its workflow.
fn stores() -> Vec<(PathBuf, Workflow)> {
    let entries = fs::read_dir(GOLDEN).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("readable").path());
    let with_workflow = paths.map(|path| {
        let stem = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let workflow = stem.split('-').nth(1).and_then(Workflow::named);
        (path, workflow.expect("the name says what it is a store of"))
    });
    with_workflow.collect()
}

#[test]
fn the_golden_stores_are_only_added_to() {
    let stores = stores();
    assert!(stores.len() >= Workflow::ALL.len());
    for (path, _) in stores {
        let sum = format!("-{:08x}.db", sum(&fs::read(&path).expect("readable")));
        assert!(path.to_string_lossy().ends_with(&sum), "{}: its sum is {sum}", path.display());
    }
}

/// Continues a store, some seconds after it was left. What is completed in it is not done again.
async fn continued(folder: &Path, workflow: Workflow) {
    let journal = SqliteJournal::open(folder).expect("this version reads it");
    let heads = journal.runs(Runs::Unfinished).await.expect("it is whole");
    assert!(!heads.is_empty(), "it was left in the middle");
    let left_at = heads.iter().map(|head| head.updated_at).max().unwrap_or_default();
    let witness = Witness::in_memory();
    let witness = witness.born(&journal).await.expect("it is whole");
    heads.iter().for_each(|head| witness.accepted(head.run));
    let clock = SystemClock::starting_at(left_at.after(Duration::from_secs(5)));
    let runtime = Runtime::builder().journal(journal.clone()).clock(clock).start().await;
    let runtime = runtime.expect("a runtime starts");
    let lived = workflow.live(&runtime, &witness, PACE, 0).await;
    lived.expect("it comes to its end");
    runtime.shutdown().await;
    assert_eq!(inquest(&witness, &journal, None).await, [], "{workflow:?}");
    let is_answer = |note: &Note| matches!(note, Note::Answered { .. });
    let n_answers = witness.notes().iter().filter(|noted| is_answer(&noted.note)).count();
    assert!(n_answers >= heads.len(), "{workflow:?}: {n_answers}");
}

#[test]
fn d6_the_stores_of_every_older_version_are_continued() {
    for (path, workflow) in stores() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::copy(path, folder.path().join("journal.db")).expect("there is room");
        real(continued(folder.path(), workflow));
    }
}

/// Writes the stores of this version, when it is told where to; nothing at all otherwise.
#[test]
fn golden_stores_are_written() {
    let Some(folder) = told::<PathBuf>("GREENROOM_GOLDEN") else { return };
    for workflow in Workflow::ALL {
        let store = tempfile::tempdir().expect("a folder");
        real(async {
            let journal = SqliteJournal::open(store.path()).expect("it is new");
            // Three runs, each in the middle of its second turn or task.
            let mortal = MortalJournal::new(journal, Some(Death { at: 27, is_stored: true }));
            let witness = Witness::in_memory().born(&mortal).await.expect("it is new");
            let runtime = Runtime::builder().journal(mortal.clone()).start().await.expect("starts");
            let died = mortal.outlive(workflow.live(&runtime, &witness, PACE, 3)).await;
            assert!(died.is_none(), "{workflow:?}");
        });
        // Whoever opens it next puts the log into the tables.
        drop(SqliteJournal::open(store.path()).expect("it is whole"));
        let bytes = fs::read(store.path().join("journal.db")).expect("it is there");
        let name = format!("0003-{workflow:?}-{:08x}.db", sum(&bytes));
        fs::write(folder.join(name), bytes).expect("there is room");
    }
}

/// A clerk who pays once.
fn clerk(runtime: &Runtime, pay: &ScriptedTool) -> Agent {
    let model = ScriptedModel::answering(move |request| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("pay", 1)]),
        _ => ScriptedReply::text("done"),
    });
    let model = model.latency(Duration::from_secs(1));
    runtime.agent("clerk").model(model).tool(pay.clone()).build().expect("complete")
}

fn pay(effect: EffectClass) -> ScriptedTool {
    ScriptedTool::echo("pay").effect(effect).delay(Duration::from_secs(1))
}

/// A run whose process died at its n-th append, which was stored.
fn left(at: u64, pay: &ScriptedTool) -> (MemoryJournal, RunId) {
    let journal = MemoryJournal::new();
    process(async {
        let mortal = MortalJournal::new(journal.clone(), Some(Death { at, is_stored: true }));
        let runtime = runtime(mortal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, pay);
        let ended =
            mortal.outlive(async { clerk.start("go").await.expect("it is").outcome().await });
        assert!(ended.await.is_none());
    });
    let run = unfinished(&journal)[0];
    (journal, run)
}

/// What a call was when it was stored, and is not any more: another call, another target, another key, or a
/// wait in its place. The run is left alone, the difference is named, and nothing is called.
#[test]
fn d6_what_does_not_fit_the_journal_is_named_and_nothing_is_called() {
    type Change = fn(AgentBuilder, ScriptedTool) -> AgentBuilder;
    let changes: [(&str, Change); 4] = [
        ("tool pay is gone", |agent, _| agent),
        ("tool pay is gone, tool wire is new", |agent, _| agent.tool(ScriptedTool::echo("wire"))),
        ("tool pay is different", |agent, pay| agent.tool(pay.effect(EffectClass::Idempotent))),
        ("approval of pay is new", |agent, pay| agent.tool(pay.approval(Approval::always()))),
    ];
    for (named, change) in changes {
        let pay = pay(EffectClass::AtMostOnce);
        // Accepted, started, asked, answered, and the call has begun.
        let (journal, run) = left(6, &pay);
        let n_before = pay.calls().n_begun();
        process(async {
            let runtime = runtime(journal.clone(), 2, 10).await;
            let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
            let agent = change(runtime.agent("clerk").model(model), pay.clone());
            let _agent = agent.build().expect("complete");
            let round = runtime.recover(RecoverySpec::default()).await.expect("a round ends");
            let why = &round.parked[0].why;
            assert!(matches!(why, Parked::Changed(_)), "{why}");
            assert!(why.to_string().ends_with(named), "{why}");
            tokio::time::sleep(Duration::from_secs(60)).await;
            runtime.shutdown().await;
        });
        assert_eq!(unfinished(&journal), [run]);
        assert_eq!(pay.calls().n_begun(), n_before, "{named}");
    }
}

/// Events that no run of this code has at their places. The reply of the model says what is called, and an
/// event of a call says no more than that it has begun: so nothing that was begun is called again, and
/// nothing else is called instead.
#[test]
fn d6_events_that_fit_no_call_call_nothing() {
    let started = |id: &str, tool: &str, n: u64| Event::ToolStarted {
        call: id.into(),
        tool: tool.into(),
        arguments: json!({ "n": n }),
        effect: EffectClass::AtMostOnce,
    };
    let pay = pay(EffectClass::AtMostOnce);
    let (journal, run) = left(6, &pay);
    let stored = process(journal.load(&StreamId::root(run))).expect("memory answers");
    let place = |recorded: &Recorded| matches!(recorded.event, Event::ToolStarted { .. });
    let place = stored.iter().position(place).expect("it has begun");
    let Event::ToolStarted { call: id, .. } = &stored[place].event else { unreachable!() };
    let waits = Event::PersonAsked {
        call: id.clone(),
        tool: "pay".into(),
        arguments: json!({ "n": 1 }),
        ask: Ask::Approval,
        patience: Duration::from_secs(60),
    };
    let other_tool = started(id.as_str(), "wire", 1);
    let other_arguments = started(id.as_str(), "pay", 9);
    for (event, n_more) in
        [(started("other", "pay", 1), 1), (other_tool, 0), (other_arguments, 0), (waits, 0)]
    {
        let journal = MemoryJournal::new();
        let mut events = stored[..place].to_vec();
        events.push(Recorded { event: event.clone(), ..stored[place].clone() });
        let tool = self::pay(EffectClass::AtMostOnce);
        process(async {
            let stored = journal.append(&StreamId::root(run), events.into()).await;
            stored.expect("the stream is empty");
            let runtime = runtime(journal.clone(), 2, 10).await;
            let clerk = clerk(&runtime, &tool);
            runtime.recover(RecoverySpec::default()).await.expect("a round ends");
            let run = clerk.attach(run).await.expect("memory answers").expect("it is known");
            assert_eq!(run.outcome().await.expect("an answer").text, "done", "{event:?}");
            runtime.shutdown().await;
        });
        // A call that has not begun is made; it never was.
        assert_eq!(tool.calls().n_begun(), n_more, "{event:?}");
    }
}

/// A journal that a newer version has written a run of.
struct Newer(MemoryJournal, RunId);

impl Journal for Newer {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.0.append(stream, events)
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        if stream.run() != Some(self.1) {
            return self.0.load(stream);
        }
        let message = "a newer version wrote moon_landed of version 3";
        let error = JournalError::of(stream, JournalErrorKind::TooNew, message);
        Box::pin(std::future::ready(Err(error)))
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.0.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.0.runs(which)
    }
}

/// What a newer version wrote is left alone by name, and the runs beside it go on.
#[test]
fn d6_a_run_of_a_newer_version_is_named_and_the_others_go_on() {
    let pay = pay(EffectClass::AtMostOnce);
    let (journal, run) = left(6, &pay);
    let newer = RunId::from_bits(4);
    process(async {
        let events = Recorded::sequence(0, Timestamp::from_millis(7), [Event::GatheringEnded]);
        let stored = journal.append(&StreamId::root(newer), events).await;
        stored.expect("the stream is empty");
        let runtime = runtime(Newer(journal.clone(), newer), 2, 10).await;
        let clerk = clerk(&runtime, &pay);
        let round = runtime.recover(RecoverySpec::default()).await.expect("a round ends");
        let parked = round.parked.iter().map(|parked| (parked.run, parked.why.to_string()));
        let parked: Vec<_> = parked.collect();
        assert_eq!((parked.len(), parked[0].0), (1, newer));
        assert!(parked[0].1.contains("a newer version wrote moon_landed"), "{parked:?}");
        let run = clerk.attach(run).await.expect("memory answers").expect("it is at work");
        assert_eq!(run.outcome().await.expect("an answer").text, "done");
        runtime.shutdown().await;
    });
}
