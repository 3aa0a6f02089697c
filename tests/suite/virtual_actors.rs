//! Virtual actors: activation by message, unloading when idle, making room, and the races between them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{AdminError, Backoff, ExitReason, Intensity};
use greenroom_runtime::{
    Actor, AgentRef, AgentState, AskError, AtLimit, Context, DeadReason, Failure, Persistent,
    Reply, Runtime, SendErrorKind, VirtualActors, VirtualSpec,
};

use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::persistence::{Happened, Mood, MoodyJournal, runtime_on};
use crate::support::end;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(600);

/// What all customers of a test share.
#[derive(Clone, Default)]
struct World {
    /// Incarnations that are alive, by key.
    alive: Arc<Mutex<BTreeMap<String, usize>>>,
    n_alive_max: Arc<AtomicUsize>,
    n_bad_starts: Arc<AtomicUsize>,
    n_bad_stops: Arc<AtomicUsize>,
    /// Told by an actor that leaves.
    leaves: Arc<Notify>,
}

impl World {
    fn n_alive(&self) -> usize {
        self.alive.lock().expect("a panic is told elsewhere").values().sum()
    }
}

/// One incarnation that is alive. Two of one key at once are a panic, which the tests notice as a crash.
struct Alive(World, String);

impl Alive {
    fn new(world: &World, key: &str) -> Self {
        let mut alive = world.alive.lock().expect("a panic is told elsewhere");
        let n_alive = alive.entry(key.to_owned()).or_default();
        assert_eq!(*n_alive, 0, "two incarnations of {key}");
        *n_alive = 1;
        let n_alive = alive.values().sum();
        world.n_alive_max.fetch_max(n_alive, Ordering::Relaxed);
        drop(alive);
        Self(world.clone(), key.to_owned())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.lock().expect("a panic is told elsewhere").remove(&self.1);
    }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

struct Customer {
    n_coins: i64,
    /// Senders' last numbers.
    last: BTreeMap<i64, i64>,
    alive: Alive,
}

impl Customer {
    fn new(world: &World, key: &str) -> Self {
        Self { n_coins: 0, last: BTreeMap::new(), alive: Alive::new(world, key) }
    }
}

enum Message {
    Deposit(i64, Reply<i64>),
    /// A sender's next number: they must rise.
    Number(i64, i64),
    Balance(Reply<i64>),
    Generation(Reply<u64>),
    Me(Reply<AgentRef<Message>>),
    /// An effect that takes so long.
    Work(Duration),
    Timer(Duration),
    Done,
    Rest,
    Stop,
    Panic,
}

impl Actor for Customer {
    type Message = Message;

    fn started(&mut self, _: &mut Context<'_, Self>) -> Result<(), Failure> {
        if take_one(&self.alive.0.n_bad_starts) {
            return Err(Failure::new("a bad start"));
        }
        Ok(())
    }

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            Message::Deposit(_, reply) if context.was_persisted() => drop(reply.send(self.n_coins)),
            Message::Deposit(n, reply) => {
                let reply = reply.clone();
                context.persist(Happened::Deposited(*n), move |customer, _| {
                    let _ = reply.send(customer.n_coins);
                });
            }
            Message::Number(sender, n) => {
                let last = self.last.insert(*sender, *n);
                assert!(last.is_none_or(|last| last <= *n), "{n} after {last:?}");
            }
            Message::Balance(reply) => drop(reply.send(self.n_coins)),
            Message::Generation(reply) => drop(reply.send(context.generation())),
            Message::Me(reply) => drop(reply.send(context.me())),
            Message::Work(span) => {
                context.effect("work", SOON, tokio::time::sleep(*span), |_| Message::Done);
            }
            Message::Timer(span) => context.after(*span, Message::Done),
            Message::Done => {}
            Message::Rest => context.passivate(),
            Message::Stop => context.stop(),
            Message::Panic => panic!("on purpose"),
        }
        Ok(())
    }

    fn stopped(&mut self) {
        self.alive.0.leaves.notify_one();
        assert!(!take_one(&self.alive.0.n_bad_stops), "a bad stop");
    }
}

impl Persistent for Customer {
    type Event = Happened;
    type Snapshot = i64;

