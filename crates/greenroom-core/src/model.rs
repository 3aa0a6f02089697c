//! The model seam: what is asked of a language model and how its answer arrives.
//!
//! An implementation streams [`ChatEvent`]s and ends with exactly one [`ChatEvent::Finished`]. It does
//! not retry, limit or cache: those are decorators around it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::BoxStream;
use crate::budget::{Price, Usage};
use crate::message::{Message, Reasoning, ToolCall};
use crate::tool::ToolSpec;
use serde::{Deserialize, Serialize};

mod caller;
mod converse;
mod estimate;
mod meta;
mod options;

pub use crate::output::OutputSchema;
pub use caller::Caller;
pub use converse::converse;
pub(crate) use estimate::messages_len;
pub use meta::{LimitHint, RateLimitHints, ResponseMeta};
pub use options::{ChatOptions, Effort, ToolChoice};

/// A stream of a model's reply.
pub type ChatStream = BoxStream<'static, Result<ChatEvent, ModelError>>;

/// A language model.
///
/// # Contract
///
/// The stream yields any number of deltas and then one [`ChatEvent::Finished`] that carries the whole
/// reply, after which it ends; or it yields one error and ends. A stream that ends without either is an
/// incomplete reply and is treated as [`ModelErrorKind::Incomplete`]. Dropping the stream cancels the
/// request and closes its connection. Nothing is done before the stream is first polled.
pub trait ChatModel: Send + Sync + 'static {
    /// The model's name for screens, journals and telemetry, for example `extractive`.
    fn name(&self) -> &str;

    /// Starts a request.
    fn stream(&self, request: ChatRequest) -> ChatStream;

    /// What its tokens cost; `None` when that is not known, which is not the same as nothing. A decorator
    /// says what the model inside says.
    fn price(&self) -> Option<Price> {
        None
    }
}

const _: fn(&dyn ChatModel) = |_| {};

impl<M: ChatModel + ?Sized> ChatModel for Arc<M> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        (**self).stream(request)
    }

    fn price(&self) -> Option<Price> {
        (**self).price()
    }
}

/// One request to a model.
#[derive(Debug, Clone, Default)]
pub struct ChatRequest {
    /// The conversation so far, oldest first. Shared, because a long conversation is sent often.
    pub messages: Arc<Vec<Message>>,
    /// The tools that the model may call; empty forbids calling any.
    pub tools: Arc<[ToolSpec]>,
    /// The shape that the final text must have, when it must have one.
    pub output: Option<Arc<OutputSchema>>,
    /// The most tokens that the reply may have.
    pub output_tokens_max: Option<u32>,
    /// Who asks. Never sent to the provider, the idempotency key excepted.
    pub caller: Caller,
    /// How the reply is to be made. What is left open is the model's own choice.
    pub options: ChatOptions,
}

impl ChatRequest {
    /// A request that is one message of a user.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self { messages: Arc::new(vec![Message::user(text)]), ..Self::default() }
    }
}

/// A piece of a model's reply.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// More of the visible text.
    TextDelta(String),
    /// More of the model's reasoning, which is shown but never part of the answer.
    ReasoningDelta(String),
    /// What the provider said about itself and not about the question. A provider sends it as soon as
    /// it has the headers of the response, also when an error follows.
    Meta(ResponseMeta),
    /// More of a tool call that the model is writing. It is only shown: the calls that count are those
    /// of the final event.
    ToolCallDelta {
        /// The call's place in the reply, counted from 0.
        index: usize,
        /// The tool, with the first piece of each call; empty in the others.
        name: String,
        /// More of the arguments' JSON.
        arguments: String,
    },
    /// The whole reply; always last.
    Finished(ChatReply),
}

/// A model's whole reply.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ChatReply {
    /// The text: the deltas joined.
    pub text: String,
    /// What the model thought, where its provider wants it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// The tools that the model wants called, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Why the model stopped.
    pub finish: FinishReason,
    /// What the reply cost.
    pub usage: Usage,
}

