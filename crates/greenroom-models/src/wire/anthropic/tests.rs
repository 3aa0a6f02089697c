//! Events in the forms of <https://docs.anthropic.com/en/docs/build-with-claude/streaming> and of the
//! fixtures of anthropic-sdk-python (`tests/lib/streaming/fixtures`); with texts of our own.

use std::sync::Arc;

use greenroom_core::message::{Image, Message, Reasoning, ToolCall};
use greenroom_core::model::{
    ChatEvent, ChatOptions, ChatRequest, FinishReason, ModelErrorKind, ToolChoice,
};
use serde_json::{Value, json};

use crate::wire::openai_chat::tests::full_request;
use crate::wire::tests::{decode, error, reply, sse};
use crate::wire::{Quirks, Wire};

const WIRE: Wire = Wire::Anthropic;

fn encode(model: &str, request: &ChatRequest) -> Value {
    super::encode(model, request, Quirks::default())
}

pub(in crate::wire) const PAYLOADS: [&str; 2] = [TOOL_USE, THINKING];

const TOOL_USE: &str = include_str!("../../../payloads/anthropic/tool_use.sse");

const THINKING: &str = include_str!("../../../payloads/anthropic/thinking.sse");

#[test]
fn a_tool_is_asked_for_and_tokens_are_counted() {
    let reply = reply(WIRE, TOOL_USE);
    assert_eq!((reply.text.as_str(), reply.finish), ("Ich prüfe €.", FinishReason::ToolCalls));
    let arguments = json!({ "currency": "EUR" });
    let call = ToolCall { id: "toolu_01".into(), name: "get_rate".into(), arguments };
    assert_eq!(reply.tool_calls, [call]);
    let usage = reply.usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (400, 65), "cached tokens are sent ones");
    assert_eq!((usage.cached_tokens, usage.cache_written_tokens), (Some(3), Some(20)));
    assert_eq!((usage.reasoning_tokens, usage.estimated_calls), (Some(7), 0));
}

#[test]
fn thoughts_are_shown_and_kept_with_their_signature() {
    let (events, _) = decode(WIRE, THINKING);
    let thought = |text: &str| ChatEvent::ReasoningDelta(text.into());
    assert_eq!(events[..2], ["12 = 3 × 4", "\nso four"].map(thought));
    let reply = reply(WIRE, THINKING);
    assert_eq!(reply.text, "Four.");
    let items = vec![
        json!({ "type": "thinking", "thinking": "12 = 3 × 4\nso four", "signature": "EqQBCgIYAhIM" }),
        json!({ "type": "redacted_thinking", "data": "EmwKAhgB" }),
    ];
    assert_eq!(reply.reasoning, Some(Reasoning { wire: "anthropic".into(), items }));
}

/// Events with these ends: what the message stops for, and its usage.
fn ending(stop_reason: &str, usage: &Value) -> String {
    let delta =
        json!({ "type": "message_delta", "delta": { "stop_reason": stop_reason }, "usage": usage });
    sse([delta, json!({ "type": "message_stop" })])
}

// The fixtures refusal_response, usage_omitted_response and missing_usage_response.
#[test]
fn endings_are_told_apart_and_fi30_counts_may_be_missing() {
    let finish = |reason| reply(WIRE, ending(reason, &json!({ "output_tokens": 3 }))).finish;
    assert_eq!(finish("end_turn"), FinishReason::Stop);
    assert_eq!(finish("stop_sequence"), FinishReason::Stop);
    assert_eq!(finish("max_tokens"), FinishReason::Length);
    assert_eq!(finish("refusal"), FinishReason::ContentFilter);
    for usage in [json!(null), json!({}), json!({ "input_tokens": -3, "output_tokens": 1e30 })] {
        let usage = reply(WIRE, ending("end_turn", &usage)).usage;
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated_calls), (0, 0, 1));
    }
}

// The error event of the page on streaming.
#[test]
fn fi17_an_overloaded_provider_says_so_in_the_stream() {
    let failed =
        r#"{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}"#;
    let (events, error) = error(WIRE, format!("event: error\ndata: {failed}\n\n"));
    assert_eq!((events.len(), error.kind), (0, ModelErrorKind::Unavailable));
    assert_eq!((error.status, error.is_retryable()), (Some(529), true));
    let (_, whole) = self::error(WIRE, failed);
    assert_eq!(whole.status, Some(529));
}

// The fixture tool_use_invalid_json_response, and events of a version to come.
#[test]
fn fi25_what_is_not_understood_does_not_end_a_reply() {
    let start = json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "tool_use", "id": "a", "name": "f", "input": {} } });
    let piece = json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "input_json_delta", "partial_json": "{\"x\": [," } });
    let new = json!({ "type": "message_mood", "mood": "good" });
    let new_block = json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "server_tool_use", "id": "b", "name": "web" } });
    let new_delta = json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "mood_delta", "mood": 1 } });
    let body = sse([start, piece, new, new_block, new_delta]) + &ending("tool_use", &json!({}));
    let reply = reply(WIRE, body);
    assert_eq!(reply.tool_calls.len(), 1);
    assert_eq!(reply.tool_calls[0].arguments, json!("{\"x\": [,"));
}

