//! Conversations that outgrow their model: shortened, a bounded number of times, and gone on with.

use std::sync::Arc;

use greenroom_core::agent::{AgentSpec, Machine, TurnLimits};
use greenroom_core::budget::Budget;
use greenroom_core::ids::StreamId;
use greenroom_core::journal::Event;
use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::{ChatRequest, ModelErrorKind};
use greenroom_core::report::{Report, TaskFailure, TaskFailureKind};
use greenroom_core::tool::{DynTool, EffectClass};
use greenroom_runtime::{Agent, AgentBuilder, RunEvent, Runtime};
use greenroom_testkit::{Calls, FaultPlan, FaultRule, ScriptedModel, ScriptedReply, ScriptedTool};
use serde_json::json;

use crate::support::{end, runtime};

/// A tool whose outcomes are long.
fn reader() -> ScriptedTool {
    reader_of(40)
}

fn reader_of(n_lines: usize) -> ScriptedTool {
    let long = json!("a line of a long document. ".repeat(n_lines));
    ScriptedTool::answering("read", move |_| Ok(long.clone())).effect(EffectClass::ReadOnly)
}

/// Whether a model with so few tokens refuses a request.
fn is_too_long(request: &ChatRequest, tokens_max: u64) -> bool {
    request.input_tokens_estimated() > tokens_max
}

/// Whether a request is for notes.
fn wants_notes(request: &ChatRequest) -> bool {
    matches!(request.messages.first(), Some(Message::System { text }) if text.contains("keep notes"))
}

/// A model that reads one page after the other, five in all, and then answers.
fn model(tokens_max: u64) -> ScriptedModel {
    ScriptedModel::answering(move |request| {
        if is_too_long(request, tokens_max) {
            return ScriptedReply::error(ModelErrorKind::ContextLength);
        }
        if wants_notes(request) {
            return ScriptedReply::text("pages were read");
        }
        let is_call = |message: &&Message| matches!(message, Message::Assistant { .. });
        let last = request.messages.iter().rfind(is_call).map_or(0, |message| match message {
            Message::Assistant { tool_calls, .. } => {
                tool_calls[0].arguments["page"].as_u64().expect("a page")
            }
            _ => 0,
        });
        if last == 5 {
            return ScriptedReply::text("five pages");
        }
        let arguments = json!({ "page": last + 1 });
        ScriptedReply::calls([ToolCall { id: "x".into(), name: "read".into(), arguments }])
    })
}

fn reading(runtime: &Runtime, model: ScriptedModel) -> AgentBuilder {
    runtime.agent("reader").model(model).tool(reader())
}

/// Runs an agent to its end, and reads its journal.
async fn run(runtime: &Runtime, agent: &Agent) -> (Result<Report, TaskFailure>, Vec<Event>) {
    let run = agent.start("read it all").await.expect("it starts");
    let result = run.outcome().await;
    let recorded = runtime.journal().load(&StreamId::root(run.id())).await.expect("in memory");
    (result, recorded.into_iter().map(|recorded| recorded.event).collect())
}

fn n_compacted(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Compacted { .. })).count()
}

/// What the model was asked for an answer, in the order of the requests.
fn asked(calls: &Calls<ChatRequest>) -> Vec<ChatRequest> {
    calls.requests().into_iter().filter(|request| !wants_notes(request)).collect()
}

