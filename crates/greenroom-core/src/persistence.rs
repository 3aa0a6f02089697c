//! The journalled state of a user's actor: what is stored next, what may be applied, when the actor may be
//! given work, and when a snapshot is due.
//!
//! State is a fold of events. An event is stored first, then applied, then acted upon. A [`Writer`] keeps
//! that order; it is given what an actor's handlers recorded and says what to append. It knows neither the
//! journal nor the actor: that is the runtime's part.
//!
//! | the writer | messages of others | control messages | what is recorded |
//! |---|---|---|---|
//! | idle | are delivered | are delivered | is appended |
//! | appends | wait | are delivered | goes into the next append |
//! | takes a snapshot | wait | are delivered | goes into the next append |
//!
//! A snapshot is due when as many events have been stored since the last one as the policy says, and goes
//! before whatever waits. So a recovery reads one snapshot, fewer events than that, and at most one append.

use std::collections::VecDeque;

use serde_json::Value;

use crate::journal::{Event, Recorded};
use crate::mailbox::Ticket;

/// Events that may wait for an append at once. An actor that records more is not keeping up with itself.
pub const WAITING_MAX: usize = 4096;

/// What is to be appended. The place counts all events of the stream from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The deeds of [`Writer::under_way`], in one append: all of them are stored or none.
    Events {
        /// The place of the first.
        seq: u64,
    },
    /// A snapshot of the actor's state as it is now.
    Snapshot {
        /// Its place.
        seq: u64,
    },
}

/// More was recorded than may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {WAITING_MAX} events wait to be journalled")]
pub struct TooMany;

/// What became of the journal's part of a step.
#[derive(Debug)]
enum Phase {
    Idle,
    Appending,
    Snapshotting,
}

/// Decides what one incarnation of an actor appends to its stream. `D` is what the runtime keeps of a
/// recorded event until it is stored.
#[derive(Debug)]
pub struct Writer<D> {
    phase: Phase,
    n_stored: u64,
    n_since_snapshot: u64,
    snapshot_every: u64,
    under_way: VecDeque<(Ticket, D)>,
    waiting: VecDeque<(Ticket, D)>,
}

impl<D> Writer<D> {
    /// A writer that goes on where a recovery ended. A snapshot is taken every so many events; 0 counts as 1.
    #[must_use]
    pub fn new(n_stored: u64, n_since_snapshot: u64, snapshot_every: u64) -> Self {
        Self {
            phase: Phase::Idle,
            n_stored,
            n_since_snapshot,
            snapshot_every: snapshot_every.max(1),
            under_way: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Puts what one handler recorded in line. It is stored together, or not at all.
    ///
    /// # Errors
    ///
    /// [`TooMany`], and then nothing was put in line.
    pub fn record(
        &mut self,
        ticket: Ticket,
        deeds: impl ExactSizeIterator<Item = D>,
    ) -> Result<(), TooMany> {
        if self.waiting.len() + deeds.len() > WAITING_MAX {
            return Err(TooMany);
        }
        self.waiting.extend(deeds.map(|deed| (ticket, deed)));
        Ok(())
    }

    /// Begins the next append, if there is something to append and none is under way.
    pub fn begin(&mut self) -> Option<Step> {
        if !matches!(self.phase, Phase::Idle) {
            return None;
        }
        let seq = self.n_stored;
        if self.n_since_snapshot >= self.snapshot_every {
            self.phase = Phase::Snapshotting;
            return Some(Step::Snapshot { seq });
        }
        if self.waiting.is_empty() {
            return None;
        }
        std::mem::swap(&mut self.under_way, &mut self.waiting);
        self.phase = Phase::Appending;
        Some(Step::Events { seq })
    }

    /// What the append that is under way stores, in order.
    pub fn under_way(&self) -> impl Iterator<Item = &(Ticket, D)> {
        self.under_way.iter()
    }

    /// The append is stored. What it held is to be applied and acted upon in this order; nothing for a
    /// snapshot.
    pub fn stored(&mut self) -> VecDeque<(Ticket, D)> {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Idle => {}
            Phase::Appending => {
                self.n_stored += self.under_way.len() as u64;
                self.n_since_snapshot += self.under_way.len() as u64;
            }
            Phase::Snapshotting => {
                self.n_stored += 1;
                self.n_since_snapshot = 0;
            }
        }
        std::mem::take(&mut self.under_way)
    }

    /// Whether something of this message is still to be stored.
    #[must_use]
    pub fn is_open(&self, ticket: Ticket) -> bool {
        self.waiting.iter().chain(&self.under_way).any(|(of, _)| *of == ticket)
    }

    /// Whether nothing is under way and nothing waits: the actor may be given work, stopped or unloaded.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle) && self.waiting.is_empty()
    }
}

/// What a stream says of an actor's state.
#[derive(Debug, PartialEq)]
pub struct Recovery<'a> {
    /// The snapshot to begin with.
    pub snapshot: Option<&'a Value>,
    /// The events since, with their places, in the order in which they are to be applied.
    pub events: Vec<(u64, &'a Value)>,
    /// The length of the stream: the place of the next event.
    pub n_stored: u64,
}

/// A stream that does not hold the state of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// An event is missing.
    #[error("the event at place {seq} is missing")]
    Gap {
        /// Its place.
        seq: u64,
    },
    /// An event is not an actor's.
    #[error("the event at place {seq} is not an actor's")]
    Foreign {
        /// Its place.
        seq: u64,
    },
}

impl<'a> Recovery<'a> {
    /// Reads what a journal loaded, which may begin at the last snapshot or before it.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`] when the stream has a hole, or events that are not an actor's.
    pub fn read(loaded: &'a [Recorded]) -> Result<Self, RecoveryError> {
        let mut recovery = Self { snapshot: None, events: Vec::new(), n_stored: 0 };
        for recorded in loaded {
            let seq = recorded.seq;
            match &recorded.event {
                Event::ActorSnapshot { state } => {
                    // Only what comes first may stand for something that was not loaded.
                    if recovery.n_stored != seq && recovery.n_stored != 0 {
                        return Err(RecoveryError::Gap { seq: recovery.n_stored });
                    }
                    recovery.snapshot = Some(state);
                    recovery.events.clear();
                }
                Event::ActorEvent { payload } => {
                    if recovery.n_stored != seq {
                        return Err(RecoveryError::Gap { seq: recovery.n_stored });
                    }
                    recovery.events.push((seq, payload));
                }
                _ => return Err(RecoveryError::Foreign { seq }),
            }
            recovery.n_stored = seq + 1;
        }
        Ok(recovery)
    }
}

#[cfg(test)]
mod tests;
