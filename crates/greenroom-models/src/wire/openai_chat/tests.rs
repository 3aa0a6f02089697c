//! Chunks in the forms of <https://platform.openai.com/docs/api-reference/chat-streaming>, of openai-python's
//! `tests/lib/chat/test_tool_call_deltas.py`, and of vendors that speak the dialect; with texts of our own.

use std::sync::Arc;

use greenroom_core::budget::Usage;
use greenroom_core::message::{Image, Message, ToolCall, ToolOutcome};
use greenroom_core::model::{
    ChatEvent, ChatOptions, ChatRequest, Effort, FinishReason, ModelErrorKind, OutputSchema,
    ToolChoice,
};
use greenroom_core::tool::{EffectClass, ToolError, ToolErrorKind, ToolSpec};
use serde_json::{Value, json};

use super::encode;
use crate::wire::tests::{decode, error, reply, sse};
use crate::wire::{OutputStyle, Quirks, Wire, json as wire_json};

const WIRE: Wire = Wire::OpenAiChat;

pub(in crate::wire) const PAYLOADS: [&str; 2] = [TEXT, TOOLS];

const TEXT: &str = include_str!("../../../payloads/openai_chat/text.sse");

const TOOLS: &str = include_str!("../../../payloads/openai_chat/tools.sse");

fn tool_call(id: &str, name: &str, arguments: Value) -> ToolCall {
    ToolCall { id: id.into(), name: name.into(), arguments }
}

#[test]
fn a_text_is_streamed_and_counted() {
    let (events, _) = decode(WIRE, TEXT);
    let deltas = ["Grün", " 😀"].map(|text| ChatEvent::TextDelta(text.into()));
    assert_eq!(events[..2], deltas);
    let reply = reply(WIRE, TEXT);
    assert_eq!((reply.text.as_str(), reply.finish), ("Grün 😀", FinishReason::Stop));
    let usage = reply.usage;
    assert_eq!((usage.model_calls, usage.input_tokens, usage.output_tokens), (1, 19, 10));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(8), Some(2)));
    assert_eq!(usage.estimated_calls, 0);
}

#[test]
fn fi29_calls_are_assembled_by_their_index() {
    let reply = reply(WIRE, TOOLS);
    assert_eq!(reply.finish, FinishReason::ToolCalls);
    let expect = [
        tool_call("call_other", "other", json!({})),
        tool_call("call_files", "list_files", json!({ "path": "." })),
    ];
    assert_eq!(reply.tool_calls, expect);
    let (events, _) = decode(WIRE, TOOLS);
    let shown: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::ToolCallDelta { index, name, arguments } => {
                Some((*index, name.as_str(), arguments.as_str()))
            }
            _ => None,
        })
        .collect();
    let expect = [
        (0, "other", "{}"),
        (1, "list_files", ""),
        (1, "", "{\"path\""),
        (1, "", ": "),
        (1, "", "\".\"}"),
    ];
    assert_eq!(shown, expect);
}

/// Pieces of calls, as `index, id, name, arguments`; an empty id or name is left out.
fn pieces(pieces: &[(Option<u64>, &str, &str, &str)]) -> String {
    let chunks = pieces.iter().map(|(index, id, name, arguments)| {
        let mut call = json!({ "function": { "arguments": arguments } });
        wire_json::set(&mut call, "index", *index);
        wire_json::set(&mut call, "id", (!id.is_empty()).then_some(*id));
        wire_json::set(&mut call["function"], "name", (!name.is_empty()).then_some(*name));
        json!({ "choices": [{ "delta": { "tool_calls": [call] } }] })
    });
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] });
    sse(chunks.chain([end]))
}

#[track_caller]
fn check_calls<const N: usize>(body: &str, expect: [(&str, &str, Value); N]) {
    let expect = expect.map(|(id, name, arguments)| tool_call(id, name, arguments));
    assert_eq!(reply(WIRE, body).tool_calls, expect);
}

