//! Tests of `toolbox`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use greenroom_core::BoxFuture;
use greenroom_core::tool::{DynTool, EffectClass, ToolContext, ToolError, ToolErrorKind, ToolSpec};
use serde_json::{Value, json};

use super::*;

/// Echoes its arguments, and counts how often it is asked for its spec.
struct Echo {
    name: String,
    n_specs: Arc<AtomicUsize>,
}

impl Echo {
    fn named(name: &str) -> Self {
        Self { name: name.into(), n_specs: Arc::default() }
    }
}

impl DynTool for Echo {
    fn spec(&self) -> ToolSpec {
        self.n_specs.fetch_add(1, Ordering::Relaxed);
        ToolSpec {
            name: self.name.clone(),
            description: "Echoes.".into(),
            parameters: json!({ "type": "object" }),
            effect: EffectClass::ReadOnly,
        }
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move { Ok(json!([self.name, arguments, context.call])) })
    }
}

fn context() -> ToolContext {
    ToolContext::new("c1".into(), "key")
}

#[test]
fn specs_keep_the_order_of_registration_and_are_computed_once() {
    let echo = Echo::named("b");
    let n_specs = Arc::clone(&echo.n_specs);
    let toolbox = Toolbox::default().with(echo).unwrap().with(Echo::named("a")).unwrap();
    for _ in 0..10 {
        assert!(toolbox.get("b").is_some());
        assert!(Arc::ptr_eq(&toolbox.specs(), &toolbox.clone().specs()));
    }
    assert_eq!(toolbox.names().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(n_specs.load(Ordering::Relaxed), 1);
    assert!(toolbox.get("c").is_none());
}

#[test]
fn names_are_distinct_and_well_formed() {
    let longest = "n".repeat(64);
    let toolbox = Toolbox::default().with(Echo::named("echo")).unwrap();
    for good in ["a", "A-b_9", "Echo", &longest] {
        assert!(toolbox.clone().with(Echo::named(good)).is_ok(), "{good}");
    }
    let too_long = "n".repeat(65);
    for bad in ["", " echo", "ec ho", "écho", "a.b", "a/b", "a\n", "a\0", &too_long] {
        let error = toolbox.clone().with(Echo::named(bad)).unwrap_err();
        let expected = ToolboxError { name: bad.into(), kind: ToolboxErrorKind::BadName };
        assert_eq!(error, expected, "{bad:?}");
    }
    let error = toolbox.with(Echo::named("echo")).unwrap_err();
    assert_eq!(error.kind, ToolboxErrorKind::Duplicate);
    assert_eq!(error.to_string(), "tool \"echo\": the name is taken");
}

#[tokio::test]
async fn a_call_reaches_the_tool_of_its_name() {
    let tools = ["a", "b"].map(|name| Arc::new(Echo::named(name)) as Arc<dyn DynTool>);
    let call = Toolbox::new(tools).unwrap().call("b", json!({ "x": 1 }), context());
    assert_eq!(call.await, Ok(json!(["b", { "x": 1 }, "c1"])));
}

#[tokio::test]
async fn an_unknown_name_is_answered_with_the_names_that_exist() {
    let toolbox =
        Toolbox::default().with(Echo::named("a")).unwrap().with(Echo::named("b")).unwrap();
    let error = toolbox.call("sea\u{1b}rch", json!({}), context()).await.unwrap_err();
    assert_eq!(error.kind, ToolErrorKind::NotFound);
    assert_eq!(error.message, "there is no tool \"sea\\u{1b}rch\"; the tools are a, b");

    let error =
        Toolbox::default().call(&"x".repeat(10_000), json!({}), context()).await.unwrap_err();
    assert!(error.message.len() < 120 && error.message.ends_with("there are no tools"), "{error}");
}
