//! The mailbox machine: what is admitted, what is delivered next, what is delivered again, and what is
//! given up.
//!
//! The queue belongs to the agent's logical identity and not to its incarnation, so a restart loses
//! nothing: the next incarnation goes on where the last one stopped. It holds no lock and wakes nobody;
//! that is the runtime's part.

mod spec;

use std::collections::{BTreeSet, VecDeque};

pub use spec::{MailboxSpec, Overflow};

/// The queues of a mailbox, in order of delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Cancel, pause, configuration: never waits behind work.
    Control,
    /// The agent's own effects and messages to itself. Bounded by the effects that it may have under way,
    /// so a full user lane can never deadlock its owner.
    Internal,
    /// Everything from others.
    User,
}

/// What became of a message that was offered.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission<T> {
    /// It is queued.
    Accepted,
    /// It is queued, and the oldest message had to go.
    Displaced(T),
    /// The lane is full; the message is handed back.
    Full(T),
    /// The lane is full and the policy is to stop the agent; the message is handed back.
    StopAgent(T),
    /// The agent has stopped for good, or takes no more work; the message is handed back.
    Closed(T),
}

/// Whether a mailbox takes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// None from others; what waits is delivered, and so are control and the agent's own.
    Draining,
    Closed,
}

/// A message that is being handled. It must come back through [`Mailbox::done`] or
/// [`Mailbox::crashed`].
#[derive(Debug, PartialEq, Eq)]
pub struct Lease<T> {
    /// The message.
    pub message: T,
    /// Which delivery this is, counted from 1.
    pub delivery: u32,
    /// The lane that it came from.
    pub lane: Lane,
    /// Where the events of its earlier deliveries are.
    pub place: Place,
}

/// Names a message that is still in flight although its handler has returned; see [`Mailbox::hold`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Where the events are that an earlier delivery of a message recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Place {
    /// There are none, or they were not stored.
    #[default]
    Nowhere,
    /// They were to be appended to the agent's stream from this place on, and nobody knows yet.
    Intended(u64),
    /// In the agent's stream.
    Stored,
}

/// What becomes of the message that was in flight at a crash.
#[derive(Debug, PartialEq, Eq)]
pub enum Redelivery<T> {
    /// It is the next of its lane again.
    Requeued,
    /// It was delivered as often as allowed.
    Quarantined(T),
    /// The agent has stopped for good meanwhile.
    Closed(T),
}

#[derive(Debug)]
struct Queued<T> {
    message: T,
    n_deliveries: u32,
    place: Place,
}

impl<T> From<Lease<T>> for Queued<T> {
    fn from(lease: Lease<T>) -> Self {
        Self { message: lease.message, n_deliveries: lease.delivery, place: lease.place }
    }
}

/// A bounded queue with three lanes that outlives the incarnations that read it.
///
/// # Guarantees
///
/// Within a lane, messages are delivered in the order of admission, also across crashes. A message that
/// was admitted is delivered until [`Mailbox::done`], or comes out as `Displaced`, `Quarantined`, or
/// from [`Mailbox::close`]: never nowhere, never twice at once.
#[derive(Debug)]
pub struct Mailbox<T> {
    spec: MailboxSpec,
    lanes: [VecDeque<Queued<T>>; 3],
    /// Messages whose handlers have returned and that are not done, in the order of their delivery.
    held: VecDeque<(Ticket, Lease<T>)>,
    n_tickets: u64,
    phase: Phase,
    n_admitted: u64,
    n_done: u64,
    depth_max: usize,
}

impl<T> Mailbox<T> {
    /// An empty mailbox.
    #[must_use]
    pub fn new(spec: MailboxSpec) -> Self {
        let lanes = [VecDeque::new(), VecDeque::new(), VecDeque::new()];
        Self {
            spec,
            lanes,
            held: VecDeque::new(),
            n_tickets: 0,
            phase: Phase::Open,
            n_admitted: 0,
            n_done: 0,
            depth_max: 0,
        }
    }

    /// Offers a message.
    pub fn admit(&mut self, lane: Lane, message: T) -> Admission<T> {
        match self.phase {
            Phase::Open => {}
            Phase::Draining if lane != Lane::User => {}
            Phase::Draining | Phase::Closed => return Admission::Closed(message),
        }
        // A message that is delivered again had its place before: it takes none from new ones. Those that
        // were in flight when the incarnation ended are all at the front.
        let waiting = &self.lanes[lane as usize];
        let n_again = waiting.iter().take_while(|queued| queued.n_deliveries > 0).count();
        let depth = waiting.len() - n_again;
        let is_full = match lane {
            Lane::Internal => false,
            Lane::Control => depth + self.n_held(lane) >= self.spec.control_capacity,
            Lane::User => depth >= self.spec.capacity.max(1),
        };
        let mut displaced = None;
        if is_full {
            match (lane, self.spec.overflow) {
                (Lane::User, Overflow::DropOldest) => {
                    // The one that is delivered again had no place, so its going would make none.
                    displaced = self.lanes[lane as usize].remove(n_again);
                }
                (Lane::User, Overflow::StopAgent) => return Admission::StopAgent(message),
                _ => return Admission::Full(message),
            }
        }
        let queued = Queued { message, n_deliveries: 0, place: Place::Nowhere };
        let waiting = &mut self.lanes[lane as usize];
        if waiting.capacity() == 0 {
            // Most agents of a team have one message at a time.
            waiting.reserve_exact(1);
        }
        waiting.push_back(queued);
        self.n_admitted += 1;
        self.depth_max = self.depth_max.max(self.depth());
        match displaced {
            Some(oldest) => Admission::Displaced(oldest.message),
            None => Admission::Accepted,
        }
    }

