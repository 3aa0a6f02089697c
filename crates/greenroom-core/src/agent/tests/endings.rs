//! How a task ends: with an output that passes its check, at a limit, or with what was found.

use std::sync::Arc;

use serde_json::{Value, json};

use super::simulation::{Simulation, call, spec};
use crate::agent::{AgentSpec, OutputCheck, TurnLimits};
use crate::budget::{Limit, Usage};
use crate::journal::Event;
use crate::message::Message;
use crate::model::{ChatReply, FinishReason, ModelError, ModelErrorKind, OutputSchema};
use crate::report::{Report, TaskFailure, TaskFailureKind};
use crate::retriever::Passage;

/// An agent whose text must be a number.
fn counting(limits: TurnLimits) -> AgentSpec {
    let check: OutputCheck = Arc::new(|text: &str| {
        text.parse::<i64>().map(Value::from).map_err(|_| format!("{text:?} is no number"))
    });
    let schema = Arc::new(OutputSchema { name: "number".into(), schema: json!({}) });
    AgentSpec { output: Some((schema, check)), limits, ..spec() }
}

fn repairs(repairs_max: u32) -> TurnLimits {
    TurnLimits { repairs_max, ..TurnLimits::default() }
}

#[track_caller]
fn check_repair(limits: TurnLimits, replies: &[&str], expect: Result<i64, TaskFailureKind>) {
    let model = |turn: u32, _| Ok(ChatReply::text(replies[turn as usize - 1]));
    let done = Simulation::new(counting(limits), &model).run();
    assert_eq!(done.requests.len(), replies.len());
    let outcome = done.result().as_ref().map(|report| report.value.clone());
    let expect = expect.map(|number| Some(Value::from(number)));
    assert_eq!(outcome.map_err(|failure| failure.kind), expect);
}

#[test]
fn an_output_is_repaired_so_often_and_no_more() {
    use TaskFailureKind::Output;
    check_repair(repairs(0), &["7"], Ok(7));
    check_repair(repairs(0), &["x"], Err(Output));
    check_repair(repairs(2), &["x", "y", "7"], Ok(7));
    check_repair(repairs(2), &["x", "y", "z"], Err(Output));
    // A repair takes a turn: without one there is no repair, and the output is what failed.
    check_repair(TurnLimits { turns_max: 1, ..repairs(2) }, &["x"], Err(Output));
    check_repair(TurnLimits { turns_max: 2, ..repairs(2) }, &["x", "y"], Err(Output));
}

#[test]
fn only_the_last_failed_try_is_shown_and_the_conversation_does_not_grow() {
    let model = |turn, _| Ok(ChatReply::text(["x", " ", "z"][turn as usize - 1]));
    let done = Simulation::new(counting(repairs(2)), &model).run();
    let shown: Vec<_> = done.requests.iter().map(|request| &request.messages[1..]).collect();
    let objection =
        |why: &str| Message::user(format!("That reply cannot be used: {why}. Answer again."));
    assert_eq!(
        shown,
        [
            &[][..],
            &[Message::assistant("x"), objection("\"x\" is no number")],
            // A blank reply is not shown: providers refuse messages without content.
            &[objection("the reply was empty")],
        ]
    );
    assert!(done.requests[1..].iter().all(|request| request.tools.is_empty()));
    assert_eq!(done.machine().messages().len(), 1);
}

#[test]
fn a_reply_that_was_cut_off_is_not_checked_but_sent_back() {
    let model = |turn, _| {
        let finish = if turn == 1 { FinishReason::Length } else { FinishReason::Stop };
        Ok(ChatReply { finish, ..ChatReply::text("12") })
    };
    let done = Simulation::new(counting(repairs(1)), &model).run();
    assert_eq!(done.requests.len(), 2);
    assert_eq!(done.result().as_ref().map(|report| report.value.clone()), Ok(Some(json!(12))));
    // Without a shape, what there is of a text is better than nothing.
    let done = Simulation::new(spec(), &model).run();
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("12"));
}

