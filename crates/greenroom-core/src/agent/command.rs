//! What the machine has the runtime do.

use std::time::Duration;

use serde_json::Value;

use crate::ids::CallId;
use crate::journal::Event;
use crate::model::ChatRequest;
use crate::report::{Report, TaskFailure};
use crate::tool::ToolError;

/// What the runtime is to do.
#[derive(Debug, Clone)]
pub enum Command {
    /// Ask the model, after the delay. The answer is [`Event::ModelReplied`] or [`Event::ModelFailed`].
    CallModel {
        /// The turn.
        turn: u32,
        /// The attempt.
        attempt: u32,
        /// How long to wait first.
        delay: Duration,
        /// What to ask.
        request: ChatRequest,
    },
    /// Call a tool. The answer is [`Event::ToolFinished`].
    CallTool {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
        /// Whether to look first what came of it: it was cut off, and its tool can tell.
        looks_first: bool,
    },
    /// Let a person know that a call waits for an answer, which is [`Event::PersonAnswered`]. When none has
    /// come in this time since the question was recorded, the answer is
    /// [`Decision::Expired`](crate::approval::Decision::Expired).
    AwaitPerson {
        /// The call.
        call: CallId,
        /// How long the answer counts.
        patience: Duration,
    },
    /// Ask the model for notes on the older part of its conversation. The answer is
    /// [`Event::CompactionFinished`].
    Compact {
        /// The turn whose request was too long.
        turn: u32,
        /// The attempt.
        attempt: u32,
        /// What to ask.
        request: ChatRequest,
    },
    /// Stop the run until a person does something: its only agent waits for nothing else.
    Sleep,
    /// Tell somebody who watches for it that calls were refused.
    Refuse(Vec<(String, ToolError)>),
    /// Tell whoever gave the task what came of it.
    Report(Result<Report, TaskFailure>),
}

/// What a fresh incarnation does after it has folded its stream.
#[derive(Debug, Default)]
pub struct Resume {
    /// Facts that the crash made true: calls that must not be repeated are in doubt.
    pub events: Vec<Event>,
    /// What had begun and has no result.
    pub commands: Vec<Command>,
}
