//! What the agent does next: a function of its state.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::command::{Command, Resume};
use super::machine::{Machine, Phase};
use crate::approval::{Ask, InDoubt};
use crate::budget::Limit;
use crate::journal::Event;
use crate::message::{ToolCall, ToolOutcome};
use crate::model::{ChatRequest, ModelError};
use crate::output;
use crate::random::SplitMix64;
use crate::report::{Report, TaskFailure, TaskFailureKind};
use crate::resilience::{RetrySpec, Verdict};
use crate::time::whole_millis;
use crate::tool::{Approval, ToolError, ToolErrorKind};

impl Machine {
    /// What follows from the state: intents and facts to be recorded next. Empty while the machine
    /// waits for an effect, and when the task is done.
    #[must_use]
    pub fn decide(&self) -> Vec<Event> {
        let limits = &self.spec.limits;
        if self.is_paused() && self.begins_something() {
            return Vec::new();
        }
        match &self.phase {
            Phase::New | Phase::Calling { .. } | Phase::Done(_) => Vec::new(),
            Phase::Ready { turn } if *turn > self.turns_max() || limits.attempts_max == 0 => {
                let why = format!("no answer after {} model calls", turn - 1);
                self.finish_early(Some(Limit::ModelCalls), TaskFailureKind::Limit, why)
            }
            Phase::Ready { turn } => {
                vec![Event::ModelCalled { turn: *turn, attempt: 1, delay: Duration::ZERO }]
            }
            Phase::Failed { turn, attempt, error } => self.after_failure(*turn, *attempt, error),
            Phase::Shortening(shortening) => self.shorten(shortening),
            Phase::Tools { .. } => {
                self.calls.iter().filter_map(|open| open.next(&self.spec)).collect()
            }
            Phase::Answered { text, value, .. } => {
                let report = self.report(text.clone(), value.clone(), None);
                vec![Event::TaskFinished { result: Ok(report) }]
            }
            Phase::Limited { limit } => self.after_limit(*limit),
            Phase::Failing { kind, why } => self.fail(*kind, why.clone()),
        }
    }

    /// What an event that was just folded asks to be done. An event that the fold ignored asks for
    /// nothing.
    #[must_use]
    pub fn command(&self, event: &Event) -> Option<Command> {
        match event {
            Event::ModelCalled { .. } => self.call_model(),
            Event::ModelReplied { .. } => self.refuse(),
            Event::CompactionStarted { .. } => self.compact(),
            Event::ToolStarted { call, tool, arguments, .. } => {
                let is_this = |open: &&super::calls::OpenCall| open.call.id == *call;
                let open = self.calls.iter().find(is_this)?;
                open.is_at_work().then(|| Command::CallTool {
                    call: call.clone(),
                    tool: tool.clone(),
                    arguments: arguments.clone(),
                    looks_first: false,
                })
            }
            Event::PersonAsked { call, .. } => self.awaiting().find(|command| {
                matches!(command, Command::AwaitPerson { call: asked, .. } if asked == call)
            }),
            Event::RunAsleep { .. } => Some(Command::Sleep),
            Event::TaskFinished { .. } => self.report_result(),
            _ => None,
        }
    }

    /// What a fresh incarnation does once it has folded the stream: unfinished model calls and
    /// repeatable tool calls are made again, and any other open call is in doubt.
    #[must_use]
    pub fn resume(&self) -> Resume {
        let mut resume = Resume::default();
        resume.commands.extend(self.call_model());
        resume.commands.extend(self.compact());
        resume.commands.extend(self.report_result());
        if !matches!(self.phase, Phase::Tools { .. }) {
            return resume;
        }
        resume.commands.extend(self.awaiting());
        for open in self.calls.iter().filter(|open| open.is_at_work()) {
            let ToolCall { id: call, name: tool, arguments } = open.call.clone();
            if open.effect().may_recover() {
                let looks_first = !open.effect().may_repeat();
                resume.commands.push(Command::CallTool { call, tool, arguments, looks_first });
                continue;
            }
            resume.events.push(match self.spec.in_doubt {
                InDoubt::AskPerson => open.ask(Ask::InDoubt, Approval::EXPIRES_IN),
                InDoubt::TellModel => {
                    let message = "the call was cut off; whether it took effect is unknown";
                    let error = ToolError::new(ToolErrorKind::InDoubt, message);
                    Event::ToolFinished { call, outcome: ToolOutcome::Error(error) }
                }
            });
        }
        resume
    }

    /// The questions to people that are open.
    fn awaiting(&self) -> impl Iterator<Item = Command> {
        self.waiting_calls()
            .map(|(call, _, patience)| Command::AwaitPerson { call: call.id.clone(), patience })
    }

