//! Agents that ask each other through tools, and hand a question to and fro.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use greenroom_core::delegation::{DELEGATION_DEPTH_MAX, DelegationRefusal, delegate};
use greenroom_core::journal::MemoryJournal;
use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::{ChatReply, ChatRequest};
use greenroom_core::router::{Plan, PlannedTask};
use greenroom_core::tool::{DynTool, ToolContext, ToolErrorKind, tool_with};
use greenroom_runtime::{Agent, RunError, Runtime};
use greenroom_testkit::{Calls, ScriptedModel};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::recovery::{self, n_replies, process, recover, unfinished};
use crate::support::{end, runtime};
use crate::teams::docs;

#[derive(Deserialize, JsonSchema)]
struct Question {
    question: String,
}

/// Agents know each other before all of them are there.
type Other = Arc<OnceLock<Agent>>;

/// A tool that asks another agent.
fn ask(other: &Other) -> impl DynTool {
    let other = Arc::clone(other);
    tool_with("ask", "Asks a colleague.", move |asked: Question, context: ToolContext| {
        let other = other.get().expect("it is there").clone();
        async move { Ok(other.delegate(&context, asked.question).await?) }
    })
    .read_only()
}

/// A model that asks its colleague first, whatever it is asked, and then says what came of that.
fn passes_on() -> ScriptedModel {
    let model = ScriptedModel::answering(|request: &ChatRequest| {
        let outcome = request.messages.iter().rev().find_map(|message| match message {
            Message::Tool { outcome, .. } => Some(outcome.clone()),
            _ => None,
        });
        match (n_replies(&request.messages), outcome) {
            (0, _) => {
                let (id, arguments) = ("x".into(), json!({ "question": "and you?" }));
                ChatReply::calls([ToolCall { id, name: "ask".into(), arguments }])
            }
            (_, Some(ToolOutcome::Ok(value))) => ChatReply::text(format!("I hear: {value}")),
            (_, Some(ToolOutcome::Error(error))) => {
                assert_eq!(error.kind, ToolErrorKind::Denied, "{error}");
                ChatReply::text(error.message)
            }
            (_, None) => ChatReply::text("nobody"),
        }
    });
    model.latency(Duration::from_secs(1))
}

fn agent(runtime: &Runtime, name: String, asks: &Other) -> (Agent, Calls<ChatRequest>) {
    let model = passes_on();
    let calls = model.calls();
    (runtime.agent(name).model(model).tool(ask(asks)).build().expect("complete"), calls)
}

/// FI31: A asks B, which asks A, and so on for ever.
#[tokio::test(start_paused = true)]
async fn fi31_u11_agents_that_hand_a_question_to_and_fro_are_stopped() {
    let runtime = runtime().await;
    let (to_first, to_second) = (Other::default(), Other::default());
    let (first, of_first) = agent(&runtime, "first".into(), &to_second);
    let (second, of_second) = agent(&runtime, "second".into(), &to_first);
    assert!(to_first.set(first.clone()).is_ok() && to_second.set(second).is_ok());
    let answer = first.run("what is it?").await.expect("an answer");
    let refused = "first → second → first: the last one waits for the answer itself";
    assert_eq!(answer, format!("I hear: {:?}", refused));
    assert_eq!((of_first.n_begun(), of_second.n_begun()), (2, 2), "each was asked once");
    // Who waits for nobody may be asked again.
    assert!(first.run("and now?").await.is_ok());
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi31_a_line_of_agents_that_wait_for_each_other_has_an_end() {
    let runtime = runtime().await;
    let places: Vec<Other> = (0..20).map(|_| Other::default()).collect();
    let mut calls = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let next = places.get(n + 1).unwrap_or(place);
        let (agent, asked) = agent(&runtime, format!("agent-{n}"), next);
        assert!(place.set(agent).is_ok());
        calls.push(asked);
    }
    let answer = places[0].get().expect("it is there").run("go").await.expect("an answer");
    assert!(answer.contains("too many agents wait for each other"), "{answer}");
    let n_asked = calls.iter().filter(|calls| calls.n_begun() > 0).count();
    assert_eq!(n_asked, DELEGATION_DEPTH_MAX);
    end(runtime).await;
}

