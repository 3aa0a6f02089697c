//! Mailboxes under real senders: overflow, lanes, deadlines, poison, and that nothing is lost.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{
    AdminError, Backoff, ChildSpec, ExitReason, Restart, Strategy, SupervisorSpec,
};
use greenroom_runtime::{
    Actor, AgentRef, AgentState, AskError, Context, DeadReason, Failure, Reply, Runtime,
    SendErrorKind, SupervisorRef,
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
    MailboxSpec { capacity: 2, control_capacity: 1, overflow, deliveries_max: 2 }
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
async fn wait_makes_the_sender_wait_until_there_is_room() {
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
    assert_eq!(desk.reasons().len(), 1, "it is a dead letter");
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

// Nothing is lost: several threads, real time, and no waiting but for each other.

const SENDERS: usize = 8;

/// What the incarnations of an actor have handled, for each sender in order.
type Book = Arc<Mutex<[Vec<u32>; SENDERS]>>;

struct Ledger {
    book: Book,
}

enum Entry {
    Numbered {
        sender: usize,
        number: u32,
        /// Deliveries that crash, counted from the first.
        n_crashes: u32,
    },
    /// Takes a place, and does nothing.
    Filler,
    /// Says that it is being handled, and goes on being handled until the other end of the gate is gone.
    Hold(Reply<()>, Gate),
}

type Gate = Arc<Mutex<std::sync::mpsc::Receiver<()>>>;

impl Actor for Ledger {
    type Message = Entry;

    fn handle(&mut self, message: &Entry, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Entry::Numbered { n_crashes, number, .. } if context.delivery() <= *n_crashes => {
                if number % 2 == 0 {
                    return Err(Failure::new("at random"));
                }
                // A panic that the hook does not print.
                std::panic::resume_unwind(Box::new("at random"));
            }
            Entry::Numbered { sender, number, .. } => {
                self.book.lock().expect("no panic under the lock")[*sender].push(*number);
            }
            Entry::Filler => {}
            Entry::Hold(reply, gate) => {
                let _ = reply.send(());
                let _ = gate.lock().expect("no panic under the lock").recv();
            }
        }
        Ok(())
    }
}

/// SplitMix64: reproducible, and good enough to choose crashes with.
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)).is_multiple_of(n)
    }
}

/// What happens to a mailbox.
#[derive(Debug, Clone, Copy)]
struct Storm {
    seed: u64,
    capacity: usize,
    /// Of each sender.
    n_messages: u32,
    /// A third of the messages that crash do so at every delivery.
    crash_one_in: u64,
    /// How often the actor is stopped and started by hand meanwhile.
    n_terminations: u32,
    /// Restarts that its supervisor allows in a second. With none, each crash restarts the supervisor.
    restarts_max: u32,
}

const GENTLE: Storm = Storm {
    seed: 0,
    capacity: 64,
    n_messages: 500,
    crash_one_in: 7,
    n_terminations: 0,
    restarts_max: u32::MAX - 1,
};

/// Sends all messages of one sender; the numbers of those that are no poison.
async fn send_all(storm: Storm, sender: usize, ledger: AgentRef<Entry>) -> Vec<u32> {
    let mut chance = Chance(storm.seed ^ (sender as u64) << 32);
    let mut wanted = Vec::new();
    for number in 0..storm.n_messages {
        let n_crashes = match chance.one_in(storm.crash_one_in) {
            true if chance.one_in(3) => u32::MAX,
            true => 1,
            false => 0,
        };
        if n_crashes < u32::MAX {
            wanted.push(number);
        }
        let mut message = Entry::Numbered { sender, number, n_crashes };
        // An actor that was stopped by hand refuses, and is started again soon.
        while let Err(error) = ledger.send(message).await {
            assert_eq!(error.kind, SendErrorKind::Stopped, "sender {sender} in {storm:?}");
            message = error.message;
            tokio::task::yield_now().await;
        }
    }
    wanted
}

