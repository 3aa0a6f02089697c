//! What the next process makes of the runs of one that died.
//!
//! A process is a runtime of tokio in virtual time. It dies by being dropped with everything in it, and only
//! the journal is left.

mod parked;
mod reads;
mod refusals;

use std::future::Future;
use std::time::Duration;

use greenroom_core::budget::Budget;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, MemoryJournal, Runs};
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::ChatReply;
use greenroom_core::recovery::RecoverySpec;
use greenroom_core::report::{Status, TaskFailureKind};
use greenroom_core::time::Timestamp;
use greenroom_core::tool::EffectClass;
use greenroom_runtime::{Agent, AgentOutcome, Run, Runtime, SystemClock};
use greenroom_testkit::{MortalJournal, ScriptedModel, ScriptedReply, ScriptedTool};
use serde_json::json;
use tokio::time::Instant;

use crate::support::busy;

/// Runs one process. What `life` leaves behind dies with it.
pub(crate) fn process<T>(life: impl Future<Output = T>) -> T {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    tokio.enable_time().start_paused(true).build().expect("a runtime starts").block_on(life)
}

/// Runs one process in real time.
pub(crate) fn real<T>(life: impl Future<Output = T>) -> T {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    tokio.enable_all().build().expect("a runtime starts").block_on(life)
}

/// A runtime of a process, which has its own seed, and whose clock shows so many seconds at first.
pub(crate) async fn runtime(journal: impl Journal, n_life: u64, seconds: u64) -> Runtime {
    let clock = SystemClock::starting_at(Timestamp::from_millis(1_000 * seconds));
    let builder = Runtime::builder().journal(journal).clock(clock).seed(n_life);
    builder.start().await.expect("a runtime starts")
}

pub(crate) async fn recover(runtime: &Runtime) -> Vec<RunId> {
    runtime.recover(RecoverySpec::default()).await.expect("a round ends").resumed
}

pub(crate) fn unfinished(journal: &MemoryJournal) -> Vec<RunId> {
    let heads = process(journal.runs(Runs::Unfinished)).expect("memory answers");
    heads.into_iter().map(|head| head.run).collect()
}

pub(crate) fn stored(journal: &MemoryJournal, run: RunId) -> Vec<Event> {
    let events = process(journal.load(&StreamId::root(run))).expect("memory answers");
    events.into_iter().map(|recorded| recorded.event).collect()
}

pub(crate) fn call(name: &str, n: u64) -> ToolCall {
    ToolCall { id: "x".into(), name: name.into(), arguments: json!({ "n": n }) }
}

/// How often the model has answered in a conversation.
pub(crate) fn n_replies(messages: &[Message]) -> usize {
    messages.iter().filter(|message| matches!(message, Message::Assistant { .. })).count()
}

async fn attached<T>(agent: &Agent<T>, run: RunId) -> Run<AgentOutcome> {
    agent.attach(run).await.expect("memory answers").expect("the run is known")
}

/// A clerk whose model is this one.
fn clerk(runtime: &Runtime, model: &ScriptedModel, budget: Budget) -> Agent {
    let agent = runtime.agent("clerk").model(model.clone()).budget(budget);
    agent.tool(ScriptedTool::echo("look")).build().expect("complete")
}

/// What comes of a run of a clerk's in the next process.
fn finished(journal: impl Journal, model: &ScriptedModel, run: RunId) -> AgentOutcome {
    process(async {
        let runtime = runtime(journal, 2, 1).await;
        let clerk = clerk(&runtime, model, Budget::default());
        assert_eq!(recover(&runtime).await, [run]);
        let outcome = attached(&clerk, run).await.outcome().await;
        runtime.shutdown().await;
        outcome
    })
}

#[test]
fn a_run_is_journalled_before_anybody_is_told_that_it_has_begun() {
    let journal = MemoryJournal::new();
    let model = ScriptedModel::new([ScriptedReply::hang(""), ScriptedReply::text("here I am")]);
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        // Not one task of the process runs after this.
        clerk.start("hello?").await.expect("accepted").id()
    });
    assert_eq!(unfinished(&journal), [run]);
    let bound = |events: &[Event]| matches!(events[1], Event::RunBound { .. });
    assert!(bound(&stored(&journal, run)), "it says whose it is");
    let teams = MemoryJournal::new();
    let team_run = process(async {
        let runtime = runtime(teams.clone(), 1, 0).await;
        let slow = ScriptedModel::answering(|_| ScriptedReply::hang(""));
        let team = runtime.team().model(slow).source(crate::teams::docs()).start().await;
        team.expect("the team starts").ask("Why?").await.expect("accepted").id()
    });
    assert_eq!(unfinished(&teams), [team_run]);
    assert!(bound(&stored(&teams, team_run)), "it says whose it is");
    let outcome = finished(journal.clone(), &model, run);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(unfinished(&journal), []);
}

