//! The vocabulary of a conversation with a model: messages, tool calls and their outcomes.
//!
//! The types say what every provider can express; how a provider spells it on its wire is known to
//! `greenroom-models` alone.

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
    },
    /// A reply of the model.
    Assistant {
        /// What the model said; empty when it only called tools.
        text: String,
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
        Self::User { text: text.into() }
    }

    /// An assistant message without tool calls.
    #[must_use]
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant { text: text.into(), tool_calls: Vec::new() }
    }
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