    /// Whether a decision now would begin something, and not only end the task.
    fn begins_something(&self) -> bool {
        match &self.phase {
            Phase::Ready { .. } | Phase::Failed { .. } | Phase::Tools { .. } => true,
            // Notes that are there may take the place of the conversation; further ones are not asked for.
            Phase::Shortening(shortening) => {
                let next = self.shorten(shortening);
                next.iter().any(|event| matches!(event, Event::CompactionStarted { .. }))
            }
            _ => false,
        }
    }

    fn call_model(&self) -> Option<Command> {
        let Phase::Calling { turn, attempt, delay } = self.phase else { return None };
        Some(Command::CallModel { turn, attempt, delay, request: self.request(turn) })
    }

    /// What of a reply is refused because the agent may not have it, for whoever watches over that.
    fn refuse(&self) -> Option<Command> {
        let refused: Vec<_> = self.calls.iter().filter_map(|open| open.refused()).collect();
        (!refused.is_empty()).then_some(Command::Refuse(refused))
    }

    fn report_result(&self) -> Option<Command> {
        let Phase::Done(result) = &self.phase else { return None };
        Some(Command::Report(result.clone()))
    }

    /// The waits are journalled with the next try, so a restart keeps to them. Their chance is a hash of
    /// the seed, the turn and the attempt: the same run waits the same time again.
    fn after_failure(&self, turn: u32, attempt: u32, error: &ModelError) -> Vec<Event> {
        let limits = &self.spec.limits;
        let retry = RetrySpec {
            attempts_max: limits.attempts_max,
            delay_min: limits.retry_delay_min,
            delay_max: limits.retry_delay_max,
            ..RetrySpec::default()
        };
        let salt = u64::from(turn) << 32 | u64::from(attempt);
        let share = SplitMix64::new(self.seed ^ salt).unit();
        match retry.judge(error, attempt, share) {
            Verdict::Retry(delay) => {
                // As long as it is when it is read again.
                let delay = Duration::from_millis(whole_millis(delay));
                vec![Event::ModelCalled { turn, attempt: attempt + 1, delay }]
            }
            Verdict::GiveUp(_) => {
                let (kind, attempts_max) = (error.kind, limits.attempts_max);
                let why = format!("{kind} after {attempt} of {attempts_max} tries: {error}");
                self.finish_early(None, TaskFailureKind::Model, why)
            }
        }
    }

    /// A call that was cut off and must not be repeated is what the asker has to know first.
    fn after_limit(&self, limit: Limit) -> Vec<Event> {
        let in_doubt = self.calls.iter().find(|open| open.is_in_doubt());
        match in_doubt {
            Some(open) => {
                let why = format!("the {limit} cut off the call of {}", open.call.name);
                self.fail(TaskFailureKind::InDoubt, why)
            }
            None => self.finish_early(Some(limit), TaskFailureKind::Limit, limit.to_string()),
        }
    }

    /// Ends with what was found, or with a failure when nothing was.
    pub(super) fn finish_early(
        &self,
        limit: Option<Limit>,
        kind: TaskFailureKind,
        why: String,
    ) -> Vec<Event> {
        if self.passages.is_empty() {
            let failure = TaskFailure { limit, ..self.failure(kind, why) };
            return vec![Event::TaskFinished { result: Err(failure) }];
        }
        vec![Event::TaskFinished { result: Ok(self.report(String::new(), None, limit)) }]
    }

    fn fail(&self, kind: TaskFailureKind, message: String) -> Vec<Event> {
        vec![Event::TaskFinished { result: Err(self.failure(kind, message)) }]
    }

    fn failure(&self, kind: TaskFailureKind, message: String) -> TaskFailure {
        let model_error = match &self.phase {
            Phase::Failed { error, .. } => Some(error.kind),
            _ => None,
        };
        TaskFailure { usage: self.usage, model_error, ..TaskFailure::new(kind, message) }
    }

    fn report(&self, text: String, value: Option<Value>, limit: Option<Limit>) -> Report {
        Report { text, value, passages: self.passages.clone(), usage: self.usage, limit }
    }

    /// What the model is asked. A reply that cannot be used is shown once, behind the conversation and
    /// not in it: the next try replaces it.
    fn request(&self, turn: u32) -> ChatRequest {
        let mut messages = Arc::clone(&self.messages);
        if let Some(objection) = &self.objection {
            let shown = output::objection(objection.reply.as_deref(), &objection.unfit);
            Arc::make_mut(&mut messages).extend(shown);
        }
        let tools =
            if self.offers_tools(turn) { Arc::clone(&self.spec.tools) } else { Arc::from([]) };
        let output = self.spec.output.as_ref().map(|(schema, _)| Arc::clone(schema));
        ChatRequest { messages, tools, output, ..ChatRequest::default() }
    }
}
