//! What several wires spell alike.

use std::borrow::Cow;

use greenroom_core::message::{Image, ToolOutcome};
use greenroom_core::model::Effort;
use serde_json::{Value, json};

/// The longest name of a tool that every provider takes.
const NAME_LEN_MAX: usize = 64;

/// The outcome of a call as a text that the model reads, and whether it is an error.
pub(super) fn outcome(outcome: &ToolOutcome) -> (Cow<'_, str>, bool) {
    match outcome {
        ToolOutcome::Ok(value) => (text(value), false),
        ToolOutcome::Error(error) => {
            (format!("error ({}): {}", error.kind, error.message).into(), true)
        }
    }
}

/// A tool's name as it may stand in a conversation. A model can make up any name; one with signs that its
/// provider forbids would have the whole conversation refused.
pub(super) fn tool_name(name: &str) -> Cow<'_, str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name {
        "" => "unnamed".into(),
        name if name.len() <= NAME_LEN_MAX && name.chars().all(is_allowed) => name.into(),
        name => {
            let allowed = |c| if is_allowed(c) { c } else { '_' };
            name.chars().take(NAME_LEN_MAX).map(allowed).collect()
        }
    }
}

/// The output or the arguments of a call as the text of a JSON value. A text is not quoted: that is how arguments are
/// kept which a model wrote, and which are no JSON.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        value => value.to_string().into(),
    }
}

/// The arguments of a call as an object, for wires that take nothing else.
pub(super) fn arguments_object(arguments: &Value) -> Value {
    match arguments {
        Value::Object(_) => arguments.clone(),
        other => json!({ "arguments": other }),
    }
}

/// An image as an address; one that is part of the message becomes a `data:` address.
pub(super) fn image_address(image: &Image) -> String {
    match image {
        Image::Url { url } => url.clone(),
        Image::Inline { media_type, base64 } => format!("data:{media_type};base64,{base64}"),
        _ => String::new(),
    }
}

/// How long a model is to think, in the word that OpenAI and Anthropic share.
pub(super) fn effort(effort: Effort) -> &'static str {
    match effort {
        Effort::Low => "low",
        Effort::High => "high",
        _ => "medium",
    }
}
