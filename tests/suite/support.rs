//! What several tests need: a runtime that must leave nothing behind, a question to a model, and a journal that
//! notes what it is asked.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Journal, JournalError, MemoryJournal, Recorded, RunHead, Runs};
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, ModelError, ModelErrorKind,
};
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

/// A provider is busy, and asks to wait so long.
pub(crate) fn busy(wait: Duration) -> ModelError {
    let error = ModelError::new(ModelErrorKind::RateLimited, "scripted", "429");
    ModelError { retry_after: Some(wait), ..error }
}

/// What a journal was asked for a run.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    Append,
    Load(StreamId),
    Streams,
    Flush,
}

/// A journal in memory that notes what it is asked.
#[derive(Clone, Default)]
pub(crate) struct NotedJournal {
    pub(crate) inner: MemoryJournal,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl NotedJournal {
    /// What it was asked since the last time, in that order.
    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().expect("nothing panics while it is held"))
    }

    fn note(&self, asked: Asked) {
        self.asked.lock().expect("nothing panics while it is held").push(asked);
    }
}

impl Journal for NotedJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        self.note(Asked::Append);
        self.inner.append(stream, events)
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.note(Asked::Load(stream.clone()));
        self.inner.load(stream)
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.note(Asked::Streams);
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.inner.runs(which)
    }

    fn flush(&self) -> BoxFuture<'static, Result<(), JournalError>> {
        self.note(Asked::Flush);
        self.inner.flush()
    }
}
