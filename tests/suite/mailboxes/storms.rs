//! Storms: nothing is lost, doubled or reordered, whatever crashes, stops, hangs or is drained meanwhile.
//!
//! Several threads, real time, and no waiting but for each other. Every run draws its seeds anew and prints
//! those of a storm that fails; `GREENROOM_STORM_SEED` sets them.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use greenroom_core::fault::{Fault, Faults, Point};
use greenroom_core::mailbox::{MailboxSpec, Overflow};
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{
    AdminError, Backoff, ChildSpec, Shutdown, Strategy, SupervisorSpec,
};
use greenroom_runtime::{
    Actor, AgentRef, AgentState, Context, Failure, Reply, Runtime, SendErrorKind, SupervisorRef,
};

use super::{HOUR, SECOND};
use crate::support::end;

const SENDERS: usize = 8;

/// What the incarnations of an actor have handled, for each sender in order.
type Book = Arc<Mutex<[Vec<u32>; SENDERS]>>;

struct Ledger {
    book: Book,
}

/// How a message ends the incarnation that handles it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Crash {
    Never,
    /// At its first delivery: a failure for even numbers, a panic for odd ones.
    Once,
    /// At every delivery.
    Always,
    /// After it was handled: an effect whose outcome cannot be made into a message.
    Outcome,
}

enum Entry {
    Numbered {
        sender: usize,
        number: u32,
        crash: Crash,
    },
    /// Takes a place, and does nothing.
    Filler,
    /// Says that it is being handled, and goes on being handled until the other end of the gate is gone.
    Hold(Reply<()>, Gate),
}

type Gate = Arc<Mutex<mpsc::Receiver<()>>>;

impl Actor for Ledger {
    type Message = Entry;

