//! The restarts of a durable supervisor as its stream keeps them, so that the next process counts them too.
//!
//! | the stream says | written |
//! |---|---|
//! | the supervisor lives, and which restarts still count | when it starts, and instead of every hundredth restart |
//! | it restarts a child | before the child is restarted |
//! | it has ended | when it ends by itself, or is asked to |
//!
//! A stream that does not say that the supervisor has ended is that of one whose process died. That is one
//! more restart, of the supervisor itself, at the time when it is first back.
//!
//! Times are the wall clock's, because no other clock outlives a process. A time that is still to come is
//! taken for now, once; so a clock that was wrong for a while holds nobody up for longer than one period.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::AgentId;
use crate::journal::{Event, Recorded};
use crate::time::Timestamp;

/// Restarts that are written before all are written together.
const SNAPSHOT_EVERY: u32 = 100;

/// A restart that was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The child; the supervisor itself when its process died.
    pub child: AgentId,
    /// Whether it counts against the child's own limit, and not against the supervisor's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_own: bool,
    /// For how long it counts.
    pub period: Duration,
}

/// A restart with its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entry {
    at: Timestamp,
    #[serde(flatten)]
    counted: Counted,
}

/// What is written of one change.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    Restarted(Counted),
    Ended,
}

/// A durable supervisor's past: a fold of its stream.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    restarts: Vec<Entry>,
    is_open: bool,
    /// Whether the death of the last process is among the restarts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_counted: bool,
    /// Restarts since they were last written together.
    #[serde(skip)]
    n_apart: u32,
}

impl History {
    /// Reads a stream.
    ///
    /// # Errors
    ///
    /// [`serde_json::Error`] when the events of another actor are written there. Those of runs say nothing of it.
    pub fn of(events: &[Recorded]) -> Result<Self, serde_json::Error> {
        let mut history = Self::default();
        for recorded in events {
            match &recorded.event {
                Event::ActorSnapshot { state } => history = Self::deserialize(state)?,
                Event::ActorEvent { payload } => match Change::deserialize(payload)? {
                    Change::Restarted(counted) => {
                        history.restarts.push(Entry { at: recorded.at, counted });
                    }
                    Change::Ended => history.is_open = false,
                },
                _ => {}
            }
        }
        Ok(history)
    }

    /// Whether the process died in which the supervisor was last.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The supervisor is back after its process has died: that counts once, however often it has to wait.
    pub fn returned(&mut self, now: Timestamp, counted: Counted) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.restarts.push(Entry { at: now, counted });
        }
    }

    /// Drops what counts no more, and takes for now what is still to come.
    pub fn settle(&mut self, now: Timestamp) {
        self.restarts.retain(|entry| now.since(entry.at) <= entry.counted.period);
        self.restarts.iter_mut().for_each(|entry| entry.at = entry.at.min(now));
        self.restarts.sort_by_key(|entry| entry.at);
    }

    /// The restarts that still count, each with how long ago it was, the oldest first.
    #[must_use]
    pub fn past(&self, now: Timestamp) -> Vec<(Counted, Duration)> {
        let past = self.restarts.iter();
        past.map(|entry| (entry.counted.clone(), now.since(entry.at))).collect()
    }

    /// The supervisor starts.
    pub fn begin(&mut self) {
        (self.is_open, self.is_counted) = (true, false);
    }

    /// All of it, to be written.
    #[must_use]
    pub fn snapshot(&mut self) -> Event {
        self.n_apart = 0;
        Event::ActorSnapshot { state: serde_json::to_value(&*self).unwrap_or_default() }
    }

    /// Counts a restart, and says what is to be written.
    pub fn count(&mut self, now: Timestamp, counted: Counted) -> Event {
        self.restarts.push(Entry { at: now, counted: counted.clone() });
        self.n_apart = self.n_apart.saturating_add(1);
        if self.n_apart >= SNAPSHOT_EVERY {
            self.settle(now);
            return self.snapshot();
        }
        written(&Change::Restarted(counted))
    }

    /// The supervisor ends; what is to be written.
    pub fn end(&mut self) -> Event {
        self.is_open = false;
        if self.n_apart >= SNAPSHOT_EVERY { self.snapshot() } else { written(&Change::Ended) }
    }

    /// What was to be written last may not have been: the next time, everything is.
    pub fn is_behind(&mut self) {
        self.n_apart = SNAPSHOT_EVERY;
    }
}