#[tokio::test(start_paused = true)]
async fn fi05_a_conversation_that_outgrows_its_model_is_shortened_and_gone_on_with() {
    let runtime = runtime().await;
    let model = model(900);
    let calls = model.calls();
    let agent = reading(&runtime, model).build().expect("complete");
    let mut run = agent.start("read it all").await.expect("it starts");
    let (mut steps, mut shown) = (Vec::new(), String::new());
    while let Some(event) = run.next_event().await {
        match event {
            RunEvent::Step { step, .. } => steps.push(step),
            RunEvent::TextDelta { text, .. } => shown += &text,
            _ => {}
        }
    }
    assert_eq!(shown, "five pages", "notes are no answer");
    assert_eq!(run.outcome().await.map(|report| report.text).as_deref(), Ok("five pages"));
    let shortening = steps.iter().filter(|step| step.contains("shortening the conversation"));
    assert_eq!(shortening.count(), 1, "{steps:?}");
    let last = asked(&calls).pop().expect("requests");
    let notes = last.messages.iter().filter(
        |message| matches!(message, Message::User { text, .. } if text.contains("pages were read")),
    );
    assert_eq!(notes.count(), 1, "{:?}", last.messages);
    // Whoever folds the stream has the conversation that was sent, and not another one.
    let recorded = runtime.journal().load(&StreamId::root(run.id())).await.expect("in memory");
    let tools = Arc::from([reader().spec()]);
    let spec = AgentSpec { tools, ..AgentSpec::new("reader") };
    let mut machine = Machine::new(Arc::new(spec), 7);
    recorded.iter().for_each(|recorded| machine.apply(&recorded.event));
    assert_eq!(machine.messages(), &last.messages[..]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi42_a_crash_at_every_message_of_a_compaction_changes_nothing() {
    let calm = {
        let runtime = runtime().await;
        let agent = reading(&runtime, model(900)).build().expect("complete");
        let (result, events) = run(&runtime, &agent).await;
        assert_eq!(n_compacted(&events), 1);
        end(runtime).await;
        result
    };
    let mut n_struck = 0;
    for n in 1..20 {
        let plan = FaultPlan::new(7).rule(FaultRule::crash("reader").at(n));
        let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await;
        let runtime = runtime.expect("a runtime starts");
        let agent = reading(&runtime, model(900)).build().expect("complete");
        let (result, events) = run(&runtime, &agent).await;
        assert_eq!(result, calm, "at {n}");
        assert_eq!(n_compacted(&events), 1, "at {n}");
        n_struck += plan.n_injected();
        end(runtime).await;
    }
    assert!(n_struck > 10, "{n_struck} messages were struck");
}

#[tokio::test(start_paused = true)]
async fn u17_what_stays_too_long_ends_with_a_kind_of_its_own() {
    let runtime = runtime().await;
    // It takes the question and the first page, and nothing that is longer than the question from then on.
    let model = ScriptedModel::answering(|request| {
        let has_read = request.messages.iter().any(|m| matches!(m, Message::Tool { .. }));
        if has_read || wants_notes(request) {
            return ScriptedReply::error(ModelErrorKind::ContextLength);
        }
        let arguments = json!({ "page": 1 });
        ScriptedReply::calls([ToolCall { id: "x".into(), name: "read".into(), arguments }])
    });
    let calls = model.calls();
    // A page that could be cut more than three times.
    let agent = runtime.agent("reader").model(model).tool(reader_of(100_000));
    let agent = agent.build().expect("complete");
    let (result, _) = run(&runtime, &agent).await;
    assert_eq!(result.map_err(|failure| failure.kind), Err(TaskFailureKind::ContextLength));
    let lens: Vec<_> = asked(&calls).iter().map(outcome_len).collect();
    // The question, the page, and three attempts to shorten it.
    assert_eq!(lens.len(), 5, "{lens:?}");
    assert!(lens[1..].windows(2).all(|pair| pair[1] < pair[0]), "each is shorter: {lens:?}");
    end(runtime).await;
}

fn outcome_len(request: &ChatRequest) -> usize {
    match request.messages.last() {
        Some(Message::Tool { outcome: ToolOutcome::Ok(value), .. }) => value.to_string().len(),
        _ => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn notes_are_paid_for_like_any_other_call() {
    let runtime = runtime().await;
    let n_calls = {
        let model = model(900);
        let calls = model.calls();
        let agent = reading(&runtime, model).build().expect("complete");
        let (result, _) = run(&runtime, &agent).await;
        let counted = result.map(|report| report.usage.model_calls);
        assert_eq!(counted, Ok(calls.n_begun() as u64));
        calls.n_begun() as u64
    };
    for (model_calls_max, is_enough) in [(n_calls, true), (n_calls - 1, false)] {
        let budget = Budget { model_calls_max, ..Budget::default() };
        let agent = reading(&runtime, model(900)).budget(budget).build().expect("complete");
        assert_eq!(run(&runtime, &agent).await.0.is_ok(), is_enough, "{model_calls_max}");
    }
    // They take no turn: what was asked again after them is the same turn's question.
    let limits = TurnLimits { turns_max: 6, ..TurnLimits::default() };
    let agent = reading(&runtime, model(900)).limits(limits).build().expect("complete");
    assert!(run(&runtime, &agent).await.0.is_ok());
    let limits = TurnLimits { turns_max: 5, ..TurnLimits::default() };
    let agent = reading(&runtime, model(900)).limits(limits).build().expect("complete");
    assert!(run(&runtime, &agent).await.0.is_err());
    end(runtime).await;
}
