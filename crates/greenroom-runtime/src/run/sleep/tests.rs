//! What threads may do at the same time, here one after the other.

use std::time::Duration;

use futures_util::StreamExt;
use greenroom_core::budget::{Budget, Ledger, Usage};
use greenroom_core::message::Message;
use greenroom_core::model::{ChatModel, ChatRequest, ChatStream};
use greenroom_core::report::TaskFailureKind;

use super::*;
use crate::agents::single::AgentOutcome;
use crate::recovery::look;
use crate::run::events::Emitter;
use crate::run::live::Control;

/// A model that never answers.
struct Silent;

impl ChatModel for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn stream(&self, _: ChatRequest) -> ChatStream {
        futures_util::stream::pending().boxed()
    }
}

fn wakes() -> Wakes {
    Arc::new(|_, _| Box::pin(std::future::ready(Ok(()))))
}

/// Stores the beginning of a run of one agent.
async fn begun(runtime: &Runtime, run: RunId, more: Option<Event>) {
    let (agent, input) = (AgentId::new("clerk"), vec![Message::user("go")]);
    let started = Event::TaskStarted { agent, input };
    let events = [started].into_iter().chain(more);
    let stored = runtime.accept(run, Recorded::sequence(0, runtime.clock().now(), events)).await;
    stored.expect("memory takes it");
}

/// A wake-up that came in between would find nobody to wake, and whoever answers an agent that is not there.
#[tokio::test(start_paused = true)]
async fn a_run_of_another_process_is_asleep_and_its_door_held_before_anybody_finds_it() {
    let runtime = Runtime::start().await.expect("it starts");
    let (run, until) = (RunId::from_bits(7), Timestamp::MAX);
    begun(&runtime, run, Some(Event::RunAsleep { until })).await;
    let seen = look(&*runtime.journal(), run, None).await.expect("memory answers");
    let place = runtime.lodge(run).expect("there is room");
    let shared = RunShared::<AgentOutcome>::reopen(place, &seen.footprint);
    assert!(runtime.runs().find(run).is_none());
    let resuming = runtime.go_on(Arc::clone(&shared), wakes(), &seen);
    assert!(runtime.runs().find(run).is_some() && shared.door.is_asleep());
    assert!(shared.door.try_pass().is_none(), "whoever wants to wake it waits");
    resuming.await.expect("it sleeps on");
    assert!(shared.door.try_pass().is_some());
    assert!(runtime.take_sleeper(run).await.is_some());
    runtime.shutdown().await;
}

/// Whoever cancels saw it awake, and told an actor that has stopped since.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_while_it_lies_down_ends() {
    let runtime = Runtime::start().await.expect("it starts");
    let run = RunId::from_bits(7);
    begun(&runtime, run, None).await;
    let place = runtime.admit(run).expect("there is room");
    let ledger = Ledger::new(Budget::default(), Usage::default());
    let shared = RunShared::<AgentOutcome>::open(place, ledger, Emitter::default(), 8);
    shared.controlled_by(|_| true);
    assert!(LiveRun::control(&*shared, Control::Cancel));
    let passage = shared.door.pass().await;
    let live = Arc::clone(&shared) as Arc<dyn LiveRun>;
    runtime.put_to_sleep(Timestamp::MAX, Sleeper { live, wakes: wakes() }, passage);
    let outcome = tokio::time::timeout(Duration::from_secs(60), shared.outcome()).await;
    let failure = outcome.expect("at once").expect_err("cancelled");
    assert_eq!(failure.kind, TaskFailureKind::Cancelled);
    assert!(!runtime.runs().has(run));
    runtime.shutdown().await;
}

/// Whoever cancels told an incarnation that has crashed since, before it had stored that.
#[tokio::test(start_paused = true)]
async fn an_agent_that_begins_again_looks_whether_its_run_was_cancelled() {
    let runtime = Runtime::start().await.expect("it starts");
    let clerk = runtime.agent("clerk").model(Silent).build().expect("complete");
    let run = clerk.start("go").await.expect("accepted");
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.shared.door.cancel();
    assert!(run.crash_on_purpose(&"clerk".into()));
    let outcome = tokio::time::timeout(Duration::from_secs(60), run.outcome()).await;
    let failure = outcome.expect("at once").expect_err("cancelled");
    assert_eq!(failure.kind, TaskFailureKind::Cancelled);
    runtime.shutdown().await;
}