/// Nobody waits for a delegation whose asker was in another process: it is asked again, in a run of its own.
/// So the agent may ask anybody, and the line that begins with it has an end as well.
#[test]
fn fi31_a_delegation_that_goes_on_in_the_next_process_begins_a_line_of_its_own() {
    let journal = MemoryJournal::new();
    let (of_first, of_second) = (passes_on(), passes_on());
    let pair = |runtime: &Runtime| {
        let (to_first, to_second) = (Other::default(), Other::default());
        let build = |name: &str, model: &ScriptedModel, other| {
            runtime.agent(name).model(model.clone()).tool(ask(other)).build().expect("complete")
        };
        let first = build("first", &of_first, &to_second);
        let second = build("second", &of_second, &to_first);
        assert!(to_first.set(first.clone()).is_ok() && to_second.set(second).is_ok());
        (first, to_first, to_second)
    };
    process(async {
        let runtime = recovery::runtime(journal.clone(), 1, 0).await;
        let (first, ..) = pair(&runtime);
        let _run = first.start("what is it?").await.expect("accepted");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    });
    let runs = unfinished(&journal);
    assert_eq!((runs.len(), of_second.calls().n_begun()), (2, 1), "the second one is asking back");
    process(async {
        let runtime = recovery::runtime(journal.clone(), 2, 100).await;
        let (first, _to_first, _to_second) = pair(&runtime);
        recover(&runtime).await;
        for run in runs {
            let run = first.attach(run).await.expect("memory answers").expect("it is known");
            let answer = run.outcome().await.expect("an answer").text;
            assert!(answer.contains("the last one waits for the answer itself"), "{answer}");
        }
        runtime.shutdown().await;
    });
    assert_eq!(unfinished(&journal), []);
    // The call that was cut off is made again, and so is the question.
    assert_eq!((of_first.calls().n_begun(), of_second.calls().n_begun()), (4, 5));
}

/// In a team, an agent of their own makes the calls of tools.
#[tokio::test(start_paused = true)]
async fn fi31_a_tool_of_a_team_knows_who_waits_for_it() {
    let runtime = runtime().await;
    let seen = Arc::new(OnceLock::new());
    let waiting = Arc::clone(&seen);
    let tool = tool_with("ask", "Asks a colleague.", move |_: Question, context: ToolContext| {
        waiting.set(context.waiting.to_vec()).expect("it is called once");
        async { Ok("noted") }
    });
    let model = ScriptedModel::answering(|request: &ChatRequest| {
        let task = PlannedTask::new("t1", "research", "Why?");
        match &request.output {
            Some(_) => {
                let plan = Plan { tasks: vec![task] };
                ChatReply::text(serde_json::to_string(&plan).expect("JSON"))
            }
            None if !request.tools.is_empty() && n_replies(&request.messages) == 0 => {
                let (id, arguments) = ("x".into(), json!({ "question": "and you?" }));
                ChatReply::calls([ToolCall { id, name: "ask".into(), arguments }])
            }
            None => ChatReply::text("Because."),
        }
    });
    let tools: [Arc<dyn DynTool>; 1] = [Arc::new(tool)];
    let team = runtime.team().model(model).source(docs()).tools(tools).start().await;
    team.expect("it starts").ask("Why?").await.expect("accepted").outcome().await;
    let seen: Vec<_> = seen.get().expect("it was called").iter().map(|id| id.as_str()).collect();
    assert_eq!(seen, ["research-t1"]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi31_a_delegation_that_is_refused_is_an_error_of_its_own() {
    let runtime = runtime().await;
    let place = Other::default();
    let (clerk, calls) = agent(&runtime, "clerk".into(), &place);
    let waiting = delegate(&[], &"clerk".into()).expect("nobody waits");
    let context = ToolContext::new("x".into(), "key").waited_for_by(waiting);
    let error = clerk.delegate(&context, "hello?").await.expect_err("it waits itself");
    let RunError::Delegation(refused) = &error else { panic!("{error:?}") };
    assert_eq!((refused.kind, refused.path.len()), (DelegationRefusal::Cycle, 2));
    assert_eq!((error.code(), calls.n_begun()), ("GR0113", 0));
    end(runtime).await;
}
