//! The suites pass what keeps the promises of a seam, and fail what breaks one.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, stream};
use greenroom_core::BoxFuture;
use greenroom_core::message::ToolCall;
use greenroom_core::model::{
    ChatEvent, ChatModel, ChatReply, ChatRequest, ChatStream, ModelError, ModelErrorKind,
};
use greenroom_core::retriever::{Passage, Query, RetrieveError, RetrieveErrorKind, Retriever};

use super::*;
use crate::{ScriptedModel, ScriptedReply, ScriptedRetriever, passage};

/// The message of the panic that a suite must end with.
async fn failure<T>(suite: impl Future<Output = T>) -> String {
    let panic = match AssertUnwindSafe(suite).catch_unwind().await {
        Ok(_) => panic!("the suite passed"),
        Err(panic) => panic,
    };
    panic.downcast_ref::<String>().expect("suites panic with formatted messages").clone()
}

/// A model that streams given events, whatever the contract says.
struct Events(Vec<Result<ChatEvent, ModelError>>);

impl ChatModel for Events {
    fn name(&self) -> &str {
        "events"
    }

    fn stream(&self, _request: ChatRequest) -> ChatStream {
        Box::pin(stream::iter(self.0.clone()))
    }
}

fn delta(text: &str) -> Result<ChatEvent, ModelError> {
    Ok(ChatEvent::TextDelta(text.into()))
}

fn finished(text: &str) -> Result<ChatEvent, ModelError> {
    Ok(ChatEvent::Finished(ChatReply::text(text)))
}

fn unavailable() -> Result<ChatEvent, ModelError> {
    Err(ModelError::new(ModelErrorKind::Unavailable, "events", "gone"))
}

#[tokio::test(start_paused = true)]
async fn scripted_models_conform() {
    let model = ScriptedModel::answering(|_| ChatReply::text("one two three"));
    let reply = chat_model("scripted", &model, ChatRequest::default()).await;
    assert_eq!(reply, ChatReply::text("one two three"));
    assert_eq!(model.calls().n_begun(), 3);
    assert_eq!(model.calls().n_in_flight(), 0);

    let calls = model.calls();
    chat_model_is_lazy("scripted", &model, ChatRequest::default(), || calls.n_begun()).await;

    let call = |id: &str| ToolCall { id: id.into(), name: "a".into(), arguments: ().into() };
    let model = ScriptedModel::answering(move |_| ChatReply::calls([call("c1"), call("c2")]));
    chat_model("tool calls", &model, ChatRequest::default()).await;

    let error = ModelError::new(ModelErrorKind::Timeout, "scripted", "slow");
    let model = ScriptedModel::new([ScriptedReply::partial("half a", error.clone())]);
    assert_eq!(chat_model_failure("failing", &model, ChatRequest::default()).await, error);
}

