//! A reply that grows: text, thoughts, calls and counts, as every wire delivers them.

use std::collections::{HashMap, HashSet};

use greenroom_core::budget::Usage;
use greenroom_core::message::{Reasoning, ToolCall};
use greenroom_core::model::{ChatEvent, ChatReply, FinishReason};
use serde_json::{Map, Value};

use super::Fault;
use super::shape::OUTPUT_TOOL;

/// More calls than any agent makes in one turn.
const CALLS_MAX: usize = 128;
/// Room for a short reply. It comes in pieces of a few bytes.
const TEXT_LEN: usize = 256;
/// Longer ids are replaced: some providers refuse to take back what they sent.
const ID_LEN_MAX: usize = 64;

/// A piece of a tool call.
#[derive(Debug, Default)]
pub(super) struct CallPiece<'a> {
    /// The call's place, as far as the provider says it.
    pub(super) index: Option<u64>,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}

/// What a provider counted; nothing where it said nothing that can be true.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) input: Option<u64>,
    pub(super) output: Option<u64>,
    pub(super) cached: Option<u64>,
    pub(super) cache_written: Option<u64>,
    pub(super) reasoning: Option<u64>,
}

#[derive(Debug, Default)]
struct Slot {
    id: String,
    name: String,
    arguments: String,
}

/// The reply so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    text: String,
    calls: Vec<Slot>,
    /// Which call an index stands for now.
    by_index: HashMap<u64, usize>,
    pub(super) finish: Option<FinishReason>,
    pub(super) counts: Counts,
    /// Thoughts in the provider's own form.
    pub(super) thoughts: Vec<Value>,
    n_bytes_thought: usize,
}

impl Assembly {
    pub(super) fn text(&mut self, delta: &str, out: &mut Vec<ChatEvent>) {
        if !delta.is_empty() {
            if self.text.is_empty() {
                self.text.reserve(TEXT_LEN);
            }
            self.text.push_str(delta);
            out.push(ChatEvent::TextDelta(delta.to_owned()));
        }
    }

    pub(super) fn reasoning(&mut self, delta: &str, out: &mut Vec<ChatEvent>) {
        if !delta.is_empty() {
            self.n_bytes_thought += delta.len();
            out.push(ChatEvent::ReasoningDelta(delta.to_owned()));
        }
    }

    pub(super) fn call(
        &mut self,
        piece: &CallPiece<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        let at = self.place(piece)?;
        let slot = &mut self.calls[at];
        if slot.id.is_empty() {
            piece.id.clone_into(&mut slot.id);
        }
        let is_new_name = slot.name.is_empty() && !piece.name.is_empty();
        if is_new_name {
            piece.name.clone_into(&mut slot.name);
        }
        slot.arguments.push_str(piece.arguments);
        if slot.name == OUTPUT_TOOL {
            // The arguments of this one are the text that was asked for.
            let more =
                if is_new_name { slot.arguments.clone() } else { piece.arguments.to_owned() };
            self.text(&more, out);
            return Ok(());
        }
        if is_new_name || !piece.arguments.is_empty() {
            out.push(ChatEvent::ToolCallDelta {
                index: at,
                name: if is_new_name { slot.name.clone() } else { String::new() },
                arguments: piece.arguments.to_owned(),
            });
        }
        Ok(())
    }

    /// Sets the arguments of a call to their final text, for wires that repeat it; what was not shown yet is
    /// shown.
    pub(super) fn call_done(
        &mut self,
        piece: &CallPiece<'_>,
        out: &mut Vec<ChatEvent>,
    ) -> Result<(), Fault> {
        let known = piece.index.and_then(|index| self.by_index.get(&index));
        let shown = known.map(|at| self.calls[*at].arguments.clone()).unwrap_or_default();
        match piece.arguments.strip_prefix(shown.as_str()) {
            Some(rest) => self.call(&CallPiece { arguments: rest, ..*piece }, out),
            None => self.call(&CallPiece { arguments: "", ..*piece }, out),
        }
    }

