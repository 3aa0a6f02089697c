//! The inquest names what is wrong, and nothing that is right.

use std::collections::BTreeSet;
use std::sync::Arc;

use greenroom_core::budget::{Budget, Usage};
use greenroom_core::ids::{CallId, RunId, StreamId};
use greenroom_core::journal::{
    Event, Journal, JournalError, JournalErrorKind, MemoryJournal, Recorded,
};
use greenroom_core::message::{Message, ToolCall, ToolOutcome};
use greenroom_core::model::ChatReply;
use greenroom_core::recovery::{Config, Owner};
use greenroom_core::report::Report;
use greenroom_core::time::Timestamp;
use greenroom_core::tool::{EffectClass, idempotency_key};
use serde_json::json;

use super::*;

const RUN: RunId = RunId::from_bits(1);

fn root() -> StreamId {
    StreamId::root(RUN)
}

fn pay() -> (Event, Event, String) {
    let (call, arguments) = (CallId::from("1-1"), json!({ "n": 1 }));
    let key = idempotency_key(&root(), &call, "pay", &arguments).to_string();
    let effect = EffectClass::AtMostOnce;
    let outcome = ToolOutcome::Ok(json!(1));
    (
        Event::ToolStarted { call: call.clone(), tool: "pay".into(), arguments, effect },
        Event::ToolFinished { call, outcome },
        key,
    )
}

fn called(key: &str) -> Note {
    let (tool, effect) = ("pay".to_owned(), EffectClass::AtMostOnce);
    Note::Called { tool, key: key.to_owned(), effect }
}

fn finished() -> Event {
    let usage = Usage { model_calls: 1, tool_calls: 1, ..Usage::default() };
    Event::TaskFinished { result: Ok(Report { usage, ..Report::text("done") }) }
}

fn recorded(seq: u64, events: impl IntoIterator<Item = Event>) -> Arc<[Recorded]> {
    Recorded::sequence(seq, Timestamp::from_millis(7), events)
}

async fn journal(events: impl IntoIterator<Item = Event>) -> MemoryJournal {
    let journal = MemoryJournal::new();
    journal.append(&root(), recorded(0, events)).await.expect("the stream is empty");
    journal
}

/// What is found when these events are in the journal and these notes were made in one life.
async fn found(events: Vec<Event>, notes: Vec<Note>) -> BTreeSet<Invariant> {
    let witness = Witness::in_memory();
    let life = witness.born(&MemoryJournal::new()).await.expect("memory answers");
    notes.into_iter().for_each(|note| life.note(note));
    invariants(&witness, &journal(events).await).await
}

async fn invariants(witness: &Witness, journal: &MemoryJournal) -> BTreeSet<Invariant> {
    inquest(witness, journal, None).await.into_iter().map(|found| found.invariant).collect()
}

#[tokio::test]
async fn a_run_that_went_well_is_found_to_be_well() {
    let (started, ended, key) = pay();
    let called_once = vec![Note::Accepted { run: RUN }, called(&key)];
    assert_eq!(found(vec![started, ended, finished()], called_once).await, BTreeSet::new());
}

#[tokio::test]
async fn each_invariant_is_named_when_it_does_not_hold() {
    use Invariant as I;
    let (started, ended, key) = pay();
    let accepted = || vec![Note::Accepted { run: RUN }];
    let other_run = vec![Note::Accepted { run: RunId::from_bits(9) }];
    let asked = |messages| vec![Note::Asked { key: String::new(), messages }];
    let bound = || Event::RunBound {
        owner: Owner::Agent("a".into()),
        config: Config::new(),
        budget: Budget { tool_calls_max: 0, ..Budget::default() },
        deadline: Timestamp::from_millis(9),
    };
    let replied = Event::ModelReplied { turn: 1, reply: ChatReply::text("hm") };
    let costly = Usage { input_tokens: 5, ..Usage::default() };
    let costly = ChatReply { usage: costly, ..ChatReply::text("hm") };
    let costly = Event::ModelReplied { turn: 1, reply: costly };
    let call = ToolCall { id: "c".into(), name: "pay".into(), arguments: json!({}) };
    let reply = Message::Assistant { text: String::new(), reasoning: None, tool_calls: vec![call] };
    let told = |says: &str| Note::Answered { run: RUN, says: says.to_owned() };
    let decided = |is_approved| Note::Decided { key: key.clone(), is_approved };
    let cases: [(Vec<Event>, Vec<Note>, I); 13] = [
        (vec![finished()], other_run, I::I1),
        (vec![started.clone()], accepted(), I::I1),
        (vec![started.clone(), ended.clone()], vec![called(&key), called(&key)], I::I3),
        (vec![finished()], vec![told("one"), told("two")], I::I4),
        (vec![bound(), started.clone(), ended.clone()], vec![], I::I6),
        (vec![bound(), bound()], vec![], I::I6),
        (vec![costly, finished()], vec![], I::I6),
        (vec![finished()], vec![decided(true)], I::I6),
        (vec![replied.clone(), replied], vec![], I::I7),
        (vec![finished(), ended.clone()], vec![], I::I7),
        (vec![finished()], vec![called(&key)], I::I9),
        (vec![started.clone(), ended], vec![called(&format!("{key}0"))], I::I9),
        (vec![finished()], asked(vec![reply]), I::History),
    ];
    for (i, (events, notes, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found(events, notes).await, BTreeSet::from([expected]), "case {i}");
    }
    let (_, _, key) = pay();
    let as_if_harmless = match started {
        Event::ToolStarted { call, tool, arguments, .. } => {
            Event::ToolStarted { call, tool, arguments, effect: EffectClass::ReadOnly }
        }
        other => other,
    };
    let stored_otherwise = found(vec![as_if_harmless, finished()], vec![called(&key)]).await;
    assert_eq!(stored_otherwise, BTreeSet::from([I::I3]), "the class is another one");
}

