//! The vocabulary of a conversation with a model: messages, tool calls and their outcomes.
//!
//! The types say what every provider can express; how a provider spells it on its wire is known to
//! `greenroom-models` alone.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::CallId;
use crate::tool::ToolError;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Message {
    /// Instructions from the application.
    System {
        /// The instructions.
        text: String,
    },
    /// Input from a person or from another agent.
    User {
        /// The input.
        text: String,
        /// What the input shows, in its order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        images: Vec<Image>,
    },
    /// A reply of the model.
    Assistant {
        /// What the model said; empty when it only called tools.
        text: String,
        /// What the model thought, in its provider's own form.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reasoning: Option<Reasoning>,
        /// The tools that the model wants called, in its order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tool_calls: Vec<ToolCall>,
    },
    /// The outcome of one tool call.
    Tool {
        /// The call that this answers.
        call: CallId,
        /// The tool that was called.
        name: String,
        /// What came of it.
        outcome: ToolOutcome,
    },
}

impl Message {
    /// A system message.
    #[must_use]
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { text: text.into() }
    }

    /// A user message.
    #[must_use]
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into(), images: Vec::new() }
    }

    /// A user message that shows something.
    #[must_use]
    pub fn user_with_images(
        text: impl Into<String>,
        images: impl IntoIterator<Item = Image>,
    ) -> Self {
        Self::User { text: text.into(), images: images.into_iter().collect() }
    }

    /// An assistant message without tool calls.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), reasoning: None, tool_calls: Vec::new() }
    }
}

/// A picture in a user message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Image {
    /// The provider fetches it. Nothing of ours opens the address.
    Url {
        /// Where it is.
        url: String,
    },
    /// It is part of the message.
    Inline {
        /// What the bytes are, for example `image/png`.
        media_type: String,
        /// The bytes in base64, the form in which every provider wants them.
        base64: Arc<str>,
    },
}

impl Image {
    /// A picture that the provider fetches.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self::Url { url: url.into() }
    }

    /// A picture of these bytes.
    #[must_use]
    pub fn bytes(media_type: impl Into<String>, bytes: &[u8]) -> Self {
        Self::Inline { media_type: media_type.into(), base64: STANDARD.encode(bytes).into() }
    }
}

/// What a model thought before it replied, sealed by its provider.
///
/// Some providers refuse the outcome of a tool call unless the thoughts that led to the call come with it,
/// word for word and with their signature. So they are kept as they came, and handed back to the same wire;
/// every other wire leaves them out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reasoning {
    /// The wire that the items came over and can go back over.
    pub wire: String,
    /// The provider's own items, in their order.
    pub items: Vec<Value>,
}

/// A model's wish that a tool be called.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Identifies the call within its turn; the outcome carries the same id.
    pub id: CallId,
    /// The tool's name as the model wrote it, which may be unknown.
    pub name: String,
    /// The arguments as the model wrote them, which may not fit the tool's schema.
    pub arguments: Value,
}

/// What came of a tool call. A failure is a value that the model reads, never the end of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", content = "value", rename_all = "snake_case")]
pub enum ToolOutcome {
    /// The tool's output.
    Ok(Value),
    /// Why there is no output.
    Error(ToolError),
}

impl From<Result<Value, ToolError>> for ToolOutcome {
    fn from(result: Result<Value, ToolError>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Error(error),
        }
    }
}

impl From<ToolError> for ToolOutcome {
    fn from(error: ToolError) -> Self {
        Self::Error(error)
    }
}

#[cfg(test)]
mod tests;
