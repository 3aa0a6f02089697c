//! Tests of `tool`.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use greenroom_core::tool::ToolErrorKind;

use super::*;

fn context() -> ToolContext {
    ToolContext::new("c1".into(), "key")
}

#[tokio::test(start_paused = true)]
async fn a_tool_does_what_it_is_told() {
    let minute = Duration::from_secs(60);
    let echo = ScriptedTool::echo("echo").effect(EffectClass::Idempotent).delay(minute);
    let start = tokio::time::Instant::now();
    assert_eq!(echo.call_json(json!({ "a": 1 }), context()).await, Ok(json!({ "a": 1 })));
    assert_eq!(start.elapsed(), minute);
    assert_eq!(echo.spec().effect, EffectClass::Idempotent);
    assert_eq!(echo.calls().requests(), [(context(), json!({ "a": 1 }))]);

    let error = ToolError::new(ToolErrorKind::Denied, "no");
    let failing = ScriptedTool::failing("failing", error.clone());
    assert_eq!(failing.spec().effect, EffectClass::AtMostOnce);
    assert_eq!(failing.call_json(Value::Null, context()).await, Err(error));

    let hanging = ScriptedTool::hanging("hanging");
    let call = hanging.call_json(Value::Null, context());
    assert_eq!(hanging.calls().n_begun(), 0);
    assert!(tokio::time::timeout(minute, call).await.is_err());
    assert_eq!((hanging.calls().n_begun(), hanging.calls().n_in_flight()), (1, 0));

    let panicking = ScriptedTool::panicking("panicking", "boom");
    let panic = AssertUnwindSafe(panicking.call_json(Value::Null, context())).catch_unwind().await;
    assert_eq!(panic.unwrap_err().downcast_ref::<String>().unwrap(), "boom");
}

#[test]
fn a_blocking_tool_blocks_its_thread() {
    let span = Duration::from_millis(20);
    let blocking = ScriptedTool::blocking("blocking", span);
    // Ready at the first poll, without a runtime: the thread itself has waited.
    let call = blocking.call_json(json!(7), context()).now_or_never();
    assert_eq!(call, Some(Ok(json!(7))));
}
