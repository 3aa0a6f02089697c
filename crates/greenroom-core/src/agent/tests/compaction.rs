//! Conversations that are too long: attempts that differ, and an end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::simulation::{Crash, Reader, Reply, Simulation, call, check_history, spec};
use crate::agent::{AgentSpec, Machine, TurnLimits};
use crate::journal::Event;
use crate::message::{Message, ToolOutcome};
use crate::model::{ChatReply, ChatRequest, ModelError, ModelErrorKind, messages_len};
use crate::report::TaskFailureKind;

fn too_long() -> Reply {
    Err(ModelError::new(ModelErrorKind::ContextLength, "m", "SECRET-SIGN of the error"))
}

/// The bytes of everything that a request holds.
fn len(request: &ChatRequest) -> usize {
    messages_len(&request.messages)
}

/// A model with so much context, which calls `put` with long arguments on every turn before the last one.
fn small_model(len_max: usize, n_turns: u32) -> impl Fn(&ChatRequest, u32) -> Reply {
    move |request, turn| {
        if len(request) > len_max {
            return too_long();
        }
        let text = format!("{turn} {}", "long ".repeat(200));
        Ok(if turn < n_turns {
            ChatReply::calls([call("put", json!({ "n": text }))])
        } else {
            ChatReply::text("end")
        })
    }
}

/// Runs a task whose model answers by what it is asked; `notes` says what it answers when it is asked
/// for notes.
fn run<'a>(model: &'a Reader<'a>, notes: &'a Reader<'a>) -> Simulation<'a> {
    simulation(model, notes).run()
}

fn simulation<'a>(model: &'a Reader<'a>, notes: &'a Reader<'a>) -> Simulation<'a> {
    let limits = TurnLimits { turns_max: 6, ..TurnLimits::default() };
    Simulation::reading(AgentSpec { limits, ..spec() }, model, notes)
}

fn short_notes(_: &ChatRequest, n: u32) -> Reply {
    Ok(ChatReply::text(format!("notes {n}")))
}

/// What became of the conversation, each time: the attempt, and the messages behind the input.
fn compactions(journal: &[Event]) -> Vec<(u32, &[Message])> {
    let compacted = journal.iter().filter_map(|event| match event {
        Event::Compacted { attempt, messages, .. } => Some((*attempt, &messages[1..])),
        _ => None,
    });
    compacted.collect()
}

#[test]
fn fi05_a_conversation_that_is_too_long_is_shortened_once_and_goes_on() {
    let model = small_model(5_000, 5);
    let done = run(&model, &short_notes);
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("end"));
    // Two calls fit; the third does not, and what is left of the first two are notes.
    let compactions = compactions(&done.journal);
    let [(1, [Message::User { text, .. }, last @ ..])] = &compactions[..] else {
        panic!("{compactions:?}");
    };
    assert!(text.contains("notes 1"), "{text}");
    assert_eq!(last.len(), 2, "the last call and its outcome stay as they are");
    // All of the work was done once, and every request was in order.
    assert_eq!(done.effects.len(), 3);
    done.requests.iter().for_each(|request| check_history(&request.messages));
    // The journal says what it cost: three calls, one that was refused, one for notes, and the last one.
    assert_eq!(done.result().as_ref().map(|report| report.usage.model_calls), Ok(6));
}

#[test]
fn u17_what_stays_too_long_is_given_up_after_three_different_attempts() {
    let model = |request: &ChatRequest, turn| match turn {
        1 | 2 => Ok(ChatReply::calls([call(
            "put",
            json!({ "n": format!("{turn}{}", "long ".repeat(900)) }),
        )])),
        _ => too_long_if(len(request) > 20),
    };
    let done = run(&model, &short_notes);
    let ended = done.result().as_ref().map_err(|failure| failure.kind);
    assert_eq!(ended.map(|_| ()), Err(TaskFailureKind::ContextLength));
    let attempts: Vec<_> = compactions(&done.journal).iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3]);
    let lens: Vec<_> = done.requests[2..].iter().map(len).collect();
    assert_eq!(lens.len(), 4, "no request is made again as it was");
    assert!(lens.windows(2).all(|pair| pair[1] < pair[0]), "{lens:?}");
}

