//! The facts that a journal holds. A run's state is a fold of them and of nothing else.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::approval::{Ask, Decision};
use crate::budget::{Budget, Limit, Usage};
use crate::ids::{AgentId, CallId, TaskId};
use crate::message::{Message, ToolOutcome};
use crate::model::{ChatReply, ModelError};
use crate::recovery::{Change, Config, Owner};
use crate::report::{Goal, Outcome, Report, Status, TaskFailure, TaskFailureKind};
use crate::router::PlannedTask;
use crate::time::Timestamp;
use crate::tool::{EffectClass, ToolErrorKind};

/// Something that happened in a run, or to the state of an actor.
///
/// The events of the first group are in the root stream of a run, most of them a router's; those of the second are
/// an agent's, in the stream of its task, which is the root stream when the run is that one task. Those of
/// the third are an actor's own, in the stream of its id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A goal was accepted.
    RunAccepted {
        /// What is to be answered, and within which limits.
        goal: Goal,
        /// When the run must have an outcome.
        deadline: Timestamp,
    },
    /// Whose run it is, so that another process can continue it. It is stored with the event that began the
    /// run, in one append.
    RunBound {
        /// The team or agent.
        owner: Owner,
        /// What that is made of.
        config: Config,
        /// What the run may spend.
        budget: Budget,
        /// When it must have an outcome.
        deadline: Timestamp,
    },
    /// A process took the run over after the one before had died.
    RunClaimed {
        /// The process: what its runtime calls itself.
        by: String,
        /// Boots in a row that found no more results than the one before, this one counted.
        boot: u32,
        /// Results in the streams of the run at the time.
        n_results: u64,
        /// What is configured otherwise than when the run was accepted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        changes: Vec<Change>,
        /// The calls that were cut off and are made again.
        #[serde(default, skip_serializing_if = "Usage::is_nothing")]
        again: Usage,
    },
    /// The process that had the run ended in an orderly way and left it to the next.
    RunReleased,
    /// Nobody can go on before a person does something: the run's actors are stopped until then.
    RunAsleep {
        /// When it wakes although nobody has: the first question expires, or it was paused for long.
        until: Timestamp,
    },
    /// The run goes on after it has slept.
    RunAwake {
        /// For how long. The deadline of a team is put off by as much.
        #[serde(rename = "slept_ms", with = "crate::time::millis")]
        slept: Duration,
    },
    /// Too many processes died over the run: it is not continued before a person says so.
    RunQuarantined {
        /// How many, in a row.
        n_boots: u32,
    },
    /// Intent: a task is given to an agent.
    TaskAssigned {
        /// The task.
        task: PlannedTask,
        /// Which attempt this is, counted from 1.
        attempt: u32,
    },
    /// A task succeeded.
    TaskReported {
        /// The task.
        task: TaskId,
        /// The attempt that succeeded.
        attempt: u32,
        /// What was found.
        report: Report,
    },
    /// An attempt at a task failed.
    TaskFailed {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Why.
        failure: TaskFailure,
    },
    /// The time to gather is over: the answer is made of what is there.
    GatheringEnded,
    /// Somebody cancelled the run.
    CancelRequested,
    /// The run's deadline has passed.
    DeadlinePassed,
    /// The run has its outcome.
    RunFinished {
        /// What came of it.
        outcome: Box<Outcome>,
    },

    /// An agent took a task.
    TaskStarted {
        /// The agent.
        agent: AgentId,
        /// What it was told.
        input: Vec<Message>,
    },
    /// Intent: a model is asked.
    ModelCalled {
        /// The turn, counted from 1.
        turn: u32,
        /// The attempt within the turn, counted from 1.
        attempt: u32,
        /// How long the call waits before it is made.
        #[serde(rename = "delay_ms", with = "crate::time::millis")]
        delay: Duration,
    },
    /// A model answered.
    ModelReplied {
        /// The turn.
        turn: u32,
        /// The answer.
        reply: ChatReply,
    },
    /// A model did not answer.
    ModelFailed {
        /// The turn.
        turn: u32,
        /// The attempt.
        attempt: u32,
        /// Why.
        error: ModelError,
    },
    /// Intent: a model is asked for notes that stand for the older part of a conversation, because the
    /// whole does not fit its context.
    CompactionStarted {
        /// The turn whose request was too long.
        turn: u32,
        /// The attempt, counted from 1 since the model's last reply.
        attempt: u32,
    },
    /// The notes are there, or will not be.
    CompactionFinished {
        /// The turn.
        turn: u32,
        /// The attempt.
        attempt: u32,
        /// What the model answered. Nothing of a failure is ever told to a model.
        result: Result<ChatReply, ModelError>,
    },
    /// A conversation was replaced by a shorter one.
    Compacted {
        /// The turn whose request was too long. The next one is another turn.
        turn: u32,
        /// The attempt.
        attempt: u32,
        /// The whole conversation from now on, without the agent's instructions.
        messages: Vec<Message>,
    },
    /// Intent: a tool is called.
    ToolStarted {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
        /// What repeating the call would do.
        effect: EffectClass,
    },
    /// A tool call has its outcome.
    ToolFinished {
        /// The call.
        call: CallId,
        /// What came of it.
        outcome: ToolOutcome,
    },
    /// A search asked a model on its way, such as an embedder.
    SearchSpent {
        /// The call that searched.
        call: CallId,
        /// The model, as it is named.
        model: String,
        /// What it used.
        usage: Usage,
    },
    /// A person is asked about a call, which waits for the answer.
    PersonAsked {
        /// The call.
        call: CallId,
        /// The tool.
        tool: String,
        /// Its arguments.
        arguments: Value,
        /// What is asked.
        ask: Ask,
        /// How long an answer counts, from the time of this event.
        #[serde(rename = "patience_ms", with = "crate::time::millis")]
        patience: Duration,
    },
    /// A person answered, or nobody did in time.
    PersonAnswered {
        /// The call.
        call: CallId,
        /// What was said.
        decision: Decision,
        /// Who said it.
        by: String,
    },
    /// Somebody has something to say to the agent, which reads it in its next turn.
    MessageDelivered {
        /// Tells a message from another: one that is sent twice is delivered once.
        id: String,
        /// What was said.
        message: Message,
    },
    /// Nothing is begun from here on.
    WorkPaused,
    /// The work goes on.
    WorkResumed,
    /// A limit of the run was reached: the agent ends with what it has.
    LimitReached {
        /// Which.
        limit: Limit,
        /// Whether it forbade the call of a model that had been counted last, so that this was not made.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_refusal: bool,
    },
    /// The agent is done with its task.
    TaskFinished {
        /// What it found, or why it found nothing.
        result: Result<Report, TaskFailure>,
    },

    /// Something happened to an actor's own state.
    ActorEvent {
        /// The actor's own event, as the actor's type writes it.
        payload: Value,
    },
    /// What an actor's state was at this place of the stream. Nothing before it has to be read again.
    ActorSnapshot {
        /// The state, as the actor's type writes it.
        state: Value,
    },
}