    fn handle(&mut self, message: &Entry, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        match message {
            Entry::Numbered { sender, number, crash } => {
                let is_first = context.delivery() == 1;
                if *crash == Crash::Always || (*crash == Crash::Once && is_first) {
                    if number % 2 == 0 {
                        return Err(Failure::new("at random"));
                    }
                    // A panic that the hook does not print.
                    std::panic::resume_unwind(Box::new("at random"));
                }
                if *crash == Crash::Outcome {
                    let unmade = |_| std::panic::resume_unwind(Box::new("at random"));
                    context.effect("outcome", SECOND, std::future::ready(()), unmade);
                }
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

/// Reproducible, and good enough to choose crashes with.
struct Chance(SplitMix64);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::new(seed))
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0.bits() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }
}

/// What happens to a mailbox.
#[derive(Debug, Clone, Copy)]
struct Storm {
    seed: u64,
    overflow: Overflow,
    capacity: usize,
    /// Of each sender.
    n_messages: u32,
    /// A quarter of the messages that crash do so at every delivery, and a quarter by their outcome.
    crash_one_in: u64,
    /// Starts that fail or panic; 0 for none.
    bad_start_one_in: u64,
    /// How often the actor is stopped, killed, hung or drained by hand meanwhile, and started again.
    n_interventions: u32,
    /// Restarts that its supervisor allows in a second. With none, each crash restarts the supervisor.
    restarts_max: u32,
    /// How long a restart waits.
    backoff: Duration,
    /// Whether what is refused is sent again.
    insists: bool,
}

const GENTLE: Storm = Storm {
    seed: 0,
    overflow: Overflow::Wait,
    capacity: 64,
    n_messages: 500,
    crash_one_in: 7,
    bad_start_one_in: 5,
    n_interventions: 0,
    restarts_max: u32::MAX - 1,
    backoff: Duration::ZERO,
    insists: true,
};

/// What the storm does to starts and messages from outside.
struct Weather {
    chance: Mutex<Chance>,
    bad_start_one_in: u64,
    hangs_start: AtomicBool,
    hangs_message: AtomicBool,
}

impl Faults for Weather {
    fn strike(&self, point: &Point<'_>) -> Option<Fault> {
        match point {
            Point::Start { .. } if self.hangs_start.swap(false, Ordering::Relaxed) => {
                Some(Fault::Hang)
            }
            // The first one is that of the test.
            Point::Start { generation, .. } if *generation > 1 => {
                let mut chance = self.chance.lock().expect("no panic under the lock");
                let is_bad = chance.one_in(self.bad_start_one_in);
                is_bad.then(|| if chance.one_in(2) { Fault::Panic } else { Fault::Fail })
            }
            Point::Message { .. } => {
                self.hangs_message.swap(false, Ordering::Relaxed).then_some(Fault::Hang)
            }
            _ => None,
        }
    }
}

/// What one sender knows of its messages.
#[derive(Default)]
struct Sent {
    /// The numbers of those that were taken and are no poison.
    wanted: Vec<u32>,
    /// Those that were refused, and not sent again.
    n_refused: u64,
}

/// Sends all messages of one sender.
async fn send_all(storm: Storm, sender: usize, ledger: AgentRef<Entry>) -> Sent {
    let mut chance = Chance::new(storm.seed ^ (sender as u64) << 32);
    let mut sent = Sent::default();
    for number in 0..storm.n_messages {
        let crash = match chance.one_in(storm.crash_one_in) {
            true => {
                [Crash::Once, Crash::Once, Crash::Always, Crash::Outcome][chance.below(4) as usize]
            }
            false => Crash::Never,
        };
        let mut message = Entry::Numbered { sender, number, crash };
        // What is refused is sent again: an actor that was stopped by hand is started again soon, and one
        // whose mailbox is full has room soon.
        let is_taken = loop {
            let Err(error) = ledger.send(message).await else { break true };
            let is_expected = match error.kind {
                SendErrorKind::Stopped => storm.n_interventions > 0,
                SendErrorKind::Full => storm.overflow != Overflow::Wait,
                _ => false,
            };
            assert!(is_expected, "sender {sender}: {} in {storm:?}", error.kind);
            message = error.message;
            tokio::task::yield_now().await;
            if !storm.insists {
                break false;
            }
            // Whoever overflows it again before it has handled anything stops it again.
            while storm.overflow == Overflow::StopAgent && ledger.info().n_queued >= storm.capacity
            {
                tokio::task::yield_now().await;
            }
        };
        sent.n_refused += u64::from(!is_taken);
        if is_taken && crash != Crash::Always {
            sent.wanted.push(number);
        }
    }
    sent
}

/// All places are free: with the actor held, so many messages go in without waiting and not one more. It
/// holds a thread, so it needs another one.
async fn check_room(storm: Storm, ledger: &AgentRef<Entry>) {
    let (open, gate) = mpsc::channel();
    let gate = Arc::new(Mutex::new(gate));
    hold(storm, ledger, &gate).await;
    let n_free = (0..).take_while(|_| ledger.try_send(Entry::Filler).is_ok()).take(10_000).count();
    let expect = if storm.overflow == Overflow::DropOldest { 10_000 } else { storm.capacity };
    assert_eq!(n_free, expect, "places in {storm:?}");
    drop(open);
    hold(storm, ledger, &gate).await;
}

/// Waits until everything before it is handled.
async fn hold(storm: Storm, ledger: &AgentRef<Entry>, gate: &Gate) {
    loop {
        match ledger.ask(HOUR, |reply| Entry::Hold(reply, Arc::clone(gate))).await {
            Ok(()) => return,
            // An outcome crashed the incarnation that would have answered, or the mailbox was full.
            Err(error) => assert!(storm.crash_one_in > 0, "{error} in {storm:?}"),
        }
        tokio::task::yield_now().await;
    }
}

/// Stops the actor in one of the ways in which it can be, and starts it again.
async fn intervene(
    storm: Storm,
    chance: &mut Chance,
    weather: &Weather,
    supervisor: &SupervisorRef,
    ledger: &AgentRef<Entry>,
) {
    match chance.below(5) {
        // Killed while it handles a message, which is as good as for ever.
        0 => weather.hangs_message.store(true, Ordering::Relaxed),
        // Killed while its start hangs.
        1 => {
            weather.hangs_start.store(true, Ordering::Relaxed);
            let _ = ledger.crash_on_purpose();
        }
        // Stopped while it is being restarted, or just after.
        2 => drop(ledger.crash_on_purpose()),
        3 => {
            let drained = supervisor.drain_child(ledger, SECOND).await;
            drained.unwrap_or_else(|error| panic!("{error} in {storm:?}"));
        }
        _ => {}
    }
    for _ in 0..chance.below(50) {
        tokio::task::yield_now().await;
    }
    let stopped = supervisor.terminate_child("ledger").await;
    stopped.unwrap_or_else(|error| panic!("{error} in {storm:?}"));
    weather.hangs_start.store(false, Ordering::Relaxed);
    weather.hangs_message.store(false, Ordering::Relaxed);
    loop {
        match supervisor.restart_child("ledger").await {
            Ok(_) => break,
            // A start that fails by chance is tried again.
            Err(AdminError::StartFailed { .. }) => {}
            Err(error) => assert!(
                matches!(error, AdminError::Running | AdminError::Restarting),
                "{error} in {storm:?}"
            ),
        }
        if ledger.info().state == AgentState::Running {
            break;
        }
        tokio::task::yield_now().await;
    }
    for _ in 0..chance.below(200) {
        tokio::task::yield_now().await;
    }
}

/// A bound for what takes a second or two: a test that hangs says nothing.
async fn check_storm(storm: Storm) {
    let calm = tokio::time::timeout(100 * SECOND, rage(storm)).await;
    assert!(calm.is_ok(), "somebody waits for ever in {storm:?}");
}

async fn rage(storm: Storm) {
    let weather = Arc::new(Weather {
        chance: Mutex::new(Chance::new(!storm.seed)),
        bad_start_one_in: storm.bad_start_one_in,
        hangs_start: AtomicBool::new(false),
        hangs_message: AtomicBool::new(false),
    });
    let runtime = Runtime::builder().seed(storm.seed).faults(Arc::clone(&weather)).start().await;
    let runtime = runtime.expect("it starts");
    let book = Book::default();
    let written = Arc::clone(&book);
    let Storm { capacity, overflow, .. } = storm;
    let mailbox = MailboxSpec { capacity, overflow, ..MailboxSpec::default() };
    let factory = move || Ledger { book: Arc::clone(&written) };
    let (ledger, start) = runtime.child("ledger", mailbox, factory);
    let spec = SupervisorSpec::new(Strategy::OneForOne).intensity(storm.restarts_max, SECOND);
    let mut child =
        ChildSpec::worker("ledger").shutdown(Shutdown::Timeout(Duration::from_millis(1)));
    if !storm.backoff.is_zero() {
        child = child.backoff(Backoff::new(storm.backoff, 4 * storm.backoff));
    }
    let supervisor = runtime.supervise("ledgers", spec, vec![(child, start)]).await;
    let supervisor = supervisor.expect("it starts");

    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..SENDERS {
        let ledger = ledger.clone();
        senders.spawn(async move { (sender, send_all(storm, sender, ledger).await) });
    }
    let mut chance = Chance::new(storm.seed.rotate_left(17));
    for _ in 0..storm.n_interventions {
        intervene(storm, &mut chance, &weather, &supervisor, &ledger).await;
    }
    let sent = BTreeMap::from_iter(senders.join_all().await);
    // Behind everything that was sent; nothing crashes by chance any more but what waits.
    let (open, gate) = mpsc::channel();
    drop(open);
    hold(storm, &ledger, &Arc::new(Mutex::new(gate))).await;
    check_books(storm, &runtime, &book, &sent);
    if storm.backoff.is_zero() {
        check_room(storm, &ledger).await;
    }
    end(runtime).await;
}

/// Every message that was sent was handled once, in its sender's order, or is a dead letter, or came back to
/// its sender.
fn check_books(storm: Storm, runtime: &Runtime, book: &Book, sent: &BTreeMap<usize, Sent>) {
    let done = book.lock().expect("no panic under the lock").clone();
    let counts = runtime.dead_letter_counts();
    let n_sent = SENDERS as u64 * u64::from(storm.n_messages);
    let n_done: usize = done.iter().map(Vec::len).sum();
    let n_dead: u64 = counts.values().sum();
    let n_refused: u64 = sent.values().map(|sent| sent.n_refused).sum();
    let may_drop = storm.n_interventions > 0 || storm.overflow == Overflow::DropOldest;
    for (done, (sender, Sent { wanted, .. })) in done.iter().zip(sent) {
        if may_drop {
            let is_ordered = done.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_ordered, "sender {sender}: doubled or reordered in {storm:?}");
        } else {
            assert!(done == wanted, "sender {sender}: lost, doubled or reordered in {storm:?}");
        }
    }
    let n_known = n_done as u64 + n_dead + n_refused;
    assert_eq!(n_known, n_sent, "lost or doubled: {counts:?}, {n_refused} in {storm:?}");
    // What full mailboxes drop may be everything.
    assert!(n_done > 0 || may_drop, "nothing was handled in {storm:?}");
}