#[test]
fn a_reply_that_is_none_is_repaired_with_tools_still_on_offer() {
    let model = |turn, _| match turn {
        1 => Err(ModelError::new(ModelErrorKind::InvalidReply, "m", "half a call")),
        2 => Ok(ChatReply::calls([call("put", json!(1))])),
        _ => Ok(ChatReply::text("ok")),
    };
    let done = Simulation::new(spec(), &model).run();
    let told = Message::user("That reply cannot be used: half a call. Answer again.");
    assert_eq!(done.requests[1].messages[1..], [told]);
    assert_eq!(done.requests[1].tools.len(), spec().tools.len());
    assert_eq!(done.requests[2].messages.len(), 3, "the objection is gone");
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("ok"));

    let model = |_, _| Err(ModelError::new(ModelErrorKind::InvalidReply, "m", "never"));
    let done = Simulation::new(spec(), &model).run();
    assert_eq!(done.requests.len(), 3, "two repairs");
    assert_eq!(done.result().as_ref().map_err(|f| f.kind), Err(TaskFailureKind::Model));
}

#[test]
fn a_reply_that_was_withheld_is_no_answer() {
    let withheld = ChatReply { finish: FinishReason::ContentFilter, ..ChatReply::default() };
    let model = move |_, _| Ok(withheld.clone());
    for spec in [spec(), counting(repairs(2))] {
        let done = Simulation::new(spec, &model).run();
        assert_eq!(done.requests.len(), 1, "it is not asked again");
        assert_eq!(done.result().as_ref().map_err(|f| f.kind), Err(TaskFailureKind::Refused));
    }
}

#[test]
fn what_is_empty_or_cut_off_is_asked_for_once_more_and_then_has_a_name() {
    use TaskFailureKind::{CutOff, Empty, Output};
    let (cut, empty) = ((FinishReason::Length, "1"), (FinishReason::Stop, " "));
    let (wrong, good) = ((FinishReason::Stop, "x"), (FinishReason::Stop, "7"));
    for (replies, expect, n_calls) in [
        ([cut, good, good, good], Ok(()), 2),
        ([cut, cut, good, good], Err(CutOff), 2),
        ([empty, empty, good, good], Err(Empty), 2),
        // They are two faults, and a misfit between them is a third.
        ([empty, cut, good, good], Ok(()), 3),
        ([empty, wrong, empty, good], Ok(()), 4),
        ([empty, wrong, wrong, wrong], Err(Output), 4),
    ] {
        let model = |turn: u32, _| {
            let (finish, text) = replies[turn as usize - 1];
            Ok(ChatReply { finish, ..ChatReply::text(text) })
        };
        let done = Simulation::new(counting(repairs(3)), &model).run();
        assert_eq!(done.requests.len(), n_calls, "{replies:?}");
        let ended = done.result().as_ref().map(|_| ()).map_err(|failure| failure.kind);
        assert_eq!(ended, expect, "{replies:?}");
    }
}

/// A model that calls a tool for as long as it may.
#[track_caller]
fn check_turns(
    turns_max: u32,
    tool: &'static str,
    expect: Result<(usize, Option<Limit>), TaskFailureKind>,
) {
    let model = |turn, _| Ok(ChatReply::calls([call(tool, json!(turn))]));
    let limits = TurnLimits { turns_max, ..TurnLimits::default() };
    let done = Simulation::new(AgentSpec { limits, ..spec() }, &model).run();
    let n_tools: Vec<_> = done.requests.iter().map(|request| request.tools.len()).collect();
    let mut offered = vec![spec().tools.len(); turns_max as usize];
    offered.iter_mut().rev().take(1).for_each(|n| *n = 0);
    assert_eq!(n_tools, offered, "tools are offered until the last turn");
    let ended = done.result().as_ref().map(|report| (report.passages.len(), report.limit));
    assert_eq!(ended.map_err(|failure| failure.kind), expect);
}

#[test]
fn fi32_turns_end_exactly_at_their_limit_with_what_was_found() {
    check_turns(0, "put", Err(TaskFailureKind::Limit));
    check_turns(1, "look", Err(TaskFailureKind::Limit));
    check_turns(3, "put", Err(TaskFailureKind::Limit));
    check_turns(3, "look", Ok((2, Some(Limit::ModelCalls))));
}

#[test]
fn on_the_last_turn_text_is_an_answer_whatever_calls_come_with_it() {
    let model = |_, _| {
        let text = "all I know".to_owned();
        Ok(ChatReply { text, ..ChatReply::calls([call("put", json!(1))]) })
    };
    let limits = TurnLimits { turns_max: 1, ..TurnLimits::default() };
    let done = Simulation::new(AgentSpec { limits, ..spec() }, &model).run();
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("all I know"));
    assert!(done.effects.is_empty());
}