    /// Where a piece belongs. Pieces go by their index; without one, a new id begins a call and anything else
    /// goes on with the last one. Some vendors give every call the index 0, so a new id with a name begins a
    /// call as well.
    fn place(&mut self, piece: &CallPiece<'_>) -> Result<usize, Fault> {
        let known = match piece.index {
            Some(index) => self.by_index.get(&index).copied(),
            None if piece.id.is_empty() => self.calls.len().checked_sub(1),
            None => self.calls.iter().rposition(|slot| slot.id == piece.id),
        };
        let begins_another = known.is_some_and(|at| {
            let slot = &self.calls[at];
            let is_other = !slot.id.is_empty() && !piece.id.is_empty() && slot.id != piece.id;
            is_other && !slot.name.is_empty() && !piece.name.is_empty()
        });
        let at = match known {
            Some(at) if !begins_another => at,
            _ => {
                if self.calls.len() == CALLS_MAX {
                    return Err(Fault::invalid(format!(
                        "the reply has more than {CALLS_MAX} calls"
                    )));
                }
                self.calls.push(Slot::default());
                self.calls.len() - 1
            }
        };
        if let Some(index) = piece.index {
            self.by_index.insert(index, at);
        }
        Ok(at)
    }

    /// The whole reply. `wire` names who can read the thoughts.
    pub(super) fn reply(&mut self, wire: &str) -> ChatReply {
        let usage = self.usage();
        let mut ids = HashSet::new();
        let mut slots = std::mem::take(&mut self.calls);
        slots.retain(|slot| slot.name != OUTPUT_TOOL);
        let calls = slots.into_iter().enumerate().map(|(i, slot)| {
            let mut id = slot.id;
            if id.is_empty() || id.len() > ID_LEN_MAX || ids.contains(&id) {
                // Each try is a text of its own, so at most one more than there are ids is taken.
                let mut tries = (i + 1..).map(|n| format!("call_{n}"));
                id = tries.find(|id| !ids.contains(id)).unwrap_or_default();
            }
            ids.insert(id.clone());
            ToolCall { id: id.into(), name: slot.name, arguments: arguments(&slot.arguments) }
        });
        let tool_calls: Vec<_> = calls.collect();
        let finish = match (self.finish.unwrap_or_default(), tool_calls.is_empty()) {
            (FinishReason::Stop, false) => FinishReason::ToolCalls,
            (FinishReason::ToolCalls, true) => FinishReason::Stop,
            (finish, _) => finish,
        };
        let items = std::mem::take(&mut self.thoughts);
        let reasoning = (!items.is_empty()).then(|| Reasoning { wire: wire.to_owned(), items });
        ChatReply { text: std::mem::take(&mut self.text), reasoning, tool_calls, finish, usage }
    }

    /// The counts, with an estimate of one token for four bytes where the provider counted nothing. What was
    /// sent is not known here: it stays 0 for whoever knows the request.
    fn usage(&self) -> Usage {
        let calls = self.calls.iter().filter(|slot| slot.name != OUTPUT_TOOL);
        let n_bytes_called: usize = calls.map(|slot| slot.arguments.len()).sum();
        let n_bytes = self.text.len() + self.n_bytes_thought + n_bytes_called;
        // No request has no tokens: a count of 0 says that the server does not count.
        let input = self.counts.input.filter(|input| *input > 0);
        let is_estimate = input.is_none() || self.counts.output.is_none();
        let input = input.unwrap_or(0);
        let output = self.counts.output.unwrap_or(n_bytes.div_ceil(4) as u64);
        Usage {
            model_calls: 1,
            input_tokens: input,
            output_tokens: output,
            // A part that is larger than the whole cannot be true.
            cached_tokens: self.counts.cached.filter(|cached| *cached <= input),
            cache_written_tokens: self.counts.cache_written.filter(|written| *written <= input),
            reasoning_tokens: self.counts.reasoning.filter(|thought| *thought <= output),
            estimated_calls: u64::from(is_estimate),
            ..Usage::default()
        }
    }
}

/// The arguments as a value. What is not JSON stays text: it misses the tool's schema, and the model is told.
fn arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