#[test]
fn fi29_interleaved_pieces_pieces_without_index_and_late_ones_find_their_call() {
    let interleaved = pieces(&[
        (Some(3), "a", "f", "{\"x\":"),
        (Some(7), "b", "g", "{\"y\":"),
        (Some(3), "", "", "1}"),
        (Some(7), "", "", "2}"),
    ]);
    check_calls(&interleaved, [("a", "f", json!({ "x": 1 })), ("b", "g", json!({ "y": 2 }))]);
    let no_index =
        pieces(&[(None, "a", "f", "{\"x\":"), (None, "", "", "1}"), (None, "b", "g", "{}")]);
    check_calls(&no_index, [("a", "f", json!({ "x": 1 })), ("b", "g", json!({}))]);
    let always_zero = pieces(&[
        (Some(0), "a", "f", "{\"x\":"),
        (Some(0), "a", "f", "1}"),
        (Some(0), "b", "g", "{}"),
    ]);
    check_calls(&always_zero, [("a", "f", json!({ "x": 1 })), ("b", "g", json!({}))]);
    let first = json!({ "index": 0, "id": "a", "function": { "name": "f", "arguments": "{" } });
    let late = json!({ "index": 0, "function": { "arguments": "}" } });
    let chunk = |call| json!({ "choices": [{ "delta": { "tool_calls": [call] } }] });
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] });
    check_calls(&sse([chunk(first), end, chunk(late)]), [("a", "f", json!({}))]);
}

#[test]
fn fi27_ids_are_made_whole() {
    let long = "x".repeat(10_000);
    let body = pieces(&[
        (Some(0), "", "f", "{}"),
        (Some(1), "dup", "f", "{}"),
        (Some(2), "dup", "g", "{}"),
        (Some(3), &long, "f", "{}"),
        (Some(4), "call_4", "f", "{}"),
    ]);
    let ids: Vec<_> =
        reply(WIRE, body).tool_calls.iter().map(|call| call.id.as_str().to_owned()).collect();
    assert_eq!(ids, ["call_1", "dup", "call_3", "call_4", "call_5"]);
}

#[test]
fn fi27_calls_of_one_id_stay_apart_in_a_reply_that_was_not_streamed() {
    let call = |p: &str| json!({ "id": "dup", "function": { "name": "f", "arguments": p } });
    let message = json!({ "content": null, "tool_calls": [call("{\"p\":1}"), call("{\"p\":2}")] });
    let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
    let calls = reply(WIRE, json!({ "choices": [choice] }).to_string()).tool_calls;
    let arguments: Vec<_> = calls.iter().map(|call| call.arguments.clone()).collect();
    assert_eq!(arguments, [json!({ "p": 1 }), json!({ "p": 2 })]);
    assert_ne!(calls[0].id, calls[1].id);
}

#[test]
fn fi25_arguments_that_are_no_json_stay_text_and_the_reply_stands() {
    let body = pieces(&[(Some(0), "a", "f", "{\"x\": tru"), (Some(1), "b", "g", "")]);
    check_calls(&body, [("a", "f", json!("{\"x\": tru")), ("b", "g", json!({}))]);
}

#[test]
fn a_reply_has_at_most_so_many_calls() {
    let many: Vec<_> = (0..129).map(|i| (Some(i), "", "f", "{}")).collect();
    let (_, error) = error(WIRE, pieces(&many));
    assert!(error.message.contains("more than 128 calls"), "{error}");
}

fn with_usage(usage: &Value) -> Usage {
    let text = json!({ "choices": [{ "delta": { "content": "12345678" } }] });
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": usage });
    reply(WIRE, sse([text, end])).usage
}

#[test]
fn fi30_counts_that_cannot_be_true_are_left_out() {
    for absurd in [
        json!(null),
        json!({}),
        json!({ "prompt_tokens": -5, "completion_tokens": -1 }),
        json!({ "prompt_tokens": 0.5, "completion_tokens": "2" }),
        json!({ "prompt_tokens": 9e18, "completion_tokens": 18_446_744_073_709_551_615_u64 }),
        json!({ "prompt_tokens": 0 }),
        json!("none"),
    ] {
        let usage = with_usage(&absurd);
        assert_eq!((usage.input_tokens, usage.output_tokens), (0, 2), "{absurd}");
        assert_eq!((usage.estimated_calls, usage.cached_tokens), (1, None), "{absurd}");
    }
    let usage = with_usage(&json!({
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "prompt_tokens_details": { "cached_tokens": 11 },
        "completion_tokens_details": { "reasoning_tokens": -1 },
    }));
    assert_eq!((usage.input_tokens, usage.output_tokens, usage.estimated_calls), (10, 5, 0));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (None, None));
}

