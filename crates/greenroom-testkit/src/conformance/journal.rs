//! The suite of the journal seam.

use std::sync::Arc;

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalErrorKind, Recorded, RunHead, Runs};
use greenroom_core::report::{Outcome, Report, Status};
use greenroom_core::time::Timestamp;

use super::patiently;

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

/// Events like these, recorded at another time.
fn at(millis: u64, events: &[Recorded]) -> Arc<[Recorded]> {
    let at = Timestamp::from_millis(millis);
    events.iter().map(|recorded| Recorded { at, ..recorded.clone() }).collect()
}

fn finished() -> Event {
    Event::RunFinished { outcome: Box::new(Outcome::without_answer(Status::Failed, None)) }
}

/// The contract of [`Journal`], for any implementation. The journal must be empty.
///
/// # Panics
///
/// When a promise is broken, naming it.
pub async fn journal(label: &str, journal: Arc<dyn Journal>) {
    patiently(label, "listing runs", runs_are_told_from_their_streams(&*journal)).await;
    patiently(label, "reading back", appends_are_read_back(&*journal)).await;
    patiently(label, "refusing", another_writer_is_refused(&*journal)).await;
    patiently(label, "ordering", places_are_taken_when_append_is_called(&*journal)).await;
    patiently(label, "listing", streams_are_those_of_one_run(&*journal)).await;
    patiently(label, "snapshots", loading_begins_at_the_last_snapshot(&*journal)).await;
    patiently(label, "taking over", loading_waits_for_appends_called_before(&*journal)).await;
}

async fn appends_are_read_back(journal: &dyn Journal) {
    let stream = root(1);
    assert_eq!(journal.load(&stream).await, Ok(vec![]), "never written is empty");
    let report = Report::text("Grüße, 東京 🦀\n\0");
    let first = events(0, [Event::CancelRequested, Event::TaskFinished { result: Ok(report) }]);
    let second = events(2, [finished()]);
    journal.append(&stream, Arc::clone(&first)).await.expect("the stream is empty");
    journal.append(&stream, Arc::clone(&second)).await.expect("nobody else writes");
    assert_eq!(journal.load(&stream).await, Ok([&first[..], &second[..]].concat()));
}

async fn another_writer_is_refused(journal: &dyn Journal) {
    let stream = root(2);
    journal.append(&stream, some(0, 2)).await.expect("the stream is empty");
    let gap = [&some(2, 1)[..], &some(4, 1)[..]].concat();
    for wrong in [some(0, 1), some(1, 1), some(3, 1), some(1, 3), gap.into()] {
        let error = journal.append(&stream, wrong).await.expect_err("not the stream's length");
        assert_eq!((error.kind, error.stream), (JournalErrorKind::Conflict, Some(stream.clone())));
    }
    assert_eq!(journal.load(&stream).await.map(|events| events.len()), Ok(2), "all or nothing");
    journal.append(&stream, some(2, 1)).await.expect("the refused left nothing behind");
}

async fn places_are_taken_when_append_is_called(journal: &dyn Journal) {
    let stream = root(3);
    let first = journal.append(&stream, some(0, 2));
    let second = journal.append(&stream, some(2, 1));
    let third = journal.append(&stream, some(2, 1));
    assert_eq!(second.await, Ok(()));
    assert_eq!(first.await, Ok(()));
    assert_eq!(third.await.map_err(|error| error.kind), Err(JournalErrorKind::Conflict));
    drop(journal.append(&stream, some(3, 1)));
    journal.append(&stream, some(4, 1)).await.expect("a dropped future loses no event");
    assert_eq!(journal.load(&stream).await, Ok(some(0, 5).to_vec()));
}