#[test]
fn a_deadline_is_a_point_in_time_and_not_a_span_of_a_process() {
    let journal = MemoryJournal::new();
    let budget = Budget { wall_max: Duration::from_secs(60), ..Budget::default() };
    let model = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run = clerk(&runtime, &model, budget).start("hello?").await.expect("accepted");
        tokio::time::sleep(Duration::from_secs(20)).await;
        run.id()
    });
    process(async {
        let runtime = runtime(journal.clone(), 2, 35).await;
        // What the agent is configured with now does not count.
        let clerk = clerk(&runtime, &model, Budget::default());
        let begun = Instant::now();
        recover(&runtime).await;
        let failure = attached(&clerk, run).await.outcome().await.expect_err("it is late");
        assert_eq!((failure.kind, begun.elapsed().as_secs()), (TaskFailureKind::Limit, 25));
    });
}

#[test]
fn what_was_spent_stays_spent() {
    let journal = MemoryJournal::new();
    let budget = Budget { model_calls_max: 2, ..Budget::default() };
    let model = ScriptedModel::answering(|request| {
        ChatReply::calls([call("look", n_replies(&request.messages) as u64)])
    })
    .latency(Duration::from_secs(1));
    let calls = model.calls();
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run = clerk(&runtime, &model, budget).start("spend").await.expect("accepted");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        run.id()
    });
    assert_eq!(calls.n_begun(), 2, "one has its reply, one was cut off");
    process(async {
        let runtime = runtime(journal.clone(), 2, 2).await;
        let clerk = clerk(&runtime, &model, budget);
        recover(&runtime).await;
        let failure = attached(&clerk, run).await.outcome().await.expect_err("no more calls");
        assert_eq!(failure.kind, TaskFailureKind::Limit);
        assert_eq!(failure.usage.model_calls, 2);
    });
    assert_eq!(calls.n_begun(), 2, "the call that was cut off had used the last one up");
}

/// A call in doubt counts, and so does each that is made again for it: a run whose processes die over its calls
/// makes no more of them than its budget allows.
#[test]
fn calls_that_are_made_again_count_each_time() {
    let journal = MemoryJournal::new();
    let budget = Budget { model_calls_max: 4, tool_calls_max: 2, ..Budget::default() };
    let model = ScriptedModel::answering(|request| match n_replies(&request.messages) {
        0 => ScriptedReply::calls([call("look", 1)]),
        _ => ScriptedReply::hang(""),
    });
    let look = ScriptedTool::echo("look").effect(EffectClass::ReadOnly);
    let look = look.delay(Duration::from_secs(1));
    let (asked, looked) = (model.calls(), look.calls());
    let life = |n: u64, millis: u64| {
        process(async {
            let runtime = runtime(journal.clone(), n, n * 10).await;
            let agent = runtime.agent("clerk").model(model.clone()).budget(budget);
            let clerk = agent.tool(look.clone()).build().expect("complete");
            if n == 1 {
                clerk.start("look").await.expect("accepted");
            } else {
                let spec = RecoverySpec::default().boots_max(99);
                runtime.recover(spec).await.expect("a round ends");
            }
            tokio::time::sleep(Duration::from_millis(millis)).await;
        });
    };
    // The call of the tool is cut off once, and that of the model again and again.
    life(1, 500);
    let run = unfinished(&journal)[0];
    life(2, 1_500);
    assert_eq!((asked.n_begun(), looked.n_begun()), (2, 2));
    (3..9).for_each(|n| life(n, 1_500));
    assert_eq!((asked.n_begun(), looked.n_begun()), (4, 2), "and no more, in six more lives");
    let events = stored(&journal, run);
    let Some(Event::TaskFinished { result: Err(failure) }) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((failure.usage.model_calls, failure.usage.tool_calls), (4, 2));
}

/// RT11: the death of the process does not lengthen the wait before a retry, nor shorten it.
#[test]
fn rt11_a_wait_for_a_provider_is_continued_and_not_begun_again() {
    let journal = MemoryJournal::new();
    let busy = ScriptedReply::from(busy(Duration::from_secs(60)));
    let model = ScriptedModel::new([busy, ScriptedReply::text("at last")]);
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        let run = clerk.start("hello?").await.expect("accepted");
        tokio::time::sleep(Duration::from_secs(40)).await;
        run.id()
    });
    process(async {
        let runtime = runtime(journal.clone(), 2, 45).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        let begun = Instant::now();
        recover(&runtime).await;
        let report = attached(&clerk, run).await.outcome().await.expect("an answer");
        assert_eq!((report.text.as_str(), begun.elapsed().as_secs()), ("at last", 15));
    });
}

