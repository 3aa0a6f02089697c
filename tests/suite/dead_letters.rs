//! Dead letters: what is known of them, who is told, what is kept, and how they are sent again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::supervision::{Backoff, ChildSpec, ExitReason, Restart};
use greenroom_runtime::{
    Actor, AgentRef, AskError, Context, DeadLetter, DeadReason, Failure, Reply, Runtime,
    SendErrorKind, Told,
};
use tokio::time::Instant;

use crate::support::{end, runtime};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

type Seen = Arc<Mutex<Vec<String>>>;

/// Notes what it handles.
struct Clerk {
    seen: Seen,
}

enum Message {
    Note(u32),
    /// Panics while it is poison.
    Poison(Arc<Mutex<bool>>),
    Question(u32, Reply<u32>),
    /// Holds something, to see when it is let go.
    Holds(#[expect(dead_code, reason = "it is only held")] Arc<()>),
    HoldsRuntime(#[expect(dead_code, reason = "it is only held")] (Runtime, Arc<()>)),
    /// Starts work whose outcome is poison.
    Work,
}

impl Actor for Clerk {
    type Message = Message;

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let note = |what| self.seen.lock().expect("no test panics here").push(what);
        match message {
            Message::Note(number) => note(number.to_string()),
            Message::Poison(is_poison) => {
                let is_poison = *is_poison.lock().expect("no test panics here");
                assert!(!is_poison, "poison");
                note("no poison".into());
            }
            Message::Question(number, reply) => {
                let is_heard = reply.send(*number).is_ok();
                note(format!("{number} heard: {is_heard}"));
            }
            Message::Holds(_) | Message::HoldsRuntime(..) => panic!("told to"),
            Message::Work => {
                let poison = || Message::Poison(Arc::new(Mutex::new(true)));
                context.effect("work", HOUR, async {}, move |_| poison());
            }
        }
        Ok(())
    }
}

struct Office {
    runtime: Runtime,
    seen: Seen,
}

impl Office {
    async fn new() -> Self {
        Self { runtime: runtime().await, seen: Seen::default() }
    }

    /// A clerk that handles a message once, and is away for an hour after a crash.
    async fn clerk(&self, name: &str, mailbox: MailboxSpec) -> AgentRef<Message> {
        let seen = Arc::clone(&self.seen);
        let spec = ChildSpec::worker(name).backoff(Backoff::new(HOUR, HOUR).jitter(0.0));
        let factory = move || Clerk { seen: Arc::clone(&seen) };
        self.runtime.spawn_with(spec, mailbox, factory).await.expect("it starts")
    }

    async fn away(&self, name: &str, mailbox: MailboxSpec) -> AgentRef<Message> {
        let clerk = self.clerk(name, mailbox).await;
        assert!(clerk.crash_on_purpose());
        settle().await;
        clerk
    }

    async fn back(&self) -> String {
        tokio::time::sleep(HOUR).await;
        settle().await;
        self.seen()
    }

    fn seen(&self) -> String {
        std::mem::take(&mut *self.seen.lock().expect("no test panics here")).join(", ")
    }

