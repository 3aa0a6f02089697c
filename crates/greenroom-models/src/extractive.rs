//! The offline extractive model: it answers with the sentences it is given, or says that it cannot.
//! It never invents, calls no network, has no weights and no state.

use futures_util::stream::{self, StreamExt as _};
use greenroom_core::brief::Brief;
use greenroom_core::budget::{Price, Usage};
use greenroom_core::message::{Message, ToolCall};
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, FinishReason,
};
use serde_json::Value;

mod text;

mod corpus;
mod scoring;
mod selection;

mod names;

mod answer;
mod plain;
mod plan;
mod research;

/// A model that is a program: it answers from the passages in its request and from nothing else.
///
/// It reads the [`Brief`] in the last user message and plays that role; without a brief it is a plain
/// agent that fills one tool call from the user's words. The same request always gets the same reply.
/// Tokens are estimated as one per four characters.
///
/// | request | reply |
/// |---|---|
/// | [`Brief::Plan`] | a [`Plan`](greenroom_core::router::Plan) as JSON |
/// | [`Brief::Research`], `search` offered, question not covered, under 3 rounds | calls of `search` |
/// | [`Brief::Research`] otherwise | the best sentences; empty when nothing fits |
/// | [`Brief::Answer`] | sentences of the evidence, each followed by its number in brackets |
/// | tools, no results yet | one tool call |
/// | results of tools | the result, as text or in the shape that is asked for |
/// | anything else | sentences of the user's text, or that it only answers from what it is given |
#[derive(Debug, Clone, Copy, Default)]
pub struct Extractive;

impl Extractive {
    /// The model.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl ChatModel for Extractive {
    fn name(&self) -> &str {
        "extractive"
    }

    fn price(&self) -> Option<Price> {
        Some(Price::FREE)
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let reply = stream::once(async move { reply(&request) });
        Box::pin(reply.flat_map(|reply| {
            let deltas: Vec<_> = reply
                .text
                .split_inclusive(' ')
                .map(|word| ChatEvent::TextDelta(word.into()))
                .collect();
            stream::iter(deltas.into_iter().chain([ChatEvent::Finished(reply)]).map(Ok))
        }))
    }
}

/// What a role decides to do.
#[derive(Debug, Clone, PartialEq)]
enum Decision {
    /// Say this, and be done.
    Say(String),
    /// Call these tools with these arguments.
    Call(Vec<(String, Value)>),
}

fn reply(request: &ChatRequest) -> ChatReply {
    let (text, tool_calls) = match decide(request) {
        Decision::Say(text) => (text, Vec::new()),
        Decision::Call(calls) => (String::new(), numbered(calls, request)),
    };
    let called = if tool_calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls };
    let (text, finish) = match request.output_tokens_max.map(|max| max as usize * 4) {
        Some(len_max) if text.len() > len_max => {
            (text::capped(&text, len_max).to_owned(), FinishReason::Length)
        }
        _ => (text, called),
    };
    let n_chars_called: usize =
        tool_calls.iter().map(|call| call.arguments.to_string().len()).sum();
    let usage = Usage {
        model_calls: 1,
        input_tokens: request.messages.iter().map(|message| tokens(n_chars(message))).sum(),
        output_tokens: tokens(text.chars().count() + n_chars_called),
        ..Usage::default()
    };
    ChatReply { text, tool_calls, finish, usage, ..ChatReply::default() }
}

fn decide(request: &ChatRequest) -> Decision {
    let user = request.messages.iter().rposition(|message| matches!(message, Message::User { .. }));
    let (text, since) = match user.map(|i| (&request.messages[i], &request.messages[i + 1..])) {
        Some((Message::User { text, .. }, since)) => (text.as_str(), since),
        _ => ("", &[] as &[Message]),
    };
    match Brief::parse(text) {
        Some(Brief::Plan(brief)) => {
            let plan = plan::plan(&brief);
            Decision::Say(serde_json::to_string(&plan).expect("a plan has string keys only"))
        }
        Some(Brief::Research(brief)) => research::research(&brief, since, &request.tools),
        Some(Brief::Answer(brief)) => Decision::Say(answer::answer(&brief)),
        None => plain::plain(text, since, request),
    }
}

/// Gives the calls ids that no earlier call of the conversation has.
fn numbered(calls: Vec<(String, Value)>, request: &ChatRequest) -> Vec<ToolCall> {
    let n_earlier: usize = request
        .messages
        .iter()
        .map(|message| match message {
            Message::Assistant { tool_calls, .. } => tool_calls.len(),
            _ => 0,
        })
        .sum();
    let numbered = (n_earlier + 1..).zip(calls);
    numbered
        .map(|(n, (name, arguments))| ToolCall { id: format!("call_{n}").into(), name, arguments })
        .collect()
}

fn n_chars(message: &Message) -> usize {
    match message {
        Message::System { text } | Message::User { text, .. } => text.chars().count(),
        Message::Assistant { text, tool_calls, .. } => {
            let n_chars_called: usize =
                tool_calls.iter().map(|call| call.arguments.to_string().len()).sum();
            text.chars().count() + n_chars_called
        }
        Message::Tool { outcome, .. } => match outcome {
            greenroom_core::message::ToolOutcome::Ok(value) => value.to_string().chars().count(),
            greenroom_core::message::ToolOutcome::Error(error) => error.message.chars().count(),
        },
    }
}

fn tokens(n_chars: usize) -> u64 {
    n_chars.div_ceil(4) as u64
}

#[cfg(test)]
mod tests;
