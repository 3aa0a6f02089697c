//! What several wires spell alike.

use greenroom_core::message::{Image, ToolOutcome};
use greenroom_core::model::Effort;
use serde_json::{Value, json};

/// The longest name of a tool that every provider takes.
const NAME_LEN_MAX: usize = 64;

/// The outcome of a call as a text that the model reads, and whether it is an error.
pub(super) fn outcome(outcome: &ToolOutcome) -> (String, bool) {
    match outcome {
        ToolOutcome::Ok(Value::String(text)) => (text.clone(), false),
        ToolOutcome::Ok(value) => (value.to_string(), false),
        ToolOutcome::Error(error) => (format!("error ({}): {}", error.kind, error.message), true),
    }
}

/// A tool's name as it may stand in a conversation. A model can make up any name; one with signs that its
/// provider forbids would have the whole conversation refused.
pub(super) fn tool_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(NAME_LEN_MAX).map(allowed).collect();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

/// The arguments of a call as the text of a JSON value; what was no JSON stays as the model wrote it.
pub(super) fn arguments_text(arguments: &Value) -> String {
    match arguments {
        Value::String(text) => text.clone(),
        value => value.to_string(),
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
