//! Single agents: typed output, repair, tools, budgets.

use std::time::Duration;

use greenroom_core::budget::{Budget, Usage};
use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::{ChatReply, FinishReason, ModelError, ModelErrorKind};
use greenroom_core::report::TaskFailureKind;
use greenroom_core::tool::{ToolError, ToolErrorKind, tool};
use greenroom_models::Extractive;
use greenroom_runtime::{RunError, RunEvent};
use greenroom_testkit::{ScriptedModel, ScriptedReply, ScriptedTool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{busy, end, runtime};

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

fn call(id: &str, name: &str, arguments: serde_json::Value) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments }
}

#[tokio::test(start_paused = true)]
async fn the_offline_model_uses_a_tool_and_answers_with_a_value() {
    let runtime = runtime().await;
    let add = tool("add", "Adds two integers.", |Add { a, b }| async move { Ok(a + b) });
    let agent = runtime.agent("clerk").model(Extractive::new()).tool(add).output::<i64>();
    let agent = agent.build().expect("complete");
    assert_eq!(agent.run("What is 19 plus 23?").await, Ok(42));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_starts_a_run_sees_it_from_its_beginning() {
    let runtime = runtime().await;
    let model = ScriptedModel::new([ScriptedReply::text("at once")]);
    let agent = runtime.agent("clerk").model(model).build().expect("complete");
    let mut run = agent.start("Well?").await.expect("it starts");
    let (mut has_started, mut text) = (false, String::new());
    while let Some(event) = run.next_event().await {
        match event {
            RunEvent::AgentStarted { generation: 1, .. } => has_started = text.is_empty(),
            RunEvent::TextDelta { text: more, .. } => text += &more,
            _ => {}
        }
    }
    assert_eq!((has_started, text.as_str()), (true, "at once"));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn output_that_does_not_fit_is_sent_back_with_what_is_wrong() {
    let runtime = runtime().await;
    let model = ScriptedModel::new([ScriptedReply::text("forty-two"), ScriptedReply::text("42")]);
    let calls = model.calls();
    let agent = runtime.agent("clerk").model(model).output::<i64>().build().expect("complete");
    assert_eq!(agent.run("How many?").await, Ok(42));
    let requests = calls.requests();
    let last = requests[1].messages.last().cloned();
    assert!(
        matches!(&last, Some(Message::User { text, .. }) if text.contains("cannot be used")),
        "{last:?}"
    );
    end(runtime).await;
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Trip {
    #[schemars(range(min = 1, max = 30))]
    days: u8,
}

#[tokio::test(start_paused = true)]
async fn a_value_is_validated_and_every_fault_is_told_with_its_place() {
    let runtime = runtime().await;
    let model = ScriptedModel::new([r#"{"days":31}"#, r#"{"days":3}"#].map(ScriptedReply::text));
    let calls = model.calls();
    let agent = runtime.agent("clerk").model(model).output::<Trip>().build().expect("complete");
    assert_eq!(agent.run("How long?").await, Ok(Trip { days: 3 }));
    let told = calls.requests()[1].messages.last().cloned();
    let Some(Message::User { text, .. }) = &told else { panic!("{told:?}") };
    assert!(text.contains("at /days: 31 is greater than the maximum of 30"), "{text}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn no_output_is_a_failure_with_a_kind_and_not_a_repair_without_end() {
    use FinishReason::{ContentFilter, Length, Stop};
    use TaskFailureKind::{CutOff, Empty, Output, Refused};
    let runtime = runtime().await;
    for (finish, text, kind, n_calls) in [
        (ContentFilter, "I cannot help with that.", Refused, 1),
        (Length, r#"{"days":"#, CutOff, 2),
        (Stop, " ", Empty, 2),
        (Stop, "three", Output, 3),
    ] {
        let reply = ChatReply { finish, ..ChatReply::text(text) };
        let model = ScriptedModel::answering(move |_| reply.clone());
        let calls = model.calls();
        let agent = runtime.agent("clerk").model(model).output::<Trip>().build().expect("complete");
        match agent.run("How long?").await {
            Err(RunError::Failed(failure)) => assert_eq!(failure.kind, kind, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        assert_eq!(calls.n_begun(), n_calls, "{text}");
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi28_tools_run_side_by_side_and_each_failure_is_an_outcome_of_its_own() {
    let runtime = runtime().await;
    let calls = [
        call("x", "good", json!({"n": 1})),
        call("x", "broken", json!({})),
        call("", "panicking", json!({})),
        call("y", "hanging", json!({})),
        call("z", "unknown", json!({})),
        call("w", "cancelled", json!({})),
        call("y", "hanging", json!({"again": true})),
    ];
    let model = ScriptedModel::new([
        ScriptedReply::from(ChatReply::calls(calls)),
        ScriptedReply::text("done"),
    ]);
    let requests = model.calls();
    let agent = runtime
        .agent("worker")
        .model(model)
        .tool(ScriptedTool::echo("good"))
        .tool(ScriptedTool::failing("broken", ToolError::failed("no such table")))
        .tool(ScriptedTool::panicking("panicking", "bug"))
        .tool(ScriptedTool::hanging("hanging"))
        .tool(ScriptedTool::failing("cancelled", ToolError::new(ToolErrorKind::Cancelled, "no")))
        .tool_timeout(Duration::from_secs(5))
        .build()
        .expect("complete");
    let started = Instant::now();
    assert_eq!(agent.run("go").await.as_deref(), Ok("done"));
    assert_eq!(started.elapsed(), Duration::from_secs(5), "the slowest, not the sum");
    let last = requests.last().expect("a second request");
    let outcomes: Vec<_> = last
        .messages
        .iter()
        .filter_map(|message| match message {
            Message::Tool { call, outcome: ToolOutcome::Error(error), .. } => {
                Some((call.to_string(), Some(error.kind)))
            }
            Message::Tool { call, .. } => Some((call.to_string(), None)),
            _ => None,
        })
        .collect();
    let expected = [
        ("1-1", None),
        ("1-2", Some(ToolErrorKind::Failed)),
        ("1-3", Some(ToolErrorKind::Panicked)),
        ("1-4", Some(ToolErrorKind::TimedOut)),
        ("1-5", Some(ToolErrorKind::NotFound)),
        ("1-6", Some(ToolErrorKind::Cancelled)),
        ("1-7", Some(ToolErrorKind::TimedOut)),
    ];
    assert_eq!(outcomes, expected.map(|(call, kind)| (call.to_owned(), kind)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_down_is_asked_again_and_then_given_up() {
    let runtime = runtime().await;
    let down =
        || ScriptedReply::from(ModelError::new(ModelErrorKind::Unavailable, "scripted", "503"));
    let model = ScriptedModel::new([down(), down(), ScriptedReply::text("up again")]);
    let agent = runtime.agent("patient").model(model).build().expect("complete");
    assert_eq!(agent.run("hello?").await.as_deref(), Ok("up again"));

    let model = ScriptedModel::new([down(), down(), down(), down(), ScriptedReply::text("late")]);
    let calls = model.calls();
    let agent = runtime.agent("patient").model(model).build().expect("complete");
    match agent.run("hello?").await {
        Err(RunError::Failed(failure)) => assert_eq!(failure.kind, TaskFailureKind::Model),
        other => panic!("{other:?}"),
    }
    assert_eq!(calls.n_begun(), 4);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_stalled_or_panicking_model_is_a_failure_of_its_call() {
    let runtime = runtime().await;
    let replies =
        [ScriptedReply::hang(""), ScriptedReply::panic("", "bug"), ScriptedReply::text("fine")];
    let agent = runtime.agent("patient").model(ScriptedModel::new(replies));
    let agent = agent.model_timeout(Duration::from_secs(10)).build().expect("complete");
    let started = Instant::now();
    assert_eq!(agent.run("hello?").await.as_deref(), Ok("fine"));
    assert!(started.elapsed() >= Duration::from_secs(10));
    assert!(started.elapsed() < Duration::from_secs(13), "{:?}", started.elapsed());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_question_cancels_the_run() {
    let runtime = runtime().await;
    let model = ScriptedModel::new([ScriptedReply::hang("")]);
    let calls = model.calls();
    let agent = runtime.agent("patient").model(model).build().expect("complete");
    let asked = tokio::time::timeout(Duration::from_secs(1), agent.run("hello?")).await;
    assert!(asked.is_err(), "it hangs");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(calls.n_in_flight(), 0);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_has_a_deadline_and_a_budget() {
    let runtime = runtime().await;
    let budget = Budget { wall_max: Duration::from_secs(7), ..Budget::default() };
    let agent = runtime.agent("patient").model(ScriptedModel::new([ScriptedReply::hang("")]));
    let agent = agent.budget(budget).build().expect("complete");
    let started = Instant::now();
    match agent.run("hello?").await {
        Err(RunError::Failed(failure)) => assert_eq!(failure.kind, TaskFailureKind::Limit),
        other => panic!("{other:?}"),
    }
    assert_eq!(started.elapsed(), Duration::from_secs(7));

    let usage = Usage { output_tokens: 90, ..Usage::default() };
    let big = ChatReply { usage, ..ChatReply::calls([call("a", "echo", json!({}))]) };
    let model = ScriptedModel::new([ScriptedReply::from(big), ScriptedReply::text("never")]);
    let budget = Budget { tokens_max: 90, ..Budget::default() };
    let agent = runtime.agent("spender").model(model).tool(ScriptedTool::echo("echo"));
    let agent = agent.budget(budget).build().expect("complete");
    match agent.run("spend").await {
        Err(RunError::Failed(failure)) => assert_eq!(failure.kind, TaskFailureKind::Limit),
        other => panic!("{other:?}"),
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_gives_a_run_no_more_time() {
    let runtime = runtime().await;
    let budget = Budget { wall_max: Duration::from_secs(7), ..Budget::default() };
    let hangs = [ScriptedReply::hang(""), ScriptedReply::hang("")];
    let agent = runtime.agent("patient").model(ScriptedModel::new(hangs)).budget(budget);
    let started = Instant::now();
    let run = agent.build().expect("complete").start("hello?").await.expect("accepted");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(run.crash_on_purpose(&"patient".into()));
    let failure = run.outcome().await.expect_err("it hangs");
    assert_eq!(failure.kind, TaskFailureKind::Limit);
    assert_eq!(run.agents()[0].n_restarts(), 1);
    assert_eq!(started.elapsed(), Duration::from_secs(7));
    end(runtime).await;
}

/// RT11: a crash during the wait for a provider does not make the wait longer.
#[tokio::test(start_paused = true)]
async fn a_crash_does_not_lengthen_the_wait_before_a_retry() {
    let runtime = runtime().await;
    let busy = ScriptedReply::from(busy(Duration::from_secs(60)));
    let model = ScriptedModel::new([busy, ScriptedReply::text("at last")]);
    let calls = model.calls();
    let agent = runtime.agent("patient").model(model).build().expect("complete");
    let started = Instant::now();
    let run = agent.start("hello?").await.expect("accepted");
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert!(run.crash_on_purpose(&"patient".into()));
    assert_eq!(run.outcome().await.expect("an answer").text, "at last");
    assert_eq!((started.elapsed().as_secs(), calls.n_begun()), (60, 2));
    end(runtime).await;
}
