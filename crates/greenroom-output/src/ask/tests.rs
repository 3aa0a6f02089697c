//! Asking scripted models for a value.

use greenroom_core::message::Message;
use greenroom_core::model::FinishReason;
use greenroom_testkit::{ScriptedModel, ScriptedReply};

use super::*;

fn ended(text: &str, finish: FinishReason) -> ScriptedReply {
    ChatReply { finish, ..ChatReply::text(text) }.into()
}

/// Asks for a number; what came of it, and the conversations behind the question.
async fn ask(
    repairs_max: u32,
    replies: impl IntoIterator<Item = ScriptedReply>,
) -> (Result<i64, OutputErrorKind>, Vec<Vec<Message>>) {
    let model = ScriptedModel::new(replies);
    let calls = model.calls();
    let asked = output::<i64>().repairs_max(repairs_max);
    let answer = asked.ask(&model, ChatRequest::user("How many?")).await;
    let usage = answer.as_ref().map_or_else(|error| error.usage, |answer| answer.usage);
    let requests = calls.requests();
    assert_eq!(usage.model_calls, requests.len() as u64);
    assert!(requests.iter().all(|request| request.output.is_some()));
    let shown = requests.iter().map(|request| request.messages[1..].to_vec()).collect();
    (answer.map(|answer| answer.value).map_err(|error| error.kind), shown)
}

fn told(why: &str) -> Message {
    Message::user(format!("That reply cannot be used: {why}. Answer again."))
}

#[tokio::test]
async fn a_model_is_shown_its_last_failed_text_and_no_other() {
    let replies = ["nine", "\"10\"", "11"].map(ScriptedReply::text);
    let (answer, shown) = ask(2, replies).await;
    assert_eq!(answer, Ok(11));
    let no_json = told("it is no JSON: expected ident at line 1 column 2");
    let no_number = told("\"10\" is not of type \"integer\"");
    let expect = [
        vec![],
        vec![Message::assistant("nine"), no_json],
        vec![Message::assistant("\"10\""), no_number],
    ];
    assert_eq!(shown, expect);
}

#[track_caller]
fn check(
    (answer, shown): (Result<i64, OutputErrorKind>, Vec<Vec<Message>>),
    expect: Result<i64, OutputErrorKind>,
    n_calls: usize,
) {
    assert_eq!((answer, shown.len()), (expect, n_calls));
}

#[tokio::test]
async fn repairs_are_bounded_exactly() {
    for n in 0..3 {
        let wrong = || ScriptedReply::text("x");
        let (replies, enough) = (std::iter::repeat_with(wrong), [ScriptedReply::text("7")]);
        let just = replies.take(n).chain(enough.clone());
        check(ask(n as u32, just).await, Ok(7), n + 1);
        let too_late = replies.take(n + 1).chain(enough);
        check(ask(n as u32, too_late).await, Err(OutputErrorKind::Misfit), n + 1);
    }
}

#[tokio::test]
async fn refusals_are_final_and_what_is_empty_or_cut_off_is_asked_for_once_more() {
    use FinishReason::{ContentFilter, Length, Stop};
    let good = || ScriptedReply::text("7");
    let refused = || ended("I cannot help with that.", ContentFilter);
    check(ask(5, [refused(), good()]).await, Err(OutputErrorKind::Refused), 1);
    for (cut, kind) in
        [(ended("1", Length), OutputErrorKind::CutOff), (ended(" ", Stop), OutputErrorKind::Empty)]
    {
        check(ask(5, [cut.clone(), good()]).await, Ok(7), 2);
        check(ask(5, [cut.clone(), cut.clone(), good()]).await, Err(kind), 2);
        check(ask(0, [cut, good()]).await, Err(kind), 1);
    }
}

#[tokio::test]
async fn a_reply_that_is_none_is_repaired_and_any_other_failure_is_the_callers() {
    let broken = || ScriptedReply::error(ModelErrorKind::InvalidReply);
    check(ask(1, [broken(), ScriptedReply::text("7")]).await, Ok(7), 2);
    check(ask(1, [broken(), broken()]).await, Err(OutputErrorKind::Model), 2);
    let down = ScriptedReply::error(ModelErrorKind::Unavailable);
    check(ask(1, [down]).await, Err(OutputErrorKind::Model), 1);
}
