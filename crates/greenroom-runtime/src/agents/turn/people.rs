//! What an agent does for people: it keeps their questions and answers, takes their messages, pauses, and
//! lets its deadline wait while nothing happens before a person does something.

use std::collections::BTreeSet;
use std::time::Duration;

use greenroom_core::agent::Machine;
use greenroom_core::approval::{
    AnswerRefusal, Decision, PendingCall, check_answer, fold_pending, pending,
};
use greenroom_core::ids::{CallId, StreamId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::message::Message;
use greenroom_core::time::Timestamp;

use super::{TurnAgent, TurnMessage};
use crate::actor::Context;
use crate::actor::address::Reply;

/// What whoever told the agent something is told in return, once it is stored.
pub(crate) type Told = Result<(), AnswerRefusal>;

/// Something that a person tells an agent.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Answer { answered: PendingCall, decision: Decision, by: String },
    Message { id: String, message: Message },
    Pause(bool),
}

impl Word {
    /// What is stored of it.
    pub(crate) fn into_event(self) -> Event {
        match self {
            Self::Answer { answered, decision, by } => {
                Event::PersonAnswered { call: answered.call, decision, by }
            }
            Self::Message { id, message } => Event::MessageDelivered { id, message },
            Self::Pause(true) => Event::WorkPaused,
            Self::Pause(false) => Event::WorkResumed,
        }
    }
}

/// The questions that are open, and what is not stored yet of what people said.
#[derive(Default)]
pub(super) struct Desk {
    asked: Vec<PendingCall>,
    /// Calls whose answers are on their way into the journal.
    answering: BTreeSet<CallId>,
    told: Vec<Due>,
    /// How long the task has waited for people, and since when it does.
    waited: Duration,
    waits_since: Option<Timestamp>,
}

/// Who is told once an event is stored.
struct Due {
    seq: u64,
    /// The message that must have been taken for that.
    message: Option<String>,
    reply: Reply<Told>,
}

impl Desk {
    /// Reads what a stream says, with a machine that has seen nothing of it.
    pub(super) fn read(&mut self, stream: &StreamId, events: &[Recorded], mut machine: Machine) {
        self.asked = pending(stream, events);
        let concerns = |recorded: &Recorded| {
            matches!(recorded.event, Event::PersonAsked { .. } | Event::WorkPaused)
        };
        if !events.iter().any(concerns) {
            return;
        }
        for recorded in events {
            machine.apply(&recorded.event);
            self.notice(machine.is_waiting_for_people(), recorded.at);
        }
    }

    /// Whether the task waits for people from here on.
    fn notice(&mut self, is_waiting: bool, at: Timestamp) {
        match (is_waiting, self.waits_since) {
            (true, None) => self.waits_since = Some(at),
            (false, Some(since)) => {
                self.waited += at.since(since);
                self.waits_since = None;
            }
            _ => {}
        }
    }
}

impl TurnAgent {
    /// Takes what a person says. The answer comes once it is stored.
    pub(super) fn hear(&mut self, word: &Word, reply: &Reply<Told>) {
        let (event, message) = match word {
            Word::Answer { answered, decision, .. } => {
                let asked = self.desk.asked.iter().find(|asked| asked.call == answered.call);
                let asked = asked.filter(|asked| !self.desk.answering.contains(&asked.call));
                let now = self.setup.clock.now();
                if let Err(refusal) = check_answer(answered, decision, asked, now) {
                    let _ = reply.send(Err(refusal));
                    return;
                }
                self.desk.answering.insert(answered.call.clone());
                (word.clone().into_event(), None)
            }
            Word::Message { id, .. } if self.journalled.machine.has_message(id) => {
                let _ = reply.send(Ok(()));
                return;
            }
            Word::Message { id, .. } => (word.clone().into_event(), Some(id.clone())),
            Word::Pause(_) => (word.clone().into_event(), None),
        };
        let seq = self.journalled.record(event);
        self.desk.told.push(Due { seq, message, reply: reply.take() });
    }

    /// Nobody has answered a question in its time.
    pub(super) fn expired(&mut self, call: &CallId, seq: u64) {
        let is_open = self.desk.asked.iter().any(|asked| asked.call == *call && asked.seq == seq);
        if is_open && self.desk.answering.insert(call.clone()) {
            let (call, decision) = (call.clone(), Decision::Expired);
            self.journalled.record(Event::PersonAnswered { call, decision, by: String::new() });
        }
    }

    /// Waits for a person's answer, as long as it counts.
    pub(super) fn await_person(&self, call: &CallId, context: &Context<'_, Self>) {
        let Some(asked) = self.desk.asked.iter().find(|asked| asked.call == *call) else { return };
        let left = asked.expires_at.since(self.setup.clock.now());
        context.after(left, TurnMessage::Expired { call: call.clone(), seq: asked.seq });
        context.protect(left);
        self.setup.events.emit(|| crate::RunEvent::PersonAsked { pending: asked.clone() });
    }

    /// Notes what was stored, and tells whoever said it.
    pub(super) fn note(&mut self, batch: &[Recorded]) {
        for recorded in batch {
            fold_pending(&mut self.desk.asked, &self.setup.stream, recorded);
            if let Event::PersonAnswered { call, .. } = &recorded.event {
                self.desk.answering.remove(call);
            }
        }
        let Some(last) = batch.last() else { return };
        self.tell_door();
        let machine = &self.journalled.machine;
        self.desk.notice(machine.is_waiting_for_people(), last.at);
        self.desk.told.retain(|due| {
            if due.seq > last.seq {
                return true;
            }
            let is_taken = due.message.as_ref().is_none_or(|id| machine.has_message(id));
            let _ = due.reply.send(if is_taken { Ok(()) } else { Err(AnswerRefusal::NotPending) });
            false
        });
    }

    /// When the first open question expires.
    pub(super) fn first_expiry(&self) -> Timestamp {
        let expiries = self.desk.asked.iter().map(|asked| asked.expires_at);
        expiries.min().unwrap_or(Timestamp::MAX)
    }

    /// The time that the task has left of its own deadline; `None` when it has none, or when the deadline
    /// waits along with the task.
    pub(super) fn time_left(&self) -> Option<Duration> {
        let deadline = self.setup.deadline.filter(|_| self.desk.waits_since.is_none())?;
        Some(deadline.after(self.desk.waited).since(self.setup.clock.now()))
    }
}
