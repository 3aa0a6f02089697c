//! The writer against a journal and an actor made of plain vectors, with crashes at every step.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::time::Timestamp;

fn recorded(seq: u64, event: Event) -> Recorded {
    Recorded { seq, at: Timestamp::from_millis(0), event }
}

fn happened(seq: u64, n: u64) -> Recorded {
    recorded(seq, Event::ActorEvent { payload: n.into() })
}

fn snapshot(seq: u64, n: u64) -> Recorded {
    recorded(seq, Event::ActorSnapshot { state: n.into() })
}

fn stored(writer: &mut Writer<u32>) -> Vec<u32> {
    writer.stored().into_iter().map(|(_, deed)| deed).collect()
}

#[test]
fn what_is_recorded_during_an_append_goes_together_into_the_next() {
    let mut writer = Writer::new(7, 0, 100);
    assert_eq!((writer.begin(), writer.is_idle()), (None, true));
    writer.record(Ticket(1), [10, 11].into_iter()).expect("room");
    assert_eq!(writer.begin(), Some(Step::Events { seq: 7 }));
    writer.record(Ticket(2), [20].into_iter()).expect("room");
    writer.record(Ticket(3), [30].into_iter()).expect("room");
    assert_eq!((writer.begin(), writer.is_idle()), (None, false), "one append at a time");
    assert_eq!(stored(&mut writer), [10, 11]);
    assert_eq!([1, 2, 3].map(|n| writer.is_open(Ticket(n))), [false, true, true]);
    assert_eq!(writer.begin(), Some(Step::Events { seq: 9 }));
    assert_eq!(stored(&mut writer), [20, 30]);
    assert_eq!((writer.begin(), writer.is_idle()), (None, true));
}

#[test]
fn a_snapshot_is_due_after_so_many_events_and_goes_first() {
    let mut writer = Writer::new(0, 0, 2);
    writer.record(Ticket(1), [10].into_iter()).expect("room");
    assert_eq!(writer.begin(), Some(Step::Events { seq: 0 }));
    assert_eq!(stored(&mut writer), [10]);
    assert_eq!(writer.begin(), None, "one of two");
    writer.record(Ticket(2), [20].into_iter()).expect("room");
    assert_eq!(writer.begin(), Some(Step::Events { seq: 1 }));
    writer.record(Ticket(3), [30].into_iter()).expect("room");
    assert_eq!(stored(&mut writer), [20]);
    assert_eq!(writer.begin(), Some(Step::Snapshot { seq: 2 }));
    assert_eq!((stored(&mut writer), writer.is_open(Ticket(3))), (vec![], true));
    assert_eq!(writer.begin(), Some(Step::Events { seq: 3 }));
}

#[test]
fn a_recovered_writer_counts_on() {
    let mut writer = Writer::<u32>::new(9, 2, 2);
    assert_eq!(
        writer.begin(),
        Some(Step::Snapshot { seq: 9 }),
        "it was due when the last one ended"
    );
    let mut never_0 = Writer::<u32>::new(0, 0, 0);
    assert_eq!(never_0.begin(), None, "a policy of 0 does not take snapshots for ever");
}

#[test]
fn more_than_may_wait_is_refused_whole() {
    let mut writer = Writer::new(0, 0, 100);
    writer.record(Ticket(1), [0; WAITING_MAX - 1].into_iter()).expect("room");
    assert_eq!(writer.record(Ticket(2), [1, 2].into_iter()), Err(TooMany));
    assert!(!writer.is_open(Ticket(2)));
    writer.record(Ticket(2), [1].into_iter()).expect("room for one");
}

#[test]
fn a_recovery_begins_at_the_last_snapshot() {
    let loaded = [snapshot(3, 30), happened(4, 4), snapshot(5, 50), happened(6, 6)];
    let (state, payload) = (json!(50), json!(6));
    let expect = Recovery { snapshot: Some(&state), events: vec![(6, &payload)], n_stored: 7 };
    assert_eq!(Recovery::read(&loaded), Ok(expect));
    let nothing = Recovery { snapshot: None, events: vec![], n_stored: 0 };
    assert_eq!(Recovery::read(&[]), Ok(nothing));
}

