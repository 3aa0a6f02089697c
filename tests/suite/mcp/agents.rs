//! Agents with the tools of servers.

use std::time::Duration;

use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::tool::ToolErrorKind;
use greenroom_testkit::{ScriptedModel, ScriptedReply};
use serde_json::json;

use super::{Desk, pass};
use crate::support::{end, runtime};

/// What came of a call.
fn outcome(message: &Message) -> Option<&ToolOutcome> {
    match message {
        Message::Tool { outcome, .. } => Some(outcome),
        _ => None,
    }
}

fn calls(name: &str) -> ScriptedReply {
    let arguments = json!({ "text": "again" });
    ScriptedReply::calls([ToolCall { id: name.into(), name: name.into(), arguments }])
}

#[tokio::test(start_paused = true)]
async fn fi37_an_agent_goes_on_when_a_server_is_silent_and_when_it_dies() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    let runtime = runtime().await;
    let tools = ["srv__late", "srv__die", "srv__echo"];
    let model =
        ScriptedModel::new(tools.map(calls).into_iter().chain([ScriptedReply::text("done")]));
    let asked = model.calls();
    let agent = runtime.agent("clerk").model(model).tools(client.tools());
    let agent = agent.tool_timeout(Duration::from_secs(5)).build().expect("complete");
    let (answer, ()) = tokio::join!(agent.run("Say it again."), async {
        desk.noted("call late").await;
        pass(Duration::from_secs(5)).await;
        desk.noted("answered late").await;
    });
    assert_eq!(answer, Ok("done".to_owned()));
    let last = asked.last().expect("it was asked");
    let outcomes: Vec<_> = last.messages.iter().filter_map(outcome).collect();
    let [late, died, echoed] = outcomes.as_slice() else { panic!("{outcomes:?}") };
    let kind = |outcome: &ToolOutcome| match outcome {
        ToolOutcome::Error(error) => Some(error.kind),
        ToolOutcome::Ok(_) => None,
    };
    assert_eq!(
        (kind(late), kind(died)),
        (Some(ToolErrorKind::TimedOut), Some(ToolErrorKind::InDoubt))
    );
    assert_eq!(**echoed, ToolOutcome::Ok(json!("again")));
    assert_eq!((desk.n("cancelled"), desk.pids("started").len()), (1, 2));
    drop((agent, client));
    desk.deserted().await;
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn fi37_a_cancelled_run_cancels_its_call() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    let runtime = runtime().await;
    let model = ScriptedModel::new([calls("srv__hang")]);
    let agent =
        runtime.agent("clerk").model(model).tools(client.tools()).build().expect("complete");
    let run = agent.start("Hang.").await.expect("it starts");
    desk.noted("call hang").await;
    run.cancel();
    desk.noted("cancelled").await;
    assert_eq!(super::ask(&client, "echo").await, Ok(json!("again")));
    drop((run, agent, client));
    desk.deserted().await;
    end(runtime).await;
}
