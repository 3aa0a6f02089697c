//! Events in the forms of <https://platform.openai.com/docs/api-reference/responses-streaming>; with texts of
//! our own.

use std::sync::Arc;

use greenroom_core::message::{Message, Reasoning, ToolCall};
use greenroom_core::model::{ChatEvent, ChatRequest, FinishReason, ModelErrorKind};
use serde_json::{Value, json};

use crate::wire::openai_chat::tests::full_request;
use crate::wire::tests::{decode, error, reply, sse};
use crate::wire::{Quirks, Wire};

const WIRE: Wire = Wire::OpenAiResponses;

fn encode(model: &str, request: &ChatRequest) -> Value {
    super::encode(model, request, Quirks::default())
}

pub(in crate::wire) const PAYLOADS: [&str; 2] = [TEXT, CALL];

const TEXT: &str = include_str!("../../../payloads/openai_responses/text.sse");

const CALL: &str = include_str!("../../../payloads/openai_responses/call.sse");

fn koeln() -> ToolCall {
    let arguments = json!({ "city": "Köln" });
    ToolCall { id: "call_1".into(), name: "get_weather".into(), arguments }
}

#[test]
fn a_text_is_streamed_once_and_counted() {
    let (events, _) = decode(WIRE, TEXT);
    assert_eq!(events.len(), 3, "{events:?}");
    let reply = reply(WIRE, TEXT);
    assert_eq!((reply.text.as_str(), reply.finish), ("Grüß dich", FinishReason::Stop));
    let usage = reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated_calls), (37, 11, 0));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(30), Some(4)));
}

#[test]
fn a_call_is_assembled_once_although_it_is_told_three_times() {
    let reply = reply(WIRE, CALL);
    assert_eq!((reply.tool_calls, reply.finish), (vec![koeln()], FinishReason::ToolCalls));
    let items = vec![
        json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" }),
    ];
    assert_eq!(reply.reasoning, Some(Reasoning { wire: "openai_responses".into(), items }));
    let (events, _) = decode(WIRE, CALL);
    assert_eq!(events[0], ChatEvent::ReasoningDelta("Wetter?".into()));
    let shown = events.iter().filter_map(|event| match event {
        ChatEvent::ToolCallDelta { arguments, .. } => Some(arguments.as_str()),
        _ => None,
    });
    assert_eq!(shown.collect::<String>(), "{\"city\":\"Köln\"}");
}

#[test]
fn what_was_not_streamed_is_taken_from_the_whole() {
    let output = json!([
        { "type": "message", "content": [{ "type": "output_text", "text": "hi" }] },
        { "type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{\"city\":\"Köln\"}" },
    ]);
    let response = json!({ "status": "completed", "output": output });
    let streamed = sse([json!({ "type": "response.completed", "response": response })]);
    for body in [streamed, response.to_string()] {
        let reply = reply(WIRE, body);
        assert_eq!((reply.text.as_str(), reply.tool_calls), ("hi", vec![koeln()]));
    }
}

#[test]
fn endings_are_told_apart() {
    let ended = |response| sse([json!({ "type": "response.incomplete", "response": response })]);
    let cut =
        json!({ "status": "incomplete", "incomplete_details": { "reason": "max_output_tokens" } });
    assert_eq!(reply(WIRE, ended(cut)).finish, FinishReason::Length);
    let withheld = json!({ "incomplete_details": { "reason": "content_filter" } });
    assert_eq!(reply(WIRE, ended(withheld)).finish, FinishReason::ContentFilter);
    let refused = json!({ "type": "response.refusal.delta", "delta": "No." });
    let done = json!({ "type": "response.completed", "response": {} });
    let reply = reply(WIRE, sse([refused, done]));
    assert_eq!((reply.text.as_str(), reply.finish), ("No.", FinishReason::ContentFilter));
    assert_eq!(reply.usage.estimated_calls, 1);
}

// `response.failed` and `error`, as the reference of streaming events gives them.
#[test]
fn fi17_failures_in_the_stream_are_errors() {
    let failed = json!({ "type": "response.failed", "response": { "id": "resp_1", "status": "failed", "error": { "code": "server_error", "message": "The model failed" } } });
    let (_, failed) = error(WIRE, sse([failed]));
    assert_eq!((failed.kind, failed.status), (ModelErrorKind::Unavailable, Some(500)));
    assert!(failed.message.contains("The model failed"), "{failed}");
    let limited =
        json!({ "type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null });
    assert_eq!(error(WIRE, sse([limited])).1.kind, ModelErrorKind::RateLimited);
    let (_, whole) = error(WIRE, r#"{"error":{"message":"no","code":"invalid_api_key"}}"#);
    assert_eq!(whole.kind, ModelErrorKind::Auth);
}

#[test]
fn a_request_is_spelled_as_published() {
    let call = |id: &str| json!({ "type": "function_call", "call_id": id, "name": "re_ad", "arguments": "{\"p\":1}" });
    let output = |id: &str, text: &str| json!({ "type": "function_call_output", "call_id": id, "output": text });
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let expect = json!({
        "model": "gpt",
        "stream": true,
        "store": false,
        "max_output_tokens": 100,
        "temperature": 0.2,
        "top_p": 0.9,
        "reasoning": { "effort": "low", "summary": "auto" },
        "include": ["reasoning.encrypted_content"],
        "text": { "format": { "type": "json_schema", "name": "out", "schema": schema, "strict": true } },
        "tools": [{ "type": "function", "name": "read", "description": "Reads.", "parameters": { "type": "object" }, "strict": false }],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "input": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "input_text", "text": "see" },
                { "type": "input_image", "image_url": "https://x/a.png" },
                { "type": "input_image", "image_url": "data:image/png;base64,YQ==" },
            ] },
            call("call00001"), call("call00002"), call("call00003"),
            output("call00001", "text"),
            output("call00002", "error (denied): outside"),
            output("call00003", "error (in doubt): the call was interrupted, and its result is not known"),
            { "role": "assistant", "content": "done" },
        ],
    });
    assert_eq!(encode("gpt", &full_request()), expect);
    let thought = Message::Assistant {
        text: "a".into(),
        reasoning: Some(Reasoning {
            wire: "openai_responses".into(),
            items: vec![json!({ "type": "reasoning" })],
        }),
        tool_calls: Vec::new(),
    };
    let request = ChatRequest { messages: Arc::new(vec![thought]), ..ChatRequest::default() };
    let input = json!([{ "type": "reasoning" }, { "role": "assistant", "content": "a" }]);
    assert_eq!(encode("m", &request)["input"], input);
}
