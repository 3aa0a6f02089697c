//! Whether a conversation is one that a provider accepts. It shares no code with what puts conversations in
//! order, so as not to share its mistakes.

use std::collections::VecDeque;

use greenroom_core::message::Message;

/// What is wrong with the tool calls of a conversation; `None` when each has exactly one outcome, right
/// behind its reply and in the reply's order.
#[must_use]
pub fn unpaired(messages: &[Message]) -> Option<String> {
    let mut open = VecDeque::new();
    for (i, message) in messages.iter().enumerate() {
        match message {
            Message::Tool { call, .. } => match open.pop_front() {
                Some(expected) if expected == call => {}
                Some(expected) => {
                    return Some(format!("message {i} answers {call} instead of {expected}"));
                }
                None => return Some(format!("message {i} answers {call}, which nobody called")),
            },
            other => {
                if let Some(call) = open.front() {
                    return Some(format!("message {i} stands where {call} should be answered"));
                }
                if let Message::Assistant { tool_calls, .. } = other {
                    open.extend(tool_calls.iter().map(|call| &call.id));
                }
            }
        }
    }
    open.front().map(|call| format!("{call} is never answered"))
}