    fn apply(&mut self, event: &Happened) {
        match event {
            Happened::Deposited(n) => self.n_coins += n,
        }
    }

    fn snapshot(&self) -> i64 {
        self.n_coins
    }

    fn restore(&mut self, snapshot: i64) {
        self.n_coins = snapshot;
    }
}

struct Shop {
    runtime: Runtime,
    journal: MoodyJournal,
    world: World,
    customers: VirtualActors<Message>,
}

impl Shop {
    async fn open(spec: VirtualSpec) -> Self {
        let (journal, world) = (MoodyJournal::default(), World::default());
        let runtime = runtime_on(&journal).await;
        let shared = world.clone();
        let factory = move |key: &str| Customer::new(&shared, key);
        let customers = runtime.virtual_actors("customer", spec, factory).await;
        Self { runtime, journal, world, customers: customers.expect("it is declared") }
    }

    async fn deposit(&self, key: &str, n: i64) -> Result<i64, AskError> {
        self.customers.ask(key, SOON, |reply| Message::Deposit(n, reply)).await
    }

    async fn balance(&self, key: &str) -> Result<i64, AskError> {
        self.customers.ask(key, SOON, Message::Balance).await
    }

    async fn send(&self, key: &str, message: Message) {
        self.customers.send(key, message).await.expect("the family lives");
    }

    /// The live keys, and how often actors were activated and unloaded.
    fn seen(&self) -> (Vec<String>, u64, u64) {
        let info = self.customers.info();
        let keys = info.agents.iter().map(|agent| agent.id.as_str().replace("customer/", ""));
        let keys: Vec<_> = keys.collect();
        assert_eq!(keys.len(), info.census.n_live);
        (keys, info.census.n_activations, info.census.n_passivations)
    }

    #[track_caller]
    fn check(&self, live: &str, n_activations: u64, n_passivations: u64) {
        let live: Vec<_> = live.split_whitespace().map(str::to_owned).collect();
        assert_eq!(self.seen(), (live, n_activations, n_passivations));
    }

    async fn close(self) {
        end(self.runtime).await;
        assert_eq!(self.world.n_alive(), 0, "an incarnation was left behind");
        assert_eq!(self.customers.info().census.n_live, 0, "an actor was left behind");
    }
}

