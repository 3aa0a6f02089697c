//! The fold of one task. What follows from the state is decided next door.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::calls::{OpenCall, open_calls};
use super::compaction::Shortening;
use super::people::Inbox;
use super::spec::AgentSpec;
use crate::budget::{Limit, Usage};
use crate::ids::CallId;
use crate::journal::Event;
use crate::message::{Message, ToolOutcome};
use crate::model::{ChatReply, FinishReason, ModelError, ModelErrorKind};
use crate::output::{Unfit, judge};
use crate::report::{Report, TaskFailure, TaskFailureKind};
use crate::retriever::{Location, Passage};

/// Where the task is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// The task has not started.
    New,
    /// The model is next.
    Ready { turn: u32 },
    /// The model is at work.
    Calling { turn: u32, attempt: u32, delay: Duration },
    /// The model failed.
    Failed { turn: u32, attempt: u32, error: ModelError },
    /// The conversation is too long for the model, and is made shorter.
    Shortening(Shortening),
    /// Tools are to be called or at work.
    Tools { turn: u32 },
    /// The model gave its last word.
    Answered { text: String, value: Option<Value>, turn: u32 },
    /// A limit ended the work.
    Limited { limit: Limit },
    /// The model gave its last word, and it cannot be used.
    Failing { kind: TaskFailureKind, why: String },
    /// The task is done.
    Done(Result<Report, TaskFailure>),
}

/// Why the last reply cannot be used.
#[derive(Debug, Clone)]
pub(super) struct Objection {
    /// The text that cannot be used; `None` when the reply was not even a reply.
    pub(super) reply: Option<String>,
    pub(super) unfit: Unfit,
}

/// The state of one task: a fold of the events of its stream.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(super) spec: Arc<AgentSpec>,
    pub(super) seed: u64,
    pub(super) phase: Phase,
    pub(super) messages: Arc<Vec<Message>>,
    /// The calls of the current turn, in the model's order.
    pub(super) calls: Vec<OpenCall>,
    /// The calls of all turns that were not refused.
    made: Vec<(String, Value)>,
    pub(super) objection: Option<Objection>,
    n_repairs: u32,
    /// Turns in a row that asked for nothing but what cannot be called.
    n_bad_turns: u32,
    /// Messages in front: the agent's instructions, and what the task was given.
    pub(super) n_instructions: usize,
    pub(super) n_input: usize,
    /// Attempts to shorten the conversation since the last reply, and turns that they added.
    pub(super) n_shortened: u32,
    pub(super) n_turns_more: u32,
    pub(super) passages: Vec<Passage>,
    places: BTreeSet<Location>,
    pub(super) usage: Usage,
    pub(super) inbox: Inbox,
}

impl Machine {
    /// A machine that has seen no event. The seed makes the jitter of retries reproducible.
    #[must_use]
    pub fn new(spec: Arc<AgentSpec>, seed: u64) -> Self {
        Self {
            spec,
            seed,
            phase: Phase::New,
            messages: Arc::new(Vec::new()),
            calls: Vec::new(),
            made: Vec::new(),
            objection: None,
            n_repairs: 0,
            n_bad_turns: 0,
            n_instructions: 0,
            n_input: 0,
            n_shortened: 0,
            n_turns_more: 0,
            passages: Vec::new(),
            places: BTreeSet::new(),
            usage: Usage::default(),
            inbox: Inbox::default(),
        }
    }

