//! The suite of [`ChatModel`].

use std::collections::HashSet;

use futures_util::StreamExt;
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ModelError};

use super::patiently;

/// More events than any reply of a test has.
const EVENTS_MAX: usize = 100_000;

/// Checks that a model answers as the seam promises, given a request that it answers at least three
/// times: a stream that is never polled, one that is dropped half-way, and two that are read to the
/// end. Gives the last reply for further checks.
///
/// # Panics
///
/// When a promise is broken.
pub async fn chat_model(label: &str, model: &dyn ChatModel, request: ChatRequest) -> ChatReply {
    assert!(!model.name().is_empty(), "{label}: the model has no name");
    drop(model.stream(request.clone()));
    finished(label, model, request.clone()).await;

    let mut stream = model.stream(request.clone());
    let first = patiently(label, "the first event", stream.next()).await;
    assert!(matches!(first, Some(Ok(_))), "{label}: a stream began with {first:?}");
    drop(stream);

    finished(label, model, request).await
}

/// Checks that a model does nothing before its stream is polled. `n_requests` counts what reached the
/// other side.
///
/// # Panics
///
/// When the count changes before the first poll, or does not change after it.
pub async fn chat_model_is_lazy(
    label: &str,
    model: &dyn ChatModel,
    request: ChatRequest,
    n_requests: impl Fn() -> usize,
) {
    let before = n_requests();
    let mut stream = model.stream(request);
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert_eq!(n_requests(), before, "{label}: a request was sent before the first poll");
    let first = patiently(label, "the first event", stream.next()).await;
    assert!(first.is_some(), "{label}: the stream was empty");
    assert_eq!(n_requests(), before + 1, "{label}: requests sent after the first event");
}

/// Checks that a model fails as the seam promises, given a request that it must fail: any deltas, then
/// one error, then the end. Gives the error for further checks.
///
/// # Panics
///
/// When a promise is broken, or the model answers.
pub async fn chat_model_failure(
    label: &str,
    model: &dyn ChatModel,
    request: ChatRequest,
) -> ModelError {
    let mut events = events(label, model, request).await;
    let error = match events.pop() {
        Some(Err(error)) => error,
        other => panic!("{label}: the last event should be an error: {other:?}"),
    };
    let may_precede =
        |event: &Result<ChatEvent, _>| !matches!(event, Ok(ChatEvent::Finished(_)) | Err(_));
    assert!(events.iter().all(may_precede), "{label}: only deltas precede an error: {events:?}");
    assert!(!error.message.is_empty(), "{label}: the error says nothing");
    assert!(!error.model.is_empty(), "{label}: the error does not name its model");
    error
}

async fn finished(label: &str, model: &dyn ChatModel, request: ChatRequest) -> ChatReply {
    let events = events(label, model, request).await;
    let mut text = String::new();
    let mut finished = None;
    for event in events {
        assert!(finished.is_none(), "{label}: {event:?} came after the final event");
        match event {
            Ok(ChatEvent::TextDelta(delta)) => text += &delta,
            Ok(ChatEvent::Finished(reply)) => finished = Some(reply),
            Ok(_) => {}
            Err(error) => panic!("{label}: the model should answer this request: {error}"),
        }
    }
    let reply = finished.unwrap_or_else(|| panic!("{label}: the stream had no final event"));
    assert_eq!(reply.text, text, "{label}: the final text is not the deltas joined");
    let ids: HashSet<_> = reply.tool_calls.iter().map(|call| &call.id).collect();
    assert_eq!(ids.len(), reply.tool_calls.len(), "{label}: two tool calls share an id");
    reply
}

async fn events(
    label: &str,
    model: &dyn ChatModel,
    request: ChatRequest,
) -> Vec<Result<ChatEvent, ModelError>> {
    let mut stream = model.stream(request);
    let mut events = Vec::new();
    while let Some(event) = patiently(label, "the next event", stream.next()).await {
        events.push(event);
        assert!(events.len() < EVENTS_MAX, "{label}: the stream does not end");
    }
    events
}
