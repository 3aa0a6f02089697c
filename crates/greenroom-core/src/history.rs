//! A conversation as every provider accepts it: each tool call with exactly one outcome, right behind it.
//!
//! Providers refuse a whole conversation for one call without an outcome, one outcome without a call, or two
//! calls of one id, and a conversation that is refused once is refused for ever. So whatever was stored,
//! cut off, merged or written by hand is put right here, before every request, in one place: [`turns`].
//!
//! The result holds outcomes *in* their calls, so a wire cannot take them apart again.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::ids::CallId;
use crate::message::{Image, Message, Reasoning, ToolCall, ToolOutcome};
use crate::tool::{ToolError, ToolErrorKind};

/// One turn of a conversation that is in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Turn<'a> {
    /// Instructions from the application.
    System(&'a str),
    /// Input.
    User {
        /// The words.
        text: &'a str,
        /// What it shows.
        images: &'a [Image],
    },
    /// A reply of the model, with what came of the calls in it.
    Assistant {
        /// What it said.
        text: &'a str,
        /// What it thought.
        reasoning: Option<&'a Reasoning>,
        /// Its calls in its order, each with its outcome.
        calls: Vec<PairedCall<'a>>,
    },
}

/// A tool call and its one outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedCall<'a> {
    /// An id that no other call of the conversation has: nine letters and digits, which every known
    /// provider takes. It depends on nothing but the call's place.
    pub id: String,
    /// The call; its own id is not to be sent.
    pub call: &'a ToolCall,
    /// What came of it.
    pub outcome: Cow<'a, ToolOutcome>,
}

/// The conversation as turns that are in order.
///
/// | the messages | the turns |
/// |---|---|
/// | a call with its outcome | the pair |
/// | a call without one | paired with an error that says it was interrupted |
/// | outcomes in another order, or later than right behind their call | moved to their calls |
/// | a second outcome of a call | left out |
/// | an outcome without a call, or before it | left out |
/// | several calls of one id | paired with the outcomes of that id in their order |
/// | a reply without words, thoughts and calls | left out |
/// | system and user messages | as they are, all of them |
#[must_use]
pub fn turns(messages: &[Message]) -> Vec<Turn<'_>> {
    let mut outcomes = Outcomes::of(messages);
    let mut n_calls = 0;
    let turns = messages.iter().enumerate().filter_map(|(at, message)| match message {
        Message::System { text } => Some(Turn::System(text)),
        Message::User { text, images } => Some(Turn::User { text, images }),
        Message::Tool { .. } => None,
        Message::Assistant { text, reasoning, tool_calls } => {
            let paired = tool_calls.iter().map(|call| {
                n_calls += 1;
                let id = format!("call{n_calls:05}");
                let outcome = outcomes.take(&call.id, at);
                PairedCall { id, call, outcome: outcome.map_or_else(interrupted, Cow::Borrowed) }
            });
            let calls: Vec<_> = paired.collect();
            let reasoning = reasoning.as_ref();
            let says_something = !text.is_empty() || !calls.is_empty() || reasoning.is_some();
            says_something.then_some(Turn::Assistant { text, reasoning, calls })
        }
    });
    turns.collect()
}

/// The outcomes of a conversation that are not paired yet: by id, the last one first.
struct Outcomes<'a> {
    by_id: HashMap<&'a CallId, Vec<(usize, &'a ToolOutcome)>>,
    /// Where the calls of an id stand, the last one first.
    calls: HashMap<&'a CallId, Vec<usize>>,
}

impl<'a> Outcomes<'a> {
    fn of(messages: &'a [Message]) -> Self {
        let mut outcomes = Self { by_id: HashMap::new(), calls: HashMap::new() };
        for (at, message) in messages.iter().enumerate().rev() {
            match message {
                Message::Tool { call, outcome, .. } => {
                    outcomes.by_id.entry(call).or_default().push((at, outcome));
                }
                Message::Assistant { tool_calls, .. } => {
                    for call in tool_calls {
                        outcomes.calls.entry(&call.id).or_default().push(at);
                    }
                }
                _ => {}
            }
        }
        outcomes
    }

    /// The outcome of the next call of an id, which stands at `at`: the first one behind it, and before
    /// any later message that calls by the same id.
    fn take(&mut self, id: &CallId, at: usize) -> Option<&'a ToolOutcome> {
        let calls = self.calls.get_mut(id)?;
        calls.pop();
        let end = calls.iter().rev().find(|later| **later > at).copied().unwrap_or(usize::MAX);
        let waiting = self.by_id.get_mut(id)?;
        while waiting.last().is_some_and(|(found, _)| *found < at) {
            waiting.pop();
        }
        let (found, outcome) = *waiting.last()?;
        (found < end).then(|| {
            waiting.pop();
            outcome
        })
    }
}

/// The outcome of a call that has none.
pub(crate) fn interrupted<'a>() -> Cow<'a, ToolOutcome> {
    let message = "the call was interrupted, and its result is not known";
    Cow::Owned(ToolOutcome::Error(ToolError::new(ToolErrorKind::InDoubt, message)))
}

#[cfg(test)]
mod tests;