#[test]
fn a_stream_that_is_not_an_actors_is_refused() {
    let foreign = [happened(0, 0), recorded(1, Event::GatheringEnded)];
    assert_eq!(Recovery::read(&foreign), Err(RecoveryError::Foreign { seq: 1 }));
    for (gap, seq) in [
        (vec![happened(1, 1)], 0),
        (vec![happened(0, 0), happened(2, 2)], 1),
        (vec![happened(0, 0), snapshot(2, 2)], 1),
        (vec![snapshot(4, 4), happened(6, 6)], 5),
    ] {
        assert_eq!(Recovery::read(&gap), Err(RecoveryError::Gap { seq }), "{gap:?}");
    }
}

/// An actor whose state is a sum, its stream, and the journal's answer that has not come yet.
struct World {
    journal: Vec<Recorded>,
    writer: Writer<u64>,
    sum: u64,
    every: u64,
}

impl World {
    fn recover(&mut self) {
        let from = self.journal.iter().rposition(|r| r.event.is_snapshot()).unwrap_or(0);
        let loaded = &self.journal[from..];
        let recovery = Recovery::read(loaded).expect("what was written can be read");
        // The snapshot, one event too few for the next one, and the largest append that this test makes.
        let bound = 1 + (self.every - 1) + 9;
        assert!(loaded.len() as u64 <= bound, "a recovery reads {}", loaded.len());
        self.sum = recovery.snapshot.map_or(0, |state| state.as_u64().expect("a number"));
        self.sum += recovery.events.iter().filter_map(|(_, n)| n.as_u64()).sum::<u64>();
        let n_since = recovery.events.len() as u64;
        self.writer = Writer::new(recovery.n_stored, n_since, self.every);
    }

    /// Performs the next step in the journal; its answer is not heard yet.
    fn append(&mut self) {
        let batch: Vec<_> = match self.writer.begin() {
            None => return,
            Some(Step::Snapshot { seq }) => vec![snapshot(seq, self.sum)],
            Some(Step::Events { seq }) => {
                (seq..).zip(self.writer.under_way()).map(|(at, (_, n))| happened(at, *n)).collect()
            }
        };
        assert_eq!(batch[0].seq, self.journal.len() as u64, "the stream has no hole");
        self.journal.extend(batch);
    }
}

proptest! {
    /// Whatever is recorded and wherever it crashes: what was applied is in the journal, and a recovery
    /// gives the sum of the journal's events.
    #[test]
    fn the_state_is_the_fold_of_the_stream(
        steps in prop::collection::vec(0..8_u64, 1..200),
        every in 1..6_u64,
    ) {
        let journal = Vec::new();
        let mut world = World { journal, writer: Writer::new(0, 0, every), sum: 0, every };
        let (mut n, mut n_waiting) = (0, 0);
        for step in steps {
            match step {
                0..=3 if n_waiting < 8 => {
                    let deeds = (0..step.min(2)).map(|i| n + i).collect::<Vec<_>>();
                    n_waiting += deeds.len();
                    world.writer.record(Ticket(n), deeds.into_iter()).expect("room");
                    n += 1;
                }
                4 | 5 => world.append(),
                7 => {
                    world.recover();
                    n_waiting = 0;
                }
                _ => {
                    let applied = world.writer.stored();
                    n_waiting -= applied.len();
                    world.sum += applied.iter().map(|(_, n)| n).sum::<u64>();
                }
            }
            let in_journal: u64 = world.journal.iter().filter_map(|recorded| match &recorded.event {
                Event::ActorEvent { payload } => payload.as_u64(),
                _ => None,
            }).sum();
            prop_assert!(world.sum <= in_journal, "nothing is applied before it is stored");
            if step == 7 || world.writer.is_idle() {
                prop_assert_eq!(world.sum, in_journal);
            }
        }
    }
}
