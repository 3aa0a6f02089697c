//! Mailboxes under real senders: overflow, lanes, deadlines, poison, and that nothing is lost.

mod draining;
mod storms;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{
    Backoff, ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec,
};
use greenroom_runtime::{
    Actor, AgentRef, AgentState, AskError, Context, DeadReason, Failure, Reply, Runtime,
    SendErrorKind,
};

use crate::support::{end, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Numbers that were handled.
type Seen = Arc<Mutex<Vec<u32>>>;

struct Clerk {
    seen: Seen,
}

enum Message {
    Number(u32),
    Poison(u32),
    Question(u32, Reply<u32>),
    /// The number, once so much time has passed.
    Work(u32, Duration),
}

impl Actor for Clerk {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let note = |number| self.seen.lock().expect("no test panics here").push(number);
        match message {
            Message::Number(number) => note(*number),
            Message::Poison(number) => {
                note(*number);
                panic!("poison");
            }
            Message::Question(number, reply) => {
                note(*number);
                let _ = reply.send(context.delivery());
            }
            Message::Work(number, span) => {
                let number = *number;
                context.effect("work", HOUR, tokio::time::sleep(*span), move |_| {
                    Message::Number(number)
                });
            }
        }
        Ok(())
    }
}

/// An actor that is in backoff for an hour whenever it is crashed, so that its mailbox fills.
struct Desk {
    runtime: Runtime,
    clerk: AgentRef<Message>,
    seen: Seen,
}

impl Desk {
    async fn new(mailbox: MailboxSpec) -> Self {
        let (runtime, seen) = (runtime().await, Seen::default());
        let notes = Arc::clone(&seen);
        let spec = ChildSpec::worker("clerk").backoff(Backoff::new(HOUR, HOUR).jitter(0.0));
        let factory = move || Clerk { seen: Arc::clone(&notes) };
        let clerk = runtime.spawn_with(spec, mailbox, factory).await.expect("it starts");
        Self { runtime, clerk, seen }
    }

    /// A clerk that will handle nothing for an hour.
    async fn away(mailbox: MailboxSpec) -> Self {
        let desk = Self::new(mailbox).await;
        assert!(desk.clerk.crash_on_purpose());
        settle().await;
        assert_eq!(desk.clerk.info().state, AgentState::Restarting);
        desk
    }

    /// The hour passes; what was handled in it.
    async fn back(&self) -> Vec<u32> {
        tokio::time::sleep(HOUR).await;
        settle().await;
        self.seen.lock().expect("no test panics here").clone()
    }

