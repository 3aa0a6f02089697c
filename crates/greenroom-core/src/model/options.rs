//! How a reply is to be made: sampling, tools and reasoning. Every field left open is the model's own choice.

use serde::{Deserialize, Serialize};

/// How a reply is to be made.
///
/// A wire that has no word for an option leaves it out; `docs/models.md` says which. Nothing is checked
/// here: the provider refuses what its model cannot do, and says so.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChatOptions {
    /// How varied the reply is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Only the most likely tokens that add up to this probability are drawn from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Texts at which the reply ends; they are not part of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// The same seed and request give the same reply, as far as the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Whether tools are to be called. Means nothing when no tools are offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    /// Whether one reply may call several tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How long a model that reasons thinks before it replies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
}

impl ChatOptions {
    /// These options, and `other`'s for everything that is left open.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            temperature: self.temperature.or(other.temperature),
            top_p: self.top_p.or(other.top_p),
            stop: if self.stop.is_empty() { other.stop.clone() } else { self.stop },
            seed: self.seed.or(other.seed),
            tool_choice: self.tool_choice.or_else(|| other.tool_choice.clone()),
            parallel_tool_calls: self.parallel_tool_calls.or(other.parallel_tool_calls),
            effort: self.effort.or(other.effort),
        }
    }
}

/// Whether a model is to call tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None is called, although some are offered.
    None,
    /// At least one is called.
    Required,
    /// This one is called.
    Tool(String),
}

/// How long a model that reasons thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effort {
    /// As little as it can.
    Low,
    /// What is usual.
    Medium,
    /// As long as it helps.
    High,
}
