//! Providers that refuse to make a model call a tool: the shape is told in words, after one refusal at most.

use std::sync::Arc;

use greenroom_core::model::{Caller, ChatOptions, ChatRequest, ModelErrorKind, ToolChoice};
use greenroom_core::output::OutputSchema;
use greenroom_core::tool::{EffectClass, ToolSpec};
use greenroom_testkit::provider::{Answer, ProviderServer, Received};
use serde_json::{Value, json};

use super::world::{ask, providers, request};

/// A map, which no strict schema of Anthropic can say.
fn shaped() -> ChatRequest {
    let schema = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    let output = OutputSchema { name: "counts".into(), schema };
    let caller = Caller { idempotency_key: Some("key".into()), ..Caller::default() };
    ChatRequest { output: Some(Arc::new(output)), caller, ..request() }
}

/// A provider that refuses forced calls, in the words of the published error.
fn unforced() -> ProviderServer {
    ProviderServer::answering(|request: &Received| {
        match request.body["tool_choice"]["type"].as_str() {
            Some("any" | "tool") => {
                let why = "Thinking may not be enabled when tool_choice forces tool use.";
                Answer::refusal(400, "invalid_request_error", why)
            }
            _ => Answer::text(r#"{"a":1}"#),
        }
    })
}

fn choices(server: &ProviderServer) -> Vec<Value> {
    server.requests().into_iter().map(|request| request.body["tool_choice"].clone()).collect()
}

#[tokio::test]
async fn a_model_that_is_known_to_refuse_is_not_made_to_call() {
    for name in ["anthropic:claude-opus-5-5", "anthropic:claude-fable-5-1"] {
        let server = unforced();
        let model = providers(&server).model(name).expect("a model");
        let reply = ask(&model, shaped()).await.expect(name);
        assert_eq!((reply.text.as_str(), choices(&server)), (r#"{"a":1}"#, vec![Value::Null]));
        assert!(
            server.requests()[0].body["system"].to_string().contains("It must fit this schema")
        );
    }
}

#[tokio::test]
async fn a_model_that_refuses_is_asked_once_more_in_words_and_from_then_on() {
    let server = unforced();
    let model = providers(&server).model("anthropic:claude-next").expect("a model");
    let reply = ask(&model, shaped()).await.expect("it is asked in words");
    assert_eq!(reply.text, r#"{"a":1}"#);
    let forced = json!({ "type": "tool", "name": "greenroom_answer" });
    assert_eq!(choices(&server), [forced, Value::Null]);
    let key = |n: usize| server.requests()[n].header("idempotency-key").map(str::to_owned);
    assert_eq!((key(0).as_deref(), key(1).as_deref()), (Some("key"), Some("key/unforced")));
    ask(&model.clone(), shaped()).await.expect("it is known now");
    assert_eq!(choices(&server).len(), 3, "and to every clone of the model");
}

#[tokio::test]
async fn what_an_application_forces_is_asked_for_where_it_cannot_be_forced() {
    let server = unforced();
    let model = providers(&server).model("anthropic:claude-next").expect("a model");
    let (name, description) = ("look".to_owned(), "Looks.".to_owned());
    let tool = ToolSpec {
        name,
        description,
        parameters: json!({ "type": "object", "properties": {} }),
        effect: EffectClass::ReadOnly,
    };
    let tool_choice = Some(ToolChoice::Required);
    let options = ChatOptions { tool_choice, ..ChatOptions::default() };
    let request = ChatRequest { tools: vec![tool].into(), options, ..request() };
    ask(&model, request).await.expect("it is asked again");
    assert_eq!(choices(&server), [json!({ "type": "any" }), json!({ "type": "auto" })]);
}

/// The fallback is for that refusal, and it is one.
#[tokio::test]
async fn other_refusals_are_told_and_a_second_one_is_too() {
    let refused =
        |why: &str| ProviderServer::always(Answer::refusal(400, "invalid_request_error", why));
    for (server, n_requests) in [
        (refused("messages: roles must alternate"), 1),
        (refused("tool_choice: this is not supported"), 2),
    ] {
        let model = providers(&server).model("anthropic:claude-next").expect("a model");
        let error = ask(&model, shaped()).await.expect_err("it is refused");
        assert_eq!(
            (error.kind, choices(&server).len()),
            (ModelErrorKind::InvalidRequest, n_requests)
        );
    }
    // Nothing is sent again that would be the same.
    let server = refused("tool_choice: this is not supported");
    let model = providers(&server).model("anthropic:claude-next").expect("a model");
    ask(&model, request()).await.expect_err("it is refused");
    assert_eq!(choices(&server).len(), 1);
}
