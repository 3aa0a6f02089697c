//! Lines in the forms of Ollama's `docs/api.md`; with texts of our own.

use greenroom_core::model::{
    ChatEvent, ChatOptions, ChatRequest, FinishReason, ModelErrorKind, ToolChoice,
};
use serde_json::{Value, json};

use crate::wire::openai_chat::tests::full_request;
use crate::wire::tests::{decode, error, reply};
use crate::wire::{Quirks, Wire};

const WIRE: Wire = Wire::Ollama;

fn encode(model: &str, request: &ChatRequest) -> Value {
    super::encode(model, request, Quirks::default())
}

pub(in crate::wire) const PAYLOADS: [&str; 2] = [TEXT, CALL];

const TEXT: &str = include_str!("../../../payloads/ollama/text.ndjson");

const CALL: &str = include_str!("../../../payloads/ollama/call.ndjson");

#[test]
fn a_text_is_streamed_and_counted() {
    let (events, _) = decode(WIRE, TEXT);
    assert_eq!(events[0], ChatEvent::ReasoningDelta("Hm, Äther?".into()));
    let reply = reply(WIRE, TEXT);
    assert_eq!((reply.text.as_str(), reply.finish), ("Der Äther", FinishReason::Stop));
    let usage = reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated_calls), (26, 282, 0));
}

#[test]
fn calls_come_whole_and_get_ids() {
    let reply = reply(WIRE, CALL);
    assert_eq!(reply.finish, FinishReason::ToolCalls, "although the wire says stop");
    let calls: Vec<_> = reply.tool_calls.iter().map(|c| (c.id.as_str(), c.name.as_str())).collect();
    assert_eq!(calls, [("call_1", "get_current_weather"), ("call_2", "now")]);
    assert_eq!(reply.tool_calls[0].arguments, json!({ "format": "celsius", "location": "Köln" }));
}

#[test]
fn the_last_line_may_lack_its_end_and_a_length_is_told() {
    let line = r#"{"message":{"content":"a"},"done":true,"done_reason":"length"}"#;
    let reply = reply(WIRE, line);
    assert_eq!((reply.text.as_str(), reply.finish), ("a", FinishReason::Length));
    assert_eq!((reply.usage.output_tokens, reply.usage.estimated_calls), (1, 1));
}

#[test]
fn fi17_an_error_in_the_stream_is_an_error() {
    let body = "{\"message\":{\"content\":\"a\"}}\n{\"error\":\"an error was encountered while running the model\"}\n";
    let (events, failed) = error(WIRE, body);
    assert_eq!((events.len(), failed.kind), (1, ModelErrorKind::Unavailable));
    assert!(failed.message.contains("while running the model"), "{failed}");
}

#[test]
fn a_request_is_spelled_as_published() {
    let call =
        |id: &str| json!({ "id": id, "function": { "name": "re_ad", "arguments": { "p": 1 } } });
    let result = |id: &str, text: &str| json!({ "role": "tool", "tool_call_id": id, "tool_name": "re_ad", "content": text });
    let expect = json!({
        "model": "llama",
        "stream": true,
        "truncate": false,
        "think": true,
        "options": { "temperature": 0.2, "top_p": 0.9, "seed": 7, "stop": ["END"], "num_predict": 100 },
        "format": { "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] },
        "tools": [{ "type": "function", "function": { "name": "read", "description": "Reads.", "parameters": { "type": "object" } } }],
        "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": "see\n[image: https://x/a.png]", "images": ["YQ=="] },
            { "role": "assistant", "content": "", "tool_calls": [call("call00001"), call("call00002"), call("call00003")] },
            result("call00001", "text"),
            result("call00002", "error (denied): outside"),
            result("call00003", "error (in doubt): the call was interrupted, and its result is not known"),
            { "role": "assistant", "content": "done" },
        ],
    });
    assert_eq!(encode("llama", &full_request()), expect);
    let options = ChatOptions { tool_choice: Some(ToolChoice::None), ..ChatOptions::default() };
    assert_eq!(encode("m", &ChatRequest { options, ..full_request() }).get("tools"), None);
}
