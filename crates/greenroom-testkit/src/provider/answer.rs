//! What a test wants a provider to say.

use std::time::Duration;

use greenroom_core::budget::Usage;
use greenroom_core::message::ToolCall;
use greenroom_core::model::ChatReply;

use super::fault::WireFault;

/// How a [`ProviderServer`](super::ProviderServer) answers one request, on whichever wire it is asked.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Answer {
    pub(super) says: Says,
    pub(super) headers: Vec<(String, String)>,
    pub(super) delay: Duration,
    pub(super) fault: Option<Box<WireFault>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Says {
    Reply { reply: Box<ChatReply>, reasoning: String },
    Vectors(Vec<Vec<f32>>),
    Refusal(Refusal),
    Raw { status: u16, content_type: Option<String>, body: Vec<u8> },
}

/// An error in the form of the wire that is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl Answer {
    fn new(says: Says) -> Self {
        Self { says, headers: Vec::new(), delay: Duration::ZERO, fault: None }
    }

    /// Text, one delta per word.
    pub fn text(text: impl Into<String>) -> Self {
        ChatReply::text(text).into()
    }

    /// A wish that tools be called, all in one reply.
    pub fn calls(tool_calls: impl IntoIterator<Item = ToolCall>) -> Self {
        ChatReply::calls(tool_calls).into()
    }

    /// Vectors, for a request for embeddings.
    pub fn vectors(vectors: impl IntoIterator<Item = Vec<f32>>) -> Self {
        Self::new(Says::Vectors(vectors.into_iter().collect()))
    }

    /// An error in the form of the wire that is asked. `code` is what the provider calls it, for example
    /// `rate_limit_exceeded`; Ollama has no codes.
    pub fn refusal(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self::new(Says::Refusal(Refusal { status, code, message }))
    }

    /// A status and a body as they are.
    pub fn raw(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
        Self::new(Says::Raw { status, content_type, body: body.into() })
    }

    /// Thinks aloud before it replies. Means nothing for an answer that is no reply.
    pub fn thinking(mut self, thought: impl Into<String>) -> Self {
        if let Says::Reply { reasoning, .. } = &mut self.says {
            *reasoning = thought.into();
        }
        self
    }

    /// Counts so many tokens. Default: a quarter of the request's bytes, and the words of the reply.
    pub fn usage(mut self, usage: Usage) -> Self {
        if let Says::Reply { reply, .. } = &mut self.says {
            reply.usage = usage;
        }
        self
    }

    /// Sends one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits before it answers, after the server's own latency.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Goes wrong.
    pub fn fault(mut self, fault: impl Into<WireFault>) -> Self {
        self.fault = Some(Box::new(fault.into()));
        self
    }
}

impl From<ChatReply> for Answer {
    fn from(reply: ChatReply) -> Self {
        Self::new(Says::Reply { reply: Box::new(reply), reasoning: String::new() })
    }
}