// The form in which OpenRouter's docs/api-reference/errors describe errors in the middle of a stream.
#[test]
fn fi17_an_error_in_the_stream_is_an_error() {
    let text = json!({ "choices": [{ "delta": { "content": "Hel" } }] });
    let failed = json!({ "error": { "code": 502, "message": "Provider disconnected" }, "choices": [{ "delta": {}, "finish_reason": "error" }] });
    let (events, failed) = error(WIRE, sse([text, failed]));
    assert_eq!(events, [ChatEvent::TextDelta("Hel".into())]);
    assert_eq!((failed.kind, failed.status), (ModelErrorKind::Unavailable, Some(502)));
    assert_eq!(failed.to_string(), "model m: in the reply: Provider disconnected");
    let limited = json!({ "error": { "message": "slow", "code": "rate_limit_exceeded" } });
    assert_eq!(error(WIRE, sse([limited])).1.kind, ModelErrorKind::RateLimited);
}

#[test]
fn fi16_done_ends_a_reply_and_a_bare_end_does_not() {
    let text = json!({ "choices": [{ "delta": { "content": "a" } }] }).to_string();
    let (_, bare) = error(WIRE, sse([&text]));
    assert_eq!(bare.kind, ModelErrorKind::Incomplete);
    assert_eq!(reply(WIRE, sse([text.as_str(), "[DONE]"])).text, "a");
    // The blank line behind the last event is missing, as some servers leave it out.
    assert_eq!(reply(WIRE, sse([text.as_str(), "[DONE]"]).trim_end()).text, "a");
    let (_, cut) = error(WIRE, &sse([&text])[..20]);
    assert_eq!(cut.kind, ModelErrorKind::Incomplete);
}

// The form of https://platform.openai.com/docs/api-reference/chat/object.
#[test]
fn a_reply_that_was_not_streamed_is_read_as_well() {
    let body = json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": "hi", "refusal": null, "tool_calls": [
                { "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } },
            ] },
            "logprobs": null,
            "finish_reason": "tool_calls",
        }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7 },
    });
    let reply = reply(WIRE, body.to_string());
    assert_eq!((reply.text.as_str(), reply.tool_calls.len()), ("hi", 1));
    assert_eq!(reply.usage.tokens(), 7);
    let (_, failed) = error(WIRE, r#"{"error":{"message":"no","type":"server_error"}}"#);
    assert_eq!(failed.kind, ModelErrorKind::Unavailable);
}

// DeepSeek's `reasoning_content`, OpenRouter's `reasoning`, and Mistral's parts of content.
#[test]
fn thoughts_and_refusals_are_told_apart_from_text() {
    let delta = |delta: Value| json!({ "choices": [{ "delta": delta }] });
    let parts = json!([
        { "type": "thinking", "thinking": [{ "type": "text", "text": "C" }] },
        { "type": "text", "text": "d" },
    ]);
    let end = json!({ "choices": [{ "delta": { "refusal": "no" }, "finish_reason": "stop" }] });
    let body = sse([
        delta(json!({ "reasoning_content": "A", "content": null })),
        delta(json!({ "reasoning": "B" })),
        delta(json!({ "content": parts })),
        end,
    ]);
    let (events, _) = decode(WIRE, &body);
    let thought = |text: &str| ChatEvent::ReasoningDelta(text.into());
    assert_eq!(events[..3], ["A", "B", "C"].map(thought));
    let reply = reply(WIRE, &body);
    assert_eq!((reply.text.as_str(), reply.finish), ("dno", FinishReason::ContentFilter));
}

