//! The lines of a cassette's file.

use greenroom_core::budget::Usage;
use greenroom_core::embedder::Embeddings;
use greenroom_core::model::{ChatEvent, ChatReply, ChatRequest, ModelError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The version of the form of these lines.
pub(super) const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Line {
    /// The first line.
    Cassette {
        version: u32,
    },
    Chat {
        model: String,
        request: Value,
        events: Vec<Told>,
    },
    Embed {
        model: String,
        request: Value,
        outcome: Embedded,
    },
}

/// An event of a reply, as far as it is about the question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Told {
    Text(String),
    Reasoning(String),
    Call { index: usize, name: String, arguments: String },
    Finished(ChatReply),
    Failed(ModelError),
}

/// What became of a request for embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Embedded {
    Vectors { vectors: Vec<Vec<f32>>, usage: Usage },
    Failed(ModelError),
}

impl Line {
    pub(super) fn model(&self) -> &str {
        match self {
            Self::Cassette { .. } => "",
            Self::Chat { model, .. } | Self::Embed { model, .. } => model,
        }
    }

    pub(super) fn request(&self) -> &Value {
        match self {
            Self::Cassette { .. } => &Value::Null,
            Self::Chat { request, .. } | Self::Embed { request, .. } => request,
        }
    }
}

impl Told {
    /// What is recorded of an event; `None` of one that is only about the provider.
    pub(super) fn of(event: &Result<ChatEvent, ModelError>) -> Option<Self> {
        Some(match event {
            Ok(ChatEvent::TextDelta(text)) => Self::Text(text.clone()),
            Ok(ChatEvent::ReasoningDelta(text)) => Self::Reasoning(text.clone()),
            Ok(ChatEvent::ToolCallDelta { index, name, arguments }) => {
                let (name, arguments) = (name.clone(), arguments.clone());
                Self::Call { index: *index, name, arguments }
            }
            Ok(ChatEvent::Finished(reply)) => Self::Finished(reply.clone()),
            Err(error) => Self::Failed(error.clone()),
            Ok(_) => return None,
        })
    }

    pub(super) fn event(self) -> Result<ChatEvent, ModelError> {
        Ok(match self {
            Self::Text(text) => ChatEvent::TextDelta(text),
            Self::Reasoning(text) => ChatEvent::ReasoningDelta(text),
            Self::Call { index, name, arguments } => {
                ChatEvent::ToolCallDelta { index, name, arguments }
            }
            Self::Finished(reply) => ChatEvent::Finished(reply),
            Self::Failed(error) => return Err(error),
        })
    }

    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Failed(_))
    }
}

impl Embedded {
    pub(super) fn of(outcome: &Result<Embeddings, ModelError>) -> Self {
        match outcome {
            Ok(Embeddings { vectors, usage }) => {
                Self::Vectors { vectors: vectors.clone(), usage: *usage }
            }
            Err(error) => Self::Failed(error.clone()),
        }
    }

    pub(super) fn outcome(self) -> Result<Embeddings, ModelError> {
        match self {
            Self::Vectors { vectors, usage } => Ok(Embeddings { vectors, usage }),
            Self::Failed(error) => Err(error),
        }
    }
}

/// What a request says, who asks excepted. What is left open is left out, so that options which are invented later
/// do not make old recordings strangers.
pub(super) fn of_chat(request: &ChatRequest) -> Value {
    let mut said = json!({ "messages": *request.messages });
    if !request.tools.is_empty() {
        said["tools"] = json!(request.tools);
    }
    if let Some(output) = &request.output {
        said["output"] = json!(output);
    }
    if let Some(tokens) = request.output_tokens_max {
        said["output_tokens_max"] = json!(tokens);
    }
    let options = json!(request.options);
    if options.as_object().is_some_and(|options| !options.is_empty()) {
        said["options"] = options;
    }
    said
}

pub(super) fn of_texts(texts: &[String]) -> Value {
    json!({ "texts": texts })
}
