//! Who asks: what the runtime tells a model, and the limits around it, of the agent that calls.

use greenroom_core::message::ToolCall;
use greenroom_core::model::{Caller, ModelErrorKind};
use greenroom_core::tool::tool;
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::support::{end, runtime};

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

/// Three calls of one agent: a try that fails, the same once more, and the next turn.
async fn callers() -> Vec<Caller> {
    let runtime = runtime().await;
    let model = ScriptedModel::new([
        ScriptedReply::error(ModelErrorKind::Unavailable),
        ScriptedReply::calls([ToolCall {
            id: "x".into(),
            name: "nothing".into(),
            arguments: json!({}),
        }]),
        ScriptedReply::text("done"),
    ]);
    let calls = model.calls();
    let nothing = tool("nothing", "Does nothing.", |Nothing {}| async { Ok(0) });
    let agent = runtime.agent("clerk").model(model).tool(nothing).build().expect("complete");
    assert_eq!(agent.run("Go on.").await.as_deref(), Ok("done"));
    end(runtime).await;
    calls.requests().into_iter().map(|request| request.caller).collect()
}

#[tokio::test(start_paused = true)]
async fn rt09_a_call_keeps_its_key_in_every_try_and_the_next_call_has_another() {
    let callers = callers().await;
    let keys: Vec<_> = callers.iter().map(|caller| caller.idempotency_key.clone()).collect();
    assert!(keys[0].is_some());
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
    let attempts: Vec<_> = callers.iter().map(|caller| caller.attempt).collect();
    assert_eq!(attempts, [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_call_says_its_run_its_depth_and_its_deadline() {
    let callers = callers().await;
    assert!(callers[0].run.is_some());
    assert!(callers.iter().all(|caller| (caller.run, caller.depth) == (callers[0].run, 0)));
    let first = callers[0].deadline.expect("every call has a deadline");
    let retried = callers[1].deadline.expect("every call has a deadline");
    // The wait before a try is not part of the time of the try.
    assert!(retried > first, "{first:?}, {retried:?}");
}