impl Event {
    /// Whether nothing follows in the stream.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.status().is_some()
    }

    /// How the stream ended, when this event is its last. Of a root stream, it is how the run ended.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::RunFinished { outcome } => Some(outcome.status),
            Self::TaskFinished { result } => Some(match result {
                Ok(report) if report.limit.is_some() => Status::Partial,
                Ok(_) => Status::Completed,
                Err(failure) if failure.kind == TaskFailureKind::Cancelled => Status::Cancelled,
                Err(_) => Status::Failed,
            }),
            _ => None,
        }
    }

    /// Adds what was spent by it. A call counts when it begins, whatever comes of it; one that a limit forbade is taken
    /// back.
    pub fn spend(&self, spent: &mut Usage) {
        spent.add(match self {
            Self::ModelCalled { .. } | Self::CompactionStarted { .. } => {
                Usage { model_calls: 1, ..Usage::default() }
            }
            Self::ModelReplied { reply, .. }
            | Self::CompactionFinished { result: Ok(reply), .. } => {
                Usage { model_calls: 0, tool_calls: 0, ..reply.usage }
            }
            Self::ToolStarted { .. } => Usage { tool_calls: 1, ..Usage::default() },
            Self::SearchSpent { usage, .. } => *usage,
            Self::RunClaimed { again, .. } => *again,
            Self::LimitReached { is_refusal: true, .. } => return spent.take_call_back(),
            _ => return,
        });
    }

    /// Whether it is what came of work that somebody did. That a call is in doubt came of a crash.
    #[must_use]
    pub fn is_result(&self) -> bool {
        match self {
            Self::ModelReplied { .. }
            | Self::ModelFailed { .. }
            | Self::CompactionFinished { .. }
            | Self::TaskReported { .. }
            | Self::TaskFailed { .. } => true,
            Self::ToolFinished { outcome: ToolOutcome::Error(error), .. } => {
                error.kind != ToolErrorKind::InDoubt
            }
            Self::ToolFinished { .. } => true,
            _ => false,
        }
    }

    /// Whether work begins with it at once. A call that waits first has not begun.
    #[must_use]
    pub fn is_intent(&self) -> bool {
        match self {
            Self::ModelCalled { delay, .. } => delay.is_zero(),
            Self::CompactionStarted { .. }
            | Self::ToolStarted { .. }
            | Self::TaskAssigned { .. } => true,
            _ => false,
        }
    }

    /// Whether whoever folds the stream can begin here.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        matches!(self, Self::ActorSnapshot { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is stored must be readable by every later version.
    #[test]
    fn the_events_of_a_compaction_are_written_as_they_always_were() {
        let error = ModelError::new(crate::model::ModelErrorKind::ContextLength, "m", "too long");
        let (turn, attempt) = (3, 1);
        let events = [
            Event::CompactionStarted { turn, attempt },
            Event::CompactionFinished { turn, attempt, result: Ok(ChatReply::text("notes")) },
            Event::CompactionFinished { turn, attempt: 2, result: Err(error) },
            Event::Compacted { turn, attempt, messages: vec![Message::user("go")] },
        ];
        let golden = concat!(
            r#"[{"kind":"compaction_started","turn":3,"attempt":1},"#,
            r#"{"kind":"compaction_finished","turn":3,"attempt":1,"result":{"Ok":{"text":"notes","finish":"stop","usage":{"model_calls":0,"input_tokens":0,"output_tokens":0,"tool_calls":0}}}},"#,
            r#"{"kind":"compaction_finished","turn":3,"attempt":2,"result":{"Err":{"kind":"context_length","model":"m","message":"too long"}}},"#,
            r#"{"kind":"compacted","turn":3,"attempt":1,"messages":[{"role":"user","text":"go"}]}]"#,
        );
        assert_eq!(serde_json::to_string(&events).expect("it is text"), golden);
        let read: Vec<Event> = serde_json::from_str(golden).expect("it reads back");
        assert_eq!(read, events);
    }

    /// What is stored must be readable by every later version.
    #[test]
    fn what_a_search_spent_is_written_as_it_always_was_and_counts() {
        let usage = Usage { model_calls: 1, input_tokens: 12, ..Usage::default() };
        let event = Event::SearchSpent { call: "1-1".into(), model: "e".into(), usage };
        let golden = r#"{"kind":"search_spent","call":"1-1","model":"e","usage":{"model_calls":1,"input_tokens":12,"output_tokens":0,"tool_calls":0}}"#;
        assert_eq!(serde_json::to_string(&event).expect("it is text"), golden);
        assert_eq!(serde_json::from_str::<Event>(golden).expect("it reads back"), event);
        let mut spent = Usage::default();
        event.spend(&mut spent);
        assert_eq!(spent, usage);
    }

    /// What is stored must be readable by every later version.
    #[test]
    fn the_events_of_an_actor_are_written_as_they_always_were() {
        let events = [
            Event::ActorEvent { payload: json!({"deposited": 5}) },
            Event::ActorSnapshot { state: json!({"n_coins": 42}) },
        ];
        let golden = r#"[{"kind":"actor_event","payload":{"deposited":5}},{"kind":"actor_snapshot","state":{"n_coins":42}}]"#;
        assert_eq!(serde_json::to_string(&events).expect("it is text"), golden);
        let read: Vec<Event> = serde_json::from_str(golden).expect("it reads back");
        assert_eq!(read, events);
        assert_eq!(events.map(|event| event.is_snapshot()), [false, true]);
    }
}
