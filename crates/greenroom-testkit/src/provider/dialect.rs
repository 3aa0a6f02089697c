//! Replies in the wires of providers: the other side of what `greenroom_models::wire` reads, written from the
//! providers' documentation and not from that reader.

use greenroom_core::model::ChatReply;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::response::{Part, Piece, Response};
use super::route::Dialect;

mod anthropic;
mod ollama;
mod openai_chat;
mod openai_responses;

/// What is to be said, whichever the wire.
#[derive(Debug, Clone)]
pub(super) struct Spoken {
    pub(super) model: String,
    /// The number of the request.
    pub(super) n: usize,
    pub(super) reply: ChatReply,
    pub(super) reasoning: String,
    /// The counts; left out when there are none.
    pub(super) counts: Option<Counts>,
    /// Whether the request asks for counts in a stream, where that must be asked for.
    pub(super) wants_counts: bool,
}

/// Counts as they are sent, which may be such as cannot be.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    pub(super) input: Value,
    pub(super) output: Value,
    pub(super) cached: u64,
    pub(super) reasoning: u64,
}

impl Spoken {
    /// The text in deltas, one for each word.
    fn words(&self) -> impl Iterator<Item = &str> {
        self.reply.text.split_inclusive(' ')
    }
}

impl Dialect {
    /// A reply, in pieces when the request asks for a stream.
    pub(super) fn reply(self, spoken: &Spoken, is_streamed: bool) -> Response {
        if !is_streamed {
            return Response::json(200, &self.whole(spoken));
        }
        let (content_type, pieces) = match self {
            Self::OpenAiChat => ("text/event-stream", openai_chat::pieces(spoken)),
            Self::OpenAiResponses => ("text/event-stream", openai_responses::pieces(spoken)),
            Self::Anthropic => ("text/event-stream", anthropic::pieces(spoken)),
            Self::Ollama => ("application/x-ndjson", ollama::pieces(spoken)),
        };
        Response { is_chunked: true, ..Response::new(200, content_type, pieces) }
    }

    fn whole(self, spoken: &Spoken) -> Value {
        match self {
            Self::OpenAiChat => openai_chat::whole(spoken),
            Self::OpenAiResponses => openai_responses::whole(spoken, "completed"),
            Self::Anthropic => anthropic::whole(spoken),
            Self::Ollama => ollama::whole(spoken),
        }
    }

    /// Whether a request asks for a stream.
    pub(super) fn is_streamed(self, request: &Value) -> bool {
        // Ollama streams unless it is told not to.
        request["stream"].as_bool().unwrap_or(self == Self::Ollama)
    }

    /// The body of an error.
    pub(super) fn error(self, refusal: &Refusal) -> Value {
        let Refusal { status, code, message } = refusal;
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => {
                let kind = if code.is_empty() { kind } else { code };
                let code = (!code.is_empty()).then_some(code);
                let error =
                    json!({ "message": message, "type": kind, "param": null, "code": code });
                json!({ "error": error })
            }
            Self::Anthropic => {
                let kind = if code.is_empty() { kind } else { code };
                json!({ "type": "error", "error": { "type": kind, "message": message } })
            }
            Self::Ollama => json!({ "error": message }),
        }
    }

    /// An error inside a stream.
    pub(super) fn error_event(self, refusal: &Refusal) -> Piece {
        let error = self.error(refusal);
        match self {
            Self::OpenAiChat => data(Part::Content, &error),
            Self::OpenAiResponses => {
                let Refusal { code, message, .. } = refusal;
                let event = json!({ "type": "error", "code": code, "message": message });
                event_of(Part::Content, &event)
            }
            Self::Anthropic => event_of(Part::Content, &error),
            Self::Ollama => line(Part::Content, &error),
        }
    }

    /// What says that the connection lives, and nothing else.
    pub(super) fn ping(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => ": ping\n\n",
            Self::Anthropic => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Self::Ollama => "\n",
        }
    }

    /// The list of models.
    pub(super) fn models(self, names: &[String]) -> Value {
        let each = |form: &dyn Fn(&str) -> Value| -> Vec<_> {
            names.iter().map(|name| form(name)).collect()
        };
        match self {
            Self::Anthropic => {
                let form =
                    |name: &str| json!({ "type": "model", "id": name, "display_name": name });
                json!({ "data": each(&form), "has_more": false })
            }
            Self::Ollama => {
                json!({ "models": each(&|name| json!({ "name": name, "model": name })) })
            }
            Self::OpenAiChat | Self::OpenAiResponses => {
                let form =
                    |name: &str| json!({ "id": name, "object": "model", "owned_by": "test" });
                json!({ "object": "list", "data": each(&form) })
            }
        }
    }
}

/// An event without a name.
fn data(part: Part, value: &Value) -> Piece {
    Piece::new(part, format!("data: {value}\n\n"))
}

/// An event that is named like the type that it tells.
fn event_of(part: Part, value: &Value) -> Piece {
    let name = value["type"].as_str().unwrap_or_default();
    Piece::new(part, format!("event: {name}\ndata: {value}\n\n"))
}

/// A line of JSON.
fn line(part: Part, value: &Value) -> Piece {
    Piece::new(part, format!("{value}\n"))
}

/// A text in two pieces, neither empty when that can be.
fn halves(text: &str) -> [&str; 2] {
    let (left, right) = text.split_at(text.floor_char_boundary(text.len().div_ceil(2)));
    [left, right]
}
