//! How many tokens a request has, roughly: what is reserved before the provider's own count is known.

use serde_json::Value;

use super::ChatRequest;
use crate::message::{Message, ToolOutcome};

impl ChatRequest {
    /// How many tokens the conversation has, by the rule of thumb for English: a quarter of its bytes. The
    /// provider's count settles it.
    #[must_use]
    pub fn input_tokens_estimated(&self) -> u64 {
        messages_len(&self.messages) as u64 / 4
    }
}

/// How many bytes of text messages have, roughly.
pub(crate) fn messages_len(messages: &[Message]) -> usize {
    messages.iter().map(text_len).sum()
}

fn text_len(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text, .. } => text.len(),
        Message::Assistant { text, tool_calls, .. } => {
            let called = tool_calls.iter().map(|call| call.name.len() + json_len(&call.arguments));
            text.len() + called.sum::<usize>()
        }
        // The outcome's JSON is about as long as what it was parsed from; counting it exactly would
        // serialise every passage again on each turn.
        Message::Tool { outcome: ToolOutcome::Ok(value), .. } => json_len(value),
        Message::Tool { outcome: ToolOutcome::Error(error), .. } => error.message.len(),
    }
}

fn json_len(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| json_len(item) + 1).sum(),
        Value::Object(fields) => fields.iter().map(|(k, v)| k.len() + 4 + json_len(v)).sum(),
        _ => 5,
    }
}
