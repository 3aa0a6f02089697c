//! What models are told of a server's tools, and what becomes of tools that change.

use greenroom_core::tool::{Approval, DynTool, EffectClass, ToolErrorKind};
use serde_json::json;

use super::{Desk, ask};

#[tokio::test(start_paused = true)]
async fn tools_are_named_after_their_server_and_act_once_unless_people_say_otherwise() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    let names: Vec<_> = client.tools().iter().map(|tool| tool.spec().name).collect();
    assert_eq!((names.len(), &names[3]), (13, &"srv__echo".to_owned()));
    let echo = client.tool("echo").expect("there is one");
    let spec = echo.spec();
    assert_eq!(spec.description, "Does what its name says.");
    let text = json!({ "text": { "type": "string" } });
    assert_eq!(spec.parameters, json!({ "type": "object", "properties": text }));
    // The server says that it only reads; that is not for the server to say.
    assert_eq!(spec.effect, EffectClass::AtMostOnce);
    assert!(DynTool::approval(&echo).is_none());
    let echo = echo.effect(EffectClass::Idempotent).approval(Approval::always());
    assert_eq!(echo.spec().effect, EffectClass::Idempotent);
    assert!(!DynTool::approval(&echo).is_none());
    let trusting = desk.server(&[]).trust_read_only_hints().connect().await.expect("it connects");
    let effects =
        ["echo", "die"].map(|tool| trusting.tool(tool).expect("there is one").spec().effect);
    assert_eq!(effects, [EffectClass::ReadOnly, EffectClass::AtMostOnce]);
    assert!(client.tool("nothing").is_none());
}

/// A rug pull: the tool that a person chose is not the one that is there now.
#[tokio::test(start_paused = true)]
async fn fi37_a_tool_that_is_described_otherwise_after_a_restart_is_refused() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    desk.change();
    ask(&client, "die").await.expect_err("it died");
    for _ in 0..2 {
        let error = ask(&client, "echo").await.expect_err("it is another tool now");
        assert_eq!(error.kind, ToolErrorKind::Denied);
        assert!(error.message.contains("connects anew"), "{error}");
    }
    assert_eq!(ask(&client, "structured").await, Ok(json!({ "sum": 42 })), "this one is the same");
    assert_eq!(desk.n("call echo"), 0);
    let anew = desk.connect(&[]).await;
    assert_eq!(ask(&anew, "echo").await, Ok(json!("again")));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_that_its_tools_changed_is_asked_for_them() {
    let desk = Desk::new();
    let client = desk.connect(&[]).await;
    assert_eq!(ask(&client, "change").await, Ok(json!("changed")));
    let error = ask(&client, "echo").await.expect_err("it is another tool now");
    assert_eq!(error.kind, ToolErrorKind::Denied);
    assert_eq!(desk.pids("started").len(), 1);
    assert_eq!(ask(&client, "structured").await, Ok(json!({ "sum": 42 })));
}