    fn last(&self) -> DeadLetter {
        self.runtime.dead_letters().pop().expect("there is one")
    }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn once(capacity: usize, overflow: Overflow) -> MailboxSpec {
    MailboxSpec { capacity, overflow, deliveries_max: 1, ..MailboxSpec::default() }
}

/// Asks, does something to the agent meanwhile, and checks what the asker and the letter say.
async fn check_told(
    office: &Office,
    clerk: &AgentRef<Message>,
    meanwhile: impl AsyncFn(),
    expect: &DeadReason,
    n_deliveries: u32,
) {
    let since = Instant::now();
    let both = async { tokio::join!(clerk.ask(HOUR, |r| Message::Question(7, r)), meanwhile()).0 };
    let answer = tokio::time::timeout(SECOND, both).await.expect("the asker is told at once");
    assert_eq!(answer, Err(AskError::Dead(expect.clone())));
    assert!(since.elapsed() < SECOND);
    let letter = office.last();
    assert_eq!((&letter.to, &letter.reason), (clerk.id(), expect));
    assert_eq!(letter.n_deliveries, n_deliveries, "{letter:?}");
    assert!(letter.is_ask && letter.is_kept, "{letter:?}");
    assert!(letter.message_type.ends_with("dead_letters::Message"), "{letter:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_is_told_at_once_for_every_reason_although_the_message_is_kept() {
    let office = Office::new().await;
    let clerk = office.clerk("poisoned", once(4, Overflow::Wait)).await;
    assert!(clerk.crash_on_purpose(), "it strikes with the question");
    let cause = ExitReason::panic("a fault was injected");
    check_told(&office, &clerk, async || {}, &DeadReason::Poison { cause }, 1).await;

    let clerk = office.away("displaced", once(1, Overflow::DropOldest)).await;
    let displace = async || clerk.try_send(Message::Note(1)).expect("the oldest makes room");
    check_told(&office, &clerk, displace, &DeadReason::Displaced, 0).await;

    let clerk = office.away("stopped", once(4, Overflow::Wait)).await;
    let supervisor = office.runtime.supervisor();
    let stop = async || {
        supervisor.terminate_child("stopped").await.expect("it stops");
    };
    check_told(&office, &clerk, stop, &DeadReason::Stopped, 0).await;

    // Nobody waits any more in the other two cases.
    let clerk = office.away("late", once(4, Overflow::Wait)).await;
    for deadline in [SECOND, HOUR] {
        let ask = clerk.ask(deadline, |reply| Message::Question(1, reply));
        let _ = tokio::time::timeout(SECOND, ask).await;
    }
    let asked_at = office.runtime.dead_letters().last().expect("there are some").at;
    office.back().await;
    let mut letters = office.runtime.dead_letters();
    let (cancelled, expired) = (letters.pop().expect("two"), letters.pop().expect("two"));
    assert_eq!(expired.reason, DeadReason::Expired, "its asker waited until the deadline");
    assert_eq!(cancelled.reason, DeadReason::Cancelled);
    assert!(cancelled.is_ask && cancelled.is_kept && expired.is_kept);
    assert!(cancelled.at.since(asked_at) >= HOUR, "when it was given up");
    let numbers: Vec<_> = office.runtime.dead_letters().iter().map(|l| l.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    end(office.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn sup_h06_every_drop_is_an_event_and_a_slow_reader_is_told_how_many_it_missed() {
    let office = Office::new().await;
    let clerk = office.away("clerk", once(2, Overflow::DropOldest)).await;
    let (mut reader, mut slow) =
        (office.runtime.dead_letter_events(), office.runtime.dead_letter_events());
    for number in 1..=4 {
        clerk.try_send(Message::Note(number)).expect("the oldest makes room");
    }
    for number in 1..=2 {
        let event = tokio::time::timeout(SECOND, reader.next()).await;
        let Ok(Some(Told::Fact(letter))) = event else { panic!("an event names it") };
        assert_eq!((letter.number, letter.reason), (number, DeadReason::Displaced));
        assert_eq!(letter.to, *clerk.id());
    }
    let nothing = tokio::time::timeout(SECOND, reader.next()).await;
    assert!(nothing.is_err(), "two were dropped: {nothing:?}");
    assert_eq!(office.back().await, "3, 4");

    let clerk = office.away("other", once(1, Overflow::DropOldest)).await;
    for number in 0..=1200 {
        clerk.try_send(Message::Note(number)).expect("the oldest makes room");
    }
    assert_eq!(slow.next().await, Some(Told::Missed { n_facts: 1202 - 1024 }));
    let Some(Told::Fact(letter)) = slow.next().await else { panic!("then the rest") };
    assert_eq!(letter.number, 1202 - 1024 + 1);
    office.runtime.shutdown().await;
    let mut n_left = 0;
    while let Some(event) = slow.next().await {
        assert!(matches!(event, Told::Fact(_) | Told::Missed { .. }));
        n_left += 1;
    }
    assert!((1023..=1024).contains(&n_left), "what was there is read, and then it ends: {n_left}");
    end(office.runtime).await;
}

/// Makes so many dead letters, each of which holds a clone.
async fn held(runtime: &Runtime, mailbox: MailboxSpec, n: usize) -> Arc<()> {
    let spec = ChildSpec::worker("holder").restart(Restart::Permanent);
    let factory = || Clerk { seen: Seen::default() };
    let spec = spec.backoff(Backoff::new(HOUR, HOUR));
    let clerk = runtime.spawn_with(spec, mailbox, factory).await.expect("it starts");
    assert!(clerk.crash_on_purpose());
    settle().await;
    let held = Arc::new(());
    for _ in 0..=n {
        clerk.try_send(Message::Holds(Arc::clone(&held))).expect("the oldest makes room");
    }
    held
}

#[tokio::test(start_paused = true)]
async fn so_many_messages_are_kept_and_no_more() {
    for (payloads_max, n, n_kept) in [(256, 100, 100), (1000, 300, 256), (3, 300, 3), (0, 10, 0)] {
        let builder = Runtime::builder().seed(7).dead_letters_max(payloads_max);
        let runtime = builder.start().await.expect("it starts");
        let held = held(&runtime, once(1, Overflow::DropOldest), n).await;
        // One waits, one is here.
        assert_eq!(Arc::strong_count(&held) - 2, n_kept, "{payloads_max} of {n}");
        let letters = runtime.dead_letters();
        assert_eq!(letters.len(), n.min(256));
        assert!(letters.iter().rev().take(n_kept).all(|letter| letter.is_kept), "the newest");
        assert_eq!(letters.iter().filter(|letter| letter.is_kept).count(), n_kept);
        assert_eq!(runtime.dead_letter_counts(), BTreeMap::from([("displaced", n as u64)]));
        end(runtime).await;
        assert_eq!(Arc::strong_count(&held), 1, "an ended runtime keeps none");
    }
    // An agent that does not want its messages kept.
    let runtime = runtime().await;
    let mailbox = MailboxSpec { keeps_dead_letters: false, ..once(1, Overflow::DropOldest) };
    let held = held(&runtime, mailbox, 5).await;
    assert_eq!(Arc::strong_count(&held), 2);
    assert!(runtime.dead_letters().iter().all(|letter| !letter.is_kept));
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_message_does_not_keep_its_runtime_alive() {
    let office = Office::new().await;
    let clerk = office.clerk("clerk", once(4, Overflow::Wait)).await;
    let held = Arc::new(());
    let holds = Message::HoldsRuntime((office.runtime.clone(), Arc::clone(&held)));
    clerk.try_send(holds).expect("room");
    settle().await;
    assert!(office.last().is_kept);
    assert_eq!(Arc::strong_count(&held), 2);
    office.runtime.shutdown().await;
    assert_eq!(Arc::strong_count(&held), 1, "it was let go");
    end(office.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_work_is_not_kept_because_it_is_for_one_incarnation() {
    let office = Office::new().await;
    let clerk = office.clerk("clerk", once(4, Overflow::Wait)).await;
    clerk.try_send(Message::Work).expect("room");
    settle().await;
    let letter = office.last();
    assert!(matches!(letter.reason, DeadReason::Poison { .. }));
    assert!(!letter.is_kept && !letter.is_ask, "{letter:?}");
    office.back().await;
    assert_eq!(clerk.redeliver(SECOND, |_| true).await, Ok(0));
    end(office.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_sent_again_in_order_without_their_askers_and_once_in_a_call() {
    let office = Office::new().await;
    let clerk = office.clerk("clerk", once(4, Overflow::Wait)).await;
    let other = office.clerk("other", once(4, Overflow::Wait)).await;
    let is_poison = Arc::new(Mutex::new(true));
    other.try_send(Message::Poison(Arc::clone(&is_poison))).expect("room");
    clerk.try_send(Message::Poison(Arc::clone(&is_poison))).expect("room");
    settle().await;
    // While it is away, a question is given up, and the agent is asked again later.
    let asked = clerk.ask(SECOND, |reply| Message::Question(7, reply)).await;
    assert_eq!(asked, Err(AskError::TimedOut(SECOND)));
    clerk.try_send(Message::Note(1)).expect("room");
    assert_eq!(office.back().await, "1");
    assert_eq!(office.runtime.dead_letters().len(), 3);

    // Poison still: it is sent once, and is a new dead letter.
    assert_eq!(clerk.redeliver(SECOND, |letter| !letter.is_ask).await, Ok(1));
    settle().await;
    assert_eq!(office.last().number, 4);
    office.back().await;
    *is_poison.lock().expect("no test panics here") = false;
    clerk.try_send(Message::Note(2)).expect("room");
    assert_eq!(clerk.redeliver(SECOND, |_| true).await, Ok(2));
    settle().await;
    assert_eq!(office.seen(), "2, 7 heard: false, no poison", "behind what waits, in order");
    let letters = office.runtime.dead_letters();
    assert_eq!(letters.len(), 1, "they are dead letters no more");
    assert_eq!(letters[0].to, *other.id(), "another agent's are left alone");
    assert_eq!(clerk.redeliver(SECOND, |_| true).await, Ok(0));
    end(office.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_mailbox_refuses_stays_a_dead_letter() {
    let office = Office::new().await;
    // Three letters, of an agent that was given up; its successor has room for one.
    let spec = ChildSpec::worker("clerk").restart(Restart::Temporary);
    let factory = || Clerk { seen: Seen::default() };
    let mailbox = once(4, Overflow::Wait);
    let first = office.runtime.spawn_with(spec, mailbox, factory).await.expect("it starts");
    first.try_send(Message::Holds(Arc::default())).expect("room");
    for number in [1, 2, 3] {
        first.try_send(Message::Note(number)).expect("room");
    }
    settle().await;
    assert_eq!(office.runtime.dead_letter_counts().values().sum::<u64>(), 4);
    let numbers = |office: &Office| {
        let letters = office.runtime.dead_letters();
        letters.iter().map(|letter| (letter.number, letter.is_kept)).collect::<Vec<_>>()
    };
    let all = vec![(1, true), (2, true), (3, true), (4, true)];
    assert_eq!(numbers(&office), all);
    let is_note = |letter: &DeadLetter| letter.reason == DeadReason::Stopped;

    let refused = first.redeliver(SECOND, is_note).await.expect_err("it has stopped");
    assert_eq!((refused.n_sent, refused.kind), (0, SendErrorKind::Stopped));
    assert_eq!(numbers(&office), all, "in their places");

    let clerk = office.away("clerk", once(1, Overflow::Wait)).await;
    let since = Instant::now();
    let refused = clerk.redeliver(SECOND, is_note).await.expect_err("there is room for one");
    assert_eq!((refused.n_sent, refused.kind), (1, SendErrorKind::Full));
    assert_eq!(since.elapsed(), SECOND, "one deadline for all");
    assert_eq!(numbers(&office), [(1, true), (3, true), (4, true)]);
    // Given up on the way: nothing is lost.
    let given_up = tokio::time::timeout(SECOND, clerk.redeliver(HOUR, is_note)).await;
    assert!(given_up.is_err());
    assert_eq!(numbers(&office), [(1, true), (3, true), (4, true)]);
    let (sent, seen) = tokio::join!(clerk.redeliver(2 * HOUR, is_note), office.back());
    assert_eq!((sent, seen.as_str()), (Ok(2), "1, 2, 3"));

    // Full for good, without a wait.
    let strict = office.away("strict", once(1, Overflow::RejectNewest)).await;
    strict.try_send(Message::Note(9)).expect("room");
    office.runtime.supervisor().terminate_child("strict").await.expect("it stops");
    clerk.try_send(Message::Holds(Arc::default())).expect("room");
    settle().await;
    let before = numbers(&office);
    assert_eq!(before.len(), 3, "{before:?}");
    let strict = office.away("strict", once(1, Overflow::RejectNewest)).await;
    strict.try_send(Message::Note(10)).expect("room");
    let refused = strict.redeliver(HOUR, is_note).await.expect_err("it is full");
    assert_eq!((refused.n_sent, refused.kind), (0, SendErrorKind::Full));
    assert_eq!(numbers(&office), before, "in its place");
    end(office.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn dead_letters_can_be_taken_and_sent_to_another_agent() {
    let office = Office::new().await;
    let clerk = office.away("clerk", once(4, Overflow::Wait)).await;
    clerk.try_send(Message::Note(1)).expect("room");
    clerk.try_send(Message::Note(2)).expect("room");
    office.runtime.supervisor().terminate_child("clerk").await.expect("it stops");
    assert_eq!(office.runtime.take_dead_letters::<String>(|_| true).len(), 0, "of another type");
    let heir = office.clerk("heir", once(4, Overflow::Wait)).await;
    assert_eq!(heir.redeliver(SECOND, |_| true).await, Ok(0), "they are not its own");
    let from = clerk.id().clone();
    let taken = office.runtime.take_dead_letters::<Message>(|letter| letter.to == from);
    assert_eq!(taken.iter().map(|(letter, _)| letter.number).collect::<Vec<_>>(), [1, 2]);
    for (_, message) in taken {
        heir.try_send(message).expect("room");
    }
    settle().await;
    assert_eq!(office.seen(), "1, 2");
    assert_eq!(office.runtime.dead_letters(), []);
    assert_eq!(office.runtime.dead_letter_counts(), BTreeMap::from([("stopped", 2)]));
    end(office.runtime).await;
}
