//! The wires: how providers spell requests and replies. Pure: values and bytes in, values out.
//!
//! Each wire is a pair. *Encode* turns a [`ChatRequest`] into the JSON of a request's body. *Decode* is given
//! the bytes of the response's body in pieces of any size and answers with [`ChatEvent`]s; where the pieces
//! are cut never changes the events. Nothing here opens a connection; that is the `http` module.
//!
//! Everything that comes in is hostile until it is read: lines, events and bodies have limits ([`Limits`]),
//! text that is not UTF-8 is refused and never mended, counts that cannot be true are left out, and a body
//! that ends before its final event is [`Incomplete`](ModelErrorKind::Incomplete) and never an answer.
//!
//! | wire | request | reply |
//! |---|---|---|
//! | [`Wire::OpenAiChat`] | `POST chat/completions` | server-sent events, ended by `[DONE]` |
//! | [`Wire::OpenAiResponses`] | `POST responses` | server-sent events, ended by `response.completed` |
//! | [`Wire::Anthropic`] | `POST v1/messages` | server-sent events, ended by `message_stop` |
//! | [`Wire::Ollama`] | `POST api/chat` | lines of JSON, the last with `done` |

use greenroom_core::model::{ChatEvent, ChatReply, ChatRequest, ModelError, ModelErrorKind};
use serde_json::Value;

mod json;
mod lines;
mod schema;
mod shape;
mod spelling;
mod sse;

mod assembly;
mod failure;

mod anthropic;
mod embeddings;
mod ollama;
mod openai_chat;
mod openai_responses;

pub use embeddings::EmbeddingsWire;
#[cfg(feature = "http")]
pub(crate) use failure::is_of_force;
pub use failure::{Failed, failure};
pub use shape::OutputStyle;

/// A way to spell requests and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wire {
    /// OpenAI's chat completions, which most other vendors speak as well.
    OpenAiChat,
    /// OpenAI's Responses.
    OpenAiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Ollama's own chat.
    Ollama,
}

/// Where a vendor leaves the dialect that it speaks. The default is the dialect as OpenAI publishes it.
///
/// | quirk | what changes |
/// |---|---|
/// | `max_tokens` | the limit on output tokens is called `max_tokens`, its older name |
/// | `no_stream_options` | usage is not asked for: it comes unasked, or the request would be refused |
/// | `output` | a shape of the output is asked for in another way, see [`OutputStyle`] |
/// | `no_parallel_choice` | whether several tools may be called cannot be said |
/// | `any_tool` | `required` is called `any` |
/// | `random_seed` | `seed` is called `random_seed` |
/// | `no_effort` | how long to think cannot be said |
/// | `no_forced_calls` | no tool can be forced: which one is called is left to the model, and a shape that would take one is told in words |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, read in one place")]
#[expect(missing_docs, reason = "the table above says it all")]
pub struct Quirks {
    pub max_tokens: bool,
    pub no_stream_options: bool,
    pub output: OutputStyle,
    pub no_parallel_choice: bool,
    pub any_tool: bool,
    pub random_seed: bool,
    pub no_effort: bool,
    pub no_forced_calls: bool,
}

impl Wire {
    /// The path of a request below the base URL, without a slash in front.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::OpenAiChat => "chat/completions",
            Self::OpenAiResponses => "responses",
            Self::Anthropic => "v1/messages",
            Self::Ollama => "api/chat",
        }
    }

    /// The path of the list of models below the base URL.
    #[must_use]
    pub fn models_path(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses => "models",
            Self::Anthropic => "v1/models",
            Self::Ollama => "api/tags",
        }
    }

    /// Whether a base URL of this wire ends in `/v1` as a rule.
    #[must_use]
    pub fn is_below_v1(self) -> bool {
        matches!(self, Self::OpenAiChat | Self::OpenAiResponses)
    }

    /// The body of a request, for a model by its provider's name.
    ///
    /// The conversation is put in order first: see [`greenroom_core::history`].
    #[must_use]
    pub fn encode(self, model: &str, request: &ChatRequest, quirks: Quirks) -> Value {
        match self {
            Self::OpenAiChat => openai_chat::encode(model, request, quirks),
            Self::OpenAiResponses => openai_responses::encode(model, request, quirks),
            Self::Anthropic => anthropic::encode(model, request, quirks),
            Self::Ollama => ollama::encode(model, request, quirks),
        }
    }

    /// What [`Wire::encode`] gives, as the bytes that are sent.
    #[must_use]
    pub fn written(self, model: &str, request: &ChatRequest, quirks: Quirks) -> Vec<u8> {
        match self {
            Self::OpenAiChat => openai_chat::written(model, request, quirks),
            _ => serde_json::to_vec(&self.encode(model, request, quirks))
                .expect("its maps have text for keys"),
        }
    }

    /// A decoder of one response, for a model by the name that errors carry.
    #[must_use]
    pub fn decoder(self, model: &str) -> Decoder {
        self.decoder_within(model, Limits::default())
    }

    /// A decoder with limits of its own.
    #[must_use]
    pub fn decoder_within(self, model: &str, limits: Limits) -> Decoder {
        let dialect: Box<dyn Dialect> = match self {
            Self::OpenAiChat => Box::new(openai_chat::Decode::default()),
            Self::OpenAiResponses => Box::new(openai_responses::Decode::default()),
            Self::Anthropic => Box::new(anthropic::Decode::default()),
            Self::Ollama => Box::new(ollama::Decode::default()),
        };
        Decoder {
            wire: self,
            model: model.to_owned(),
            framing: Framing::Unknown,
            dialect,
            limits,
            n_bytes: 0,
            state: State::Open,
        }
    }
}

