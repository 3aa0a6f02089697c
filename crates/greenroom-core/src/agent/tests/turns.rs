//! Turns: what the model asks for and what it is shown.

use std::sync::Arc;

use serde_json::json;

use super::simulation::{Simulation, call, check_history, spec};
use crate::agent::{AgentSpec, Command, Machine, TurnLimits};
use crate::budget::Usage;
use crate::journal::Event;
use crate::message::{Message, ToolCall, ToolOutcome};
use crate::model::{ChatReply, FinishReason, ModelError, ModelErrorKind};
use crate::report::{Report, TaskFailure, TaskFailureKind};
use crate::tool::{EffectClass, ToolError, ToolErrorKind};

fn limits(limits: TurnLimits) -> AgentSpec {
    AgentSpec { limits, ..spec() }
}

#[test]
fn a_model_calls_a_tool_reads_the_outcome_and_answers() {
    let usage = Usage {
        input_tokens: 10,
        output_tokens: 2,
        model_calls: 9,
        tool_calls: 9,
        ..Usage::default()
    };
    let model = |turn, _| {
        Ok(match turn {
            1 => ChatReply { usage, ..ChatReply::calls([call("put", json!(1))]) },
            _ => ChatReply { usage, ..ChatReply::text("stored") },
        })
    };
    let spec = AgentSpec { instructions: Arc::from("be brief"), ..spec() };
    let done = Simulation::new(spec, &model).run();
    let id = "1-1";
    assert_eq!(
        done.machine().messages(),
        [
            Message::system("be brief"),
            Message::user("go"),
            Message::Assistant {
                text: String::new(),
                reasoning: None,
                tool_calls: vec![ToolCall { id: id.into(), ..call("put", json!(1)) }],
            },
            Message::Tool {
                call: id.into(),
                name: "put".into(),
                outcome: ToolOutcome::Ok(json!({ "done": 1 })),
            },
        ]
    );
    // What the provider says of calls is not counted: calls are counted when they are made.
    let usage = Usage {
        model_calls: 2,
        input_tokens: 20,
        output_tokens: 4,
        tool_calls: 1,
        ..Usage::default()
    };
    assert_eq!(done.reported, [Ok(Report { usage, ..Report::text("stored") })]);
}

#[test]
fn parallel_outcomes_join_the_conversation_in_the_order_of_the_calls() {
    let model = |turn, _| {
        Ok(match turn {
            1 => {
                ChatReply::calls(["look", "break", "panic", "put"].map(|tool| call(tool, json!(1))))
            }
            _ => ChatReply::text("ok"),
        })
    };
    for order in [[0, 0, 0, 0], [3, 2, 1, 0], [1, 2, 0, 0], [2, 0, 1, 0]] {
        let mut simulation = Simulation::new(spec(), &model);
        simulation.order = [&[0], &order[..]].concat();
        let done = simulation.run();
        let expect = [
            ("1-1", None),
            ("1-2", Some(ToolErrorKind::Failed)),
            ("1-3", Some(ToolErrorKind::Panicked)),
            ("1-4", None),
        ];
        assert_eq!(done.outcomes(), expect, "{order:?}");
        assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("ok"));
    }
}

#[test]
fn fi27_ids_of_calls_are_our_own() {
    let long = "y".repeat(10_000);
    let ids = ["", "x", "x", "1-1", &long];
    let model = |turn, _| {
        let calls = ids.map(|id| ToolCall { id: id.into(), ..call("put", json!(turn)) });
        Ok(if turn < 3 { ChatReply::calls(calls) } else { ChatReply::text("ok") })
    };
    let unlimited = TurnLimits { same_call_max: 100, ..TurnLimits::default() };
    let done = Simulation::new(limits(unlimited), &model).run();
    let ids: Vec<_> = done.outcomes().into_iter().map(|(id, _)| id.to_owned()).collect();
    assert_eq!(ids, ["1-1", "1-2", "1-3", "1-4", "1-5", "2-1", "2-2", "2-3", "2-4", "2-5"]);
}

