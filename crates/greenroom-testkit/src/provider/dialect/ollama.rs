//! Ollama's chat: lines of JSON, the last of which is done.

use greenroom_core::model::FinishReason;
use serde_json::{Value, json};

use super::super::response::{Part, Piece};
use super::{Spoken, line};

pub(super) fn pieces(spoken: &Spoken) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut say = |message: Value| pieces.push(line(Part::Content, &told(spoken, &message)));
    if !spoken.reasoning.is_empty() {
        say(json!({ "role": "assistant", "content": "", "thinking": spoken.reasoning }));
    }
    for word in spoken.words() {
        say(json!({ "role": "assistant", "content": word }));
    }
    if !spoken.reply.tool_calls.is_empty() {
        say(json!({ "role": "assistant", "content": "", "tool_calls": calls(spoken) }));
    }
    let last = done(spoken, &json!({ "role": "assistant", "content": "" }));
    pieces.push(line(Part::End, &last));
    pieces
}

pub(super) fn whole(spoken: &Spoken) -> Value {
    let mut message = json!({ "role": "assistant", "content": spoken.reply.text });
    if !spoken.reasoning.is_empty() {
        message["thinking"] = json!(spoken.reasoning);
    }
    if !spoken.reply.tool_calls.is_empty() {
        message["tool_calls"] = calls(spoken);
    }
    done(spoken, &message)
}

fn told(spoken: &Spoken, message: &Value) -> Value {
    json!({ "model": spoken.model, "created_at": "1970-01-01T00:00:00Z", "message": message, "done": false })
}

fn done(spoken: &Spoken, message: &Value) -> Value {
    let mut last = told(spoken, message);
    last["done"] = json!(true);
    let is_cut = spoken.reply.finish == FinishReason::Length;
    last["done_reason"] = json!(if is_cut { "length" } else { "stop" });
    if let Some(counts) = &spoken.counts {
        last["prompt_eval_count"] = counts.input.clone();
        last["eval_count"] = counts.output.clone();
    }
    last
}

/// Calls have no ids on this wire.
fn calls(spoken: &Spoken) -> Value {
    let calls = spoken.reply.tool_calls.iter();
    calls
        .map(|call| json!({ "function": { "name": call.name, "arguments": call.arguments } }))
        .collect()
}
