//! A model whose replies a test writes. It never looks at what it is asked, unless it is a function of it.

use std::collections::VecDeque;
use std::fmt;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use greenroom_core::budget::Price;
use greenroom_core::message::ToolCall;
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};

use crate::calls::{Calls, InFlight};

/// How a [`ScriptedModel`] answers one call.
#[derive(Debug, Clone)]
pub struct ScriptedReply {
    delay: Duration,
    text: String,
    ending: Ending,
}

#[derive(Debug, Clone)]
enum Ending {
    Reply(ChatReply),
    Error(ModelError),
    Hang,
    Panic(String),
    BrokenOff,
}

impl ScriptedReply {
    fn new(text: impl Into<String>, ending: Ending) -> Self {
        Self { delay: Duration::ZERO, text: text.into(), ending }
    }

    /// Answers with text, one delta per word.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        ChatReply::text(text).into()
    }

    /// Asks for tools.
    #[must_use]
    pub fn calls(tool_calls: impl IntoIterator<Item = ToolCall>) -> Self {
        ChatReply::calls(tool_calls).into()
    }

    /// Fails at once with an error of a kind.
    #[must_use]
    pub fn error(kind: ModelErrorKind) -> Self {
        ModelError::new(kind, "scripted", "as the script says").into()
    }

    /// Begins to answer, then fails.
    #[must_use]
    pub fn partial(text: impl Into<String>, error: ModelError) -> Self {
        Self::new(text, Ending::Error(error))
    }

    /// Begins to answer, then ends the stream without a final event, against the seam's contract.
    #[must_use]
    pub fn broken_off(text: impl Into<String>) -> Self {
        Self::new(text, Ending::BrokenOff)
    }

    /// Begins to answer (with nothing, if `text` is empty) and never goes on.
    #[must_use]
    pub fn hang(text: impl Into<String>) -> Self {
        Self::new(text, Ending::Hang)
    }

    /// Begins to answer, then panics with a message while it is polled.
    #[must_use]
    pub fn panic(text: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(text, Ending::Panic(message.into()))
    }

    /// Waits in tokio's time before the first event, after the model's own latency.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl From<ChatReply> for ScriptedReply {
    fn from(reply: ChatReply) -> Self {
        Self::new(reply.text.clone(), Ending::Reply(reply))
    }
}

impl From<ModelError> for ScriptedReply {
    fn from(error: ModelError) -> Self {
        Self::new("", Ending::Error(error))
    }
}

type Answer = dyn Fn(&ChatRequest) -> ScriptedReply + Send + Sync;

enum Source {
    Script { replies: Mutex<VecDeque<ScriptedReply>>, len: usize },
    Function(Box<Answer>),
}

/// A model that answers from a script or by a function, and records what it is asked.
///
/// A call begins, and takes its reply from the script, when its stream is first polled; it ends when
/// the stream ends or is dropped. A call beyond the script fails with
/// [`ModelErrorKind::InvalidRequest`], which nobody retries, and names its number.
///
/// # Examples
///
/// ```
/// use greenroom_testkit::{ScriptedModel, ScriptedReply};
///
/// let model = ScriptedModel::new([ScriptedReply::text("64 [1].")]);
/// let calls = model.calls();
/// // … give the model to what is tested …
/// assert_eq!(calls.n_begun(), 0);
/// ```
#[derive(Clone)]
pub struct ScriptedModel {
    name: Arc<str>,
    latency: Duration,
    source: Arc<Source>,
    calls: Calls<ChatRequest>,
    price: Option<Price>,
}

impl ScriptedModel {
    /// A model that gives these replies in order.
    #[must_use]
    pub fn new(replies: impl IntoIterator<Item = impl Into<ScriptedReply>>) -> Self {
        let replies: VecDeque<_> = replies.into_iter().map(Into::into).collect();
        let len = replies.len();
        Self::from_source(Source::Script { replies: Mutex::new(replies), len })
    }

    /// A model whose reply is a function of the request: a [`ChatReply`], a [`ModelError`] or a
    /// [`ScriptedReply`].
    #[must_use]
    pub fn answering<R: Into<ScriptedReply>>(
        answer: impl Fn(&ChatRequest) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::from_source(Source::Function(Box::new(move |request| answer(request).into())))
    }

    fn from_source(source: Source) -> Self {
        Self {
            name: "scripted".into(),
            latency: Duration::ZERO,
            source: Arc::new(source),
            calls: Calls::new(),
            price: None,
        }
    }

    /// Sets what its tokens cost. Default unknown.
    #[must_use]
    pub fn priced(mut self, price: Price) -> Self {
        self.price = Some(price);
        self
    }

    /// Sets the model's name. Default `scripted`.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Waits before each call's first event, in tokio's time. Default none.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The record of the model's calls; stays valid when the model is given away.
    #[must_use]
    pub fn calls(&self) -> Calls<ChatRequest> {
        self.calls.clone()
    }

    /// How many replies of the script are left; 0 when the model is a function.
    #[must_use]
    pub fn n_replies_left(&self) -> usize {
        match &*self.source {
            Source::Script { replies, .. } => {
                replies.lock().expect("nothing panics while it holds this lock").len()
            }
            Source::Function(_) => 0,
        }
    }

    fn begin(&self, request: &ChatRequest) -> Playback {
        let (n_call, in_flight) = self.calls.begin(request.clone());
        let reply = match &*self.source {
            Source::Function(answer) => answer(request),
            Source::Script { replies, len } => {
                let next =
                    replies.lock().expect("nothing panics while it holds this lock").pop_front();
                next.unwrap_or_else(|| {
                    let message = format!("call {n_call} is beyond the script of {len} replies");
                    ModelError::new(ModelErrorKind::InvalidRequest, &*self.name, message).into()
                })
            }
        };
        let deltas = reply.text.split_inclusive(' ').map(str::to_owned).collect();
        let delay = self.latency + reply.delay;
        Playback { delay, deltas, ending: Some(reply.ending), _in_flight: in_flight }
    }
}

impl fmt::Debug for ScriptedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedModel")
            .field("name", &self.name)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl ChatModel for ScriptedModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn price(&self) -> Option<Price> {
        self.price
    }

    fn stream(&self, request: ChatRequest) -> ChatStream {
        let model = self.clone();
        let playback = stream::once(async move { model.begin(&request) });
        Box::pin(playback.flat_map(|playback| stream::unfold(playback, Playback::next).boxed()))
    }
}

/// One reply being streamed.
struct Playback {
    delay: Duration,
    deltas: VecDeque<String>,
    /// Taken when it has been played.
    ending: Option<Ending>,
    _in_flight: InFlight<ChatRequest>,
}

impl Playback {
    async fn next(mut self) -> Option<(Result<ChatEvent, ModelError>, Self)> {
        let delay = std::mem::take(&mut self.delay);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if let Some(delta) = self.deltas.pop_front() {
            return Some((Ok(ChatEvent::TextDelta(delta)), self));
        }
        let event = match self.ending.take()? {
            Ending::Reply(reply) => Ok(ChatEvent::Finished(reply)),
            Ending::Error(error) => Err(error),
            Ending::Hang => future::pending().await,
            Ending::Panic(message) => panic!("{message}"),
            Ending::BrokenOff => return None,
        };
        Some((event, self))
    }
}

#[cfg(test)]
mod tests;