#[test]
fn a_model_that_fails_after_a_search_leaves_what_was_found() {
    let model = |turn, _| match turn {
        1 => Ok(ChatReply::calls([call("look", json!(1)), call("look", json!(1))])),
        _ => Err(ModelError::new(ModelErrorKind::Auth, "m", "no key")),
    };
    let done = Simulation::new(spec(), &model).run();
    let report = done.result().as_ref().expect("something was found");
    assert_eq!((report.text.as_str(), report.limit, report.passages.len()), ("", None, 1));
}

/// Calls `tools` at once, finishes `n_finished` of them, and then reaches a limit.
fn limited(tools: &[&str], n_finished: usize) -> (Result<Report, TaskFailure>, Vec<Event>) {
    let model =
        |_, _| Ok(ChatReply::calls(tools.iter().zip(0..).map(|(tool, n)| call(tool, json!(n)))));
    let mut simulation = Simulation::new(spec(), &model);
    let input = vec![Message::user("go")];
    simulation.record(vec![Event::TaskStarted { agent: "a".into(), input }]);
    // The model is called and replies, the tools are started, and some finish.
    for _ in 0..3 + n_finished {
        assert!(simulation.step());
    }
    simulation.record(vec![Event::LimitReached { limit: Limit::Deadline, is_refusal: false }]);
    simulation.record(vec![Event::LimitReached { limit: Limit::Tokens, is_refusal: false }]);
    while simulation.step() {}
    (simulation.result().clone(), simulation.journal)
}

#[test]
fn a_limit_ends_the_work_with_what_finished_calls_have_found() {
    let passage = |n: i32| Passage {
        source: n.to_string(),
        start_line: 1,
        end_line: 1,
        heading: Vec::new(),
        score: 1.0,
        text: n.to_string(),
        also_at: Vec::new(),
        ranks: None,
    };
    let usage = Usage { model_calls: 1, tool_calls: 3, ..Usage::default() };
    let (result, _) = limited(&["look", "look", "look"], 2);
    let limit = Some(Limit::Deadline);
    let passages = vec![passage(0), passage(1)];
    assert_eq!(result, Ok(Report { passages, usage, limit, ..Report::default() }));

    let (result, _) = limited(&["look", "look", "look"], 0);
    let message = "deadline".to_owned();
    assert_eq!(
        result,
        Err(TaskFailure { usage, limit, ..TaskFailure::new(TaskFailureKind::Limit, message) })
    );
}

#[test]
fn a_limit_that_cuts_off_a_call_which_may_not_be_repeated_says_so() {
    for (tools, n_finished, expect) in [
        (&["look", "pay"][..], 1, Err(TaskFailureKind::InDoubt)),
        (&["pay", "look"], 1, Err(TaskFailureKind::Limit)),
        (&["look", "put"], 1, Ok(())),
    ] {
        let (result, _) = limited(tools, n_finished);
        assert_eq!(result.map(|_| ()).map_err(|failure| failure.kind), expect, "{tools:?}");
    }
}

#[test]
fn a_limit_does_not_take_an_answer_away() {
    let model = |_, _| Ok(ChatReply::text("ok"));
    let mut simulation = Simulation::new(spec(), &model);
    let input = vec![Message::user("go")];
    simulation.record(vec![Event::TaskStarted { agent: "a".into(), input }]);
    while !matches!(simulation.journal.last(), Some(Event::ModelReplied { .. })) {
        simulation.step();
    }
    simulation.record(vec![Event::LimitReached { limit: Limit::Deadline, is_refusal: false }]);
    while simulation.step() {}
    assert_eq!(simulation.result().as_ref().map(|report| report.text.as_str()), Ok("ok"));
}

#[test]
fn a_limit_before_the_first_call_is_a_failure() {
    let model = |_, _| Ok(ChatReply::text("ok"));
    let mut simulation = Simulation::new(spec(), &model);
    simulation.record(vec![Event::LimitReached { limit: Limit::Tokens, is_refusal: false }]);
    while simulation.step() {}
    assert_eq!(simulation.result().as_ref().map_err(|f| f.kind), Err(TaskFailureKind::Limit));
    assert!(simulation.requests.is_empty());
}