fn written(change: &Change) -> Event {
    Event::ActorEvent { payload: serde_json::to_value(change).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1000 * seconds)
    }

    fn counted(child: &str, is_own: bool) -> Counted {
        Counted { child: child.into(), is_own, period: HOUR }
    }

    /// A stream, and the history that its events are a fold of.
    #[derive(Default)]
    struct Stream {
        history: History,
        events: Vec<Recorded>,
    }

    impl Stream {
        fn store(&mut self, seconds: u64, event: Event) {
            let seq = self.events.len() as u64;
            self.events.push(Recorded { seq, at: at(seconds), event });
        }

        fn begin(&mut self, seconds: u64) {
            self.history.begin();
            let snapshot = self.history.snapshot();
            self.store(seconds, snapshot);
        }

        fn count(&mut self, seconds: u64, child: &str) {
            let event = self.history.count(at(seconds), counted(child, false));
            self.store(seconds, event);
        }

        fn read(&self, now: u64) -> History {
            let mut history = History::of(&self.events).expect("it reads back");
            history.settle(at(now));
            history
        }

        /// How long ago the restarts were, in seconds.
        fn ages(&self, now: u64) -> Vec<u64> {
            self.read(now).past(at(now)).iter().map(|(_, ago)| ago.as_secs()).collect()
        }
    }

    /// What is stored must be readable by every later version.
    #[test]
    fn it_is_written_as_it_always_was() {
        let mut stream = Stream::default();
        stream.history.returned(at(1), counted("tree", false));
        let waits = stream.history.snapshot();
        stream.store(1, waits);
        stream.begin(1);
        let event = stream.history.count(at(2), counted("a", true));
        stream.store(2, event);
        let ended = stream.history.end();
        stream.store(3, ended);
        let golden = concat!(
            r#"[{"kind":"actor_snapshot","state":{"is_counted":true,"is_open":false,"restarts":"#,
            r#"[{"at":1000,"child":"tree","period":{"nanos":0,"secs":3600}}]}},"#,
            r#"{"kind":"actor_snapshot","state":{"is_open":true,"restarts":"#,
            r#"[{"at":1000,"child":"tree","period":{"nanos":0,"secs":3600}}]}},"#,
            r#"{"kind":"actor_event","payload":{"restarted":{"child":"a","is_own":true,"period":{"nanos":0,"secs":3600}}}},"#,
            r#"{"kind":"actor_event","payload":"ended"}]"#,
        );
        let events: Vec<_> = stream.events.iter().map(|recorded| &recorded.event).collect();
        assert_eq!(serde_json::to_string(&events).expect("it is text"), golden);
        let past =
            [(counted("tree", false), HOUR), (counted("a", true), HOUR - Duration::from_secs(1))];
        assert_eq!(stream.read(3601).past(at(3601)), past);
    }

    #[test]
    fn a_death_counts_once_until_the_supervisor_lives_again() {
        let mut stream = Stream::default();
        stream.begin(0);
        for seconds in [10, 20] {
            stream.history.returned(at(seconds), counted("tree", false));
            let waits = stream.history.snapshot();
            stream.store(seconds, waits);
            assert!(stream.read(20).is_open());
        }
        assert_eq!(stream.ages(20), [10]);
        stream.begin(20);
        stream.history.returned(at(30), counted("tree", false));
        let waits = stream.history.snapshot();
        stream.store(30, waits);
        assert_eq!(stream.ages(30), [20, 0]);
    }

    #[test]
    fn a_process_that_died_has_not_said_that_it_ended() {
        let mut stream = Stream::default();
        assert!(!stream.read(0).is_open(), "nothing is no death");
        stream.begin(0);
        assert!(stream.read(1).is_open());
        stream.count(1, "a");
        assert!(stream.read(1).is_open());
        let ended = stream.history.end();
        stream.store(2, ended);
        assert!(!stream.read(2).is_open());
        assert_eq!(stream.ages(2), [1], "its restarts count all the same");
    }

    #[test]
    fn a_restart_counts_for_its_period_and_its_edge_counts() {
        let mut stream = Stream::default();
        stream.begin(0);
        stream.count(10, "a");
        stream.count(20, "b");
        assert_eq!(stream.ages(3610), [3600, 3590]);
        assert_eq!(stream.ages(3611), [3591]);
        assert_eq!(stream.ages(3621), [] as [u64; 0]);
    }

    #[test]
    fn a_clock_that_was_wrong_holds_nobody_up_for_longer_than_a_period() {
        let mut stream = Stream::default();
        stream.begin(0);
        stream.count(1_000_000, "a");
        stream.count(50, "b");
        assert_eq!(stream.ages(60), [10, 0], "what is to come is now, and in order");
        let mut history = stream.read(60);
        let snapshot = history.snapshot();
        stream.store(60, snapshot);
        assert_eq!(stream.ages(3660), [3600]);
        assert_eq!(stream.ages(3661), [] as [u64; 0]);
    }

    #[test]
    fn a_hundred_restarts_are_written_together_and_so_is_what_may_be_missing() {
        let mut stream = Stream::default();
        stream.begin(0);
        for n in 0..250 {
            stream.count(n * 60, "a");
        }
        let is_snapshot = |recorded: &&Recorded| recorded.event.is_snapshot();
        assert_eq!(stream.events.iter().filter(is_snapshot).count(), 3);
        let last = stream.events.iter().rposition(|recorded| recorded.event.is_snapshot());
        let (all, since) = (&stream.events, &stream.events[last.expect("there is one")..]);
        assert!(since.len() <= 100);
        let (mut whole, mut short) = (History::of(all).unwrap(), History::of(since).unwrap());
        whole.settle(at(249 * 60));
        short.settle(at(249 * 60));
        assert_eq!(whole.past(at(249 * 60)), short.past(at(249 * 60)));
        assert_eq!(whole.past(at(249 * 60)).len(), 61);
        stream.history.is_behind();
        assert!(stream.history.clone().end().is_snapshot());
        assert!(stream.history.count(at(0), counted("a", false)).is_snapshot());
        assert!(!stream.history.end().is_snapshot());
    }

    #[test]
    fn a_stream_of_somebody_else_is_refused() {
        let event = Event::ActorEvent { payload: serde_json::json!({ "deposited": 5 }) };
        let recorded = Recorded { seq: 0, at: at(0), event };
        assert!(History::of(&[recorded]).is_err());
    }
}
