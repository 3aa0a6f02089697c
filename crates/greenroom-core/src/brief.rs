//! Briefs: what the router's agents are asked, as JSON that any model can read.
//!
//! A brief is the text of one user message. Its `brief` field names its kind, so that a model which
//! is a program (the offline one) reads the same words as one that is not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::message::Message;

/// What an agent of the team is asked to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "brief", rename_all = "snake_case")]
pub enum Brief {
    /// Turn a question into a plan of tasks; the answer is a [`Plan`](crate::router::Plan) as JSON.
    Plan(PlanBrief),
    /// Find what answers one question; search until it is found. The answer is text.
    Research(ResearchBrief),
    /// Write the answer from the evidence. The answer is text in which every sentence ends with the
    /// numbers of the evidence it rests on, in brackets: `The default is 64 [2].`
    Answer(AnswerBrief),
}

impl Brief {
    /// The brief as a user message.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let text = serde_json::to_string(self).expect("a brief has string keys only");
        Message::user(text)
    }

    /// Reads a brief back from the text of a user message; `None` when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// The planner's brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanBrief {
    /// The question, as it was asked.
    pub question: String,
    /// Earlier exchanges of the same conversation, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Exchange>,
    /// The agents that tasks can be given to.
    pub agents: Vec<AgentCard>,
    /// The most tasks that the plan may have.
    pub tasks_max: u32,
}

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub question: String,
    /// What was answered, without citation marks.
    pub answer: String,
}

/// An agent as the planner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentCard {
    /// The role to name in [`PlannedTask::to`](crate::router::PlannedTask::to).
    pub role: String,
    /// What the agent is for.
    pub description: String,
    /// The tools that a task for this agent can call by name; empty when it takes questions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<ToolCard>,
}

/// A tool as the planner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCard {
    /// The tool's name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

/// A research agent's brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResearchBrief {
    /// What to find out.
    pub question: String,
    /// What the tasks that this one depends on found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Finding>,
}

/// The writer's brief.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerBrief {
    /// The question, as it was asked.
    pub question: String,
    /// Earlier exchanges of the same conversation, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conversation: Vec<Exchange>,
    /// What each task found, in the plan's order.
    pub findings: Vec<Finding>,
    /// The numbered passages and results that the answer may rest on.
    pub evidence: Vec<Evidence>,
    /// What could not be found out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Gap>,
    /// What was wrong with the previous draft, when this is a revision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objections: Vec<String>,
}

/// What one task found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The task.
    pub task: TaskId,
    /// What the task was to find out.
    pub question: String,
    /// What it found, in its agent's words; research agents end sentences with evidence numbers only
    /// in their own numbering, so the numbers are removed here.
    pub text: String,
    /// The numbers of the evidence that the task gathered, most relevant first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<u32>,
}

/// One numbered thing that an answer may rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its number in the brief, counted from 1.
    pub n: u32,
    /// Where it is from: a file with lines, or a tool.
    pub source: String,
    /// Whether it is the result of a tool, or a value that an agent reports, rather than a passage of a document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub computed: bool,
    /// The headings above the passage, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heading: Vec<String>,
    /// The text itself.
    pub text: String,
}

/// Something that could not be found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// What was to be found out.
    pub question: String,
    /// Why it was not.
    pub why: String,
}
