//! The mailbox: overflow, lanes, crashes, draining, and that nothing is lost.

use proptest::prelude::*;

use super::*;

fn mailbox(overflow: Overflow) -> Mailbox<u32> {
    let spec = MailboxSpec { capacity: 2, control_capacity: 1, ..MailboxSpec::default() };
    Mailbox::new(MailboxSpec { overflow, ..spec })
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
fn a_draining_mailbox_takes_no_work_and_delivers_what_waits() {
    let mut mailbox = mailbox(Overflow::Wait);
    mailbox.admit(Lane::User, 1);
    mailbox.admit(Lane::User, 2);
    mailbox.drain();
    assert_eq!(mailbox.admit(Lane::User, 3), Admission::Closed(3));
    assert_eq!(mailbox.admit(Lane::Internal, 10), Admission::Accepted);
    assert_eq!(mailbox.admit(Lane::Control, 20), Admission::Accepted);
    let first = mailbox.lease(true).expect("queued");
    assert_eq!(mailbox.crashed(first), Redelivery::Requeued);
    let order: Vec<_> = std::iter::from_fn(|| mailbox.lease(true).map(|l| l.message)).collect();
    assert_eq!(order, [20, 10, 1, 2]);
    assert!(!mailbox.is_closed());
    assert!(mailbox.close().is_empty());
    mailbox.drain();
    assert_eq!(mailbox.admit(Lane::Control, 21), Admission::Closed(21), "closed is closed");
    mailbox.reopen();
    assert_eq!(mailbox.admit(Lane::User, 4), Admission::Accepted);
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