    /// Takes the next message: the control lane first, then internal, then user.
    ///
    /// `takes_work` is false while the agent has as much under way as it may have: the user lane waits
    /// then, and fills, and its senders wait in turn.
    pub fn lease(&mut self, takes_work: bool) -> Option<Lease<T>> {
        let lanes = [Lane::Control, Lane::Internal, Lane::User];
        for lane in lanes.into_iter().take(if takes_work { 3 } else { 2 }) {
            if let Some(queued) = self.lanes[lane as usize].pop_front() {
                let delivery = queued.n_deliveries + 1;
                let Queued { message, place, .. } = queued;
                return Some(Lease { message, delivery, lane, place });
            }
        }
        None
    }

    /// The leased message was handled. Hands it back to be dropped outside any lock.
    pub fn done(&mut self, lease: Lease<T>) -> T {
        self.n_done += 1;
        lease.message
    }

    /// The leased message is not wanted any more, and was not handled. Hands it back to be dropped outside
    /// any lock.
    pub fn discard(&mut self, lease: Lease<T>) -> T {
        lease.message
    }

    /// The incarnation crashed while it handled the leased message.
    pub fn crashed(&mut self, lease: Lease<T>) -> Redelivery<T> {
        if self.is_closed() {
            return Redelivery::Closed(lease.message);
        }
        if lease.delivery >= self.spec.deliveries_max.max(1) {
            return Redelivery::Quarantined(lease.message);
        }
        self.lanes[lease.lane as usize].push_front(lease.into());
        Redelivery::Requeued
    }

    /// Keeps the leased message in flight although its handler has returned: it is done when what the
    /// handler began is. A control message keeps its place meanwhile, so that there is a bound.
    pub fn hold(&mut self, lease: Lease<T>) -> Ticket {
        self.n_tickets += 1;
        let ticket = Ticket(self.n_tickets);
        self.held.push_back((ticket, lease));
        ticket
    }

    /// The held message is handled. Hands it back to be dropped outside any lock; `None` when it is not
    /// held any more.
    pub fn done_held(&mut self, ticket: Ticket) -> Option<T> {
        let at = self.held.iter().position(|(of, _)| *of == ticket)?;
        let (_, lease) = self.held.remove(at)?;
        Some(self.done(lease))
    }

    /// The events of these held messages are about to be appended, together, from this place on.
    pub fn intend(&mut self, tickets: impl Iterator<Item = Ticket>, seq: u64) {
        let tickets: BTreeSet<_> = tickets.collect();
        let held = self.held.iter_mut().filter(|(of, _)| tickets.contains(of));
        for (_, lease) in held.filter(|(_, lease)| lease.place == Place::Nowhere) {
            lease.place = Place::Intended(seq);
        }
    }

    /// The agent's stream is this long as the incarnation begins. So it is known of every message that was
    /// in flight whether its events are stored, because nobody else appends.
    pub fn recovered(&mut self, n_stored: u64) {
        let again = |queued: &&mut Queued<T>| queued.n_deliveries > 0;
        for queued in self.lanes.iter_mut().flat_map(|lane| lane.iter_mut().take_while(again)) {
            if let Place::Intended(seq) = queued.place {
                queued.place = if seq < n_stored { Place::Stored } else { Place::Nowhere };
            }
        }
    }

    /// The incarnation has ended: held messages are the next of their lanes again, in their old order. When
    /// it has crashed, they count as crashed on, and those delivered as often as allowed come out.
    pub fn give_back(&mut self, is_crash: bool) -> Vec<T> {
        let mut quarantined = Vec::new();
        while let Some((_, lease)) = self.held.pop_back() {
            if !is_crash {
                self.lanes[lease.lane as usize].push_front(lease.into());
            } else if let Redelivery::Quarantined(message) | Redelivery::Closed(message) =
                self.crashed(lease)
            {
                quarantined.push(message);
            }
        }
        quarantined
    }

    /// Messages that are held, of one lane.
    fn n_held(&self, lane: Lane) -> usize {
        self.held.iter().filter(|(_, lease)| lease.lane == lane).count()
    }

    /// Whether a message is in flight although no handler runs.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Drops what the agent had sent to itself: its effects end with the incarnation that began them.
    pub fn forget_internal(&mut self) -> Vec<T> {
        self.lanes[Lane::Internal as usize].drain(..).map(|queued| queued.message).collect()
    }

    /// Refuses all further messages and gives back those that wait, in the order of delivery.
    pub fn close(&mut self) -> Vec<T> {
        self.phase = Phase::Closed;
        self.give_back(false);
        self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).map(|queued| queued.message).collect()
    }

    /// Refuses further messages of the user lane. What waits is delivered, and is delivered again after a
    /// crash, as before. Does nothing to a mailbox that is closed.
    pub fn drain(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining;
        }
    }

    /// Accepts messages again, after an agent that was stopped is started by hand.
    pub fn reopen(&mut self) {
        self.phase = Phase::Open;
    }

    /// Whether the agent has stopped for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Messages that wait, in all lanes.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// Whether [`Mailbox::lease`] would give a message.
    #[must_use]
    pub fn has_next(&self, takes_work: bool) -> bool {
        self.lanes.iter().take(if takes_work { 3 } else { 2 }).any(|lane| !lane.is_empty())
    }

    /// The message that will be delivered next.
    #[must_use]
    pub fn head(&self) -> Option<&T> {
        self.lanes.iter().find_map(VecDeque::front).map(|queued| &queued.message)
    }

    /// The most messages that ever waited at once.
    #[must_use]
    pub fn depth_max(&self) -> usize {
        self.depth_max
    }

    /// Messages admitted and messages handled since the beginning.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.n_admitted, self.n_done)
    }
}

#[cfg(test)]
mod tests;
