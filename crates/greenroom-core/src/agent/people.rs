//! What the agent's machine owes to people: calls that wait for one, messages that arrive meanwhile, pauses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::calls::OpenCall;
use super::machine::{Machine, Phase};
use crate::approval::{Ask, Decision};
use crate::ids::CallId;
use crate::journal::Event;
use crate::message::{Message, ToolCall, ToolOutcome};
use crate::tool::{ToolError, ToolErrorKind};

/// What came from people and is not part of the conversation yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Inbox {
    /// Messages for the next turn.
    waiting: Vec<Message>,
    /// The ids of all that were taken.
    taken: BTreeSet<String>,
    pub(super) is_paused: bool,
}

impl Inbox {
    pub(super) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// How far a call is with the person that it needs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Person {
    /// Nobody was asked.
    NotAsked,
    /// Somebody is asked, and has so long to answer.
    Asked { ask: Ask, patience: Duration },
    /// Somebody answered.
    Answered(Decision),
}

impl OpenCall {
    /// Whether a person is asked and has not answered.
    pub(super) fn waits(&self) -> bool {
        self.outcome.is_none() && matches!(self.person, Person::Asked { .. })
    }

    /// Whether a person has said what the outcome is, which is not recorded yet.
    pub(super) fn is_settled(&self) -> bool {
        matches!(&self.person, Person::Answered(decision) if self.settled_by(decision).is_some())
    }

    /// The outcome that an answer amounts to; `None` when the call is made, or made again.
    fn settled_by(&self, decision: &Decision) -> Option<ToolOutcome> {
        let error = |kind, message: String| ToolOutcome::Error(ToolError::new(kind, message));
        // Whoever does not answer does not settle whether a call took effect.
        let refused = if self.is_started { ToolErrorKind::InDoubt } else { ToolErrorKind::Denied };
        match decision {
            Decision::Approved => None,
            Decision::Denied { why } => Some(error(refused, format!("a person says no: {why}"))),
            Decision::Output { output } => Some(ToolOutcome::Ok(output.clone())),
            Decision::Expired => Some(error(refused, "nobody answered in time".to_owned())),
        }
    }

    /// What follows from a person's answer: the call, or its outcome without one.
    pub(super) fn after_answer(&self, decision: &Decision) -> Event {
        match self.settled_by(decision) {
            Some(outcome) => Event::ToolFinished { call: self.call.id.clone(), outcome },
            None => self.begin(),
        }
    }
}

impl Machine {
    /// The calls that wait for a person, with how long they do so.
    pub fn waiting_calls(&self) -> impl Iterator<Item = (&ToolCall, Ask, Duration)> {
        let waits = self.calls.iter().filter(|open| open.waits() && self.is_in_tools());
        waits.filter_map(|open| match open.person {
            Person::Asked { ask, patience } => Some((&open.call, ask, patience)),
            _ => None,
        })
    }

    /// Whether nothing happens before a person does something: the work is paused, or all calls that are
    /// left wait for an answer. Nothing is lost when the agent is stopped until then.
    #[must_use]
    pub fn is_waiting_for_people(&self) -> bool {
        self.awaits_answers() || (self.is_paused() && !self.is_at_work())
    }

    /// Whether all calls that are left wait for an answer.
    fn awaits_answers(&self) -> bool {
        self.is_in_tools()
            && self.calls.iter().any(OpenCall::waits)
            && self.calls.iter().all(|open| open.waits() || open.outcome.is_some())
    }

    /// Whether the work is paused: what is under way ends, and nothing else begins.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.inbox.is_paused && !self.is_done()
    }

    /// Whether a message of that id was taken.
    #[must_use]
    pub fn has_message(&self, id: &str) -> bool {
        self.inbox.taken.contains(id)
    }

    fn is_in_tools(&self) -> bool {
        matches!(self.phase, Phase::Tools { .. })
    }

    fn is_at_work(&self) -> bool {
        let is_asking = match &self.phase {
            Phase::Calling { .. } => true,
            Phase::Shortening(shortening) => shortening.is_asking(),
            _ => false,
        };
        is_asking || (self.is_in_tools() && self.calls.iter().any(OpenCall::is_at_work))
    }

    pub(super) fn fold_asked(&mut self, call: &CallId, ask: Ask, patience: Duration) {
        let may_ask = |open: &&mut OpenCall| {
            let fits = open.is_started == (ask == Ask::InDoubt);
            open.call.id == *call && open.outcome.is_none() && fits && !open.waits()
        };
        if let Some(open) = self.calls.iter_mut().find(may_ask) {
            open.person = Person::Asked { ask, patience };
        }
    }

    /// An answer counts once, and only while it is waited for.
    pub(super) fn fold_answered(&mut self, call: &CallId, decision: &Decision) {
        let Some(open) = self.calls.iter_mut().find(|open| open.call.id == *call && open.waits())
        else {
            return;
        };
        open.person = Person::Answered(decision.clone());
        if *decision == Decision::Approved {
            // A call in doubt is begun again, which its stream will say.
            open.is_started = false;
        }
    }

    pub(super) fn fold_message(&mut self, id: &str, message: &Message) {
        if !self.is_done() && self.inbox.taken.insert(id.to_owned()) {
            self.inbox.waiting.push(message.clone());
            self.reopen();
        }
    }

    /// An answer that was there and not yet recorded is followed by what came in meanwhile.
    fn reopen(&mut self) {
        if let Phase::Answered { text, turn, .. } = &self.phase
            && *turn < self.turns_max()
        {
            let (said, turn) = (Message::assistant(text.clone()), *turn);
            Arc::make_mut(&mut self.messages).push(said);
            self.objection = None;
            self.phase = Phase::Ready { turn: turn + 1 };
        }
    }

    /// The model has answered while a message waits: the conversation goes on with it.
    pub(super) fn goes_on(&mut self) {
        if !self.inbox.is_empty() {
            self.reopen();
        }
    }
}