/// What a response may be as long as. Beyond it the response is cut off and is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one line. Default 1 MiB.
    pub line_len_max: usize,
    /// Bytes of one event. Default 8 MiB.
    pub event_len_max: usize,
    /// Bytes of the whole body. Default 32 MiB.
    pub body_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line_len_max: 1 << 20, event_len_max: 8 << 20, body_len_max: 32 << 20 }
    }
}

/// Reads one response, piece by piece.
///
/// # Examples
///
/// ```
/// use greenroom_core::model::ChatEvent;
/// use greenroom_models::wire::Wire;
///
/// let mut decoder = Wire::Ollama.decoder("llama");
/// let mut events = Vec::new();
/// decoder.push(br#"{"message":{"content":"Hel"#, &mut events)?;
/// decoder.push(b"lo\"},\"done\":true}\n", &mut events)?;
/// let ChatEvent::Finished(reply) = &events[1] else { panic!("{events:?}") };
/// assert_eq!(reply.text, "Hello");
/// # Ok::<_, greenroom_core::model::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    wire: Wire,
    model: String,
    framing: Framing,
    dialect: Box<dyn Dialect>,
    limits: Limits,
    n_bytes: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More is expected.
    Open,
    /// The final event is out; what follows is not read.
    Finished,
    /// An error is out.
    Failed,
}

#[derive(Debug)]
enum Framing {
    /// Nothing but space has come.
    Unknown,
    Lines(lines::Lines),
    Events(sse::Events),
    /// One JSON value, although a stream was asked for.
    Whole(Vec<u8>),
}

/// What a wire makes of the pieces that its framing finds.
trait Dialect: std::fmt::Debug + Send {
    /// Reads one event's data, or one line.
    fn read(&mut self, data: &str, out: &mut Vec<ChatEvent>) -> Result<Step, Fault>;

    /// Reads a body that is one JSON value, from a server that does not stream.
    fn whole(&mut self, body: &str, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault>;

    /// The reply, once the body has ended without the wire's own end.
    fn end(&mut self) -> Result<ChatReply, Fault>;
}

/// How far a dialect is.
enum Step {
    More,
    Done(Box<ChatReply>),
}

/// What is wrong with a response. It becomes a [`ModelError`] when the model's name is known.
#[derive(Debug)]
struct Fault(Box<ModelError>);

impl Fault {
    fn new(kind: ModelErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(ModelError::new(kind, String::new(), message)))
    }

    /// The reply is not what the wire calls for.
    fn invalid(message: impl Into<String>) -> Self {
        Self::new(ModelErrorKind::InvalidReply, message)
    }

    /// The reply broke off.
    fn incomplete() -> Self {
        Self::new(ModelErrorKind::Incomplete, "the reply ended before it was complete")
    }
}

