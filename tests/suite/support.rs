//! What several tests need: a runtime that must leave nothing behind, and a question to a model.

use futures_util::StreamExt;
use greenroom_core::model::{ChatEvent, ChatModel, ChatReply, ChatRequest, ModelError};
use greenroom_runtime::Runtime;
use greenroom_testkit::LeakCheck;

/// A runtime with a fixed seed.
pub(crate) async fn runtime() -> Runtime {
    Runtime::builder().seed(7).start().await.expect("a runtime starts")
}

/// Ends a runtime in an orderly way; an actor, a task or a timer that is left behind fails the test.
pub(crate) async fn end(runtime: Runtime) {
    runtime.shutdown().await;
    assert_eq!(runtime.n_tasks(), 0, "tasks were left behind");
    LeakCheck::of_everything().finish(&runtime).await;
}

/// As [`end`], when something else goes on beside the runtime: a second runtime, or a task of the test's.
pub(crate) async fn end_beside(runtime: Runtime) {
    let leaks = LeakCheck::begin();
    runtime.shutdown().await;
    assert_eq!(runtime.n_tasks(), 0, "tasks were left behind");
    leaks.finish(&runtime).await;
}

pub(crate) fn request() -> ChatRequest {
    ChatRequest::user("Go on.")
}

/// Asks, and reads to the end.
pub(crate) async fn ask(
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