    /// Folds an event. Events that do not fit the state are ignored, so that a late answer to a call
    /// that is no longer waited for does no harm.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TaskStarted { input, .. } if self.phase == Phase::New => self.start(input),
            Event::ModelCalled { turn, attempt, delay } if self.may_call(*turn, *attempt) => {
                self.usage.model_calls += 1;
                if *attempt == 1 {
                    Arc::make_mut(&mut self.messages).extend(self.inbox.take());
                }
                self.phase = Phase::Calling { turn: *turn, attempt: *attempt, delay: *delay };
            }
            Event::ModelReplied { turn, reply } if self.is_calling(*turn, None) => {
                self.fold_reply(*turn, reply);
            }
            // A second answer to a call that was made again after a crash: it is paid for, and nothing else.
            Event::ModelReplied { reply, .. } if !self.is_done() => self.pay(reply),
            Event::ModelFailed { turn, attempt, error }
                if self.is_calling(*turn, Some(*attempt)) =>
            {
                self.fold_failure(*turn, *attempt, error);
            }
            Event::CompactionStarted { turn, attempt } => {
                self.fold_compaction_started(*turn, *attempt);
            }
            Event::CompactionFinished { turn, attempt, result } => {
                self.fold_compaction_finished(*turn, *attempt, result);
            }
            Event::Compacted { turn, attempt, messages } => {
                self.fold_compacted(*turn, *attempt, messages);
            }
            Event::ToolStarted { call, effect, .. } => {
                let waiting = |open: &&mut OpenCall| {
                    open.call.id == *call && !open.is_started && open.outcome.is_none()
                };
                if let Some(open) = self.calls.iter_mut().find(waiting) {
                    self.usage.tool_calls += 1;
                    open.start(*effect);
                }
            }
            Event::ToolFinished { call, outcome } => self.fold_outcome(call, outcome),
            Event::SearchSpent { usage, .. } if !self.is_done() => self.usage.add(*usage),
            Event::RunClaimed { again, .. } if !self.is_done() => self.usage.add(*again),
            Event::PersonAsked { call, ask, patience, .. } => {
                self.fold_asked(call, *ask, *patience);
            }
            Event::PersonAnswered { call, decision, .. } => self.fold_answered(call, decision),
            Event::MessageDelivered { id, message } => self.fold_message(id, message),
            Event::WorkPaused => self.inbox.is_paused = true,
            Event::WorkResumed => self.inbox.is_paused = false,
            Event::LimitReached { limit, is_refusal } => {
                if *is_refusal && !self.is_done() {
                    self.usage.take_call_back();
                }
                self.fold_limit(*limit);
            }
            Event::TaskFinished { result } if !self.is_done() => {
                self.phase = Phase::Done(result.clone());
            }
            _ => {}
        }
    }

    /// Whether the task has its result.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Done(_))
    }

    /// Whether the task has not started.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.phase == Phase::New
    }

    /// What the task has cost.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// The conversation so far.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The conversation as another one can begin with it: every call has its outcome, those that were not
    /// finished an error that says so.
    #[must_use]
    pub fn conversation(&self) -> Vec<Message> {
        self.messages.iter().cloned().chain(self.calls.iter().map(OpenCall::closed)).collect()
    }

    /// The last turn. One whose request was too long for the model gave no answer, and takes none away.
    pub(super) fn turns_max(&self) -> u32 {
        self.spec.limits.turns_max.saturating_add(self.n_turns_more)
    }

    /// Tools are offered until the last turn, and not while a text is being repaired, nor to a model that
    /// has called nothing but what cannot be called for too long.
    pub(super) fn offers_tools(&self, turn: u32) -> bool {
        let is_repair = self.objection.as_ref().is_some_and(|objection| objection.reply.is_some());
        let is_able = self.n_bad_turns <= self.spec.limits.repairs_max;
        turn < self.turns_max() && is_able && !is_repair
    }

    fn start(&mut self, input: &[Message]) {
        let messages = Arc::make_mut(&mut self.messages);
        if !self.spec.instructions.is_empty() {
            messages.push(Message::system(&*self.spec.instructions));
        }
        (self.n_instructions, self.n_input) = (messages.len(), input.len());
        messages.extend_from_slice(input);
        self.phase = Phase::Ready { turn: 1 };
    }

    fn may_call(&self, turn: u32, attempt: u32) -> bool {
        match self.phase {
            Phase::Ready { turn: next } => (next, 1) == (turn, attempt),
            Phase::Failed { turn: last, attempt: failed, .. } => {
                (last, failed + 1) == (turn, attempt)
            }
            _ => false,
        }
    }

    fn is_calling(&self, turn: u32, attempt: Option<u32>) -> bool {
        matches!(self.phase, Phase::Calling { turn: asked, attempt: tried, .. }
            if asked == turn && attempt.is_none_or(|attempt| attempt == tried))
    }

    /// Counts what an answer cost. The call was counted when it began.
    pub(super) fn pay(&mut self, reply: &ChatReply) {
        self.usage.add(Usage { model_calls: 0, tool_calls: 0, ..reply.usage });
    }

    fn fold_reply(&mut self, turn: u32, reply: &ChatReply) {
        self.pay(reply);
        self.n_shortened = 0;
        if reply.tool_calls.is_empty() || !self.offers_tools(turn) {
            return self.fold_answer(turn, reply);
        }
        self.calls = open_calls(&self.spec, turn, reply, &mut self.made);
        let tool_calls = self.calls.iter().map(|open| open.call.clone()).collect();
        let (text, reasoning) = (reply.text.clone(), reply.reasoning.clone());
        let message = Message::Assistant { text, reasoning, tool_calls };
        Arc::make_mut(&mut self.messages).push(message);
        self.objection = None;
        self.phase = Phase::Tools { turn };
    }

    fn fold_answer(&mut self, turn: u32, reply: &ChatReply) {
        let is_blank = reply.text.trim().is_empty();
        let judged = match &self.spec.output {
            Some((_, check)) => judge(reply, check).map(Some),
            None if is_blank && reply.finish == FinishReason::ContentFilter => Err(Unfit::Withheld),
            // On the last turn there are no tools, and a model that still wants some has no answer.
            None if is_blank && !reply.tool_calls.is_empty() => {
                self.phase = Phase::Ready { turn: turn + 1 };
                return;
            }
            // What there is of a text without a shape is better than nothing.
            None => Ok(None),
        };
        match judged {
            Ok(value) => {
                self.phase = Phase::Answered { text: reply.text.clone(), value, turn };
                self.goes_on();
            }
            Err(unfit) => {
                let reply = Some(reply.text.clone());
                if let Err(Objection { unfit, .. }) = self.object(turn, Objection { reply, unfit })
                {
                    let (kind, why) = (unfit.failure(), unfit.to_string());
                    self.phase = Phase::Failing { kind, why };
                }
            }
        }
    }

    /// A conversation that is too long is shortened, and a reply that was no reply is repaired. Every other
    /// failure is for [`Machine::decide`].
    fn fold_failure(&mut self, turn: u32, attempt: u32, error: &ModelError) {
        if error.kind == ModelErrorKind::ContextLength {
            return self.fold_too_long(turn, error);
        }
        let unfit = Unfit::Misfit(error.message.clone());
        let objection = Objection { reply: None, unfit };
        let is_repairable = error.kind == ModelErrorKind::InvalidReply;
        if !is_repairable || self.object(turn, objection).is_err() {
            self.phase = Phase::Failed { turn, attempt, error: error.clone() };
        }
    }

    /// Sends a reply back, or hands the objection back when no repair is left.
    fn object(&mut self, turn: u32, objection: Objection) -> Result<(), Objection> {
        let last = self.objection.as_ref().map(|last| &last.unfit);
        let may_be_repaired = objection.unfit.may_be_repaired(last);
        let has_more = self.n_repairs < self.spec.limits.repairs_max && turn < self.turns_max();
        if !may_be_repaired || !has_more {
            return Err(objection);
        }
        self.n_repairs += 1;
        self.objection = Some(objection);
        self.phase = Phase::Ready { turn: turn + 1 };
        Ok(())
    }

    fn fold_outcome(&mut self, call: &CallId, outcome: &ToolOutcome) {
        let Phase::Tools { turn } = self.phase else { return };
        let Some(open) = self.calls.iter_mut().find(|open| open.call.id == *call) else { return };
        if open.outcome.is_none() {
            open.outcome = Some(outcome.clone());
        }
        if self.calls.iter().any(|open| open.outcome.is_none()) {
            return;
        }
        let is_bad = self.calls.iter().all(OpenCall::could_not_be_called);
        self.n_bad_turns = if is_bad { self.n_bad_turns + 1 } else { 0 };
        // Outcomes join the conversation in the order of the calls, whatever order they came in.
        for OpenCall { call, outcome, .. } in std::mem::take(&mut self.calls) {
            let Some(outcome) = outcome else { continue };
            self.gather(&outcome);
            let (call, name) = (call.id, call.name);
            Arc::make_mut(&mut self.messages).push(Message::Tool { call, name, outcome });
        }
        self.phase = Phase::Ready { turn: turn + 1 };
    }

    /// A limit takes nothing away: not an answer that is there, and not what finished searches found.
    fn fold_limit(&mut self, limit: Limit) {
        use Phase::{Answered, Done, Failing, Limited};
        if matches!(self.phase, Answered { .. } | Failing { .. } | Limited { .. } | Done(_)) {
            return;
        }
        let outcomes: Vec<_> = self.calls.iter().filter_map(|open| open.outcome.clone()).collect();
        outcomes.iter().for_each(|outcome| self.gather(outcome));
        self.phase = Phase::Limited { limit };
    }

    /// Keeps the passages of a search's outcome, each place once.
    fn gather(&mut self, outcome: &ToolOutcome) {
        let ToolOutcome::Ok(Value::Object(fields)) = outcome else { return };
        let Some(passages) = fields.get("passages") else { return };
        let found: Vec<Passage> = serde_json::from_value(passages.clone()).unwrap_or_default();
        for passage in found {
            if self.places.insert(passage.location()) {
                self.passages.push(passage);
            }
        }
    }
}