impl Decoder {
    /// Reads a piece of the body, of any size, and adds what follows from it to `out`. The last event of a
    /// whole reply is [`ChatEvent::Finished`]; bytes behind it are ignored.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when the reply is not what the wire calls for, is too long, or says that it failed. The
    /// events before the fault are in `out`. After an error the same error's kind is given again.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), ModelError> {
        match self.state {
            State::Finished => return Ok(()),
            State::Failed => return Err(self.named(Fault::incomplete())),
            State::Open => {}
        }
        // Cut at the limit and not after the piece, so that the pieces change nothing.
        let room = self.limits.body_len_max - self.n_bytes;
        let (within, beyond) = bytes.split_at(bytes.len().min(room));
        self.n_bytes += within.len();
        let read = self.read(within, out).and_then(|()| match beyond {
            [_, ..] if self.state == State::Open => {
                Err(lines::too_long("body", self.limits.body_len_max))
            }
            _ => Ok(()),
        });
        read.map_err(|fault| self.fail(fault))
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    ///
    /// [`ModelErrorKind::Incomplete`] when the reply is not complete.
    pub fn end(&mut self, out: &mut Vec<ChatEvent>) -> Result<(), ModelError> {
        match self.state {
            State::Finished => return Ok(()),
            State::Failed => return Err(self.named(Fault::incomplete())),
            State::Open => {}
        }
        // Some servers leave out the end of the last line. What cannot be read then was cut off.
        if let Err(fault) = self.read(b"\n\n", out) {
            let was_cut = fault.0.kind == ModelErrorKind::InvalidReply;
            return Err(self.fail(if was_cut { Fault::incomplete() } else { fault }));
        }
        if self.state == State::Open {
            match self.end_of_body(out) {
                Ok(reply) => self.finish(reply, out),
                Err(fault) => return Err(self.fail(fault)),
            }
        }
        Ok(())
    }

    fn end_of_body(&mut self, out: &mut Vec<ChatEvent>) -> Result<ChatReply, Fault> {
        match &self.framing {
            Framing::Unknown => {
                Err(Fault::new(ModelErrorKind::Endpoint, "an empty body and not an API's reply"))
            }
            Framing::Whole(body) => match std::str::from_utf8(body) {
                Ok(body) => self.dialect.whole(body, out),
                Err(_) => Err(Fault::invalid("the reply is not UTF-8")),
            },
            Framing::Lines(_) | Framing::Events(_) => self.dialect.end(),
        }
    }

    /// Whether the final event is out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    fn read(&mut self, bytes: &[u8], out: &mut Vec<ChatEvent>) -> Result<(), Fault> {
        let mut bytes = bytes;
        if matches!(self.framing, Framing::Unknown) {
            bytes = bytes.trim_ascii_start();
            let Some(first) = bytes.first() else { return Ok(()) };
            self.framing = self.framing_of(*first)?;
        }
        while self.state == State::Open {
            let step = match &mut self.framing {
                Framing::Unknown => return Ok(()),
                Framing::Whole(body) => {
                    body.extend_from_slice(bytes);
                    return Ok(());
                }
                Framing::Lines(lines) => match lines.next(&mut bytes)? {
                    Some(line) if line.trim().is_empty() => Step::More,
                    Some(line) => self.dialect.read(line, out)?,
                    None => return Ok(()),
                },
                Framing::Events(events) => match events.next(&mut bytes)? {
                    // Some gateways keep connections alive with events that say nothing.
                    Some(data) if data.trim().is_empty() => Step::More,
                    Some(data) => self.dialect.read(data, out)?,
                    None => return Ok(()),
                },
            };
            if let Step::Done(reply) = step {
                self.finish(*reply, out);
            }
        }
        Ok(())
    }

    /// What the body is, by its first sign: a proxy's page, a stream, or one JSON value.
    fn framing_of(&self, first: u8) -> Result<Framing, Fault> {
        match (self.wire, first) {
            (_, b'<') => {
                let message = "an HTML page and not an API's reply";
                Err(Fault::new(ModelErrorKind::Endpoint, message))
            }
            (Wire::Ollama, _) => {
                Ok(Framing::Lines(lines::Lines::of_json(self.limits.line_len_max)))
            }
            (_, b'{') => Ok(Framing::Whole(Vec::new())),
            _ => Ok(Framing::Events(sse::Events::new(self.limits))),
        }
    }

    fn finish(&mut self, reply: ChatReply, out: &mut Vec<ChatEvent>) {
        self.state = State::Finished;
        out.push(ChatEvent::Finished(reply));
    }

    fn fail(&mut self, fault: Fault) -> ModelError {
        self.state = State::Failed;
        self.named(fault)
    }

    fn named(&self, fault: Fault) -> ModelError {
        ModelError { model: self.model.clone(), ..*fault.0 }
    }
}

#[cfg(test)]
mod tests;