#[tokio::test(start_paused = true)]
async fn the_model_suite_fails_what_breaks_a_promise() {
    let call = |id: &str| ToolCall { id: id.into(), name: "a".into(), arguments: ().into() };
    let twins = ChatReply::calls([call("c1"), call("c1")]);
    let cases = [
        (vec![], "no final event"),
        (vec![delta("x")], "no final event"),
        (vec![finished(""), finished("")], "came after the final event"),
        (vec![delta("x"), finished("x"), delta("y")], "came after the final event"),
        (vec![finished(""), unavailable()], "came after the final event"),
        (vec![delta("x"), finished("y")], "not the deltas joined"),
        (vec![finished("no deltas")], "not the deltas joined"),
        (vec![delta("x"), unavailable()], "should answer"),
        (vec![Ok(ChatEvent::Finished(twins))], "share an id"),
    ];
    for (events, complaint) in cases {
        let model = Events(events.clone());
        let message = failure(chat_model("the label", &model, ChatRequest::default())).await;
        assert!(message.contains(complaint), "{events:?}: {message}");
        assert!(message.contains("the label"), "{message}");
    }
    let hanging = ScriptedModel::answering(|_| ScriptedReply::hang("so"));
    let message = failure(chat_model("hanging", &hanging, ChatRequest::default())).await;
    assert!(message.contains("took longer than 60s"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_failure_suite_fails_what_answers_or_goes_on() {
    let cases = [
        (vec![delta("x"), finished("x")], "should be an error"),
        (vec![], "should be an error"),
        (vec![unavailable(), delta("x")], "should be an error"),
        (vec![unavailable(), unavailable()], "only deltas precede"),
        (vec![finished(""), unavailable()], "only deltas precede"),
    ];
    for (events, complaint) in cases {
        let model = Events(events.clone());
        let message = failure(chat_model_failure("label", &model, ChatRequest::default())).await;
        assert!(message.contains(complaint), "{events:?}: {message}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_laziness_suite_fails_what_is_eager_or_idle() {
    /// Counts a request when its stream is made, or never.
    struct Counting(std::sync::atomic::AtomicUsize, usize);

    impl ChatModel for Counting {
        fn name(&self) -> &str {
            "counting"
        }

        fn stream(&self, _request: ChatRequest) -> ChatStream {
            self.0.fetch_add(self.1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(stream::iter([finished("")]))
        }
    }

    for (step, complaint) in [(1, "before the first poll"), (0, "after the first event")] {
        let model = Counting(0.into(), step);
        let count = || model.0.load(std::sync::atomic::Ordering::Relaxed);
        let suite = chat_model_is_lazy("label", &model, ChatRequest::default(), count);
        let message = failure(suite).await;
        assert!(message.contains(complaint), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn scripted_retrievers_conform() {
    let docs = ScriptedRetriever::new("docs")
        .on("backpressure", [passage("a.md", 1, "one\ntwo"), passage("b.md", 3, "")]);
    let found = retriever("scripted", &docs, "Backpressure").await;
    assert_eq!(found.len(), 2);
}

/// A retriever that answers with a function of the query.
struct Answers<F>(F);

impl<F> Retriever for Answers<F>
where
    F: Fn(&Query) -> Result<Vec<Passage>, RetrieveErrorKind> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        "answers"
    }

    fn description(&self) -> &str {
        "Anything."
    }

    fn search(&self, query: Query) -> BoxFuture<'static, Result<Vec<Passage>, RetrieveError>> {
        let answer = (self.0)(&query).map_err(|kind| RetrieveError {
            kind,
            source_name: "answers".into(),
            message: "no".into(),
        });
        Box::pin(std::future::ready(answer))
    }
}

async fn assert_fails(
    answer: impl Fn(&Query) -> Result<Vec<Passage>, RetrieveErrorKind> + Send + Sync + 'static,
    complaint: &str,
) {
    let message = failure(retriever("the label", &Answers(answer), "x")).await;
    assert!(message.contains(complaint), "{message}");
    assert!(message.contains("the label"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn the_retriever_suite_fails_what_breaks_a_promise() {
    let some = || passage("a.md", 1, "one");
    let fill = |query: &Query, passage: Passage| Ok(vec![passage; query.top_k.min(2)]);
    assert_fails(move |_| Ok(vec![some()]), "found 1 of 0 at most").await;
    assert_fails(|_| Ok(vec![]), "should find something").await;
    assert_fails(
        move |query| {
            let mut found = vec![some(), Passage { score: 2.0, ..some() }];
            found.truncate(query.top_k);
            Ok(found)
        },
        "not best first",
    )
    .await;
    assert_fails(
        move |query| fill(query, Passage { start_line: 0, end_line: 0, ..some() }),
        "the lines 0 to 0",
    )
    .await;
    assert_fails(move |query| fill(query, Passage { start_line: 2, ..some() }), "the lines 2 to 1")
        .await;
    assert_fails(move |query| fill(query, Passage { end_line: 2, ..some() }), "number of lines")
        .await;
    assert_fails(move |query| fill(query, Passage { score: f32::NAN, ..some() }), "the score of")
        .await;
    assert_fails(move |query| fill(query, Passage { source: "".into(), ..some() }), "a source")
        .await;
    let refuses = |is_bad: fn(&str) -> bool| {
        move |query: &Query| {
            if is_bad(&query.text) { Err(RetrieveErrorKind::Corrupt) } else { fill(query, some()) }
        }
    };
    assert_fails(refuses(|text| text.is_empty()), "the search for \"\" failed").await;
    assert_fails(refuses(|text| text.contains('"')), "failed").await;
    assert_fails(refuses(|text| text.len() >= 1 << 20), "the search for \"backpressure").await;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    assert_fails(
        move |query| {
            let n = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            fill(query, passage(format!("{n}.md"), 1, "one"))
        },
        "found something else",
    )
    .await;
}