/// All places are free: with the actor held, so many messages go in without waiting and not one more.
async fn check_room(storm: Storm, ledger: &AgentRef<Entry>) {
    let (open, gate) = std::sync::mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    let held = ledger.ask(HOUR, |reply| Entry::Hold(reply, Arc::clone(&gate))).await;
    assert_eq!(held, Ok(()), "{storm:?}");
    for i in 0..storm.capacity {
        assert!(ledger.try_send(Entry::Filler).is_ok(), "only {i} places are free in {storm:?}");
    }
    let over = ledger.try_send(Entry::Filler).map_err(|error| error.kind);
    assert_eq!(over, Err(SendErrorKind::Full), "{storm:?}");
    drop(open);
    let drained = ledger.ask(HOUR, |reply| Entry::Hold(reply, gate)).await;
    assert_eq!(drained, Ok(()), "{storm:?}");
}

async fn terminate_and_restart(storm: Storm, supervisor: &SupervisorRef) {
    for _ in 0..storm.n_terminations {
        supervisor.terminate_child("ledger").await.expect("it stops");
        loop {
            match supervisor.restart_child("ledger").await {
                Ok(_) => break,
                Err(error) => assert_eq!(error, AdminError::Running, "{storm:?}"),
            }
        }
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

/// A bound for what takes a second or two: a test that hangs says nothing.
async fn check_storm(storm: Storm) {
    let calm = tokio::time::timeout(60 * SECOND, weather(storm)).await;
    assert!(calm.is_ok(), "somebody waits for ever in {storm:?}");
}

async fn weather(storm: Storm) {
    let runtime = Runtime::builder().seed(storm.seed).start().await.expect("it starts");
    let book = Book::default();
    let written = Arc::clone(&book);
    let mailbox = MailboxSpec { capacity: storm.capacity, ..MailboxSpec::default() };
    let factory = move || Ledger { book: Arc::clone(&written) };
    let (ledger, start) = runtime.child("ledger", mailbox, factory);
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(storm.restarts_max, SECOND);
    let children = vec![(ChildSpec::worker("ledger"), start)];
    let supervisor = runtime.supervise("ledgers", spec, children).await.expect("it starts");

    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let ledger = ledger.clone();
        senders.spawn(async move { (sender, send_all(storm, sender, ledger).await) });
    }
    terminate_and_restart(storm, &supervisor).await;
    let wanted = BTreeMap::from_iter(senders.join_all().await);
    // Behind everything that was sent.
    check_room(storm, &ledger).await;

    let done = book.lock().expect("no panic under the lock").clone();
    let counts = runtime.dead_letter_counts();
    let n_sent = SENDERS as u64 * u64::from(storm.n_messages);
    let n_done: usize = done.iter().map(Vec::len).sum();
    let n_dead: u64 = counts.values().sum();
    assert_eq!(n_done as u64 + n_dead, n_sent, "lost or doubled: {counts:?} in {storm:?}");
    for (done, (sender, wanted)) in done.iter().zip(&wanted) {
        if storm.n_terminations == 0 {
            assert!(done == wanted, "sender {sender}: lost, doubled or reordered in {storm:?}");
        } else {
            let is_ordered = done.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_ordered, "sender {sender}: doubled or reordered in {storm:?}");
        }
    }
    end(runtime).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_reordered_whatever_crashes() {
    for (seed, capacity) in (1..).zip([1, 2, 3, 7, 16, 33, 64]) {
        check_storm(Storm { seed, capacity, ..GENTLE }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_every_crash_restarts_the_supervisor() {
    for (seed, capacity) in (1..).zip([1, 3, 64]) {
        // Few enough crashes for the supervisor above not to give up.
        check_storm(Storm { seed, capacity, crash_one_in: 400, restarts_max: 0, ..GENTLE }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_vanishes_or_is_reordered_when_the_actor_is_stopped_and_started_meanwhile() {
    for (seed, capacity) in (1..).zip([1, 2, 7, 64]) {
        check_storm(Storm { seed, capacity, crash_one_in: 11, n_terminations: 20, ..GENTLE }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_million_messages_with_a_crash_every_thousand_are_all_accounted_for() {
    let storm = Storm { seed: 1_000_003, n_messages: 125_000, crash_one_in: 997, ..GENTLE };
    check_storm(storm).await;
}
