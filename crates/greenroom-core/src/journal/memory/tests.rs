//! What the journal in memory forgets. That it conforms to the seam is tested with the testkit's suite.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::MemoryJournal;
use crate::ids::{RunId, StreamId};
use crate::journal::{Event, Journal, JournalErrorKind, Recorded};
use crate::report::{Outcome, Report, Status};
use crate::time::Timestamp;

/// The result of a future that never waits, which is what this journal's are.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

fn root(n: u128) -> StreamId {
    StreamId::root(RunId::from_bits(n))
}

/// Events that follow each other from a place in a stream.
fn events(seq: u64, events: impl IntoIterator<Item = Event>) -> Arc<[Recorded]> {
    Recorded::sequence(seq, Timestamp::from_millis(7), events)
}

fn some(seq: u64, n_events: usize) -> Arc<[Recorded]> {
    events(seq, vec![Event::GatheringEnded; n_events])
}

fn finished() -> Event {
    Event::RunFinished { outcome: Box::new(Outcome::without_answer(Status::Failed, None)) }
}

/// The runs that have events.
fn known(journal: &MemoryJournal, runs: u128) -> Vec<u128> {
    let has_streams = |n: &u128| ready(journal.streams(RunId::from_bits(*n))) != Ok(vec![]);
    (0..runs).filter(has_streams).collect()
}

#[test]
fn unfinished_runs_are_kept_and_the_last_finished_ones() {
    let journal = MemoryJournal::keeping(2);
    let append = |stream: &StreamId, events| ready(journal.append(stream, events));
    for n in 0..6 {
        append(&root(n), some(0, 1)).expect("the stream is empty");
        append(&root(n).child(&"t1".into()), some(0, 3)).expect("the stream is empty");
        // The end of a task is not the end of its run.
        let done = Event::TaskFinished { result: Ok(Report::default()) };
        append(&root(n).child(&"t1".into()), events(3, [done])).expect("the stream has three");
    }
    assert_eq!(known(&journal, 6), [0, 1, 2, 3, 4, 5]);
    for n in [4, 0, 2] {
        append(&root(n), events(1, [finished()])).expect("the stream has one");
    }
    assert_eq!(known(&journal, 6), [0, 1, 2, 3, 5], "4 was the first to finish");
    assert_eq!(journal.n_events(), 5 * 5 + 2);
    // A run that ends twice has ended once.
    append(&root(2), events(2, [finished()])).expect("the stream has two");
    assert_eq!(known(&journal, 6), [0, 1, 2, 3, 5]);
    // What comes late for a run that is forgotten is refused, not kept for ever.
    let late = append(&root(4), some(2, 1)).map_err(|error| error.kind);
    assert_eq!(late, Err(JournalErrorKind::Conflict));
}

#[test]
fn no_finished_run_may_be_kept_and_clones_share_what_is() {
    let journal = MemoryJournal::keeping(0);
    let clone = journal.clone();
    ready(clone.append(&root(0), some(0, 1))).expect("the stream is empty");
    assert_eq!(journal.n_events(), 1);
    // The root of a run that is one task ends with the task.
    let done = Event::TaskFinished { result: Ok(Report::default()) };
    ready(clone.append(&root(0), events(1, [done]))).expect("the stream has one");
    assert_eq!(journal.n_events(), 0);
}

#[test]
fn what_a_snapshot_stands_for_is_dropped_and_an_agents_stream_is_no_runs() {
    let journal = MemoryJournal::keeping(0);
    let stream = StreamId::of_agent("account".into());
    let event = || Event::ActorEvent { payload: 1.into() };
    let snapshot = || Event::ActorSnapshot { state: 9.into() };
    let append = |seq, batch: Vec<Event>| ready(journal.append(&stream, events(seq, batch)));
    append(0, vec![event(), event()]).expect("the stream is empty");
    append(2, vec![event(), snapshot(), event()]).expect("the stream has two");
    assert_eq!(journal.n_events(), 2);
    assert_eq!(
        append(2, vec![event()]).map_err(|error| error.kind),
        Err(JournalErrorKind::Conflict)
    );
    append(5, vec![event()]).expect("places are counted from the beginning");
    let seqs = ready(journal.load(&stream)).expect("it is kept").into_iter().map(|kept| kept.seq);
    assert_eq!(seqs.collect::<Vec<_>>(), [3, 4, 5]);
    // The end of a run with the same bits drops no agent.
    ready(journal.append(&root(0), events(0, [finished()]))).expect("the stream is empty");
    assert_eq!((journal.n_events(), known(&journal, 1)), (3, vec![]));
}