    fn reasons(&self) -> Vec<DeadReason> {
        self.runtime.dead_letters().into_iter().map(|letter| letter.reason).collect()
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn two(overflow: Overflow) -> MailboxSpec {
    let wait_max = 2 * HOUR;
    MailboxSpec { capacity: 2, control_capacity: 1, overflow, wait_max, ..MailboxSpec::default() }
}

fn try_number(clerk: &AgentRef<Message>, number: u32) -> Result<(), SendErrorKind> {
    clerk.try_send(Message::Number(number)).map_err(|error| {
        assert!(matches!(error.message, Message::Number(back) if back == number), "handed back");
        error.kind
    })
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn bh03_wait_makes_the_sender_wait_until_there_is_room() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    desk.clerk.send(Message::Number(1)).await.expect("room");
    desk.clerk.send(Message::Number(2)).await.expect("room");
    assert_eq!(try_number(&desk.clerk, 3), Err(SendErrorKind::Full));
    let waits = tokio::time::timeout(SECOND, desk.clerk.send(Message::Number(4))).await;
    assert!(waits.is_err(), "there is no room");
    let since = tokio::time::Instant::now();
    desk.clerk.send(Message::Number(5)).await.expect("the clerk comes back");
    assert!(since.elapsed() > HOUR / 2, "it waited for the restart");
    settle().await;
    assert_eq!(
        *desk.seen.lock().expect("no test panics here"),
        [1, 2, 5],
        "4 was given up and is nowhere"
    );
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn no_sender_waits_for_ever_and_each_gets_its_message_back() {
    let minute = 60 * SECOND;
    assert_eq!(MailboxSpec::default().wait_max, minute);
    let spec = MailboxSpec { wait_max: minute, ..two(Overflow::Wait) };
    let desk = Desk::away(spec).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let check = async |number, deadline: Option<Duration>| {
        let (since, message) = (tokio::time::Instant::now(), Message::Number(number));
        let sent = match deadline {
            None => desk.clerk.send(message).await,
            Some(deadline) => desk.clerk.send_timeout(message, deadline).await,
        };
        let refused = sent.expect_err("there is no room");
        assert!(matches!(refused.message, Message::Number(back) if back == number));
        assert_eq!(refused.kind, SendErrorKind::Full);
        since.elapsed()
    };
    assert_eq!(check(3, None).await, minute);
    assert_eq!(check(4, Some(SECOND)).await, SECOND);
    assert_eq!(check(5, Some(3 * minute)).await, 3 * minute, "also longer than the mailbox allows");
    assert_eq!(check(6, Some(Duration::ZERO)).await, Duration::ZERO);
    let sent = desk.clerk.send_timeout(Message::Number(7), HOUR).await;
    assert!(sent.is_ok(), "the clerk comes back");
    settle().await;
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [1, 2, 7]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_gives_up_keeps_no_room() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    {
        let mut given_up: Vec<_> =
            (10..20).map(|number| Box::pin(desk.clerk.send(Message::Number(number)))).collect();
        for send in &mut given_up {
            assert!(poll_once(send).is_pending());
        }
        let mut last = Box::pin(desk.clerk.send(Message::Number(3)));
        assert!(poll_once(&mut last).is_pending());
        drop(given_up);
        tokio::time::timeout(2 * HOUR, last)
            .await
            .expect("those before it are gone")
            .expect("room");
    }
    settle().await;
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [1, 2, 3]);
    // Dropped between being given the room and taking it: the room goes to the next.
    assert!(desk.clerk.crash_on_purpose());
    settle().await;
    for number in [4, 5] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let mut unlucky = Box::pin(desk.clerk.send(Message::Number(99)));
    assert!(poll_once(&mut unlucky).is_pending());
    desk.back().await;
    drop(unlucky);
    assert_eq!(try_number(&desk.clerk, 6), Ok(()));
    assert_eq!(try_number(&desk.clerk, 7), Ok(()));
    settle().await;
    assert_eq!(*desk.seen.lock().expect("no test panics here"), [1, 2, 3, 4, 5, 6, 7]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn room_that_was_given_before_a_stop_is_no_room_after_it() {
    let (runtime, seen) = (runtime().await, Seen::default());
    let notes = Arc::clone(&seen);
    let (clerk, start) =
        runtime.child("clerk", MailboxSpec { capacity: 1, ..two(Overflow::Wait) }, {
            move || Clerk { seen: Arc::clone(&notes) }
        });
    let spec = SupervisorSpec::new(Strategy::OneForOne);
    let children = vec![(ChildSpec::worker("clerk"), start)];
    let supervisor = runtime.supervise("desk", spec, children).await.expect("it starts");
    assert_eq!(try_number(&clerk, 1), Ok(()));
    let mut waits = Box::pin(clerk.send(Message::Number(2)));
    assert!(poll_once(&mut waits).is_pending());
    settle().await;
    // It was given the room of the first, and has not looked.
    supervisor.terminate_child("clerk").await.expect("it stops");
    supervisor.restart_child("clerk").await.expect("it starts");
    let refused = waits.await.expect_err("that was another life");
    assert_eq!(refused.kind, SendErrorKind::Stopped);
    assert_eq!(*seen.lock().expect("no test panics here"), [1]);
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn reject_newest_hands_the_message_back_at_once() {
    let desk = Desk::away(two(Overflow::RejectNewest)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let refused = desk.clerk.send(Message::Number(3)).await.expect_err("full");
    assert_eq!(refused.kind, SendErrorKind::Full);
    assert!(matches!(refused.message, Message::Number(3)));
    assert_eq!(try_number(&desk.clerk, 4), Err(SendErrorKind::Full));
    let asked = desk.clerk.ask(HOUR, |reply| Message::Question(5, reply)).await;
    assert_eq!(asked, Err(AskError::Full));
    assert_eq!(desk.back().await, [1, 2]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_makes_room_and_tells_whoever_asked() {
    let desk = Desk::away(two(Overflow::DropOldest)).await;
    let question = desk.clerk.ask(2 * HOUR, |reply| Message::Question(1, reply));
    let others = async {
        for number in [2, 3, 4] {
            desk.clerk.send(Message::Number(number)).await.expect("the oldest makes room");
        }
    };
    let (asked, ()) = tokio::join!(question, others);
    assert_eq!(asked, Err(AskError::Dead(DeadReason::Displaced)));
    assert_eq!(desk.reasons(), [DeadReason::Displaced, DeadReason::Displaced]);
    assert_eq!(desk.back().await, [3, 4]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn drop_oldest_never_holds_more_than_fits_also_after_a_crash() {
    let desk = Desk::new(two(Overflow::DropOldest)).await;
    desk.clerk.try_send(Message::Poison(1)).expect("room");
    settle().await;
    assert_eq!(desk.clerk.info().n_queued, 1, "it is to be delivered again");
    for number in 2..20 {
        desk.clerk.send(Message::Number(number)).await.expect("the oldest makes room");
        let n_queued = desk.clerk.info().n_queued;
        assert!(n_queued <= 3, "{n_queued} after {number}: two, and the one delivered before");
    }
    assert_eq!(desk.back().await, [1, 1], "delivered again");
    assert_eq!(desk.back().await, [1, 1, 18, 19], "and then the newest two");
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn stop_agent_ends_the_agent_that_overflows() {
    let runtime = runtime().await;
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let spec = ChildSpec::worker("clerk").restart(Restart::Temporary);
    let factory = move || Clerk { seen: Arc::clone(&notes) };
    let clerk =
        runtime.spawn_with(spec, two(Overflow::StopAgent), factory).await.expect("it starts");
    // Nobody yields to the clerk in between.
    assert_eq!(try_number(&clerk, 1), Ok(()));
    assert_eq!(try_number(&clerk, 2), Ok(()));
    assert_eq!(try_number(&clerk, 3), Err(SendErrorKind::Full));
    settle().await;
    assert_eq!(clerk.info().state, AgentState::Stopped);
    assert_eq!(try_number(&clerk, 4), Err(SendErrorKind::Stopped));
    let n_seen = seen.lock().expect("no test panics here").len();
    assert_eq!(
        n_seen + runtime.dead_letters().len(),
        2,
        "what was accepted is handled or a dead letter"
    );
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_control_lane_passes_a_full_mailbox_and_has_a_bound_of_its_own() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    desk.clerk.control(Message::Number(100)).expect("room of its own");
    let full = desk.clerk.control(Message::Number(101)).expect_err("full too");
    assert_eq!(full.kind, SendErrorKind::Full);
    assert!(matches!(full.message, Message::Number(101)));
    assert_eq!(desk.back().await, [100, 1, 2], "control comes first");
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_i03_poison_is_delivered_as_often_as_allowed_and_then_quarantined() {
    for deliveries_max in [1, 2, 5] {
        let runtime = runtime().await;
        let seen = Seen::default();
        let notes = Arc::clone(&seen);
        let factory = move || Clerk { seen: Arc::clone(&notes) };
        let mailbox = MailboxSpec { deliveries_max, ..MailboxSpec::default() };
        let clerk = runtime
            .spawn_with(ChildSpec::worker("clerk"), mailbox, factory)
            .await
            .expect("it starts");
        clerk.try_send(Message::Number(1)).expect("room");
        clerk.try_send(Message::Poison(2)).expect("room");
        clerk.try_send(Message::Number(3)).expect("room");
        let asked = clerk.ask(HOUR, |reply| Message::Question(4, reply)).await;
        assert_eq!(asked, Ok(1), "queued behind the poison, delivered once");
        let mut expect = vec![1];
        expect.extend((0..deliveries_max).map(|_| 2));
        expect.extend([3, 4]);
        assert_eq!(*seen.lock().expect("no test panics here"), expect);
        let letters: Vec<_> =
            runtime.dead_letters().into_iter().map(|letter| letter.reason).collect();
        assert_eq!(letters, [DeadReason::Poison { cause: ExitReason::panic("poison") }]);
        assert_eq!(runtime.dead_letter_counts(), BTreeMap::from([("poison", 1)]));
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_question_is_never_handled() {
    let desk = Desk::away(MailboxSpec::default()).await;
    let asked = desk.clerk.ask(SECOND, |reply| Message::Question(1, reply)).await;
    assert_eq!(asked, Err(AskError::TimedOut(SECOND)));
    desk.clerk.send(Message::Number(2)).await.expect("room");
    assert_eq!(desk.back().await, [2]);
    assert_eq!(desk.reasons(), [DeadReason::Expired]);
    assert_eq!(desk.clerk.info().n_handled, 1, "what expired was not handled");
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_expires_also_when_its_asker_does_not_look() {
    let desk = Desk::away(MailboxSpec::default()).await;
    let mut ask = Box::pin(desk.clerk.ask(SECOND, |reply| Message::Question(1, reply)));
    assert!(poll_once(&mut ask).is_pending());
    assert_eq!(desk.back().await, [] as [u32; 0]);
    assert_eq!(desk.reasons(), [DeadReason::Expired]);
    assert_eq!(ask.await, Err(AskError::TimedOut(SECOND)));
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_room_counts_against_the_deadline_of_a_question() {
    let desk = Desk::away(two(Overflow::Wait)).await;
    for number in [1, 2] {
        desk.clerk.send(Message::Number(number)).await.expect("room");
    }
    let since = tokio::time::Instant::now();
    let asked = desk.clerk.ask(SECOND, |reply| Message::Question(3, reply)).await;
    assert_eq!(asked, Err(AskError::TimedOut(SECOND)));
    assert!(since.elapsed() < 2 * SECOND);
    assert_eq!(desk.back().await, [1, 2]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_without_capacity_has_room_for_one() {
    let desk = Desk::away(MailboxSpec { capacity: 0, ..two(Overflow::Wait) }).await;
    assert_eq!(try_number(&desk.clerk, 1), Ok(()));
    assert_eq!(try_number(&desk.clerk, 2), Err(SendErrorKind::Full));
    assert_eq!(desk.back().await, [1]);
    end(desk.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn senders_that_wait_for_room_are_told_when_the_agent_stops_for_good() {
    let runtime = runtime().await;
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let factory = move || Clerk { seen: Arc::clone(&notes) };
    let spec = ChildSpec::worker("clerk").restart(Restart::Temporary);
    let mailbox = MailboxSpec { deliveries_max: 1, ..two(Overflow::Wait) };
    let clerk = runtime.spawn_with(spec, mailbox, factory).await.expect("it starts");
    clerk.try_send(Message::Poison(1)).expect("room");
    clerk.try_send(Message::Number(2)).expect("room");
    let waits = tokio::time::timeout(HOUR, async {
        // The first may still be queued before the end; one of the others must find it closed.
        for number in 3..10 {
            if let Err(error) = clerk.send(Message::Number(number)).await {
                return Some(error.kind);
            }
        }
        None
    });
    assert_eq!(waits.await, Ok(Some(SendErrorKind::Stopped)));
    end(runtime).await;
}
