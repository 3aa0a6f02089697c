//! What these tests share: a clock, an account, and callers that ask.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use greenroom_core::ids::RunId;
use greenroom_core::message::Message;
use greenroom_core::model::{
    Caller, ChatEvent, ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind,
};
use greenroom_core::time::{Clock, Timestamp};
use greenroom_models::resilience::{ConcurrencySpec, Governor, GovernorSpec};
use greenroom_runtime::SystemClock;

pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A clock in virtual time.
pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::starting_at(Timestamp::from_millis(1_700_000_000_000)))
}

/// An account with so many places, and nothing else that limits.
pub(super) fn plain(n_places: u32) -> GovernorSpec {
    GovernorSpec {
        concurrency: ConcurrencySpec::fixed(n_places),
        breaker: None,
        retry_budget: None,
        ..GovernorSpec::default()
    }
}

pub(super) fn governor(spec: GovernorSpec) -> Governor {
    Governor::new(spec, clock())
}

pub(super) fn request() -> ChatRequest {
    ChatRequest { messages: Arc::new(vec![Message::user("Go on.")]), ..ChatRequest::default() }
}

/// A request of a run, at a depth.
pub(super) fn of_run(run: u128, depth: u32) -> ChatRequest {
    let caller = Caller { run: Some(RunId::from_bits(run)), depth, ..Caller::default() };
    ChatRequest { caller, ..request() }
}

/// Asks, and reads to the end.
pub(super) async fn ask(
    model: &dyn ChatModel,
    request: ChatRequest,
) -> Result<ChatReply, ModelError> {
    let mut stream = model.stream(request);
    while let Some(event) = stream.next().await {
        if let ChatEvent::Finished(reply) = event? {
            return Ok(reply);
        }
    }
    panic!("the stream has no final event");
}

pub(super) fn error(kind: ModelErrorKind) -> ModelError {
    ModelError::new(kind, "scripted", "as the script says")
}
