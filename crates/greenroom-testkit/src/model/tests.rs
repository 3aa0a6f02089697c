//! Tests of `model`.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use greenroom_core::message::Message;
use tokio::time::Instant;

use super::*;

fn request(text: &str) -> ChatRequest {
    ChatRequest { messages: Arc::new(vec![Message::user(text)]), ..ChatRequest::default() }
}

async fn events(model: &ScriptedModel, text: &str) -> Vec<Result<ChatEvent, ModelError>> {
    model.stream(request(text)).collect().await
}

fn delta(text: &str) -> Result<ChatEvent, ModelError> {
    Ok(ChatEvent::TextDelta(text.into()))
}

#[tokio::test(start_paused = true)]
async fn replies_are_streamed_in_order_and_requests_recorded_whole() {
    let model = ScriptedModel::new([ChatReply::text("one two"), ChatReply::text("three")]);
    let calls = model.calls();
    let first = events(&model, "first").await;
    let finished = Ok(ChatEvent::Finished(ChatReply::text("one two")));
    assert_eq!(first, [delta("one "), delta("two"), finished]);
    assert_eq!(model.n_replies_left(), 1);
    let second = events(&model, "second").await;
    assert_eq!(second, [delta("three"), Ok(ChatEvent::Finished(ChatReply::text("three")))]);
    let asked: Vec<_> = calls.requests().iter().map(|r| r.messages[0].clone()).collect();
    assert_eq!(asked, [Message::user("first"), Message::user("second")]);
    assert_eq!(calls.last().unwrap().messages[0], Message::user("second"));
    assert_eq!(calls.n_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_script_names_its_number() {
    let model = ScriptedModel::new([ChatReply::text("only")]).named("planner");
    events(&model, "").await;
    let message = "call 2 is beyond the script of 1 replies";
    let error = ModelError::new(ModelErrorKind::InvalidRequest, "planner", message);
    assert!(!error.kind.is_retryable());
    assert_eq!(events(&model, "").await, [Err(error)]);
    assert_eq!(model.calls().n_begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_function_sees_the_request() {
    let model = ScriptedModel::answering(|request: &ChatRequest| match &request.messages[0] {
        Message::User { text, .. } if text == "fail" => {
            ScriptedReply::error(ModelErrorKind::RateLimited)
        }
        Message::User { text, .. } => ScriptedReply::text(text.to_uppercase()),
        _ => ScriptedReply::text(""),
    });
    assert_eq!(events(&model, "hi").await.first(), Some(&delta("HI")));
    let failed = events(&model, "fail").await;
    assert!(matches!(&failed[..], [Err(e)] if e.kind == ModelErrorKind::RateLimited), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_is_in_virtual_time() {
    let (hour, minute) = (Duration::from_secs(3_600), Duration::from_secs(60));
    let replies = [ScriptedReply::text("slow and").after(minute), ScriptedReply::text("steady")];
    let model = ScriptedModel::new(replies).latency(hour);
    let start = Instant::now();
    events(&model, "").await;
    assert_eq!(start.elapsed(), hour + minute);
    events(&model, "").await;
    assert_eq!(start.elapsed(), hour + minute + hour);
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_break_in_every_way() {
    let error = ModelError::new(ModelErrorKind::Unavailable, "scripted", "gone");
    let model = ScriptedModel::new([
        ScriptedReply::partial("half a", error.clone()),
        ScriptedReply::broken_off("half"),
        ScriptedReply::hang("then"),
        ScriptedReply::panic("so", "boom"),
    ]);
    assert_eq!(events(&model, "").await, [delta("half "), delta("a"), Err(error)]);
    assert_eq!(events(&model, "").await, [delta("half")]);

    let mut hanging = model.stream(request(""));
    assert_eq!(hanging.next().await, Some(delta("then")));
    let year = Duration::from_secs(31_536_000);
    assert!(tokio::time::timeout(year, hanging.next()).await.is_err());
    assert_eq!(model.calls().n_in_flight(), 1);
    drop(hanging);
    assert_eq!(model.calls().n_in_flight(), 0);

    let mut panicking = model.stream(request(""));
    assert_eq!(panicking.next().await, Some(delta("so")));
    let panic = AssertUnwindSafe(panicking.next()).catch_unwind().await.unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "boom");
    drop(panicking);
    assert_eq!(model.calls().n_in_flight(), 0);
    assert_eq!(model.calls().n_begun(), 4);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_counted_from_the_first_poll() {
    let model = ScriptedModel::answering(|_| ChatReply::text("x")).latency(Duration::from_secs(1));
    let calls = model.calls();
    let streams = [(); 3].map(|()| model.stream(request("")));
    assert_eq!((calls.n_begun(), calls.n_in_flight()), (0, 0));
    let [first, second, third] = streams.map(|stream| stream.collect::<Vec<_>>());
    tokio::join!(first, second, async {
        calls.until_begun(2).await;
        assert_eq!((calls.n_begun(), calls.n_in_flight()), (2, 2));
    });
    third.await;
    assert_eq!((calls.n_begun(), calls.n_in_flight(), calls.n_in_flight_max()), (3, 0, 2));
}