fn idle_after(span: Duration) -> VirtualSpec {
    VirtualSpec::idle_after(span)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_activates_and_idleness_unloads_and_the_state_stays() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    shop.check("", 0, 0);
    assert_eq!(shop.deposit("a", 40).await, Ok(40));
    tokio::time::sleep(MINUTE / 2).await;
    assert_eq!(shop.deposit("a", 2).await, Ok(42), "it is used again");
    tokio::time::sleep(MINUTE * 9 / 10).await;
    shop.check("a", 1, 0);
    assert_eq!(shop.customers.get("a").info().map(|info| info.n_handled), Some(2));
    tokio::time::sleep(MINUTE / 10).await;
    settle().await;
    shop.check("", 1, 1);
    assert_eq!((shop.world.n_alive(), shop.customers.get("a").info().is_none()), (0, true));
    assert_eq!(shop.balance("a").await, Ok(42));
    assert_eq!(shop.balance("b").await, Ok(0));
    shop.check("a b", 3, 1);
    assert!(shop.runtime.dead_letters().is_empty());
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_unloaded_who_has_something_under_way() {
    let shop = Shop::open(idle_after(SECOND)).await;
    shop.send("effect", Message::Work(10 * SECOND)).await;
    shop.send("timer", Message::Timer(10 * SECOND)).await;
    shop.send("rest", Message::Work(10 * SECOND)).await;
    shop.send("rest", Message::Rest).await;
    shop.send("idle", Message::Done).await;
    shop.journal.set(Mood::Slow(10 * SECOND));
    let busy = async {
        tokio::time::sleep(9 * SECOND).await;
        shop.check("append effect rest timer", 5, 1);
        assert!(shop.customers.get("effect").passivate(), "it hears, and stays");
        settle().await;
        shop.check("append effect rest timer", 5, 1);
        tokio::time::sleep(SECOND).await;
        shop.check("append effect timer", 5, 2);
        tokio::time::sleep(SECOND + SECOND / 100).await;
        shop.check("", 5, 5);
    };
    let (deposit, ()) = tokio::join!(shop.deposit("append", 5), busy);
    assert_eq!(deposit, Ok(5));
    assert!(shop.runtime.dead_letters().is_empty());
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_unloaded_while_a_snapshot_is_stored() {
    let shop = Shop::open(idle_after(MINUTE).snapshot_every(1)).await;
    shop.journal.set(Mood::Slow(10 * SECOND));
    assert_eq!(shop.deposit("a", 1).await, Ok(1));
    assert!(shop.customers.get("a").passivate());
    settle().await;
    shop.check("a", 1, 0);
    tokio::time::sleep(10 * SECOND).await;
    assert!(shop.customers.get("a").passivate());
    settle().await;
    shop.check("", 1, 1);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn senders_at_once_activate_one_incarnation_and_keep_their_order() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    let senders = (0..50).map(|sender| {
        let customer = shop.customers.get("a");
        async move {
            for n in 0..20 {
                customer.send(Message::Number(sender, n)).await.expect("the family lives");
            }
            customer.ask(SOON, |reply| Message::Deposit(1, reply)).await
        }
    });
    let mut balances: Vec<_> = join_all(senders).await.into_iter().map(Result::unwrap).collect();
    balances.sort_unstable();
    assert_eq!(balances, (1..=50).collect::<Vec<_>>());
    shop.check("a", 1, 0);
    assert_eq!(shop.customers.ask("a", SOON, Message::Generation).await, Ok(1), "no crash");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_one_that_is_idle_longest_makes_room() {
    let shop = Shop::open(idle_after(MINUTE).live_max(3)).await;
    for key in ["a", "b", "c"] {
        assert_eq!(shop.deposit(key, 1).await, Ok(1));
    }
    assert_eq!(shop.balance("a").await, Ok(1), "it is used again");
    assert_eq!(shop.deposit("d", 1).await, Ok(1));
    shop.check("a c d", 4, 1);
    // One that is busy stays, however long ago it was used.
    shop.send("c", Message::Work(SOON)).await;
    settle().await;
    for key in ["e", "f", "g"] {
        assert_eq!(shop.deposit(key, 1).await, Ok(1));
    }
    shop.check("c f g", 7, 4);
    assert_eq!(shop.world.n_alive_max.load(Ordering::Relaxed), 3);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_room_until_its_deadline() {
    let shop = Shop::open(idle_after(MINUTE).live_max(1)).await;
    shop.send("a", Message::Work(10 * SECOND)).await;
    settle().await;
    let late = shop.customers.ask("b", SECOND, Message::Balance).await;
    assert_eq!(late, Err(AskError::TimedOut(SECOND)));
    let refused = shop.customers.get("b").try_send(Message::Done).map_err(|error| error.kind);
    assert_eq!(refused, Err(SendErrorKind::Crowded));
    let since = tokio::time::Instant::now();
    let (b, c) = tokio::join!(shop.deposit("b", 1), shop.deposit("c", 1));
    assert_eq!((b, c), (Ok(1), Ok(1)));
    assert!(since.elapsed() < 9 * SECOND, "the first is gone as soon as its work is done");
    shop.check("c", 3, 2);
    assert_eq!(shop.customers.info().census.n_waiting, 0, "nobody waits any more");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_want_to_wait_is_refused_when_nobody_is_idle() {
    let shop = Shop::open(idle_after(MINUTE).live_max(1).at_limit(AtLimit::Refuse)).await;
    assert_eq!(shop.deposit("a", 1).await, Ok(1));
    assert_eq!(shop.deposit("b", 1).await, Ok(1), "the idle one makes room");
    shop.send("b", Message::Work(10 * SECOND)).await;
    settle().await;
    assert_eq!(shop.deposit("a", 1).await, Err(AskError::Crowded));
    let error = shop.customers.send("a", Message::Number(7, 8)).await.expect_err("no room");
    assert!(matches!(error.message, Message::Number(7, 8)), "handed back");
    assert_eq!(error.kind, SendErrorKind::Crowded);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_address_from_inside_stays_valid() {
    let shop = Shop::open(idle_after(SECOND)).await;
    assert_eq!(shop.deposit("a", 5).await, Ok(5));
    let me = shop.customers.ask("a", SOON, Message::Me).await.expect("it answers");
    tokio::time::sleep(2 * SECOND).await;
    shop.check("", 1, 1);
    assert_eq!(me.ask(SOON, Message::Balance).await, Ok(5));
    me.send(Message::Done).await.expect("it is activated");
    shop.check("a", 2, 1);
    shop.close().await;
}

/// Unloading is not an end: who watches is told when the actor ends, not when it leaves.
#[tokio::test(start_paused = true)]
async fn whoever_watches_is_not_told_of_an_unloading() {
    let shop = Shop::open(idle_after(SECOND)).await;
    let me = shop.customers.ask("a", SOON, Message::Me).await.expect("it answers");
    let told = tokio::time::timeout(3 * SECOND, me.down()).await;
    shop.check("", 1, 1);
    assert!(told.is_err(), "{told:?}");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_itself_leaves_its_messages_to_the_next() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    let customer = shop.customers.get("a");
    for message in [Message::Stop, Message::Stop, Message::Panic, Message::Done] {
        customer.send(message).await.expect("the family lives");
    }
    assert_eq!(customer.ask(SOON, Message::Balance).await, Ok(0));
    let letters: Vec<_> = shop.runtime.dead_letters().into_iter().map(|l| l.reason).collect();
    assert_eq!(letters, [DeadReason::Poison { cause: ExitReason::panic("on purpose") }]);
    customer.send(Message::Stop).await.expect("the family lives");
    settle().await;
    shop.check("", 1, 1);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn an_activation_that_fails_is_tried_again_and_given_up_after_three() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    shop.world.n_bad_starts.store(2, Ordering::Relaxed);
    assert_eq!(shop.deposit("a", 1).await, Ok(1), "the third start");
    shop.world.n_bad_starts.store(3, Ordering::Relaxed);
    let cause = ExitReason::failed("a bad start");
    let dead = Err(AskError::Dead(DeadReason::NotStarted { cause }));
    assert_eq!(shop.deposit("b", 1).await, dead);
    shop.check("a", 2, 0);
    assert_eq!(shop.deposit("b", 1).await, Ok(1), "the next message begins anew");
    // So it is when the journal cannot be read.
    shop.customers.get("a").passivate();
    settle().await;
    shop.journal.fail_loads(2);
    assert_eq!(shop.balance("a").await, Ok(1));
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_unloading_loses_nothing() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    assert_eq!(shop.deposit("a", 1).await, Ok(1));
    shop.world.n_bad_stops.store(1, Ordering::Relaxed);
    let (customer, leaves) = (shop.customers.get("a"), Arc::clone(&shop.world.leaves));
    assert!(customer.passivate());
    let since = tokio::time::Instant::now();
    // A task of its own runs before the supervisor hears of the end.
    let mut sender = JoinSet::new();
    sender.spawn(async move {
        leaves.notified().await;
        let state = customer.info().map(|info| info.state);
        let deposit = |n| customer.ask(SOON, move |reply| Message::Deposit(n, reply));
        (state, tokio::join!(deposit(2), deposit(3)))
    });
    let (state, balances) = sender.join_all().await.remove(0);
    assert_eq!(state, Some(AgentState::Passive), "it is not gone yet");
    assert!(matches!(balances, (Ok(_), Ok(_))), "{balances:?}");
    assert_eq!(shop.balance("a").await, Ok(6));
    assert!(since.elapsed() < SECOND, "nobody is left over, to be idle for a minute");
    assert!(shop.runtime.dead_letters().is_empty());
    shop.check("a", 2, 1);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_given_up_is_activated_by_the_next_message() {
    let spec = idle_after(MINUTE).intensity(Intensity::new(1, MINUTE));
    let once = MailboxSpec { deliveries_max: 9, ..MailboxSpec::default() };
    let shop = Shop::open(spec.mailbox(once)).await;
    assert_eq!(shop.deposit("a", 1).await, Ok(1));
    shop.send("a", Message::Panic).await;
    assert_eq!(shop.balance("a").await, Err(AskError::Dead(DeadReason::Stopped)));
    shop.check("", 1, 0);
    assert_eq!(shop.balance("a").await, Ok(1));
    shop.check("a", 2, 0);
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_who_lives_who_leaves_and_who_waits() {
    let shop = Shop::open(idle_after(MINUTE).live_max(2)).await;
    shop.send("busy", Message::Work(SOON)).await;
    shop.send("leaving", Message::Work(SOON)).await;
    settle().await;
    let (customers, runtime) = (shop.customers.clone(), shop.runtime.clone());
    let close = async {
        settle().await;
        shop.world.n_bad_stops.store(1, Ordering::Relaxed);
        customers.get("leaving").passivate();
        shop.close().await;
    };
    let waiting = customers.ask("waiting", SOON, Message::Balance);
    let (waiting, ()) = tokio::join!(waiting, close);
    assert_eq!(waiting, Err(AskError::Dead(DeadReason::Stopped)));
    let refused = customers.send("new", Message::Done).await.map_err(|error| error.kind);
    assert_eq!(refused, Err(SendErrorKind::Stopped));
    let refused = customers.get("new").try_send(Message::Done).map_err(|error| error.kind);
    assert_eq!((refused, runtime.n_tasks()), (Err(SendErrorKind::Stopped), 0));
}

#[tokio::test(start_paused = true)]
async fn a_family_keeps_no_runtime_alive() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    assert_eq!(shop.deposit("a", 1).await, Ok(1));
    let Shop { runtime, customers, world, .. } = shop;
    drop(runtime);
    settle().await;
    assert_eq!((world.n_alive(), customers.info().census.n_live), (0, 0));
    let refused = customers.send("a", Message::Done).await.map_err(|error| error.kind);
    assert_eq!(refused, Err(SendErrorKind::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_family_has_a_name_of_its_own() {
    let shop = Shop::open(idle_after(MINUTE)).await;
    let world = World::default();
    let factory = move |key: &str| Customer::new(&world, key);
    let again = shop.runtime.virtual_actors("customer", idle_after(MINUTE), factory).await;
    assert!(matches!(again, Err(AdminError::AlreadyStarted { .. })), "{again:?}");
    let customer = shop.customers.get("x/y");
    assert_eq!((customer.id().as_str(), customer.key()), ("customer/x/y", "x/y"));
    shop.close().await;
}

/// Nothing is kept for a key that is neither live nor addressed.
#[tokio::test(start_paused = true)]
async fn known_keys_cost_nothing_but_their_journal() {
    let shop = Shop::open(idle_after(MINUTE).live_max(50)).await;
    for key in 0..5_000 {
        shop.send(&key.to_string(), Message::Number(0, key)).await;
    }
    settle().await;
    let info = shop.customers.info();
    assert!(info.census.n_live <= 50, "{:?}", info.census);
    assert_eq!((info.census.n_activations, info.agents.len()), (5_000, info.census.n_live));
    assert!(shop.world.n_alive_max.load(Ordering::Relaxed) <= 50);
    tokio::time::sleep(2 * MINUTE).await;
    shop.check("", 5_000, 5_000);
    assert_eq!(shop.world.n_alive(), 0);
    shop.close().await;
}

/// Deposits to a few keys, of which fewer may be live, while actors crash, are unloaded, fail to start and
/// the journal has moods. What is acknowledged is in the balance; what is not is there at most once.
async fn storm(seed: u64) {
    let spec = idle_after(SECOND).live_max(3).backoff(Backoff::new(SECOND / 20, SECOND));
    let spec = spec.intensity(Intensity::new(1_000_000, SECOND)).snapshot_every(5);
    let spec = spec.mailbox(MailboxSpec { deliveries_max: 4, ..MailboxSpec::default() });
    let shop = Shop::open(spec).await;
    let is_over = std::cell::Cell::new(false);
    let senders = (0..6_i64).map(|sender| {
        let (customers, mut chance) =
            (shop.customers.clone(), SplitMix64::new(seed ^ sender as u64));
        async move {
            let mut totals = BTreeMap::<String, (i64, i64)>::new();
            for n in 0..30 {
                tokio::time::sleep(Duration::from_millis(chance.bits() % 900)).await;
                let customer = customers.get(&(chance.bits() % 5).to_string());
                let _ = customer.send(Message::Number(sender, n)).await;
                let answer = customer.ask(SOON, |reply| Message::Deposit(1, reply)).await;
                let (n_sure, n_doubtful) = totals.entry(customer.key().to_owned()).or_default();
                *(if answer.is_ok() { n_sure } else { n_doubtful }) += 1;
            }
            totals
        }
    });
    let senders = async {
        let totals = join_all(senders).await;
        is_over.set(true);
        totals
    };
    let chaos = async {
        let mut chance = SplitMix64::new(!seed);
        while !is_over.get() {
            tokio::time::sleep(Duration::from_millis(chance.bits() % 300)).await;
            let delay = Duration::from_millis(chance.bits() % 600);
            let customer = shop.customers.get(&(chance.bits() % 5).to_string());
            match chance.bits() % 12 {
                0 => shop.journal.set(Mood::Refusing),
                1 => shop.journal.set(Mood::Lying),
                2 | 3 => shop.journal.set(Mood::Slow(delay)),
                4 | 5 => drop(customer.crash_on_purpose()),
                6 | 7 => drop(customer.passivate()),
                8 => drop(customer.send(Message::Stop).await),
                9 => shop.world.n_bad_starts.store(1, Ordering::Relaxed),
                10 => shop.world.n_bad_stops.store(1, Ordering::Relaxed),
                _ => shop.journal.set(Mood::Prompt),
            }
        }
        shop.journal.set(Mood::Prompt);
    };
    let (totals, ()) = tokio::join!(senders, chaos);
    shop.world.n_bad_starts.store(0, Ordering::Relaxed);
    for key in (0..5).map(|key| key.to_string()) {
        let (mut n_sure, mut n_doubtful) = (0, 0);
        for (sure, doubtful) in totals.iter().filter_map(|totals| totals.get(&key)) {
            n_sure += sure;
            n_doubtful += doubtful;
        }
        let balance = shop.balance(&key).await.expect("it answers");
        let range = n_sure..=n_sure + n_doubtful;
        assert!(range.contains(&balance), "seed {seed}, key {key}: {balance} is not in {range:?}");
    }
    let causes = shop.runtime.dead_letters().into_iter().map(|letter| letter.reason.to_string());
    let bad: Vec<_> =
        causes.filter(|c| c.contains("two incarnations") || c.contains(" after ")).collect();
    assert_eq!(bad, [] as [String; 0], "seed {seed}");
    assert!(shop.world.n_alive_max.load(Ordering::Relaxed) <= 3, "seed {seed}");
    shop.close().await;
}

#[tokio::test(start_paused = true)]
async fn balances_are_the_sums_of_deposits_whatever_crashes_and_leaves() {
    for seed in 0..15 {
        storm(seed).await;
    }
}

/// The same races on real threads: senders meet actors that are just being unloaded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_on_several_threads_meet_actors_that_leave() {
    let shop = Shop::open(idle_after(SOON).live_max(4)).await;
    let mut senders = JoinSet::new();
    for sender in 0..8_i64 {
        let customers = shop.customers.clone();
        senders.spawn(async move {
            let mut chance = SplitMix64::new(sender as u64);
            for n in 0..500 {
                let customer = customers.get(&(chance.bits() % 12).to_string());
                customer.send(Message::Number(sender, n)).await.expect("the family lives");
                if chance.bits().is_multiple_of(4) {
                    let _ = customer.passivate();
                }
                let answer = customer.ask(SOON, |reply| Message::Deposit(1, reply)).await;
                answer.expect("it is answered");
            }
        });
    }
    // A sender that panics fails the test.
    senders.join_all().await;
    let mut n_coins = 0;
    for key in 0..12 {
        n_coins += shop.balance(&key.to_string()).await.expect("it answers");
    }
    assert_eq!(n_coins, 8 * 500);
    let census = shop.customers.info().census;
    assert!(census.n_passivations > 100, "there were races to be had: {census:?}");
    assert!(shop.world.n_alive_max.load(Ordering::Relaxed) <= 4);
    assert!(shop.runtime.dead_letters().is_empty(), "{:?}", shop.runtime.dead_letters());
    shop.close().await;
}