async fn streams_are_those_of_one_run(journal: &dyn Journal) {
    let (run, root) = (RunId::from_bits(5), root(5));
    let nested = root.child(&"b".into()).child(&"a".into());
    let expect = [root.clone(), root.child(&"a".into()), root.child(&"b".into()), nested];
    assert_eq!(journal.streams(run).await, Ok(vec![]));
    for stream in expect.iter().rev() {
        journal.append(stream, some(0, 1)).await.expect("the stream is empty");
    }
    for neighbour in [4, 6] {
        let stream = StreamId::root(RunId::from_bits(neighbour));
        journal.append(&stream, some(0, 1)).await.expect("the stream is empty");
    }
    journal.append(&root.child(&"0".into()), some(0, 0)).await.expect("nothing to store");
    journal.load(&root.child(&"1".into())).await.expect("nothing is there");
    assert_eq!(journal.streams(run).await, Ok(expect.to_vec()), "with events, in order");
}

/// It comes first, while there are no other runs.
async fn runs_are_told_from_their_streams(journal: &dyn Journal) {
    assert_eq!(journal.runs(Runs::Newest(9)).await, Ok(vec![]));
    let task = root(11).child(&"t1".into());
    let done = || Event::TaskFinished { result: Ok(Report::default()) };
    let appends = [
        (&task, at(3, &some(0, 1))),
        (&root(12), at(1, &some(0, 2))),
        (&root(11), at(2, &some(0, 1))),
        // Neither the end of a task nor an agent's own stream is a run's.
        (&task, at(9, &events(1, [done()]))),
        (&StreamId::of_agent("account".into()), at(1, &some(0, 1))),
        (&root(10), at(2, &some(0, 1))),
        (&root(12), at(8, &events(2, [done()]))),
        (&root(13), at(4, &events(0, [finished()]))),
    ];
    for (stream, events) in appends {
        journal.append(stream, events).await.expect("the stream has that length");
    }
    let head = |n, status, started_at, updated_at, [n_root, n_events]: [u64; 2]| RunHead {
        run: RunId::from_bits(n),
        status,
        started_at: Timestamp::from_millis(started_at),
        updated_at: Timestamp::from_millis(updated_at),
        n_events,
        n_root_events: n_root,
    };
    let all = [
        head(12, Some(Status::Completed), 1, 8, [3, 3]),
        head(10, None, 2, 2, [1, 1]),
        head(11, None, 2, 9, [1, 3]),
        head(13, Some(Status::Failed), 4, 4, [1, 1]),
    ];
    assert_eq!(journal.runs(Runs::Unfinished).await, Ok(all[1..3].to_vec()), "the unfinished");
    for n in [0, 1, 3, 4, 5, usize::MAX] {
        let newest = all[all.len().saturating_sub(n)..].to_vec();
        assert_eq!(journal.runs(Runs::Newest(n)).await, Ok(newest), "the newest {n}");
    }
    drop(journal.append(&root(10), events(1, [finished()])));
    assert_eq!(journal.runs(Runs::Unfinished).await, Ok(all[2..3].to_vec()), "after an append");
}

async fn loading_begins_at_the_last_snapshot(journal: &dyn Journal) {
    let stream = StreamId::of_agent("account/7".into());
    let happened = |n: u64| Event::ActorEvent { payload: n.into() };
    let snapshot = |n: u64| Event::ActorSnapshot { state: n.into() };
    let past = events(0, [happened(0), snapshot(1), happened(2)]);
    journal.append(&stream, Arc::clone(&past)).await.expect("the stream is empty");
    assert_eq!(journal.load(&stream).await, Ok(past[1..].to_vec()), "a snapshot amid a batch");
    let latest = events(3, [snapshot(3)]);
    journal.append(&stream, Arc::clone(&latest)).await.expect("the stream has three");
    journal.append(&stream, events(3, [happened(3)])).await.expect_err("places stay taken");
    let since = events(4, [happened(4)]);
    journal.append(&stream, Arc::clone(&since)).await.expect("the stream has four");
    assert_eq!(journal.load(&stream).await, Ok([&latest[..], &since[..]].concat()));
}

async fn loading_waits_for_appends_called_before(journal: &dyn Journal) {
    let stream = root(8);
    drop(journal.append(&stream, some(0, 3)));
    let loaded = journal.load(&stream).await.map(|events| events.len());
    assert_eq!(loaded, Ok(3), "whoever takes over knows what became of the last append");
}
