//! What a response that is no reply means: a status and a body become a [`ModelError`].
//!
//! Providers say why in a status, a type, a code and a text. The status and the names decide; the text
//! decides only where a provider gives nothing else, and only here.

use std::fmt::Write as _;
use std::time::Duration;

use greenroom_core::model::{ModelError, ModelErrorKind};
use serde_json::Value;

use super::{Fault, Wire};

/// The longest text of an error that is passed on, in characters.
const MESSAGE_LEN_MAX: usize = 400;

/// A response that is no reply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Failed<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The beginning of the body.
    pub body: &'a [u8],
    /// The `content-type`, when there is one.
    pub content_type: Option<&'a str>,
    /// How long the response asks callers to wait.
    pub retry_after: Option<Duration>,
    /// What `x-should-retry` says.
    pub should_retry: Option<bool>,
    /// The provider's name for the request.
    pub request_id: Option<&'a str>,
    /// The base URL, when somebody wrote it: a mistake in it is told with what to write.
    pub base_url: Option<&'a str>,
}

/// What the error is.
///
/// | status | kind |
/// |---|---|
/// | 401, 403 | `Auth` |
/// | 402; 429 that speaks of quota, billing or a spend limit | `Quota` |
/// | 404 that names the model | `UnknownModel` |
/// | 404 otherwise, 3xx, 407, an HTML page, an empty or foreign body with 2xx | `Endpoint` |
/// | 408, 504 | `Timeout` |
/// | 429 | `RateLimited` |
/// | 409, 5xx | `Unavailable` |
/// | 400, 413, 422 that speak of the context's length | `ContextLength` |
/// | any other 4xx | `InvalidRequest` |
///
/// A page of HTML with 409, 429 or 5xx comes from a gateway in between and keeps the status' kind.
#[must_use]
pub fn failure(wire: Wire, model: &str, failed: &Failed<'_>) -> ModelError {
    let complaint = Complaint::read(failed.body);
    let kind = if is_html(failed) && !matches!(failed.status, 401 | 409 | 429 | 500..) {
        ModelErrorKind::Endpoint
    } else {
        kind(failed.status, &complaint)
    };
    let mut message = String::new();
    // A string can always be written to.
    let _ = write!(message, "HTTP {}", failed.status);
    let said = match (&*complaint.message, is_html(failed)) {
        (_, true) => "an HTML page and not an API's reply",
        ("", false) if failed.body.is_empty() => "an empty reply",
        ("", false) if failed.status < 400 => "not an API's reply",
        ("", false) => "no reason is given",
        (said, false) => said,
    };
    let _ = write!(message, ": {said}");
    if kind == ModelErrorKind::Endpoint && wire.is_below_v1() {
        match failed.base_url.map(|url| url.trim_end_matches('/')) {
            Some(url) if !url.contains("/v1") => {
                let _ = write!(message, " (the base URL ends in /v1 as a rule: write {url}/v1)");
            }
            _ => message.push_str(" (is the base URL right? it ends in /v1 as a rule)"),
        }
    }
    ModelError {
        retry_after: failed.retry_after,
        should_retry: failed.should_retry,
        status: Some(failed.status),
        request_id: failed.request_id.map(str::to_owned).or(complaint.request_id),
        ..ModelError::new(kind, model, message)
    }
}

/// Whether a request was refused because it makes the model call a tool. No provider has a name for that.
#[cfg(feature = "http")]
pub(crate) fn is_of_force(error: &ModelError) -> bool {
    error.kind == ModelErrorKind::InvalidRequest
        && matches!(error.status, Some(400 | 422))
        && error.message.contains("tool_choice")
}

/// An error that a provider sends inside a reply that began well.
pub(super) fn in_stream(error: &Value) -> Fault {
    let complaint = Complaint::of(error);
    let status = complaint.status().unwrap_or(500);
    let said = if complaint.message.is_empty() { "no reason is given" } else { &complaint.message };
    let fault = Fault::new(kind(status, &complaint), format!("in the reply: {said}"));
    Fault(Box::new(ModelError {
        status: Some(status),
        request_id: complaint.request_id,
        ..*fault.0
    }))
}

fn is_html(failed: &Failed<'_>) -> bool {
    let says_so =
        failed.content_type.is_some_and(|kind| kind.trim_start().starts_with("text/html"));
    says_so || failed.body.trim_ascii_start().first() == Some(&b'<')
}

/// What a provider says of a failure.
#[derive(Debug, Default)]
struct Complaint {
    message: String,
    /// The `type` and the `code`, whichever there are.
    names: Vec<String>,
    request_id: Option<String>,
}