// The form of https://docs.anthropic.com/en/api/messages.
#[test]
fn a_reply_that_was_not_streamed_is_read_as_well() {
    let body = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [{ "type": "text", "text": "hi" }, { "type": "tool_use", "id": "a", "name": "f", "input": { "x": 1 } }],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": { "input_tokens": 3, "output_tokens": 4 },
    });
    let reply = reply(WIRE, body.to_string());
    assert_eq!((reply.text.as_str(), reply.usage.tokens()), ("hi", 7));
    assert_eq!(reply.tool_calls[0].arguments, json!({ "x": 1 }));
}

#[test]
fn a_request_is_spelled_as_published() {
    let use_of =
        |id: &str| json!({ "type": "tool_use", "id": id, "name": "re_ad", "input": { "p": 1 } });
    let result = |id: &str, text: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": text, "is_error": true });
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let expect = json!({
        "model": "claude",
        "max_tokens": 100,
        "stream": true,
        "system": [{ "type": "text", "text": "be brief" }],
        "temperature": 0.2,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "thinking": { "type": "adaptive" },
        "output_config": { "effort": "low", "format": { "type": "json_schema", "schema": schema } },
        "tools": [{ "name": "read", "description": "Reads.", "input_schema": { "type": "object" } }],
        // Asked for a call and to think: a model that thinks is not made to call.
        "tool_choice": { "type": "auto", "disable_parallel_tool_use": true },
        "messages": [
            { "role": "user", "content": [
                { "type": "image", "source": { "type": "url", "url": "https://x/a.png" } },
                { "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "YQ==" } },
                { "type": "text", "text": "see" },
            ] },
            { "role": "assistant", "content": [use_of("call00001"), use_of("call00002"), use_of("call00003")] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "call00001", "content": "text" },
                result("call00002", "error (denied): outside"),
                result("call00003", "error (in doubt): the call was interrupted, and its result is not known"),
            ] },
            { "role": "assistant", "content": [{ "type": "text", "text": "done" }] },
        ],
    });
    assert_eq!(encode("claude", &full_request()), expect);
}

#[test]
fn thoughts_go_back_in_front_and_only_to_their_own_wire() {
    let thought = |wire: &str| Message::Assistant {
        text: "a".into(),
        reasoning: Some(Reasoning {
            wire: wire.into(),
            items: vec![json!({ "type": "thinking" })],
        }),
        tool_calls: vec![ToolCall { id: "x".into(), name: "f".into(), arguments: json!([1]) }],
    };
    let messages =
        vec![Message::user("q"), thought("anthropic"), Message::user("and?"), thought("else")];
    let request = ChatRequest { messages: Arc::new(messages), ..ChatRequest::default() };
    let body = encode("m", &request);
    let kinds = |i: usize| {
        let content = body["messages"][i]["content"].as_array().expect("blocks");
        content.iter().map(|block| block["type"].as_str().unwrap_or("?")).collect::<Vec<_>>()
    };
    assert_eq!(kinds(1), ["thinking", "text", "tool_use"]);
    assert_eq!(kinds(2), ["tool_result", "text"], "a person's words follow in the same message");
    assert_eq!(kinds(3), ["text", "tool_use"]);
    assert_eq!(body["messages"][1]["content"][2]["input"], json!({ "arguments": [1] }));
    assert_eq!(body["max_tokens"], 8192);
}

#[test]
fn blank_text_and_choices_are_spelled_so_that_they_are_taken() {
    let messages = vec![Message::system(" "), Message::user(" "), Message::assistant(" ")];
    let image = Message::user_with_images("", [Image::url("u")]);
    let messages: Vec<_> = messages.into_iter().chain([image]).collect();
    let request = ChatRequest { messages: Arc::new(messages), ..full_request() };
    let body = encode("m", &request);
    assert_eq!(body.get("system"), None);
    let content = body["messages"][0]["content"].as_array().expect("blocks");
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(content[0]["text"], "(empty)");
    assert_eq!(content[1]["type"], "image");
    let choice = |tool_choice, parallel_tool_calls| {
        let options = ChatOptions { tool_choice, parallel_tool_calls, ..ChatOptions::default() };
        encode("m", &ChatRequest { options, ..full_request() })["tool_choice"].clone()
    };
    assert_eq!(choice(None, None), json!(null));
    assert_eq!(
        choice(None, Some(false)),
        json!({ "type": "auto", "disable_parallel_tool_use": true })
    );
    assert_eq!(choice(Some(ToolChoice::None), Some(false)), json!({ "type": "none" }));
    assert_eq!(
        choice(Some(ToolChoice::Tool("f".into())), None),
        json!({ "type": "tool", "name": "f" })
    );
}
