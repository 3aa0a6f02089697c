//! The loop of turns, with models that answer over a wire and refuse what a real provider would refuse.

use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::{AgentSpec, Machine, TurnLimits};
use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal, MemoryJournal};
use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::random::SplitMix64;
use greenroom_core::report::TaskFailureKind;
use greenroom_core::tool::{DynTool, EffectClass, ToolError, ToolErrorKind, tool};
use greenroom_models::wire::{Quirks, Wire};
use greenroom_runtime::{Agent, RunError, RunEvent, Runtime};
use greenroom_testkit::{FaultPlan, FaultRule, ScriptedModel, ScriptedReply, ScriptedTool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{end, runtime};

mod provider;

use provider::{Provider, WIRES, objection};

fn call(name: &str, arguments: Value) -> ToolCall {
    ToolCall { id: "x".into(), name: name.into(), arguments }
}

/// Three calls at once, then a word.
fn three_calls() -> [ChatReply; 2] {
    let calls = ["a", "b", "c"].map(|name| call(name, json!({})));
    [ChatReply::calls(calls), ChatReply::text("done")]
}

/// The outcomes of a conversation: the call, and the kind of its error.
fn outcomes(messages: &[Message]) -> Vec<(String, Option<ToolErrorKind>)> {
    let outcomes = messages.iter().filter_map(|message| match message {
        Message::Tool { call, outcome, .. } => Some((
            call.to_string(),
            match outcome {
                ToolOutcome::Ok(_) => None,
                ToolOutcome::Error(error) => Some(error.kind),
            },
        )),
        _ => None,
    });
    outcomes.collect()
}

/// Every event of the only run in a journal.
async fn events(journal: &MemoryJournal, stream: &StreamId) -> Vec<Event> {
    let recorded = journal.load(stream).await.expect("in memory");
    recorded.into_iter().map(|recorded| recorded.event).collect()
}

/// An agent with the tools `a`, `b` and `c`, which change nothing, in a runtime with these faults.
async fn clerk(model: &Provider, plan: &FaultPlan) -> (Runtime, Agent) {
    let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let mut agent = runtime.agent("clerk").model(model.clone());
    for name in ["a", "b", "c"] {
        agent = agent.tool(plan.tool(ScriptedTool::echo(name).effect(EffectClass::ReadOnly)));
    }
    let agent = agent.tool_timeout(Duration::from_secs(5)).build().expect("complete");
    (runtime, agent)
}

#[tokio::test(start_paused = true)]
async fn u01_a_crash_at_every_message_of_a_turn_of_three_calls_spoils_no_request() {
    for wire in [Wire::OpenAiChat, Wire::Anthropic] {
        let mut n_struck = 0;
        for n in 1..10 {
            for rule in [FaultRule::crash("clerk"), FaultRule::failing_handler("clerk")] {
                let plan = FaultPlan::new(7).rule(rule.at(n));
                let model = Provider::new(wire, true, three_calls());
                let (runtime, agent) = clerk(&model, &plan).await;
                assert_eq!(agent.run("go").await.as_deref(), Ok("done"), "{wire:?} at {n}");
                assert_eq!(model.n_refused(), 0, "{wire:?} at {n}");
                n_struck += plan.n_injected();
                end(runtime).await;
            }
        }
        // The reply, three outcomes and the last reply, struck in two ways.
        assert!(n_struck >= 10, "{wire:?}: {n_struck}");
    }
}

#[tokio::test(start_paused = true)]
async fn u01_whatever_becomes_of_each_of_three_calls_spoils_no_request() {
    for name in ["a", "b", "c", "*"] {
        for rule in [
            FaultRule::tool_panic(name),
            FaultRule::hanging_tool(name),
            FaultRule::tool_error(name, ToolErrorKind::Cancelled),
        ] {
            let plan = FaultPlan::new(7).rule(rule);
            let model = Provider::new(Wire::Anthropic, true, three_calls());
            let (runtime, agent) = clerk(&model, &plan).await;
            assert_eq!(agent.run("go").await.as_deref(), Ok("done"), "{name}");
            assert_eq!((model.n_refused(), model.n_asked()), (0, 2), "{name}");
            plan.assert_every_rule_struck();
            end(runtime).await;
        }
    }
}

/// A run that is cancelled while its third call is at work: what it leaves behind can be gone on with, on
/// every wire, whatever of it had been recorded.
#[tokio::test(start_paused = true)]
async fn u01_a_cancelled_turn_of_three_calls_can_be_gone_on_with_from_every_event() {
    let journal = MemoryJournal::new();
    let runtime = Runtime::builder().seed(7).journal(journal.clone()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let agent = runtime
        .agent("clerk")
        .model(Provider::new(Wire::OpenAiChat, true, three_calls()))
        .tool(ScriptedTool::echo("a"))
        .tool(ScriptedTool::echo("b").delay(Duration::from_secs(1)))
        .tool(ScriptedTool::hanging("c"))
        .build()
        .expect("complete");
    let run = agent.start("go").await.expect("it starts");
    tokio::time::sleep(Duration::from_secs(2)).await;
    run.cancel();
    let failure = run.outcome().await.expect_err("it was cancelled");
    assert_eq!(failure.kind, TaskFailureKind::Cancelled);

    let events = events(&journal, &StreamId::root(run.id())).await;
    let tools = ["a", "b", "c"].map(|name| ScriptedTool::echo(name).spec());
    let spec = Arc::new(AgentSpec { tools: Arc::from(tools), ..AgentSpec::new("clerk") });
    let mut machine = Machine::new(spec, 7);
    let mut seen = Vec::new();
    for event in &events {
        machine.apply(event);
        let mut messages = machine.conversation();
        seen.push(outcomes(&messages).iter().filter(|(_, kind)| kind.is_none()).count());
        messages.push(Message::user("go on"));
        let request = ChatRequest { messages: Arc::new(messages), ..ChatRequest::default() };
        for wire in WIRES {
            let body = wire.encode("m", &request, Quirks::default());
            assert_eq!(objection(wire, &body), None, "{wire:?} after {event:?}");
        }
    }
    assert_eq!(seen.last(), Some(&2), "what was finished is kept: {seen:?}");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn u02_finished_calls_are_kept_and_only_the_others_run_again() {
    let tool = |name, seconds| {
        let tool = ScriptedTool::echo(name).effect(EffectClass::ReadOnly);
        tool.delay(Duration::from_secs(seconds))
    };
    // The agent crashes on the outcome of the second call, while the third and the fourth are at work.
    let tools = [tool("a", 0), tool("b", 1), tool("c", 8), tool("d", 9)];
    let calls = tools.each_ref().map(ScriptedTool::calls);
    let plan = FaultPlan::new(7).rule(FaultRule::crash("clerk").at(3));
    let runtime = Runtime::builder().seed(7).faults(plan.clone()).start().await;
    let runtime = runtime.expect("a runtime starts");
    let asked = ["a", "b", "c", "d"].map(|name| call(name, json!({ "of": name })));
    let script = [ChatReply::calls(asked), ChatReply::text("done")];
    let model = Provider::new(Wire::OpenAiChat, true, script);
    let agent = tools
        .into_iter()
        .fold(runtime.agent("clerk").model(model.clone()), |agent, tool| agent.tool(tool));
    let agent = agent.build().expect("complete");
    assert_eq!(agent.run("go").await.as_deref(), Ok("done"));
    plan.assert_every_rule_struck();
    // The second one's outcome was on its way into the journal: it is read-only, so it may run again.
    let [a, b, c, d] = calls.map(|calls| calls.n_begun());
    assert_eq!((a, c, d), (1, 2, 2));
    assert!(b <= 2);
    assert_eq!((model.n_refused(), model.n_asked()), (0, 2));
    end(runtime).await;
}

#[derive(Deserialize, JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[tokio::test(start_paused = true)]
async fn fi25_u18_malformed_arguments_and_panicking_tools_end_no_run() {
    let runtime = runtime().await;
    let asked = [
        call("add", json!("{\"a\": 1, ")),
        call("add", json!({ "a": "one" })),
        call("burst", json!({})),
        call("add", json!({ "a": 1, "b": 2 })),
    ];
    let script = [ChatReply::calls(asked), ChatReply::text("done")];
    let model = Provider::new(Wire::OpenAiChat, true, script);
    let journal = runtime.journal();
    let agent = runtime
        .agent("clerk")
        .model(model.clone())
        .tool(tool("add", "Adds.", |Add { a, b }| async move { Ok(a + b) }))
        .tool(ScriptedTool::panicking("burst", "bug"))
        .build()
        .expect("complete");
    let run = agent.start("go").await.expect("it starts");
    assert_eq!(run.outcome().await.map(|report| report.text).as_deref(), Ok("done"));
    assert_eq!(model.n_refused(), 0);
    let recorded = journal.load(&StreamId::root(run.id())).await.expect("in memory");
    let mut ended: Vec<_> = recorded
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::ToolFinished { call, outcome: ToolOutcome::Error(error) } => {
                Some((call.to_string(), Some(error.kind)))
            }
            Event::ToolFinished { call, .. } => Some((call.to_string(), None)),
            _ => None,
        })
        .collect();
    ended.sort_by(|(left, _), (right, _)| left.cmp(right));
    let expect = [
        ("1-1", Some(ToolErrorKind::InvalidArguments)),
        ("1-2", Some(ToolErrorKind::InvalidArguments)),
        ("1-3", Some(ToolErrorKind::Panicked)),
        ("1-4", None),
    ];
    assert_eq!(ended, expect.map(|(call, kind)| (call.to_owned(), kind)));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi26_a_tool_that_an_agent_may_not_have_is_refused_and_told() {
    let runtime = runtime().await;
    let script = [ChatReply::calls([call("delete_all", json!({}))]), ChatReply::text("done")];
    let agent = runtime
        .agent("clerk")
        .model(Provider::new(Wire::OpenAiChat, true, script))
        .tool(ScriptedTool::echo("look"))
        .build()
        .expect("complete");
    let mut run = agent.start("go").await.expect("it starts");
    let mut steps = Vec::new();
    while let Some(event) = run.next_event().await {
        if let RunEvent::Step { step, .. } = event {
            steps.push(step);
        }
    }
    assert!(steps.contains(&"\"delete_all\" was refused: not found".to_owned()), "{steps:?}");
    assert_eq!(run.outcome().await.map(|report| report.text).as_deref(), Ok("done"));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi31_u11_a_model_that_repeats_itself_for_ever_is_stopped() {
    let runtime = runtime().await;
    let tool = ScriptedTool::echo("look");
    let calls = tool.calls();
    // The same arguments in another order are the same arguments.
    let model = ScriptedModel::answering(|request| {
        let n = request.messages.len();
        let text = if n % 3 == 0 { r#"{"a":1,"b":2}"# } else { r#"{"b":2,"a":1}"# };
        let arguments = serde_json::from_str(text).expect("JSON");
        ScriptedReply::calls([call("look", arguments)])
    });
    let requests = model.calls();
    let agent = runtime.agent("clerk").model(model).tool(tool).build().expect("complete");
    let failure = match agent.run("go").await {
        Err(RunError::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    };
    assert_eq!(failure.kind, TaskFailureKind::Limit);
    let limits = TurnLimits::default();
    assert_eq!(calls.n_begun(), limits.same_call_max as usize);
    let requests = requests.requests();
    assert_eq!(requests.len(), limits.turns_max as usize);
    let offered: Vec<_> = requests.iter().map(|request| request.tools.len()).collect();
    assert_eq!(offered, [1, 1, 1, 1, 1, 1, 1, 0], "tools are gone on the last turn");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi32_u12_limits_of_turns_are_exact() {
    let runtime = runtime().await;
    assert!(TurnLimits::default().turns_max > 0);
    for turns_max in [0, 1, 2, 5] {
        let model = ScriptedModel::answering(|request| {
            let n = request.messages.len();
            ScriptedReply::calls([call("look", json!({ "n": n }))])
        });
        let requests = model.calls();
        let tool = ScriptedTool::echo("look");
        let calls = tool.calls();
        let limits = TurnLimits { turns_max, ..TurnLimits::default() };
        let agent = runtime.agent("clerk").model(model).tool(tool).limits(limits).build();
        assert!(agent.expect("complete").run("go").await.is_err());
        assert_eq!(requests.n_begun(), turns_max as usize);
        assert_eq!(calls.n_begun(), turns_max.saturating_sub(1) as usize);
    }
    end(runtime).await;
}

/// A script by chance: up to four turns of up to three calls, some of which cannot be made, then a text.
fn script(seed: u64) -> Vec<ChatReply> {
    let mut chance = SplitMix64::new(seed);
    let mut below = |n: u64| chance.bits() % n;
    let mut script = Vec::new();
    for turn in 0..below(5) {
        let calls: Vec<_> = (0..=below(3))
            .map(|_| match below(6) {
                0 => call("broken", json!({ "turn": turn })),
                1 => call("burst", json!({})),
                2 => call("missing", json!({ "n": below(9) })),
                3 => call("echo", json!({ "text": "Grüße, \u{1F600}", "n": [1, 2.5, null] })),
                n => call("echo", json!({ "n": n, "turn": turn })),
            })
            .collect();
        let text = if below(2) == 0 { String::new() } else { format!("Turn {turn}: ich prüfe.") };
        script.push(ChatReply { text, ..ChatReply::calls(calls) });
    }
    script.push(ChatReply::text(format!("Ende {seed} \u{2028} ✓")));
    script
}

/// The journal of an agent with such a script.
async fn trace(seed: u64, wire: Wire, streams: bool) -> Vec<Event> {
    let runtime = runtime().await;
    let model = Provider::new(wire, streams, script(seed));
    let agent = runtime
        .agent("clerk")
        .model(model.clone())
        .tool(ScriptedTool::echo("echo"))
        .tool(ScriptedTool::failing("broken", ToolError::failed("no")))
        .tool(ScriptedTool::panicking("burst", "bug"))
        .build()
        .expect("complete");
    let run = agent.start("go").await.expect("it starts");
    let report = run.outcome().await.unwrap_or_else(|failure| panic!("{seed}: {failure}"));
    assert!(report.text.starts_with("Ende"), "{seed}: {}", report.text);
    assert_eq!(model.n_refused(), 0);
    let recorded = runtime.journal().load(&StreamId::root(run.id())).await.expect("in memory");
    end(runtime).await;
    // When the run must end is told by the clock on the wall, which differs.
    let events = recorded.into_iter().map(|recorded| recorded.event);
    events.filter(|event| !matches!(event, Event::RunBound { .. })).collect()
}

#[tokio::test(start_paused = true)]
async fn u19_streamed_and_whole_replies_give_the_same_trace_for_200_scripts() {
    for wire in WIRES {
        let mut n_calls = 0;
        for seed in 0..200 {
            let streamed = trace(seed, wire, true).await;
            assert_eq!(streamed, trace(seed, wire, false).await, "{wire:?}, seed {seed}");
            n_calls += streamed.iter().filter(|e| matches!(e, Event::ToolStarted { .. })).count();
        }
        assert!(n_calls > 300, "{n_calls} calls over {wire:?}");
    }
}
