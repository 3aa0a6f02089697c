//! What runs and tasks are asked for and what comes of them: goals, reports, failures, outcomes.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::brief::{Exchange, Gap};
use crate::budget::{Budget, Limit, Usage};
use crate::journal::JournalErrorKind;
use crate::model::ModelErrorKind;
use crate::retriever::{Citation, Passage};

/// What a run is to answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The question.
    pub question: String,
    /// Earlier exchanges of the same conversation, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Exchange>,
    /// What the run may spend.
    pub budget: Budget,
    /// The most passages that one search may return.
    pub top_k: usize,
}

impl Goal {
    /// The default of [`Goal::top_k`].
    pub const TOP_K: usize = 8;

    /// A question with the default budget.
    #[must_use]
    pub fn new(question: impl Into<String>) -> Self {
        let (conversation, budget) = (Vec::new(), Budget::default());
        Self { question: question.into(), conversation, budget, top_k: Self::TOP_K }
    }
}

/// What an agent found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Report {
    /// In words.
    pub text: String,
    /// As data: a tool's output, or the typed output of an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The passages that were found on the way, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passages: Vec<Passage>,
    /// What it cost.
    #[serde(default)]
    pub usage: Usage,
    /// The limit that ended the work early, when one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
}

impl Report {
    /// Whether nothing was found: neither words, nor a value, nor passages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.value.is_none() && self.passages.is_empty()
    }

    /// A report in words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct TaskFailure {
    /// What policy reads.
    pub kind: TaskFailureKind,
    /// What people read.
    pub message: String,
    /// What it cost.
    #[serde(default)]
    pub usage: Usage,
    /// What kind of error the model ended with, when that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_error: Option<ModelErrorKind>,
    /// The limit that was reached, when that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Why the journal stored nothing any more, when that is why. The run is not over: its journal says as far as it
    /// got, and the next recovery goes on with it.
    #[serde(skip)]
    pub unstored: Option<JournalErrorKind>,
}

impl TaskFailure {
    /// A failure of a kind that cost nothing.
    #[must_use]
    pub fn new(kind: TaskFailureKind, message: impl Into<String>) -> Self {
        let (message, usage) = (message.into(), Usage::default());
        Self { kind, message, usage, model_error: None, limit: None, unstored: None }
    }
}

/// The kinds of [`TaskFailure`], and whether the router gives the task to another incarnation.
///
/// | kind | tried again |
/// |---|---|
/// | `AgentLost` | yes |
/// | `TimedOut` | yes |
/// | `Model` | no: the agent has already retried what can be |
/// | `Tool` | no |
/// | `NotFound` | no |
/// | `Output` | no: the agent has already repaired what it could |
/// | `Refused` | no: the same question is refused again |
/// | `CutOff` | no: the limit on output tokens is too low |
/// | `Empty` | no: the agent has already asked again |
/// | `ContextLength` | no: the agent has already shortened what can be |
/// | `Dependency` | no |
/// | `Limit` | no |
/// | `Cancelled` | no |
/// | `InDoubt` | no: the effect may have happened |
/// | `Parked` | no: the next process goes on with it |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TaskFailureKind {
    /// The agent stopped for good, or could not be started or reached.
    AgentLost,
    /// The agent did not report in time.
    TimedOut,
    /// The model failed.
    Model,
    /// The tool failed.
    Tool,
    /// The sources hold nothing on the question.
    NotFound,
    /// The model's output never had the shape that was asked for.
    Output,
    /// The model, or its provider, refused to answer.
    Refused,
    /// The limit on output tokens cut the model's output off.
    CutOff,
    /// The model answered with nothing.
    Empty,
    /// The conversation does not fit the model's context, and cannot be made short enough.
    ContextLength,
    /// A task that this one needs failed.
    Dependency,
    /// A limit of the run was reached before anything was found.
    Limit,
    /// The run was cancelled.
    Cancelled,
    /// An at-most-once call was cut off: whether it took effect is unknown.
    InDoubt,
    /// The process ended before the run did, which the next one goes on with. No journal says so.
    Parked,
}

impl TaskFailureKind {
    /// Whether another incarnation may succeed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::AgentLost | Self::TimedOut)
    }
}

impl fmt::Display for TaskFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AgentLost => "agent lost",
            Self::TimedOut => "timed out",
            Self::Model => "model failed",
            Self::Tool => "tool failed",
            Self::NotFound => "not found in the sources",
            Self::Output => "output invalid",
            Self::Refused => "refused by the model",
            Self::CutOff => "output cut off",
            Self::Empty => "empty output",
            Self::ContextLength => "context too long",
            Self::Dependency => "a needed task failed",
            Self::Limit => "limit reached",
            Self::Cancelled => "cancelled",
            Self::InDoubt => "outcome in doubt",
            Self::Parked => "parked",
        })
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// The answer; `[n]` refers to the n-th citation, counted from 1.
    pub answer: String,
    /// What the answer rests on.
    pub citations: Vec<Citation>,
    /// What retrieval returned, best first.
    pub passages: Vec<Passage>,
    /// What could not be found out.
    pub missing: Vec<Gap>,
    /// What the run cost.
    pub usage: Usage,
    /// The limit that was reached, when one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// Why the run failed, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<TaskFailure>,
}

impl Outcome {
    /// An outcome without an answer.
    #[must_use]
    pub fn without_answer(status: Status, failure: Option<TaskFailure>) -> Self {
        Self {
            status,
            answer: String::new(),
            citations: Vec::new(),
            passages: Vec::new(),
            missing: Vec::new(),
            usage: Usage::default(),
            limit: None,
            failure,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every part of the question was treated.
    Completed,
    /// There is an answer, and something is missing from it.
    Partial,
    /// There is no answer.
    Failed,
    /// The run was cancelled.
    Cancelled,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Completed => "completed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        })
    }
}