fn too_long_if(is_too_long: bool) -> Reply {
    if is_too_long { too_long() } else { Ok(ChatReply::text("end")) }
}

#[track_caller]
fn check_bad_notes(notes: &Reader<'_>) {
    let model = small_model(5_000, 5);
    let done = run(&model, notes);
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("end"));
    let [first, second] = &done.notes_requests[..] else {
        panic!("{} requests for notes", done.notes_requests.len());
    };
    assert!(len(second) < len(first), "the second asks for less");
    let compactions = compactions(&done.journal);
    let [(3, [Message::User { text, .. }, ..])] = &compactions[..] else {
        panic!("{compactions:?}");
    };
    assert!(text.contains("was left out"), "{text}");
    for request in done.requests.iter().chain(&done.notes_requests) {
        assert!(!format!("{request:?}").contains("SECRET-SIGN"), "an error is told to the model");
    }
}

#[test]
fn fi42_notes_that_are_none_are_asked_for_in_another_way_and_then_done_without() {
    let failed = |kind| Err(ModelError::new(kind, "m", "SECRET-SIGN of the notes"));
    check_bad_notes(&|_, _| failed(ModelErrorKind::Unavailable));
    check_bad_notes(&|_, _| too_long());
    check_bad_notes(&|_, _| Ok(ChatReply::text(" \n")));
    check_bad_notes(&|_, _| Ok(ChatReply::calls([call("pay", json!({}))])));
}

#[test]
fn fi42_the_second_request_for_notes_may_be_enough() {
    let model = small_model(5_000, 5);
    let notes = |request: &ChatRequest, n| match n {
        1 => too_long(),
        _ => short_notes(request, n),
    };
    let done = run(&model, &notes);
    let compactions = compactions(&done.journal);
    assert!(
        matches!(&compactions[..], [(2, [Message::User { text, .. }, ..])] if text.contains("notes 2"))
    );
}

#[test]
fn one_outcome_that_is_too_long_is_cut_and_no_notes_are_asked_for() {
    let model = |request: &ChatRequest, turn| match turn {
        1 => Ok(ChatReply::calls([call("put", json!({ "n": "x".repeat(40_000) }))])),
        _ => too_long_if(outcome_len(request) > 2_000),
    };
    let done = run(&model, &short_notes);
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("end"));
    assert!(done.notes_requests.is_empty());
    let attempts: Vec<_> = compactions(&done.journal).iter().map(|(attempt, _)| *attempt).collect();
    // The first one would leave nearly everything: half of the conversation is the call itself.
    assert_eq!(attempts, [2, 3]);
    let last = done.requests.last().expect("requests");
    let Some(Message::Tool { outcome: ToolOutcome::Ok(value), .. }) = last.messages.last() else {
        panic!("{:?}", last.messages);
    };
    let text = value.as_str().expect("a text");
    assert!(text.contains("bytes are left out here") && text.starts_with("{\"done\":"), "{text}");
}

fn outcome_len(request: &ChatRequest) -> usize {
    request.messages.last().map_or(0, |last| messages_len(std::slice::from_ref(last)))
}

#[test]
fn an_input_that_is_too_long_is_a_failure_and_not_cut() {
    let done = run(&|_, _| too_long(), &short_notes);
    let ended = done.result().as_ref().map_err(|failure| failure.kind);
    assert_eq!(ended.map(|_| ()), Err(TaskFailureKind::ContextLength));
    assert_eq!((done.requests.len(), done.notes_requests.len()), (1, 0));
}

#[test]
fn a_conversation_that_grows_again_is_shortened_again_and_takes_no_turn() {
    let model = small_model(5_000, 9);
    let limits = TurnLimits { turns_max: 7, ..TurnLimits::default() };
    let done = Simulation::reading(AgentSpec { limits, ..spec() }, &model, &short_notes).run();
    assert_eq!(done.result().as_ref().map(|report| report.text.as_str()), Ok("end"));
    let compactions = compactions(&done.journal);
    let attempts: Vec<_> = compactions.iter().map(|(attempt, _)| *attempt).collect();
    assert_eq!(attempts, [1, 1], "attempts are counted from the last reply");
    // The notes of the first time are part of what the second ones are written from.
    let second = format!("{:?}", done.notes_requests[1].messages);
    assert!(second.contains("notes 1"), "{second}");
    // Nine turns, two of which were refused for their length: seven replies, as many as the limit allows.
    let replied = |event: &&Event| matches!(event, Event::ModelReplied { .. });
    assert_eq!(done.journal.iter().filter(replied).count(), 7);
}