impl ChatReply {
    /// A reply of plain text that the model finished by itself.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A reply that asks for tools.
    #[must_use]
    pub fn calls(tool_calls: impl IntoIterator<Item = ToolCall>) -> Self {
        Self {
            tool_calls: tool_calls.into_iter().collect(),
            finish: FinishReason::ToolCalls,
            ..Self::default()
        }
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// The reply is complete.
    #[default]
    Stop,
    /// The model waits for the outcome of its tool calls.
    ToolCalls,
    /// The limit on output tokens cut the reply off.
    Length,
    /// The provider withheld the reply.
    ContentFilter,
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("model {model}: {message}")]
pub struct ModelError {
    /// What policy reads.
    pub kind: ModelErrorKind,
    /// The model that was asked.
    pub model: String,
    /// What people read. Never contains a key.
    pub message: String,
    /// How long the provider asked callers to wait, when it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
    /// What the provider says of trying again, when it says so; it outweighs the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_retry: Option<bool>,
    /// The status of the HTTP response, or the one that an error inside a stream stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The provider's name for the request, for whoever asks its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether a part of the reply had been shown before it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partial: bool,
}

impl ModelError {
    /// An error of a kind, of which nothing else is known.
    #[must_use]
    pub fn new(kind: ModelErrorKind, model: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            model: model.into(),
            message: message.into(),
            retry_after: None,
            should_retry: None,
            status: None,
            request_id: None,
            is_partial: false,
        }
    }

    /// Whether the same request may succeed later: what the provider says, and else what the kind says.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.should_retry.unwrap_or_else(|| self.kind.is_retryable())
    }
}

/// The kinds of [`ModelError`].
///
/// | kind | retried | typical cause |
/// |---|---|---|
/// | `RateLimited` | yes | 429 |
/// | `Unavailable` | yes | 5xx, 529, connection refused |
/// | `Timeout` | yes | no first byte, or a stalled stream |
/// | `Incomplete` | yes | the stream ended before its final event |
/// | `InvalidReply` | no: the agent repairs it | not what the wire or the request calls for |
/// | `Endpoint` | no | an HTML page, a redirect, a certificate that is not trusted, a wrong path |
/// | `UnknownModel` | no | 404 that names the model |
/// | `ContextLength` | no | the conversation is too long |
/// | `Auth` | no | 401, 403, no key |
/// | `InvalidRequest` | no | other 4xx |
/// | `Quota` | no | 402, spend limit |
/// | `Offline` | no | a real call where none is allowed, as in a test |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The provider is down or unreachable.
    Unavailable,
    /// The provider did not answer in time.
    Timeout,
    /// The reply broke off.
    Incomplete,
    /// The reply is not what the wire or the request calls for.
    InvalidReply,
    /// What answers at the address is not the provider's API, or cannot be trusted to be.
    Endpoint,
    /// The provider has no model of that name.
    UnknownModel,
    /// The conversation does not fit the model's context.
    ContextLength,
    /// The credentials are missing or refused.
    Auth,
    /// The provider refuses the request itself.
    InvalidRequest,
    /// The account's money or quota is used up.
    Quota,
    /// The call would leave this machine, which is forbidden.
    Offline,
}

impl ModelErrorKind {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::RateLimited | Self::Unavailable | Self::Timeout | Self::Incomplete)
    }
}

impl fmt::Display for ModelErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimited => "rate limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::Incomplete => "reply incomplete",
            Self::InvalidReply => "invalid reply",
            Self::Endpoint => "not the provider's API",
            Self::UnknownModel => "no such model",
            Self::ContextLength => "context too long",
            Self::Auth => "not authorised",
            Self::InvalidRequest => "invalid request",
            Self::Quota => "quota used up",
            Self::Offline => "real calls forbidden",
        })
    }
}

#[cfg(test)]
mod tests;
