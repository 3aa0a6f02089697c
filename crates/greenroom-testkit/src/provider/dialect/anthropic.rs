//! Anthropic's messages: blocks that are opened, filled and closed, until the message stops.

use greenroom_core::model::FinishReason;
use serde_json::{Value, json};

use super::super::response::{Part, Piece};
use super::{Counts, Spoken, event_of, halves};

pub(super) fn pieces(spoken: &Spoken) -> Vec<Piece> {
    let mut start = whole(&Spoken { reply: Default::default(), ..spoken.clone() });
    (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
    if let Some(usage) = start.get_mut("usage") {
        usage["output_tokens"] = json!(1);
    }
    let mut pieces = vec![
        event_of(Part::Start, &json!({ "type": "message_start", "message": start })),
        event_of(Part::Start, &json!({ "type": "ping" })),
    ];
    for (index, block) in blocks(spoken).into_iter().enumerate() {
        let content = |value: Value| event_of(Part::Content, &value);
        let (opened, deltas) = taken_apart(spoken, &block);
        let start =
            json!({ "type": "content_block_start", "index": index, "content_block": opened });
        pieces.push(content(start));
        pieces.extend(deltas.into_iter().map(|delta| {
            content(json!({ "type": "content_block_delta", "index": index, "delta": delta }))
        }));
        pieces.push(content(json!({ "type": "content_block_stop", "index": index })));
    }
    let delta = json!({ "stop_reason": finish(spoken.reply.finish), "stop_sequence": null });
    let mut last = json!({ "type": "message_delta", "delta": delta });
    if let Some(Counts { output, .. }) = &spoken.counts {
        last["usage"] = json!({ "output_tokens": output });
    }
    pieces.push(event_of(Part::End, &last));
    pieces.push(event_of(Part::End, &json!({ "type": "message_stop" })));
    pieces
}

pub(super) fn whole(spoken: &Spoken) -> Value {
    let mut body = json!({
        "id": format!("msg_{}", spoken.n),
        "type": "message",
        "role": "assistant",
        "model": spoken.model,
        "content": blocks(spoken),
        "stop_reason": finish(spoken.reply.finish),
        "stop_sequence": null,
    });
    if let Some(counts) = &spoken.counts {
        // What comes from the cache is counted apart on this wire.
        let fresh = counts.input.as_u64().map(|input| input.saturating_sub(counts.cached));
        body["usage"] = json!({
            "input_tokens": fresh.map_or_else(|| counts.input.clone(), Value::from),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": counts.cached,
            "output_tokens": counts.output,
        });
    }
    body
}

fn blocks(spoken: &Spoken) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !spoken.reasoning.is_empty() {
        let signature = format!("signed-{}", spoken.n);
        blocks.push(json!({
            "type": "thinking", "thinking": spoken.reasoning, "signature": signature,
        }));
    }
    if !spoken.reply.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": spoken.reply.text }));
    }
    blocks.extend(spoken.reply.tool_calls.iter().map(|call| {
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments })
    }));
    blocks
}

/// A block as it is when nothing of it has been said, and the deltas that fill it.
fn taken_apart(spoken: &Spoken, block: &Value) -> (Value, Vec<Value>) {
    let mut opened = block.clone();
    let deltas = match block["type"].as_str() {
        Some("thinking") => {
            (opened["thinking"], opened["signature"]) = (json!(""), json!(""));
            vec![
                json!({ "type": "thinking_delta", "thinking": block["thinking"] }),
                json!({ "type": "signature_delta", "signature": block["signature"] }),
            ]
        }
        Some("text") => {
            opened["text"] = json!("");
            spoken.words().map(|word| json!({ "type": "text_delta", "text": word })).collect()
        }
        _ => {
            opened["input"] = json!({});
            let input = block["input"].to_string();
            halves(&input)
                .map(|half| json!({ "type": "input_json_delta", "partial_json": half }))
                .to_vec()
        }
    };
    (opened, deltas)
}

fn finish(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Length => "max_tokens",
        FinishReason::ContentFilter => "refusal",
        _ => "end_turn",
    }
}