/// The seed of this run's storms.
fn seed() -> u64 {
    let given = std::env::var_os("GREENROOM_STORM_SEED");
    match given.as_deref().and_then(|text| text.to_str()) {
        Some(text) => text.parse().expect("GREENROOM_STORM_SEED is a number"),
        None => RandomState::new().hash_one("storm"),
    }
}

/// So many messages of each sender through mailboxes of every size.
async fn check_every_size(overflow: Overflow, n_messages: u32) {
    let seed = seed();
    for (i, capacity) in (0..).zip([1, 2, 64, 4096]) {
        let seed = seed.wrapping_add(i);
        let storm = Storm { seed, overflow, capacity, n_messages, crash_one_in: 97, ..GENTLE };
        check_storm(storm).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_reordered_whatever_crashes() {
    check_every_size(Overflow::Wait, 4_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_reordered_when_full_mailboxes_refuse() {
    check_every_size(Overflow::RejectNewest, 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_doubled_or_reordered_when_full_mailboxes_stop_their_agent() {
    check_every_size(Overflow::StopAgent, 150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_full_mailboxes_drop_is_a_dead_letter() {
    check_every_size(Overflow::DropOldest, 4_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_one_message_in_seven_crashes() {
    let seed = seed();
    for (i, capacity) in (0..).zip([1, 3, 7, 33]) {
        check_storm(Storm { seed: seed.wrapping_add(i), capacity, ..GENTLE }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_when_every_crash_restarts_the_supervisor() {
    let seed = seed();
    for (i, capacity) in (0..).zip([1, 3, 64]) {
        // Few enough crashes for the supervisor above not to give up.
        let storm = Storm { crash_one_in: 800, restarts_max: 0, bad_start_one_in: 0, ..GENTLE };
        check_storm(Storm { seed: seed.wrapping_add(i), capacity, ..storm }).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_vanishes_or_is_reordered_when_the_actor_is_stopped_and_started_meanwhile() {
    let seed = seed();
    let policies =
        [Overflow::Wait, Overflow::DropOldest, Overflow::RejectNewest, Overflow::StopAgent];
    for (i, capacity) in (0..).zip([1, 2, 7, 64, 4096]) {
        for (j, overflow) in (0..).zip(policies) {
            let seed = seed.wrapping_add(10 * i + j);
            let storm = Storm { n_messages: 150, crash_one_in: 11, n_interventions: 4, ..GENTLE };
            check_storm(Storm { seed, overflow, capacity, ..storm }).await;
        }
    }
}

/// In virtual time, on one thread: the same seed is the same storm.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_every_restart_takes_long() {
    let seed = seed();
    for (i, capacity) in (0..).zip([1, 2, 64]) {
        let storm = Storm { seed: seed.wrapping_add(i), capacity, ..GENTLE };
        let storm = Storm { crash_one_in: 400, backoff: SECOND, ..storm };
        // A sender waits a minute at most, and restarts take a second to four.
        let calm = tokio::time::timeout(1000 * HOUR, rage(storm)).await;
        assert!(calm.is_ok(), "somebody waits for ever in {storm:?}");
    }
}

/// Each policy with mailboxes of each size, from eight senders, a million messages in all. Whoever is refused
/// does not insist: what was handled, what is dead and what came back are all that was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_million_messages_of_every_policy_and_size_are_all_accounted_for() {
    let seed = seed();
    let policies =
        [Overflow::Wait, Overflow::DropOldest, Overflow::RejectNewest, Overflow::StopAgent];
    for (i, overflow) in (0..).zip(policies) {
        // The smaller the mailbox, the more its senders have to wait for each other.
        let sizes = [(1, 1_500), (7, 4_000), (64, 13_000), (1024, 13_000)];
        for (j, (capacity, n_messages)) in (0..).zip(sizes) {
            let seed = seed.wrapping_add(10 * i + j);
            let insists = matches!(overflow, Overflow::Wait | Overflow::DropOldest);
            let storm = Storm { seed, overflow, capacity, n_messages, insists, ..GENTLE };
            check_storm(Storm { crash_one_in: 499, ..storm }).await;
        }
    }
}

/// From eight senders.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_million_messages_with_a_crash_every_thousand_are_all_accounted_for() {
    let storm = Storm { seed: seed(), n_messages: 125_000, crash_one_in: 997, ..GENTLE };
    check_storm(storm).await;
}
