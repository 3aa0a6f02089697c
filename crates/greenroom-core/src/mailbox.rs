//! The mailbox machine: what is admitted, what is delivered next, what is delivered again, and what is
//! given up.
//!
//! The queue belongs to the agent's logical identity and not to its incarnation, so a restart loses
//! nothing: the next incarnation goes on where the last one stopped. It holds no lock and wakes nobody;
//! that is the runtime's part.

use std::collections::{BTreeSet, VecDeque};

/// How a mailbox behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxSpec {
    /// Messages that may wait in the user lane. Default 64, and never less than 1.
    pub capacity: usize,
    /// Messages that may wait in the control lane, on top of `capacity`. Default 16.
    pub control_capacity: usize,
    /// What happens to a message that finds the user lane full.
    pub overflow: Overflow,
    /// How often a message may be delivered before it is quarantined: a message in flight at a crash is
    /// delivered again until then. Default 2, and never less than 1.
    pub deliveries_max: u32,
}

impl Default for MailboxSpec {
    fn default() -> Self {
        Self { capacity: 64, control_capacity: 16, overflow: Overflow::Wait, deliveries_max: 2 }
    }
}

/// What happens to a message that finds the user lane full.
///
/// | policy | the sender | the queue |
/// |---|---|---|
/// | `Wait` | waits for room; an ask at most until its deadline | unchanged |
/// | `RejectNewest` | gets its message back | unchanged |
/// | `DropOldest` | is done | the oldest becomes a dead letter |
/// | `StopAgent` | gets its message back | unchanged; the incarnation ends abnormally, and its supervisor decides what follows |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// The sender waits.
    #[default]
    Wait,
    /// The sender gets its message back at once.
    RejectNewest,
    /// The oldest message makes room.
    DropOldest,
    /// The incarnation is ended: its owner would rather have a fresh one than a late one.
    StopAgent,
}

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
    /// The agent has stopped for good; the message is handed back.
    Closed(T),
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
    is_closed: bool,
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
            is_closed: false,
            n_admitted: 0,
            n_done: 0,
            depth_max: 0,
        }
    }

    /// Offers a message.
    pub fn admit(&mut self, lane: Lane, message: T) -> Admission<T> {
        if self.is_closed {
            return Admission::Closed(message);
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
        self.lanes[lane as usize].push_back(Queued {
            message,
            n_deliveries: 0,
            place: Place::Nowhere,
        });
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
        if self.is_closed {
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
        self.is_closed = true;
        self.give_back(false);
        self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).map(|queued| queued.message).collect()
    }

    /// Accepts messages again, after an agent that was stopped is started by hand.
    pub fn reopen(&mut self) {
        self.is_closed = false;
    }

    /// Whether the agent has stopped for good.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mailbox(overflow: Overflow) -> Mailbox<u32> {
        Mailbox::new(MailboxSpec { capacity: 2, control_capacity: 1, overflow, deliveries_max: 2 })
    }

    #[track_caller]
    fn check_third(overflow: Overflow, expect: &Admission<u32>, then: &[u32]) {
        let mut mailbox = mailbox(overflow);
        assert_eq!(mailbox.admit(Lane::User, 1), Admission::Accepted);
        assert_eq!(mailbox.admit(Lane::User, 2), Admission::Accepted);
        assert_eq!(&mailbox.admit(Lane::User, 3), expect);
        assert_eq!(mailbox.close(), then);
    }

    #[test]
    fn each_overflow_policy_does_what_it_says() {
        check_third(Overflow::Wait, &Admission::Full(3), &[1, 2]);
        check_third(Overflow::RejectNewest, &Admission::Full(3), &[1, 2]);
        check_third(Overflow::DropOldest, &Admission::Displaced(1), &[2, 3]);
        check_third(Overflow::StopAgent, &Admission::StopAgent(3), &[1, 2]);
    }

    #[test]
    fn control_and_self_sends_pass_a_full_user_lane() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        mailbox.admit(Lane::User, 2);
        assert_eq!(mailbox.admit(Lane::Internal, 10), Admission::Accepted);
        assert_eq!(mailbox.admit(Lane::Control, 20), Admission::Accepted);
        assert_eq!(mailbox.admit(Lane::Control, 21), Admission::Full(21));
        let order: Vec<_> = std::iter::from_fn(|| mailbox.lease(true).map(|l| l.message)).collect();
        assert_eq!(order, [20, 10, 1, 2]);
    }

    #[test]
    fn a_message_that_crashes_its_agent_is_delivered_again_in_its_place_and_then_quarantined() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        mailbox.admit(Lane::User, 2);
        let first = mailbox.lease(true).expect("queued");
        assert_eq!(mailbox.crashed(first), Redelivery::Requeued);
        let again = mailbox.lease(true).expect("requeued");
        assert_eq!((again.message, again.delivery), (1, 2));
        assert_eq!(mailbox.crashed(again), Redelivery::Quarantined(1));
        assert_eq!(mailbox.lease(true).map(|lease| lease.message), Some(2));
    }

    #[test]
    fn a_message_that_is_delivered_again_takes_no_place_from_new_ones() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        let lease = mailbox.lease(true).expect("queued");
        mailbox.crashed(lease);
        assert_eq!(mailbox.admit(Lane::User, 2), Admission::Accepted);
        assert_eq!(mailbox.admit(Lane::User, 3), Admission::Accepted);
        assert_eq!(mailbox.admit(Lane::User, 4), Admission::Full(4));
    }

    #[test]
    fn the_oldest_of_a_full_lane_goes_and_not_the_one_that_is_delivered_again() {
        let mut mailbox = mailbox(Overflow::DropOldest);
        mailbox.admit(Lane::User, 1);
        let lease = mailbox.lease(true).expect("queued");
        mailbox.crashed(lease);
        mailbox.admit(Lane::User, 2);
        mailbox.admit(Lane::User, 3);
        assert_eq!(mailbox.admit(Lane::User, 4), Admission::Displaced(2));
        assert_eq!(mailbox.close(), [1, 3, 4]);
    }

    #[test]
    fn an_agent_that_takes_no_work_is_given_control_and_its_own_messages_only() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        mailbox.admit(Lane::Internal, 2);
        assert_eq!(mailbox.lease(false).map(|lease| lease.message), Some(2));
        assert_eq!(mailbox.lease(false), None);
        assert_eq!(mailbox.lease(true).map(|lease| lease.message), Some(1));
    }

    #[test]
    fn a_closed_mailbox_hands_everything_back() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        let lease = mailbox.lease(true).expect("queued");
        mailbox.admit(Lane::User, 2);
        assert_eq!(mailbox.close(), [2]);
        assert_eq!(mailbox.crashed(lease), Redelivery::Closed(1));
        assert_eq!(mailbox.admit(Lane::Control, 3), Admission::Closed(3));
    }

    #[test]
    fn a_held_message_is_in_flight_until_it_is_done_and_is_next_again_after_a_crash() {
        let spec = MailboxSpec { capacity: 4, control_capacity: 1, ..MailboxSpec::default() };
        let mut mailbox = Mailbox::new(spec);
        for n in 1..=3 {
            mailbox.admit(Lane::User, n);
        }
        mailbox.admit(Lane::Control, 10);
        let hold_next = |mailbox: &mut Mailbox<u32>| {
            let lease = mailbox.lease(true).expect("queued");
            mailbox.hold(lease)
        };
        let control = hold_next(&mut mailbox);
        assert_eq!(mailbox.admit(Lane::Control, 11), Admission::Full(11), "it keeps its place");
        let (_first, _second) = (hold_next(&mut mailbox), hold_next(&mut mailbox));
        assert_eq!(mailbox.done_held(control), Some(10));
        assert_eq!((mailbox.done_held(control), mailbox.holds()), (None, true));
        assert_eq!(mailbox.admit(Lane::Control, 11), Admission::Accepted);
        assert_eq!(mailbox.give_back(true), [] as [u32; 0]);
        let order: Vec<_> = std::iter::from_fn(|| mailbox.lease(true))
            .map(|lease| (lease.message, lease.delivery))
            .collect();
        assert_eq!(order, [(11, 1), (1, 2), (2, 2), (3, 1)]);
    }

    #[test]
    fn a_held_message_is_quarantined_by_crashes_and_not_by_stops() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        for delivery in 1..=3 {
            let lease = mailbox.lease(true).expect("queued");
            assert_eq!(lease.delivery, delivery);
            mailbox.hold(lease);
            assert_eq!(mailbox.give_back(false), [] as [u32; 0]);
        }
        let lease = mailbox.lease(true).expect("queued");
        mailbox.hold(lease);
        assert_eq!(mailbox.give_back(true), [1]);
    }

    #[test]
    fn a_closed_mailbox_hands_back_what_is_held_first() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        mailbox.admit(Lane::User, 2);
        let lease = mailbox.lease(true).expect("queued");
        let ticket = mailbox.hold(lease);
        assert_eq!(mailbox.close(), [1, 2]);
        assert_eq!(mailbox.done_held(ticket), None);
    }

    #[test]
    fn it_is_known_of_a_message_that_comes_again_whether_its_events_are_stored() {
        let spec = MailboxSpec { capacity: 4, deliveries_max: 9, ..MailboxSpec::default() };
        let mut mailbox = Mailbox::new(spec);
        for n in 1..=4 {
            mailbox.admit(Lane::User, n);
        }
        let tickets: Vec<_> = (0..3)
            .map(|_| mailbox.lease(true).expect("queued"))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|lease| mailbox.hold(lease))
            .collect();
        mailbox.intend([tickets[0], tickets[0]].into_iter(), 5);
        // A continuation of the first records once more, and so comes after the second.
        mailbox.intend([tickets[1], tickets[0]].into_iter(), 7);
        mailbox.give_back(true);
        mailbox.recovered(7);
        let places: Vec<_> = (0..4).map(|_| mailbox.lease(true).expect("queued").place).collect();
        assert_eq!(places, [Place::Stored, Place::Nowhere, Place::Nowhere, Place::Nowhere]);
    }

    #[test]
    fn events_that_are_stored_stay_stored_and_a_second_append_settles_nothing() {
        let mut mailbox = mailbox(Overflow::Wait);
        mailbox.admit(Lane::User, 1);
        let lease = mailbox.lease(true).expect("queued");
        let ticket = mailbox.hold(lease);
        mailbox.intend([ticket].into_iter(), 5);
        mailbox.intend([ticket].into_iter(), 6);
        mailbox.give_back(false);
        mailbox.recovered(6);
        let lease = mailbox.lease(true).expect("again");
        assert_eq!(lease.place, Place::Stored);
        let ticket = mailbox.hold(lease);
        mailbox.intend([ticket].into_iter(), 9);
        mailbox.give_back(false);
        mailbox.recovered(9);
        assert_eq!(mailbox.lease(true).map(|lease| lease.place), Some(Place::Stored));
    }

    proptest! {
        /// Every admitted message comes out exactly once, and in order, whatever crashes.
        #[test]
        fn nothing_is_lost_duplicated_or_reordered(
            steps in prop::collection::vec((0..5_u8, any::<bool>()), 1..400),
            deliveries_max in 1..4_u32,
        ) {
            let spec = MailboxSpec { capacity: 8, deliveries_max, ..MailboxSpec::default() };
            let mut mailbox = Mailbox::new(spec);
            let (mut next, mut out, mut held) = (0_u32, Vec::new(), None);
            for (step, crashes) in steps {
                if step == 0 {
                    if mailbox.admit(Lane::User, next) == Admission::Accepted {
                        next += 1;
                    }
                } else if let Some(ticket) = held.take() {
                    if crashes {
                        out.extend(mailbox.give_back(step == 1));
                    } else {
                        out.extend(mailbox.done_held(ticket));
                    }
                } else if let Some(lease) = mailbox.lease(true) {
                    if step == 4 {
                        held = Some(mailbox.hold(lease));
                    } else if !crashes {
                        out.push(mailbox.done(lease));
                    } else if let Redelivery::Quarantined(message) = mailbox.crashed(lease) {
                        out.push(message);
                    }
                }
            }
            out.extend(mailbox.close());
            prop_assert_eq!(out, (0..next).collect::<Vec<_>>());
        }
    }
}