#[test]
fn an_orderly_end_of_the_process_leaves_its_runs_to_the_next_one() {
    let journal = MemoryJournal::new();
    let model = ScriptedModel::answering(|_| ScriptedReply::hang(""));
    let run = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let run = clerk(&runtime, &model, Budget::default()).start("hi").await.expect("accepted");
        runtime.shutdown().await;
        assert_eq!(run.outcome().await.expect_err("it is gone").kind, TaskFailureKind::Parked);
        run.id()
    });
    // A deployment is no death: ten of them quarantine nothing.
    for n_life in 2..12 {
        process(async {
            let runtime = runtime(journal.clone(), n_life, n_life).await;
            let _clerk = clerk(&runtime, &model, Budget::default());
            assert_eq!(recover(&runtime).await, [run], "life {n_life}");
            runtime.shutdown().await;
        });
        assert!(matches!(stored(&journal, run).last(), Some(Event::RunReleased)));
    }
}

#[test]
fn a_run_that_its_supervisor_gave_up_is_over_and_says_so_in_the_journal() {
    let journal = MemoryJournal::new();
    let (run, team_run) = process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let slow = ScriptedModel::answering(|_| ScriptedReply::hang(""));
        let clerk = clerk(&runtime, &slow, Budget::default());
        let run = clerk.start("hello?").await.expect("accepted");
        let team = runtime.team().model(slow.clone()).source(crate::teams::docs());
        let team = team.start().await.expect("the team starts");
        let mut team_run = team.ask("Why?").await.expect("accepted");
        for _ in 0..10 {
            let _ = run.crash_on_purpose(&"clerk".into());
            let _ = team_run.crash_on_purpose(&"router".into());
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        let failure = run.outcome().await.expect_err("it crashed too often");
        assert_eq!(failure.kind, TaskFailureKind::AgentLost);
        assert_eq!(team_run.outcome().await.status, Status::Failed);
        while team_run.next_event().await.is_some() {}
        (run.id(), team_run.id())
    });
    assert_eq!(unfinished(&journal), []);
    assert!(stored(&journal, run).last().is_some_and(Event::is_terminal));
    // Whoever comes later is told what came of it.
    process(async {
        let runtime = runtime(journal.clone(), 2, 100).await;
        let team = runtime.team().model(ScriptedModel::new([] as [ScriptedReply; 0]));
        let team = team.source(crate::teams::docs()).start().await.expect("the team starts");
        assert_eq!(recover(&runtime).await, []);
        let run = team.attach(team_run).await.expect("memory answers").expect("it is known");
        assert_eq!(run.outcome().await.status, Status::Failed);
        assert!(team.attach(RunId::from_bits(1)).await.expect("memory answers").is_none());
        runtime.shutdown().await;
    });
}

/// A journal that is away ends the run in this process, and recovery finds it when the journal is back.
#[test]
fn recovery_goes_on_looking_after_its_first_round() {
    let journal = MemoryJournal::new();
    let mortal = MortalJournal::new(journal.clone(), None);
    let model = ScriptedModel::answering(|_| ScriptedReply::text("done"));
    let run = process(async {
        let runtime = runtime(mortal, 1, 0).await;
        clerk(&runtime, &model, Budget::default()).start("hello?").await.expect("accepted").id()
    });
    process(async {
        let runtime = runtime(journal.clone(), 2, 1).await;
        assert_eq!(recover(&runtime).await, [], "nobody here is called clerk");
        assert_eq!(runtime.parked().len(), 1);
        let clerk = clerk(&runtime, &model, Budget::default());
        tokio::time::sleep(Duration::from_secs(11)).await;
        let outcome = attached(&clerk, run).await.outcome().await;
        assert_eq!(outcome.expect("an answer").text, "done");
        assert_eq!(runtime.parked(), []);
        runtime.shutdown().await;
    });
}

#[test]
fn rounds_at_the_same_time_start_a_run_once() {
    let journal = MemoryJournal::new();
    let model =
        ScriptedModel::answering(|_| ScriptedReply::text("done").after(Duration::from_secs(5)));
    let calls = model.calls();
    process(async {
        let runtime = runtime(journal.clone(), 1, 0).await;
        let clerk = clerk(&runtime, &model, Budget::default());
        for _ in 0..20 {
            let _ = clerk.start("hello?").await.expect("accepted");
        }
    });
    let n_begun = calls.n_begun();
    process(async {
        let runtime = runtime(journal.clone(), 2, 1).await;
        let _clerk = clerk(&runtime, &model, Budget::default());
        let rounds = (0..5).map(|_| recover(&runtime));
        futures_util::future::join_all(rounds).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        recover(&runtime).await;
        assert_eq!(calls.n_begun(), n_begun + 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        runtime.shutdown().await;
    });
    assert_eq!((unfinished(&journal), calls.n_begun()), (vec![], n_begun + 20));
}
