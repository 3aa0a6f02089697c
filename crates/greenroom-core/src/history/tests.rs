//! Invariant I-H: each call has exactly one outcome, in order, whatever the messages are.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn call(id: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "look".into(), arguments: json!({ "id": id }) }
}

fn calls<const N: usize>(ids: [&str; N]) -> Message {
    let tool_calls = ids.map(call).to_vec();
    Message::Assistant { text: String::new(), reasoning: None, tool_calls }
}

fn outcome(id: &str, value: i32) -> Message {
    Message::Tool { call: id.into(), name: "look".into(), outcome: ToolOutcome::Ok(json!(value)) }
}

/// The turns, written short: `u:text`, and `a:text id=outcome …` with `!` for an error.
#[track_caller]
fn check<const N: usize>(messages: &[Message], expect: [&str; N]) {
    let written = turns(messages).into_iter().map(|turn| match turn {
        Turn::System(text) => format!("s:{text}"),
        Turn::User { text, .. } => format!("u:{text}"),
        Turn::Assistant { text, calls, .. } => {
            let calls = calls.iter().map(|paired| match &*paired.outcome {
                ToolOutcome::Ok(value) => format!(" {}={value}", paired.call.id),
                ToolOutcome::Error(error) => format!(" {}=! {}", paired.call.id, error.kind),
            });
            format!("a:{text}{}", calls.collect::<String>())
        }
    });
    assert_eq!(written.collect::<Vec<_>>(), expect);
}

#[test]
fn u01_an_interrupted_call_gets_an_outcome_and_the_conversation_goes_on() {
    let messages = [
        Message::system("s"),
        Message::user("go"),
        calls(["a", "b", "c"]),
        outcome("b", 2),
        Message::user("what happened?"),
    ];
    let paired = "a: a=! in doubt b=2 c=! in doubt";
    check(&messages, ["s:s", "u:go", paired, "u:what happened?"]);
}

#[test]
fn u02_late_and_swapped_outcomes_find_their_calls() {
    let messages =
        [calls(["a", "b"]), Message::user("meanwhile"), outcome("b", 2), outcome("a", 1)];
    check(&messages, ["a: a=1 b=2", "u:meanwhile"]);
}

#[test]
fn outcomes_that_no_call_waits_for_are_left_out() {
    check(&[outcome("a", 0), calls(["a"]), outcome("a", 1), outcome("a", 2)], ["a: a=1"]);
    check(&[outcome("x", 0), Message::user("hi")], ["u:hi"]);
}

#[test]
fn fi27_ids_that_are_used_again_pair_with_their_own_outcomes() {
    let twice = [calls(["a", "a"]), outcome("a", 1), outcome("a", 2)];
    check(&twice, ["a: a=1 a=2"]);
    let in_two_turns = [calls(["a"]), outcome("a", 1), calls(["a"]), outcome("a", 2)];
    check(&in_two_turns, ["a: a=1", "a: a=2"]);
    let first_cut_off = [calls(["a"]), Message::user("go on"), calls(["a"]), outcome("a", 2)];
    check(&first_cut_off, ["a: a=! in doubt", "u:go on", "a: a=2"]);
    let long = "x".repeat(10_000);
    let messages = [calls([long.as_str(), ""]), outcome(&long, 1), outcome("", 2)];
    let turns = turns(&messages);
    let Turn::Assistant { calls, .. } = &turns[0] else { panic!("{turns:?}") };
    let ids: Vec<_> = calls.iter().map(|paired| paired.id.as_str()).collect();
    assert_eq!(ids, ["call00001", "call00002"]);
    assert_eq!(*calls[1].outcome, ToolOutcome::Ok(json!(2)));
}

#[test]
fn only_replies_that_say_nothing_are_left_out() {
    let thought = Message::Assistant {
        text: String::new(),
        reasoning: Some(Reasoning { wire: "w".into(), items: vec![json!(1)] }),
        tool_calls: Vec::new(),
    };
    check(&[Message::assistant(""), Message::user(""), thought], ["u:", "a:"]);
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let id = || prop_oneof![Just("a"), Just("b"), Just("c"), Just("")];
    let message = prop_oneof![
        "[a-z]{0,3}".prop_map(Message::user),
        "[a-z]{1,3}".prop_map(Message::system),
        ("[a-z]{0,2}", prop::collection::vec(id(), 0..4)).prop_map(|(text, ids)| {
            let tool_calls = ids.into_iter().map(call).collect();
            Message::Assistant { text, reasoning: None, tool_calls }
        }),
        (id(), 0..9_i32).prop_map(|(id, value)| outcome(id, value)),
    ];
    prop::collection::vec(message, 0..16)
}

/// The turns as messages again.
fn written(turns: &[Turn<'_>]) -> Vec<Message> {
    let mut messages = Vec::new();
    for turn in turns {
        match turn {
            Turn::System(text) => messages.push(Message::system(*text)),
            Turn::User { text, images } => {
                messages.push(Message::user_with_images(*text, images.iter().cloned()));
            }
            Turn::Assistant { text, reasoning, calls } => {
                let renamed = |paired: &PairedCall<'_>| ToolCall {
                    id: paired.id.as_str().into(),
                    ..paired.call.clone()
                };
                messages.push(Message::Assistant {
                    text: (*text).to_owned(),
                    reasoning: reasoning.cloned(),
                    tool_calls: calls.iter().map(renamed).collect(),
                });
                messages.extend(calls.iter().map(|paired| Message::Tool {
                    call: paired.id.as_str().into(),
                    name: paired.call.name.clone(),
                    outcome: paired.outcome.clone().into_owned(),
                }));
            }
        }
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_conversation_is_put_in_order(messages in messages()) {
        let turns = turns(&messages);

        let mut ids = HashSet::new();
        let mut n_calls = 0;
        for turn in &turns {
            if let Turn::Assistant { calls, .. } = turn {
                for paired in calls {
                    prop_assert!(ids.insert(paired.id.clone()));
                    prop_assert_eq!(paired.id.len(), 9);
                    n_calls += 1;
                }
            }
        }
        let asked = messages.iter().map(|message| match message {
            Message::Assistant { tool_calls, .. } => tool_calls.len(),
            _ => 0,
        });
        prop_assert_eq!(n_calls, asked.sum::<usize>());

        let words = |messages: &[Message]| {
            let words = messages.iter().filter_map(|message| match message {
                Message::System { text } | Message::User { text, .. } => Some(text.clone()),
                _ => None,
            });
            words.collect::<Vec<_>>()
        };
        let again = written(&turns);
        prop_assert_eq!(words(&again), words(&messages), "no word of a person is lost");
        prop_assert_eq!(&written(&super::turns(&again)), &again, "what is in order stays");
    }
}