impl Complaint {
    fn read(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::of(&value),
            Err(_) => match std::str::from_utf8(body) {
                Ok(text) if !text.trim_start().starts_with(['<', '{']) => {
                    Self { message: one_line(text), ..Self::default() }
                }
                _ => Self::default(),
            },
        }
    }

    /// Reads the forms that are about: `{error: {message, type, code}}`, `{error: text}`,
    /// `{message, type, code}` and `{detail: …}`.
    fn of(value: &Value) -> Self {
        let inner = match value.get("error") {
            Some(inner @ Value::Object(_)) => inner,
            _ => value,
        };
        let texts =
            [inner.get("message"), value.get("error"), value.get("detail"), value.get("msg")];
        let text = texts.into_iter().flatten().find_map(text_of).unwrap_or_default();
        let names = ["type", "code", "status"].map(|name| {
            inner.get(name).and_then(|name| match name {
                Value::String(name) => Some(name.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
        });
        let request_id = value.get("request_id").and_then(Value::as_str).map(str::to_owned);
        Self { message: one_line(&text), names: names.into_iter().flatten().collect(), request_id }
    }

    fn is_named(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.contains(&name.as_str()))
    }

    fn says(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// The status that the names stand for, when an error comes inside a reply.
    fn status(&self) -> Option<u16> {
        self.names.iter().find_map(|name| match name.as_str() {
            "invalid_request_error" | "invalid_prompt" => Some(400),
            "authentication_error" | "invalid_api_key" => Some(401),
            "billing_error" | "insufficient_quota" => Some(402),
            "permission_error" => Some(403),
            "not_found_error" | "model_not_found" => Some(404),
            "request_too_large" => Some(413),
            "rate_limit_error" | "rate_limit_exceeded" => Some(429),
            "api_error" | "server_error" => Some(500),
            "timeout_error" => Some(504),
            "overloaded_error" => Some(529),
            "context_length_exceeded" => Some(400),
            number => number.parse().ok().filter(|status| (400..600).contains(status)),
        })
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        // FastAPI's list of what is wrong with a request.
        Value::Array(list) => {
            let texts = list.iter().filter_map(|one| one.get("msg")?.as_str());
            Some(texts.collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
        }
        Value::Object(inner) => inner.get("message").and_then(text_of),
        _ => None,
    }
}

/// A text as one line of a screen: no control characters, no escape sequences, not too long.
pub(super) fn one_line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let line: String = visible.take(MESSAGE_LEN_MAX * 2).collect();
    let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(MESSAGE_LEN_MAX) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words,
    }
}

fn kind(status: u16, complaint: &Complaint) -> ModelErrorKind {
    use ModelErrorKind as Kind;
    match status {
        401 | 403 => Kind::Auth,
        402 => Kind::Quota,
        404 if is_of_the_model(complaint) => Kind::UnknownModel,
        ..400 | 404 | 407 => Kind::Endpoint,
        408 | 504 => Kind::Timeout,
        429 if is_of_money(complaint) => Kind::Quota,
        429 => Kind::RateLimited,
        409 | 500.. => Kind::Unavailable,
        400 | 413 | 422 if is_of_length(complaint) => Kind::ContextLength,
        400 | 422 if complaint.is_named(&["model_not_found", "invalid_model"]) => {
            Kind::UnknownModel
        }
        _ => Kind::InvalidRequest,
    }
}

fn is_of_the_model(complaint: &Complaint) -> bool {
    complaint.is_named(&["model_not_found", "not_found_error", "NotFoundError"])
        && !complaint.says(&["file not found", "invalid url"])
        || complaint.says(&["model"])
}

/// A rate limit that says so is one, even when its text advertises a larger account.
fn is_of_money(complaint: &Complaint) -> bool {
    if complaint.is_named(&["insufficient_quota", "billing_error", "billing_hard_limit_reached"]) {
        return true;
    }
    let is_rate =
        complaint.is_named(&["rate_limit_exceeded", "rate_limit_error", "tokens", "requests"]);
    !is_rate && complaint.says(&["quota", "billing", "spend limit", "spending limit"])
}

fn is_of_length(complaint: &Complaint) -> bool {
    complaint.is_named(&["context_length_exceeded", "exceed_context_size_error"])
        || complaint.says(&[
            "prompt is too long",
            "maximum context length",
            "context length exceeded",
            "exceed context limit",
            "exceeds the available context size",
            "exceeds the context length",
            "longer than the context length",
        ])
}

#[cfg(test)]
mod tests;
