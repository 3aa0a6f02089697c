//! What a call gives: the server's answer as JSON that a model reads, no longer than is wanted.
//!
//! | the answer | becomes |
//! |---|---|
//! | structured content | that, as JSON; as cut text, if it is too long |
//! | texts, and texts of embedded resources | one text, a line break between two |
//! | images, sounds, blobs, links | a line that names them; the data is left out |
//! | an error of the tool (`isError`) | an error of the call, with the text |

use greenroom_core::redact::redact;
use greenroom_core::tool::{ToolError, ToolErrorKind};
use rmcp::model::{
    CallToolResponse, CallToolResult, ContentBlock, ErrorCode, ErrorData, ResourceContents,
};
use serde_json::Value;

/// How much of an error is told.
const ERROR_LEN_MAX: usize = 4 << 10;
const UNKNOWN: &str = "[content of an unknown kind]";

/// The output of a call, or the error that the tool itself reports.
pub(crate) fn output(answer: CallToolResponse, len_max: usize) -> Result<Value, ToolError> {
    let CallToolResponse::Complete(result) = answer else {
        return Err(ToolError::failed("the server asks for what this client does not give"));
    };
    let CallToolResult { structured_content, content, is_error, .. } = result;
    if is_error == Some(true) {
        let text = text(&content);
        let text = if text.is_empty() { "the tool failed, and does not say why" } else { &text };
        return Err(ToolError::failed(error_text(text)));
    }
    let Some(value) = structured_content else {
        return Ok(Value::String(cut(text(&content), len_max)));
    };
    let json = value.to_string();
    Ok(if json.len() <= len_max { value } else { Value::String(cut(json, len_max)) })
}

/// What the server says against a call as such.
pub(crate) fn refusal(error: &ErrorData) -> ToolError {
    let kind = match error.code {
        ErrorCode::INVALID_PARAMS => ToolErrorKind::InvalidArguments,
        _ => ToolErrorKind::Failed,
    };
    ToolError::new(kind, error_text(&error.message))
}

/// Text of a server for an error message: without secrets, and not long.
pub(crate) fn error_text(text: &str) -> String {
    cut(redact(text.trim()).into_owned(), ERROR_LEN_MAX)
}

fn text(content: &[ContentBlock]) -> String {
    let lines: Vec<_> = content.iter().map(line).collect();
    lines.join("\n")
}

fn line(block: &ContentBlock) -> String {
    let left_out = |what: &str, kind: &str, n_chars| {
        format!("[{what} {kind}, {n_chars} characters of base64]")
    };
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) => left_out("image", &image.mime_type, image.data.len()),
        ContentBlock::Audio(audio) => left_out("audio", &audio.mime_type, audio.data.len()),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { text, .. } => text.clone(),
            ResourceContents::BlobResourceContents { uri, blob, .. } => {
                left_out("blob", uri, blob.len())
            }
            _ => UNKNOWN.to_owned(),
        },
        ContentBlock::ResourceLink(link) => format!("[{}]({})", link.name, link.uri),
        _ => UNKNOWN.to_owned(),
    }
}

/// The start of a text, with how much is missing.
fn cut(mut text: String, len_max: usize) -> String {
    if text.len() > len_max {
        let end = text.floor_char_boundary(len_max);
        let n_left_out = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… and {n_left_out} bytes more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(answer: Value, expect: Result<Value, &str>) {
        let result: CallToolResult = serde_json::from_value(answer).expect("an answer");
        let output = output(CallToolResponse::Complete(result), 20);
        assert_eq!(output, expect.map_err(ToolError::failed));
    }

    #[test]
    fn texts_are_joined_and_data_is_named() {
        let text = |text: &str| json!({ "type": "text", "text": text });
        check(json!({ "content": [text("a"), text("b")] }), Ok(json!("a\nb")));
        check(json!({ "content": [] }), Ok(json!("")));
        check(
            json!({ "content": [text(&"ü".repeat(12))] }),
            Ok(json!("üüüüüüüüüü… and 4 bytes more")),
        );
        let image = json!({ "type": "image", "data": "AAAA", "mimeType": "image/png" });
        check(json!({ "content": [image] }), Ok(json!("[image image/png, 4 … and 21 bytes more")));
        let resource =
            json!({ "type": "resource", "resource": { "uri": "file:///a", "text": "A" } });
        let link = json!({ "type": "resource_link", "uri": "file:///b", "name": "b" });
        check(json!({ "content": [resource, link] }), Ok(json!("A\n[b](file:///b)")));
    }

    #[test]
    fn structured_content_stays_json() {
        check(json!({ "content": [], "structuredContent": { "a": 1 } }), Ok(json!({ "a": 1 })));
        let long = json!({ "a": "xxxxxxxxxxxxxxxx" });
        check(
            json!({ "structuredContent": long }),
            Ok(json!("{\"a\":\"xxxxxxxxxxxxxx… and 4 bytes more")),
        );
    }

    #[test]
    fn errors_are_errors_without_secrets() {
        let error =
            |text: &str| json!({ "isError": true, "content": [{ "type": "text", "text": text }] });
        check(error("no such file, whatever you do"), Err("no such file, whatever you do"));
        check(error("sk-canary-0123456789abcdef0123"), Err("sk-[redacted]"));
        check(json!({ "isError": true }), Err("the tool failed, and does not say why"));
        let refused = refusal(&ErrorData::new(ErrorCode::INVALID_PARAMS, "no x", None));
        assert_eq!(refused, ToolError::new(ToolErrorKind::InvalidArguments, "no x"));
    }
}