pub(in crate::wire) fn full_request() -> ChatRequest {
    let failed = ToolError::new(ToolErrorKind::Denied, "outside");
    let spec = ToolSpec {
        name: "read".into(),
        description: "Reads.".into(),
        parameters: json!({ "type": "object" }),
        effect: EffectClass::ReadOnly,
    };
    let call = |id: &str| tool_call(id, "re ad", json!({ "p": 1 }));
    let messages = vec![
        Message::system("be brief"),
        Message::user_with_images(
            "see",
            [Image::url("https://x/a.png"), Image::bytes("image/png", b"a")],
        ),
        Message::Assistant {
            text: String::new(),
            reasoning: None,
            tool_calls: vec![call("x"), call("x"), call("z")],
        },
        Message::Tool {
            call: "x".into(),
            name: "read".into(),
            outcome: ToolOutcome::Ok(json!("text")),
        },
        Message::Tool { call: "x".into(), name: "read".into(), outcome: failed.into() },
        Message::assistant("done"),
    ];
    ChatRequest {
        messages: Arc::new(messages),
        tools: Arc::from([spec]),
        output: Some(Arc::new(OutputSchema {
            name: "out".into(),
            schema: json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] }),
        })),
        output_tokens_max: Some(100),
        options: ChatOptions {
            temperature: Some(0.2),
            top_p: Some(0.9),
            stop: vec!["END".into()],
            seed: Some(7),
            tool_choice: Some(ToolChoice::Required),
            parallel_tool_calls: Some(false),
            effort: Some(Effort::Low),
        },
        ..ChatRequest::default()
    }
}

#[test]
fn a_request_is_spelled_as_published() {
    let call = |id: &str| json!({ "id": id, "type": "function", "function": { "name": "re_ad", "arguments": "{\"p\":1}" } });
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
    let expect = json!({
        "model": "gpt",
        "stream": true,
        "stream_options": { "include_usage": true },
        "max_completion_tokens": 100,
        "temperature": 0.2,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
        "reasoning_effort": "low",
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "tools": [{ "type": "function", "function": { "name": "read", "description": "Reads.", "parameters": { "type": "object" } } }],
        "response_format": { "type": "json_schema", "json_schema": { "name": "out", "schema": schema, "strict": true } },
        "messages": [
            { "role": "system", "content": "be brief" },
            { "role": "user", "content": [
                { "type": "text", "text": "see" },
                { "type": "image_url", "image_url": { "url": "https://x/a.png" } },
                { "type": "image_url", "image_url": { "url": "data:image/png;base64,YQ==" } },
            ] },
            { "role": "assistant", "content": null, "tool_calls": [call("call00001"), call("call00002"), call("call00003")] },
            { "role": "tool", "tool_call_id": "call00001", "content": "text" },
            { "role": "tool", "tool_call_id": "call00002", "content": "error (denied): outside" },
            { "role": "tool", "tool_call_id": "call00003", "content": "error (in doubt): the call was interrupted, and its result is not known" },
            { "role": "assistant", "content": "done" },
        ],
    });
    assert_eq!(encode("gpt", &full_request(), Quirks::default()), expect);
}

#[test]
fn quirks_change_what_they_say_and_nothing_else() {
    let quirks = Quirks {
        max_tokens: true,
        no_stream_options: true,
        output: OutputStyle::Words,
        no_forced_calls: false,
        no_parallel_choice: true,
        any_tool: true,
        random_seed: true,
        no_effort: true,
    };
    let body = encode("m", &full_request(), quirks);
    assert_eq!((&body["max_tokens"], &body["random_seed"]), (&json!(100), &json!(7)));
    assert_eq!(body["tool_choice"], "any");
    // Beside tools, JSON alone would forbid to call them.
    assert_eq!(body.get("response_format"), None);
    let alone = ChatRequest { tools: Vec::new().into(), ..full_request() };
    let alone = encode("m", &alone, quirks);
    assert_eq!(alone["response_format"], json!({ "type": "json_object" }));
    let words = body["messages"][0]["content"].as_str().expect("words");
    assert!(words.contains("JSON") && words.contains("\"required\":[\"a\"]"), "{words}");
    for gone in [
        "stream_options",
        "parallel_tool_calls",
        "seed",
        "max_completion_tokens",
        "reasoning_effort",
    ] {
        assert_eq!(body.get(gone), None, "{gone}");
    }
    let bare = encode("m", &ChatRequest::default(), Quirks::default());
    let expect = json!({ "model": "m", "messages": [], "stream": true, "stream_options": { "include_usage": true } });
    assert_eq!(bare, expect);
}
