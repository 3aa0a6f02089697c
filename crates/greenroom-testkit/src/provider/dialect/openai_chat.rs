//! OpenAI's chat completions: chunks, usage when it is asked for, `[DONE]`.

use greenroom_core::message::ToolCall;
use greenroom_core::model::FinishReason;
use serde_json::{Value, json};

use super::super::response::{Part, Piece};
use super::{Spoken, data, halves};

pub(super) fn pieces(spoken: &Spoken) -> Vec<Piece> {
    let chunk = |part, delta: Value| data(part, &chunk(spoken, &delta, &Value::Null));
    let mut pieces = vec![chunk(Part::Start, json!({ "role": "assistant", "content": "" }))];
    if !spoken.reasoning.is_empty() {
        pieces.push(chunk(Part::Content, json!({ "reasoning_content": spoken.reasoning })));
    }
    pieces.extend(spoken.words().map(|word| chunk(Part::Content, json!({ "content": word }))));
    for (index, call) in spoken.reply.tool_calls.iter().enumerate() {
        let function = json!({ "name": call.name, "arguments": "" });
        let first =
            json!({ "index": index, "id": call.id, "type": "function", "function": function });
        pieces.push(chunk(Part::Content, json!({ "tool_calls": [first] })));
        for half in halves(&call.arguments.to_string()) {
            let more = json!({ "index": index, "function": { "arguments": half } });
            pieces.push(chunk(Part::Content, json!({ "tool_calls": [more] })));
        }
    }
    let finish = json!(finish(spoken.reply.finish));
    pieces.push(data(Part::End, &self::chunk(spoken, &json!({}), &finish)));
    if let Some(usage) = usage(spoken).filter(|_| spoken.wants_counts) {
        let mut last = self::chunk(spoken, &json!({}), &Value::Null);
        (last["choices"], last["usage"]) = (json!([]), usage);
        pieces.push(data(Part::End, &last));
    }
    pieces.push(Piece::new(Part::End, "data: [DONE]\n\n"));
    pieces
}

pub(super) fn whole(spoken: &Spoken) -> Value {
    let call = |call: &ToolCall| {
        let function = json!({ "name": call.name, "arguments": call.arguments.to_string() });
        json!({ "id": call.id, "type": "function", "function": function })
    };
    let mut message = json!({ "role": "assistant", "content": spoken.reply.text });
    if !spoken.reply.tool_calls.is_empty() {
        message["tool_calls"] = spoken.reply.tool_calls.iter().map(call).collect();
    }
    if !spoken.reasoning.is_empty() {
        message["reasoning_content"] = json!(spoken.reasoning);
    }
    let finish = finish(spoken.reply.finish);
    let mut body = json!({
        "id": format!("chatcmpl-{}", spoken.n),
        "object": "chat.completion",
        "created": 0,
        "model": spoken.model,
        "choices": [{ "index": 0, "message": message, "finish_reason": finish }],
    });
    if let Some(usage) = usage(spoken) {
        body["usage"] = usage;
    }
    body
}

fn chunk(spoken: &Spoken, delta: &Value, finish: &Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", spoken.n),
        "object": "chat.completion.chunk",
        "created": 0,
        "model": spoken.model,
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
    })
}

fn usage(spoken: &Spoken) -> Option<Value> {
    let counts = spoken.counts.as_ref()?;
    Some(json!({
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "prompt_tokens_details": { "cached_tokens": counts.cached },
        "completion_tokens_details": { "reasoning_tokens": counts.reasoning },
    }))
}

fn finish(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Length => "length",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}