#[test]
fn an_unknown_tool_is_answered_with_the_list_and_never_called() {
    let model = |turn, _| {
        let wrong = [call("fly", json!({})), call("put", json!({ "not": "what the schema says" }))];
        Ok(if turn == 1 { ChatReply::calls(wrong) } else { ChatReply::text("ok") })
    };
    let done = Simulation::new(spec(), &model).run();
    let refused = Event::ToolFinished {
        call: "1-1".into(),
        outcome: ToolOutcome::Error(ToolError::new(
            ToolErrorKind::NotFound,
            "there is no tool \"fly\"; there are: look, put, pay, book, break, panic",
        )),
    };
    assert!(done.journal.contains(&refused), "{:?}", done.journal);
    // Arguments are not judged here: the tool does that, and its error is read by the model.
    let passed = Event::ToolStarted {
        call: "1-2".into(),
        tool: "put".into(),
        arguments: json!({ "not": "what the schema says" }),
        effect: EffectClass::Idempotent,
    };
    assert!(done.journal.contains(&passed));
    assert_eq!(done.effects, ["1-2".into()]);
}

/// A model that writes calls which cannot be made, so many turns in a row.
#[track_caller]
fn check_bad_calls(n_bad: u32, n_tools: &[usize], n_effects: usize) {
    let model = |turn, _| {
        let bad = [call("put", json!("{\"n\": ")), call("fly", json!({}))];
        Ok(match turn {
            turn if turn <= n_bad => ChatReply::calls(bad),
            turn if turn == n_bad + 1 => ChatReply::calls([call("put", json!(1))]),
            _ => ChatReply::text("ok"),
        })
    };
    let done = Simulation::new(spec(), &model).run();
    let offered: Vec<_> = done.requests.iter().map(|request| request.tools.len()).collect();
    assert_eq!((&offered[..], done.effects.len()), (n_tools, n_effects));
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("ok"));
}

#[test]
fn fi25_arguments_that_are_no_json_are_answered_so_often_and_then_tools_are_gone() {
    check_bad_calls(1, &[6, 6, 6], 1);
    check_bad_calls(2, &[6, 6, 6, 6], 1);
    // After two repairs the model must answer, whatever it would like to call.
    check_bad_calls(3, &[6, 6, 6, 0, 0], 0);
    // A turn that gets something done gives it its tries back.
    let model = |turn, _| {
        let n = if turn % 3 == 0 { json!(turn) } else { json!("no JSON") };
        Ok(if turn < 8 { ChatReply::calls([call("put", n)]) } else { ChatReply::text("ok") })
    };
    let done = Simulation::new(spec(), &model).run();
    assert_eq!(done.effects, ["3-1".into(), "6-1".into()]);
    let refused = done.outcomes().into_iter().filter(|(_, kind)| kind.is_some());
    assert!(refused.clone().all(|(_, kind)| kind == Some(ToolErrorKind::InvalidArguments)));
    assert_eq!(refused.count(), 5);
}

#[test]
fn fi25_a_call_that_was_cut_off_is_not_made() {
    let model = |turn, _| {
        let calls = ChatReply::calls([call("put", json!(1)), call("pay", json!({}))]);
        Ok(match turn {
            1 => ChatReply { finish: FinishReason::Length, ..calls },
            _ => ChatReply::text("ok"),
        })
    };
    let done = Simulation::new(spec(), &model).run();
    assert_eq!(done.outcomes(), [("1-1", None), ("1-2", Some(ToolErrorKind::InvalidArguments))]);
    assert_eq!(done.effects, ["1-1".into()]);
}