#[tokio::test]
async fn a_call_whose_result_a_process_knew_is_not_made_in_it() {
    let (started, ended, key) = pay();
    let (witness, journal) = (Witness::in_memory(), journal([started, ended, finished()]).await);
    let life = witness.born(&journal).await.expect("memory answers");
    life.note(called(&key));
    assert_eq!(invariants(&witness, &journal).await, BTreeSet::from([Invariant::I2]));
}

#[tokio::test]
async fn a_process_that_goes_on_beside_the_next_one_is_noticed() {
    let (witness, journal) = (Witness::in_memory(), journal([finished()]).await);
    let first = witness.born(&journal).await.expect("memory answers");
    let second = witness.born(&journal).await.expect("memory answers");
    second.accepted(RUN);
    assert_eq!(invariants(&witness, &journal).await, BTreeSet::new());
    first.accepted(RUN);
    assert_eq!(invariants(&witness, &journal).await, BTreeSet::from([Invariant::I8]));
}

#[tokio::test]
async fn a_witness_in_a_file_goes_on_with_it_and_survives_a_torn_line() {
    let path = std::env::temp_dir().join(format!("greenroom-witness-{}", std::process::id()));
    let journal = journal([finished()]).await;
    let life = Witness::in_file(&path).born(&journal).await.expect("memory answers");
    life.accepted(RUN);
    let text = std::fs::read_to_string(&path).expect("it is there");
    std::fs::write(&path, format!("{text}\n{{\"life\":1,\"proc")).expect("there is room");
    let next = Witness::in_file(&path).born(&journal).await.expect("memory answers");
    next.answered(RUN, "done");
    let notes = next.notes();
    std::fs::remove_file(&path).expect("it is there");
    assert_eq!(notes.iter().map(|noted| noted.life).collect::<Vec<_>>(), [1, 1, 2, 2]);
    assert_eq!((next.n_accepted(), next.n_lives()), (0, 0), "the file is gone");
}

#[test]
fn conversations_are_in_order_or_it_is_said_where_not() {
    let call = |id: &str| ToolCall { id: id.into(), name: "t".into(), arguments: json!({}) };
    let reply = |ids: &[&str]| Message::Assistant {
        text: String::new(),
        reasoning: None,
        tool_calls: ids.iter().map(|id| call(id)).collect(),
    };
    let answer = |id: &str| {
        let outcome = ToolOutcome::Ok(json!(1));
        Message::Tool { call: id.into(), name: "t".into(), outcome }
    };
    let user = || Message::user("hm");
    let cases = [
        (vec![user(), reply(&["a", "b"]), answer("a"), answer("b"), reply(&[])], None),
        (vec![reply(&["a"])], Some("a is never answered")),
        (vec![answer("a")], Some("message 0 answers a, which nobody called")),
        (
            vec![reply(&["a"]), answer("a"), answer("a")],
            Some("message 2 answers a, which nobody called"),
        ),
        (vec![reply(&["a", "b"]), answer("b")], Some("message 1 answers b instead of a")),
        (
            vec![reply(&["a"]), user(), answer("a")],
            Some("message 1 stands where a should be answered"),
        ),
    ];
    for (messages, expected) in cases {
        assert_eq!(unpaired(&messages).as_deref(), expected, "{messages:?}");
    }
}

#[tokio::test]
async fn what_was_confirmed_is_there_and_the_rest_wholly_or_not_at_all() {
    let stream = root();
    let event = |n: u64| Event::ActorEvent { payload: n.into() };
    let (first, second) = (recorded(0, [event(1), event(2)]), recorded(2, [event(3), event(4)]));
    let refused = Err(JournalError::new(JournalErrorKind::Full, "full"));
    let fatal = Err(JournalError::new(JournalErrorKind::Fatal, "nobody knows"));
    // What became of the second append, how many events there are, and what is wrong with that.
    let cases = [
        (Some(&Ok(())), 4, None),
        (Some(&Ok(())), 2, Some(Invariant::I1)),
        (Some(&Ok(())), 3, Some(Invariant::I5)),
        (Some(&refused), 2, None),
        (Some(&refused), 4, Some(Invariant::I5)),
        (Some(&fatal), 2, None),
        (Some(&fatal), 4, None),
        (Some(&fatal), 3, Some(Invariant::I5)),
        (None, 4, None),
        (None, 0, Some(Invariant::I1)),
    ];
    for (answer, n_stored, expected) in cases {
        let mut acknowledged = Acknowledged::new();
        acknowledged.offered(&stream, Arc::clone(&first), Some(&Ok(())));
        acknowledged.offered(&stream, Arc::clone(&second), answer);
        let journal = journal((1..=n_stored).map(event)).await;
        let found = acknowledged.check(&journal).await;
        let found: Vec<_> = found.into_iter().map(|found| found.invariant).collect();
        assert_eq!(found, Vec::from_iter(expected), "{answer:?}, {n_stored} events");
        let damaged = acknowledged.check_damaged(&journal).await;
        assert_eq!(damaged.is_empty(), n_stored != 3 && expected != Some(Invariant::I5));
    }
}
