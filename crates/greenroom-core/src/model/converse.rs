//! Reading a model's stream to its end.

use std::future::poll_fn;

use super::{ChatEvent, ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind};

/// Asks a model and reads its stream to the end. Pieces of the text are handed out as they come.
///
/// # Errors
///
/// The model's; [`ModelErrorKind::Incomplete`] when the stream ends without its final event.
///
/// # Cancel safety
///
/// Dropping the future cancels the request.
pub async fn converse(
    model: &dyn ChatModel,
    request: ChatRequest,
    mut on_text: impl FnMut(String),
) -> Result<ChatReply, ModelError> {
    let mut stream = model.stream(request);
    while let Some(event) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        match event? {
            ChatEvent::TextDelta(text) => on_text(text),
            ChatEvent::Finished(reply) => return Ok(reply),
            _ => {}
        }
    }
    let message = "the reply ended before it was complete";
    Err(ModelError::new(ModelErrorKind::Incomplete, model.name(), message))
}
