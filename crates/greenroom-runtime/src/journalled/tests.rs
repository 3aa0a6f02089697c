//! D5: a machine knows what is in its stream, and nothing else.

use std::cell::Cell;

use greenroom_core::ids::RunId;
use greenroom_core::journal::MemoryJournal;
use greenroom_core::time::Timestamp;

use super::*;
use crate::SystemClock;

/// A machine that remembers something that no event says.
#[derive(Clone, Default)]
struct Secretive {
    n_applied: u64,
    n_asked: Cell<u64>,
}

impl Fold for Secretive {
    type Command = ();

    fn apply(&mut self, _: &Event) {
        self.n_applied += 1;
    }

    fn decide(&self) -> Vec<Event> {
        self.n_asked.set(self.n_asked.get() + 1);
        Vec::new()
    }

    fn command(&self, _: &Event) -> Option<()> {
        None
    }
}

#[tokio::test]
async fn d5_a_machine_is_read_back_after_every_event() {
    let clock = Arc::new(SystemClock::starting_at(Timestamp::from_millis(7)));
    let (journal, stream) = (Arc::new(MemoryJournal::new()), StreamId::root(RunId::from_bits(1)));
    let mut journalled =
        Journalled::new(Secretive::default(), journal, clock, stream, Pace::default());
    journalled.fold_stored(&[]);
    for n_events in 1..=REREAD_MAX as u64 + 1 {
        assert!(matches!(journalled.next(), Ok(Next::Wait)));
        assert!(journalled.machine.n_asked.get() > 0, "it was asked");
        journalled.record(Event::GatheringEnded);
        assert!(matches!(journalled.next(), Ok(Next::Perform(..))));
        let is_evicted = journalled.machine.n_asked.get() == 0;
        assert_eq!(journalled.machine.n_applied, n_events);
        assert_eq!(is_evicted, cfg!(debug_assertions) && n_events <= REREAD_MAX as u64);
    }
}
