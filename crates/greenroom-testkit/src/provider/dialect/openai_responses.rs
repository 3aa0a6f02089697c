//! OpenAI's Responses: typed events around items, until the response is complete.

use greenroom_core::message::ToolCall;
use greenroom_core::model::FinishReason;
use serde_json::{Value, json};

use super::super::response::{Part, Piece};
use super::{Spoken, event_of, halves};

pub(super) fn pieces(spoken: &Spoken) -> Vec<Piece> {
    let event = |part, kind: &str, mut value: Value| {
        value["type"] = json!(kind);
        event_of(part, &value)
    };
    let begun = whole(&Spoken { reply: Default::default(), ..spoken.clone() }, "in_progress");
    let mut pieces = vec![event(Part::Start, "response.created", json!({ "response": begun }))];
    for (at, item) in items(spoken).into_iter().enumerate() {
        let added = json!({ "output_index": at, "item": opened(&item) });
        pieces.push(event(Part::Content, "response.output_item.added", added));
        let id = &item["id"];
        match item["type"].as_str() {
            Some("reasoning") => {
                let delta = json!({ "item_id": id, "output_index": at, "summary_index": 0, "delta": spoken.reasoning });
                pieces.push(event(Part::Content, "response.reasoning_summary_text.delta", delta));
            }
            Some("message") => pieces.extend(spoken.words().map(|word| {
                let delta =
                    json!({ "item_id": id, "output_index": at, "content_index": 0, "delta": word });
                event(Part::Content, "response.output_text.delta", delta)
            })),
            _ => {
                let arguments = item["arguments"].as_str().unwrap_or_default();
                for half in halves(arguments) {
                    let delta = json!({ "item_id": id, "output_index": at, "delta": half });
                    let kind = "response.function_call_arguments.delta";
                    pieces.push(event(Part::Content, kind, delta));
                }
                let done = json!({ "item_id": id, "output_index": at, "arguments": arguments });
                pieces.push(event(Part::Content, "response.function_call_arguments.done", done));
            }
        }
        let done = json!({ "output_index": at, "item": item });
        pieces.push(event(Part::Content, "response.output_item.done", done));
    }
    let (kind, status) = match spoken.reply.finish {
        FinishReason::Length | FinishReason::ContentFilter => ("response.incomplete", "incomplete"),
        _ => ("response.completed", "completed"),
    };
    pieces.push(event(Part::End, kind, json!({ "response": whole(spoken, status) })));
    pieces
}

/// The response as a whole.
pub(super) fn whole(spoken: &Spoken, status: &str) -> Value {
    let reason = match spoken.reply.finish {
        FinishReason::Length => json!({ "reason": "max_output_tokens" }),
        FinishReason::ContentFilter => json!({ "reason": "content_filter" }),
        _ => Value::Null,
    };
    let is_over = status != "in_progress";
    let counts = spoken.counts.as_ref().filter(|_| is_over).map(|counts| {
        json!({
            "input_tokens": counts.input,
            "output_tokens": counts.output,
            "input_tokens_details": { "cached_tokens": counts.cached },
            "output_tokens_details": { "reasoning_tokens": counts.reasoning },
        })
    });
    json!({
        "id": format!("resp_{}", spoken.n),
        "object": "response",
        "created_at": 0,
        "status": status,
        "error": null,
        "incomplete_details": reason,
        "model": spoken.model,
        "output": if is_over { items(spoken) } else { Vec::new() },
        "usage": counts,
    })
}

fn items(spoken: &Spoken) -> Vec<Value> {
    let n = spoken.n;
    let mut items = Vec::new();
    if !spoken.reasoning.is_empty() {
        let summary = json!([{ "type": "summary_text", "text": spoken.reasoning }]);
        items.push(json!({
            "type": "reasoning", "id": format!("rs_{n}"), "summary": summary,
            "encrypted_content": format!("sealed-{n}"),
        }));
    }
    if !spoken.reply.text.is_empty() {
        let part = json!({ "type": "output_text", "text": spoken.reply.text, "annotations": [] });
        items.push(json!({
            "type": "message", "id": format!("msg_{n}"), "status": "completed",
            "role": "assistant", "content": [part],
        }));
    }
    let call = |(i, call): (usize, &ToolCall)| {
        json!({
            "type": "function_call", "id": format!("fc_{n}_{i}"), "status": "completed",
            "call_id": call.id, "name": call.name, "arguments": call.arguments.to_string(),
        })
    };
    items.extend(spoken.reply.tool_calls.iter().enumerate().map(call));
    items
}

/// An item as it is when nothing of it has been said.
fn opened(item: &Value) -> Value {
    let mut item = item.clone();
    match item["type"].as_str() {
        Some("reasoning") => item["summary"] = json!([]),
        Some("message") => item["content"] = json!([]),
        _ => item["arguments"] = json!(""),
    }
    item
}