#[test]
fn fi26_what_an_agent_may_not_have_is_told_to_whoever_watches() {
    let model = |turn, _| {
        let calls = [call("fly", json!({})), call("put", json!("no JSON")), call("put", json!(1))];
        Ok(if turn == 1 { ChatReply::calls(calls) } else { ChatReply::text("ok") })
    };
    let done = Simulation::new(spec(), &model).run();
    let mut machine = done.fresh();
    let mut refused = Vec::new();
    for event in &done.journal {
        machine.apply(event);
        if let Some(Command::Refuse(calls)) = machine.command(event) {
            refused.extend(calls.into_iter().map(|(tool, error)| (tool, error.kind)));
        }
    }
    assert_eq!(refused, [("fly".to_owned(), ToolErrorKind::NotFound)]);
}

#[test]
fn u01_u02_a_conversation_that_was_cut_off_keeps_what_was_finished() {
    let model = |_, _| Ok(ChatReply::calls([1, 2, 3].map(|n| call("put", json!(n)))));
    let mut simulation = Simulation::new(spec(), &model);
    simulation.order = vec![0, 1];
    let input = vec![Message::user("go")];
    simulation.record(vec![Event::TaskStarted { agent: "a".into(), input }]);
    // The model is called and replies, three calls begin, and the second one finishes.
    for _ in 0..4 {
        assert!(simulation.step());
    }
    let conversation = simulation.machine().conversation();
    check_history(&conversation);
    let is_ok =
        |message: &Message| matches!(message, Message::Tool { outcome: ToolOutcome::Ok(_), .. });
    assert_eq!(conversation[2..].iter().map(is_ok).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(simulation.machine().messages().len(), 2);
}

#[track_caller]
fn check_same_call(same_call_max: u32, turns: &[&[i32]], expect: &[&str]) {
    let model = |turn: u32, _| {
        let calls = turns.get(turn as usize - 1).into_iter().copied().flatten();
        Ok(ChatReply::calls(calls.map(|n| call("put", json!({ "a": n, "b": 0 })))))
    };
    let spec = limits(TurnLimits { same_call_max, ..TurnLimits::default() });
    let done = Simulation::new(spec, &model).run();
    assert_eq!(done.effects, expect.iter().map(|id| (*id).into()).collect::<Vec<_>>());
}

#[test]
fn fi31_the_same_call_is_made_so_often_and_no_more() {
    check_same_call(0, &[&[1, 1]], &[]);
    check_same_call(1, &[&[1, 1]], &["1-1"]);
    check_same_call(1, &[&[1], &[2, 1], &[2, 3]], &["1-1", "2-1", "3-2"]);
    check_same_call(2, &[&[1], &[1], &[1], &[1]], &["1-1", "2-1"]);
    check_same_call(3, &[&[1, 1, 1, 1, 2]], &["1-1", "1-2", "1-3", "1-5"]);
}

#[track_caller]
fn check_calls_per_turn(calls_per_turn_max: usize, expect: &[&str]) {
    let model = |turn, _| {
        let calls = [1, 2, 3].map(|n| call("put", json!(n)));
        Ok(if turn < 3 { ChatReply::calls(calls) } else { ChatReply::text("ok") })
    };
    let spec = limits(TurnLimits { calls_per_turn_max, same_call_max: 1, ..TurnLimits::default() });
    let done = Simulation::new(spec, &model).run();
    assert_eq!(done.effects, expect.iter().map(|id| (*id).into()).collect::<Vec<_>>());
    assert_eq!(done.outcomes().len(), 6, "each call has an outcome");
}

#[test]
fn so_many_calls_of_a_turn_are_made_and_no_more() {
    check_calls_per_turn(0, &[]);
    check_calls_per_turn(1, &["1-1"]);
    check_calls_per_turn(3, &["1-1", "1-2", "1-3"]);
}

#[test]
fn a_call_that_was_refused_for_its_place_may_be_made_later() {
    let model = |turn, _| {
        let calls: &[i32] = if turn == 1 { &[1, 2] } else { &[2] };
        let calls = calls.iter().map(|n| call("put", json!(n)));
        Ok(if turn < 3 { ChatReply::calls(calls) } else { ChatReply::text("ok") })
    };
    let spec =
        limits(TurnLimits { calls_per_turn_max: 1, same_call_max: 1, ..TurnLimits::default() });
    assert_eq!(Simulation::new(spec, &model).run().effects, ["1-1".into(), "2-1".into()]);
}

#[test]
fn late_duplicate_and_foreign_events_change_nothing() {
    let model = |turn, attempt| match (turn, attempt) {
        (1, 1) => Err(ModelError::new(ModelErrorKind::Timeout, "m", "slow")),
        (1, _) => Ok(ChatReply::calls([call("put", json!(1)), call("look", json!(1))])),
        _ => Ok(ChatReply::text("ok")),
    };
    let done = Simulation::new(spec(), &model).run();
    let strangers = [
        Event::GatheringEnded,
        Event::ModelReplied { turn: 9, reply: ChatReply::text("late") },
        Event::ModelFailed {
            turn: 1,
            attempt: 9,
            error: ModelError::new(ModelErrorKind::Auth, "m", "late"),
        },
        Event::ToolStarted {
            call: "9-9".into(),
            tool: "pay".into(),
            arguments: json!(1),
            effect: EffectClass::AtMostOnce,
        },
        Event::ToolFinished { call: "9-9".into(), outcome: ToolOutcome::Ok(json!("late")) },
    ];
    let clean = format!("{:?}", done.machine());
    let mut machine = Machine::new(Arc::new(spec()), 7);
    for (i, event) in done.journal.iter().enumerate() {
        machine.apply(event);
        let before = format!("{machine:?}");
        // Everything so far comes again, as does what was never asked for.
        for again in done.journal[..=i].iter().chain(&strangers) {
            machine.apply(again);
            assert_eq!(format!("{machine:?}"), before, "after {again:?}");
        }
        for stranger in &strangers {
            assert!(machine.command(stranger).is_none(), "{stranger:?}");
        }
    }
    let failure = TaskFailure::new(TaskFailureKind::Cancelled, "too late");
    machine.apply(&Event::TaskFinished { result: Err(failure) });
    assert_eq!(format!("{machine:?}"), clean, "a result stays");
}

/// A call that was made again after a crash may be answered twice. Both answers are paid for, one is used.
#[test]
fn a_second_answer_to_a_call_is_paid_for_and_changes_nothing_else() {
    let usage = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
    let answer = |text: &str| ChatReply { usage, ..ChatReply::text(text) };
    let model = |turn, _| {
        Ok(match turn {
            1 => ChatReply { usage, ..ChatReply::calls([call("put", json!(1))]) },
            _ => answer("stored"),
        })
    };
    let done = Simulation::new(spec(), &model).run();
    let late = Event::ModelReplied { turn: 1, reply: answer("too late") };
    let first = done.journal.iter().position(|event| matches!(event, Event::ModelReplied { .. }));
    let first = first.expect("the model replied");
    for at in first + 1..=done.journal.len() {
        let mut machine = done.fresh();
        done.journal[..at].iter().for_each(|event| machine.apply(event));
        let (before, next, said) = (machine.usage(), machine.decide(), machine.messages().to_vec());
        machine.apply(&late);
        if machine.is_done() {
            assert_eq!(machine.usage(), before, "nothing is told of what comes after the end");
            continue;
        }
        let paid = Usage { input_tokens: 10, output_tokens: 2, ..Usage::default() };
        let mut both = before;
        both.add(paid);
        assert_eq!(machine.usage(), both, "after {at} events");
        assert_eq!(machine.messages(), said, "after {at} events");
        let is_end = |event: &Event| matches!(event, Event::TaskFinished { .. });
        assert!(
            machine.decide() == next || machine.decide().iter().all(is_end),
            "after {at} events"
        );
    }
}
