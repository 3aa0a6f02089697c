//! People: approvals, calls in doubt, messages that come in, pauses; and crashes among all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::simulation::{Crash, Simulation, call, spec};
use crate::agent::{AgentSpec, Machine};
use crate::approval::{Ask, Decision, InDoubt, pending};
use crate::ids::{CallId, RunId, StreamId};
use crate::journal::{Event, Recorded};
use crate::message::Message;
use crate::model::{ChatReply, ModelError};
use crate::time::Timestamp;
use crate::tool::{Approval, ToolErrorKind};

/// The agent of the simulation, with tools that need approval.
fn guarded(approvals: impl IntoIterator<Item = (&'static str, Approval)>) -> AgentSpec {
    let approvals = approvals.into_iter().map(|(tool, approval)| (tool.to_owned(), approval));
    AgentSpec { approvals: Arc::new(approvals.collect()), ..spec() }
}

/// Calls these tools side by side, then answers.
fn calling(tools: &[&'static str]) -> impl Fn(u32, u32) -> Result<ChatReply, ModelError> {
    let calls: Vec<_> = (0..).zip(tools).map(|(n, tool)| call(tool, json!(n))).collect();
    move |turn, _| match turn {
        1 => Ok(ChatReply::calls(calls.clone())),
        _ => Ok(ChatReply::text("answer")),
    }
}

fn no(_: &CallId) -> Decision {
    Decision::Denied { why: "not today".into() }
}

fn position(journal: &[Event], is_it: impl Fn(&Event) -> bool) -> usize {
    journal.iter().position(is_it).expect("it is there")
}

#[test]
fn a_call_waits_for_its_approval_and_the_others_do_not() {
    let model = calling(&["pay", "look"]);
    let spec = guarded([("pay", Approval::always())]);
    let mut simulation = Simulation::new(spec, &model);
    // The person takes longest.
    simulation.order = vec![0, 1];
    let done = simulation.run();
    assert_eq!(done.effects, ["1-2", "1-1"].map(CallId::from));
    let journal = &done.journal;
    let asked = position(journal, |event| matches!(event, Event::PersonAsked { .. }));
    let answered = position(journal, |event| matches!(event, Event::PersonAnswered { .. }));
    let is_start = |event: &Event, id: &str| matches!(event, Event::ToolStarted { call, .. } if call.as_str() == id);
    let paid = position(journal, |event| is_start(event, "1-1"));
    let looked = position(journal, |event| is_start(event, "1-2"));
    assert!(asked < answered && answered < paid && looked < answered, "{journal:?}");
    assert_eq!(done.outcomes(), [("1-1", None), ("1-2", None)]);
}

#[test]
fn what_is_denied_or_not_answered_is_not_made_and_the_model_reads_why() {
    let model = calling(&["pay"]);
    for person in [no, |_: &CallId| Decision::Expired] {
        let mut simulation = Simulation::new(guarded([("pay", Approval::always())]), &model);
        simulation.person = person;
        let done = simulation.run();
        assert_eq!(done.effects, [] as [CallId; 0]);
        assert_eq!(done.outcomes(), [("1-1", Some(ToolErrorKind::Denied))]);
        assert!(done.result().is_ok(), "the model goes on");
    }
}

#[test]
fn a_policy_decides_by_the_arguments() {
    let model = calling(&["pay", "pay"]);
    let approval = Approval::when("large", |arguments| *arguments == json!(1));
    let done = Simulation::new(guarded([("pay", approval)]), &model).run();
    assert_eq!(done.asked, ["1-2"].map(CallId::from));
    assert_eq!(done.effects.len(), 2);
}

/// SEC-E: an answer is single-use, and there is none for a call that does not wait.
#[test]
fn sec_e_an_answer_counts_once_and_only_while_it_is_waited_for() {
    let model = calling(&["pay"]);
    let mut simulation = Simulation::new(guarded([("pay", Approval::always())]), &model);
    simulation.person = no;
    let done = simulation.run();
    let answer = |decision| Event::PersonAnswered { call: "1-1".into(), decision, by: "q".into() };
    for n_events in 0..=done.journal.len() {
        let mut machine = Machine::new(Arc::new(guarded([("pay", Approval::always())])), 7);
        done.journal[..n_events].iter().for_each(|event| machine.apply(event));
        let is_waiting = machine.waiting_calls().count() == 1;
        let before = format!("{machine:?}");
        machine.apply(&answer(Decision::Approved));
        assert_eq!(format!("{machine:?}") != before, is_waiting, "after {n_events} events");
        let after = format!("{machine:?}");
        machine.apply(&answer(Decision::Denied { why: "second".into() }));
        assert_eq!(format!("{machine:?}"), after, "two approvers race");
    }
}

#[test]
fn a_call_in_doubt_is_put_to_a_person_when_that_is_the_policy() {
    let model = calling(&["pay", "look"]);
    type Person = fn(&CallId) -> Decision;
    let says: [(Person, _, usize); 3] = [
        (|_| Decision::Output { output: json!("paid") }, None, 1),
        (|_| Decision::Approved, None, 2),
        (no, Some(ToolErrorKind::InDoubt), 1),
    ];
    for (person, kind, n_effects) in says {
        let spec = AgentSpec { in_doubt: InDoubt::AskPerson, ..spec() };
        let mut simulation = Simulation::new(spec, &model);
        simulation.person = person;
        // Started, called, replied, two calls started, the second of them finished.
        simulation.order = vec![0, 1];
        simulation.crashes = [Crash { n_events: 6, is_after_effects: true }].into();
        let done = simulation.run();
        assert_eq!(done.outcomes(), [("1-1", kind), ("1-2", None)]);
        let n_paid = done.effects.iter().filter(|call| call.as_str() == "1-1").count();
        assert_eq!(n_paid, n_effects, "never again on its own");
        let asked = |event: &Event| matches!(event, Event::PersonAsked { ask: Ask::InDoubt, .. });
        assert_eq!(done.journal.iter().filter(|event| asked(event)).count(), 1);
    }
}

#[test]
fn a_reconcilable_call_is_looked_up_before_it_is_made_again() {
    let model = calling(&["book", "look"]);
    for is_after_effects in [false, true] {
        let mut simulation = Simulation::new(spec(), &model);
        simulation.order = vec![0, 1];
        simulation.crashes = [Crash { n_events: 6, is_after_effects }].into();
        let done = simulation.run();
        let n_booked = done.effects.iter().filter(|call| call.as_str() == "1-1").count();
        assert_eq!(n_booked, 1, "after effects: {is_after_effects}");
        assert_eq!(done.outcomes(), [("1-1", None), ("1-2", None)]);
    }
}

fn message(id: &str) -> Event {
    Event::MessageDelivered { id: id.into(), message: Message::user(id) }
}

#[test]
fn a_message_is_read_once_in_the_next_turn() {
    let model = calling(&["look"]);
    let done = Simulation::new(spec(), &model).run();
    // Started, called, replied, tool started, tool finished, called, replied, finished.
    let tool_finished = 4;
    for at in 1..done.journal.len() {
        let mut machine = Machine::new(Arc::new(spec()), 7);
        done.journal[..at].iter().for_each(|event| machine.apply(event));
        machine.apply(&message("a"));
        machine.apply(&message("a"));
        assert!(machine.has_message("a"));
        let mut rest = done.journal[at..].to_vec();
        if at > tool_finished {
            // The answer is not the last word any more.
            rest.truncate(done.journal.len() - 1 - at);
            rest.push(Event::ModelCalled { turn: 3, attempt: 1, delay: Duration::ZERO });
        }
        rest.iter().for_each(|event| machine.apply(event));
        let messages = machine.messages();
        let place = messages.iter().position(|read| *read == Message::user("a"));
        let expect = match at {
            // Behind what the agent was told.
            1 => 1,
            // Behind the outcome of the tool.
            2..=5 => 3,
            // Behind what it was about to answer.
            _ => 4,
        };
        assert_eq!(place, Some(expect), "after {at} events: {messages:?}");
        assert_eq!(messages.iter().filter(|read| **read == Message::user("a")).count(), 1);
        super::simulation::check_history(messages);
    }
}

#[test]
fn a_pause_begins_nothing_and_loses_nothing() {
    let model = calling(&["look", "pay"]);
    let done = Simulation::new(spec(), &model).run();
    for at in 1..done.journal.len() {
        let mut machine = Machine::new(Arc::new(spec()), 7);
        done.journal[..at].iter().for_each(|event| machine.apply(event));
        let next = machine.decide();
        machine.apply(&Event::WorkPaused);
        let begins =
            |event: &Event| matches!(event, Event::ModelCalled { .. } | Event::ToolStarted { .. });
        assert!(!machine.decide().iter().any(begins), "after {at} events");
        machine.apply(&Event::WorkResumed);
        assert_eq!(machine.decide(), next, "after {at} events");
    }
}

proptest! {
    /// Whatever crashes: what a person denied is never made, what was approved is made as often as its class
    /// allows, and every question has an answer.
    #[test]
    fn crashes_change_no_answer_of_a_person(
        tools in proptest::collection::vec(proptest::sample::select(&["look", "put", "pay", "book"][..]), 1..4),
        order in proptest::collection::vec(0_usize..4, 0..12),
        crashes in proptest::collection::vec(1_usize..20, 0..5),
        is_after_effects in any::<bool>(),
        says_no in any::<bool>(),
    ) {
        let model = calling(&tools);
        let spec = guarded(["put", "pay", "book"].map(|tool| (tool, Approval::always())));
        let mut simulation = Simulation::new(spec, &model);
        simulation.order = order;
        let crashes = crashes.iter().map(|&n_events| Crash { n_events, is_after_effects });
        simulation.crashes = crashes.collect();
        if says_no {
            simulation.person = no;
        }
        let done = simulation.run();
        let mut made: BTreeMap<&CallId, usize> = BTreeMap::new();
        done.effects.iter().for_each(|call| *made.entry(call).or_default() += 1);
        for (i, tool) in (1..).zip(&tools) {
            let call = CallId::from(format!("1-{i}"));
            let n_made = made.get(&call).copied().unwrap_or(0);
            match *tool {
                "look" => prop_assert!(n_made >= 1),
                _ if says_no => prop_assert_eq!(n_made, 0, "{} was made", tool),
                "book" => prop_assert_eq!(n_made, 1),
                "pay" => prop_assert!(n_made <= 1),
                _ => prop_assert!(n_made >= 1),
            }
        }
        let stored = Recorded::sequence(0, Timestamp::from_millis(0), done.journal);
        prop_assert_eq!(pending(&StreamId::root(RunId::from_bits(1)), &stored), []);
    }
}

/// What is stored must be readable by every later version.
#[test]
fn the_events_of_people_are_written_as_they_always_were() {
    let events = [
        Event::PersonAsked {
            call: "1-1".into(),
            tool: "pay".into(),
            arguments: json!({"sum": 3}),
            ask: Ask::Approval,
            patience: Duration::from_secs(60),
        },
        Event::PersonAnswered {
            call: "1-1".into(),
            decision: Decision::Approved,
            by: "ann".into(),
        },
        Event::PersonAnswered {
            call: "1-2".into(),
            decision: Decision::Denied { why: "no".into() },
            by: "ann".into(),
        },
        Event::PersonAnswered {
            call: "1-3".into(),
            decision: Decision::Output { output: json!(7) },
            by: "ann".into(),
        },
        Event::PersonAnswered {
            call: "1-4".into(),
            decision: Decision::Expired,
            by: String::new(),
        },
        message("m"),
        Event::WorkPaused,
        Event::WorkResumed,
    ];
    let golden = r#"[{"kind":"person_asked","call":"1-1","tool":"pay","arguments":{"sum":3},"ask":"approval","patience_ms":60000},{"kind":"person_answered","call":"1-1","decision":"approved","by":"ann"},{"kind":"person_answered","call":"1-2","decision":{"denied":{"why":"no"}},"by":"ann"},{"kind":"person_answered","call":"1-3","decision":{"output":{"output":7}},"by":"ann"},{"kind":"person_answered","call":"1-4","decision":"expired","by":""},{"kind":"message_delivered","id":"m","message":"#;
    let text = serde_json::to_string(&events).expect("it is text");
    assert!(text.starts_with(golden), "{text}");
    assert!(text.ends_with(r#",{"kind":"work_paused"},{"kind":"work_resumed"}]"#), "{text}");
    assert_eq!(serde_json::from_str::<Vec<Event>>(&text).expect("it reads back"), events);
    assert!(events.iter().all(|event| !event.is_result()), "no answer is work of the run");
}
