//! The tool calls of one turn: what they are named, which are refused, and how far they are.
//!
//! Refusing is decided here, once, when the model's reply is folded; making the calls is decided later.

use std::time::Duration;

use serde_json::Value;

use super::people::Person;
use super::spec::AgentSpec;
use crate::approval::{Ask, Decision};
use crate::history::interrupted;
use crate::ids::CallId;
use crate::journal::Event;
use crate::message::{Message, ToolCall, ToolOutcome};
use crate::model::{ChatReply, FinishReason};
use crate::tool::{EffectClass, ToolError, ToolErrorKind};

/// One call of the current turn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct OpenCall {
    pub(super) call: ToolCall,
    /// Why the call is not made, when it is not.
    refusal: Option<ToolError>,
    effect: EffectClass,
    pub(super) person: Person,
    pub(super) is_started: bool,
    pub(super) outcome: Option<ToolOutcome>,
}

impl OpenCall {
    /// What is recorded next of the call; nothing while it is at work, waits, or has its outcome.
    pub(super) fn next(&self, spec: &AgentSpec) -> Option<Event> {
        if self.outcome.is_some() {
            return None;
        }
        match &self.person {
            Person::Asked { .. } => None,
            Person::Answered(Decision::Approved) if self.is_started => None,
            Person::Answered(decision) => Some(self.after_answer(decision)),
            Person::NotAsked if self.is_started => None,
            Person::NotAsked => {
                let approval = spec.approvals.get(&self.call.name);
                let approval = approval.filter(|a| a.is_needed(&self.call.arguments));
                match (&self.refusal, approval) {
                    (None, Some(approval)) => Some(self.ask(Ask::Approval, approval.patience())),
                    _ => Some(self.begin()),
                }
            }
        }
    }

    /// What is recorded to ask a person about the call.
    pub(super) fn ask(&self, ask: Ask, patience: Duration) -> Event {
        let ToolCall { id: call, name: tool, arguments } = self.call.clone();
        Event::PersonAsked { call, tool, arguments, ask, patience }
    }

    /// What is recorded to begin the call, or to refuse it.
    pub(super) fn begin(&self) -> Event {
        let call = self.call.id.clone();
        match &self.refusal {
            Some(error) => Event::ToolFinished { call, outcome: ToolOutcome::Error(error.clone()) },
            None => Event::ToolStarted {
                call,
                tool: self.call.name.clone(),
                arguments: self.call.arguments.clone(),
                effect: self.effect,
            },
        }
    }

    /// Folds the beginning. The effect that was recorded is the one that counts, whatever a later
    /// build of the program declares: it was the promise under which the call was made.
    pub(super) fn start(&mut self, effect: EffectClass) {
        self.effect = effect;
        self.is_started = true;
    }

    /// Whether the call is at work, or was when its agent crashed.
    pub(super) fn is_at_work(&self) -> bool {
        self.is_started && self.outcome.is_none() && !self.waits() && !self.is_settled()
    }

    /// What repeating the call would do.
    pub(super) fn effect(&self) -> EffectClass {
        self.effect
    }

    /// Whether the call may have taken effect without anybody knowing, and must not be made again.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_started && self.outcome.is_none() && !self.effect.may_repeat()
    }

    /// The outcome as the conversation holds it; an error when there is none.
    pub(super) fn closed(&self) -> Message {
        let (id, name) = (self.call.id.clone(), self.call.name.clone());
        let outcome = self.outcome.clone().unwrap_or_else(|| interrupted().into_owned());
        Message::Tool { call: id, name, outcome }
    }

    /// What was refused, and why, unless the agent may call it and only wrote it wrong.
    pub(super) fn refused(&self) -> Option<(String, ToolError)> {
        let error = self.refusal.as_ref()?;
        let is_denied = matches!(error.kind, ToolErrorKind::NotFound | ToolErrorKind::Denied);
        is_denied.then(|| (self.call.name.clone(), error.clone()))
    }

    /// Whether what was asked for does not exist, or was written so that nothing can be made of it.
    pub(super) fn could_not_be_called(&self) -> bool {
        matches!(&self.outcome, Some(ToolOutcome::Error(error))
            if matches!(error.kind, ToolErrorKind::NotFound | ToolErrorKind::InvalidArguments))
    }
}

/// The calls that a reply asks for. Those that are to be made are added to `made`, all calls of the
/// task so far.
///
/// Every call gets an id of our own, `turn-index`: providers send ids twice, empty or not at all, and a
/// conversation is valid only when each call has exactly one outcome.
pub(super) fn open_calls(
    spec: &AgentSpec,
    turn: u32,
    reply: &ChatReply,
    made: &mut Vec<(String, Value)>,
) -> Vec<OpenCall> {
    let cut_off = (reply.finish == FinishReason::Length).then(|| reply.tool_calls.len() - 1);
    let open = reply.tool_calls.iter().enumerate().map(|(i, call)| {
        let refusal = refusal(spec, i, call, made).or_else(|| {
            let message = "the reply was cut off by its length limit before the call was complete";
            let error = ToolError::new(ToolErrorKind::InvalidArguments, message);
            (cut_off == Some(i)).then_some(error)
        });
        if refusal.is_none() {
            made.push((call.name.clone(), call.arguments.clone()));
        }
        let tool = spec.tools.iter().find(|tool| tool.name == call.name);
        let id = CallId::from(format!("{turn}-{}", i + 1));
        OpenCall {
            call: ToolCall { id, ..call.clone() },
            refusal,
            effect: tool.map(|tool| tool.effect).unwrap_or_default(),
            person: Person::NotAsked,
            is_started: false,
            outcome: None,
        }
    });
    open.collect()
}

fn refusal(
    spec: &AgentSpec,
    i: usize,
    call: &ToolCall,
    made: &[(String, Value)],
) -> Option<ToolError> {
    if !spec.tools.iter().any(|tool| tool.name == call.name) {
        let names: Vec<_> = spec.tools.iter().map(|tool| tool.name.as_str()).collect();
        let message = format!("there is no tool {:?}; there are: {}", call.name, names.join(", "));
        return Some(ToolError::new(ToolErrorKind::NotFound, message));
    }
    let calls_max = spec.limits.calls_per_turn_max;
    if i >= calls_max {
        let message = format!("at most {calls_max} calls are made in one turn");
        return Some(ToolError::new(ToolErrorKind::Denied, message));
    }
    // What is not JSON stays a text, and every tool takes an object.
    if let Value::String(text) = &call.arguments {
        let why = serde_json::from_str::<Value>(text).err();
        let why = why.map_or_else(|| "a text".to_owned(), |error| format!("no JSON: {error}"));
        let message = format!("the arguments must be a JSON object, and are {why}");
        return Some(ToolError::new(ToolErrorKind::InvalidArguments, message));
    }
    // Compared as values: two spellings of the same object are the same arguments.
    let is_same =
        |(name, arguments): &&(String, Value)| *name == call.name && *arguments == call.arguments;
    let same_call_max = spec.limits.same_call_max;
    if made.iter().filter(is_same).count() >= same_call_max as usize {
        let message = format!(
            "the same call is made at most {same_call_max} times; use its result, or answer"
        );
        return Some(ToolError::new(ToolErrorKind::Denied, message));
    }
    None
}