#[test]
fn a_crash_at_every_point_of_a_compaction_changes_nothing() {
    let model = small_model(5_000, 5);
    let notes =
        |request: &ChatRequest, n| if n == 1 { too_long() } else { short_notes(request, 2) };
    let calm = run(&model, &notes);
    for n_events in 1..=calm.journal.len() {
        for is_after_effects in [false, true] {
            let mut rough = simulation(&model, &notes);
            rough.crashes.insert(Crash { n_events, is_after_effects });
            let rough = rough.run();
            assert_eq!(rough.result(), calm.result(), "at {n_events}");
            assert_eq!(rough.machine().messages(), calm.machine().messages(), "at {n_events}");
        }
    }
}

#[test]
fn a_shortened_conversation_is_what_was_recorded_and_not_what_would_be_made_now() {
    let model = small_model(5_000, 5);
    let done = run(&model, &short_notes);
    let mut machine = done.fresh();
    for event in &done.journal {
        match event {
            Event::Compacted { turn, attempt, .. } => {
                let messages = vec![Message::user("go"), Message::user("as it was")];
                machine.apply(&Event::Compacted { turn: *turn, attempt: *attempt, messages });
                assert_eq!(machine.messages(), [Message::user("go"), Message::user("as it was")]);
                return;
            }
            event => machine.apply(event),
        }
    }
    panic!("nothing was shortened");
}

/// A turn whose request was too long gave no answer, so a message that comes in later has its turn too.
#[test]
fn a_message_is_read_in_the_turn_that_shortening_added() {
    let limits = TurnLimits { turns_max: 2, ..TurnLimits::default() };
    let mut machine = Machine::new(Arc::new(AgentSpec { limits, ..AgentSpec::new("a") }), 0);
    let called = |turn| Event::ModelCalled { turn, attempt: 1, delay: Duration::ZERO };
    let error = ModelError::new(ModelErrorKind::ContextLength, "m", "too long");
    let messages = vec![Message::user("go")];
    for event in [
        Event::TaskStarted { agent: "a".into(), input: messages.clone() },
        called(1),
        Event::ModelFailed { turn: 1, attempt: 1, error },
        Event::Compacted { turn: 1, attempt: 1, messages },
        called(2),
        Event::MessageDelivered { id: "m".into(), message: Message::user("and now?") },
        Event::ModelReplied { turn: 2, reply: ChatReply::text("done") },
    ] {
        machine.apply(&event);
    }
    assert_eq!(machine.decide(), [called(3)]);
}

/// What is under way ends, and no further notes are asked for.
#[test]
fn a_pause_asks_for_no_notes_and_loses_nothing() {
    let model = small_model(5_000, 5);
    let notes =
        |request: &ChatRequest, n| if n == 1 { too_long() } else { short_notes(request, n) };
    let done = run(&model, &notes);
    let (mut n_held_back, mut n_asking) = (0, 0);
    for at in 1..done.journal.len() {
        let mut machine = done.fresh();
        done.journal[..at].iter().for_each(|event| machine.apply(event));
        let next = machine.decide();
        machine.apply(&Event::WorkPaused);
        let begins = |event: &&Event| {
            matches!(event, Event::CompactionStarted { .. } | Event::ModelCalled { .. })
        };
        assert_eq!(machine.decide().iter().find(begins), None, "after {at} events");
        n_held_back +=
            next.iter().filter(|event| matches!(event, Event::CompactionStarted { .. })).count();
        if matches!(done.journal[at - 1], Event::CompactionStarted { .. }) {
            n_asking += 1;
            assert!(!machine.is_waiting_for_people(), "the model is at work");
        }
        machine.apply(&Event::WorkResumed);
        assert_eq!(machine.decide(), next, "after {at} events");
    }
    assert_eq!((n_held_back, n_asking), (2, 2), "two requests for notes");
}
