//! Actors whose state is journalled: the order of storing and answering, crashes at every moment of it,
//! recovery and snapshots.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{
    Event, Journal, JournalError, JournalErrorKind, MemoryJournal, Recorded, RunHead, Runs,
};
use greenroom_core::mailbox::MailboxSpec;
use greenroom_core::random::SplitMix64;
use greenroom_core::supervision::{
    AdminError, Backoff, ChildSpec, ExitReason, Intensity, Strategy, SupervisorSpec,
};
use greenroom_journal::SqliteJournal;
use greenroom_runtime::{
    Actor, AgentRef, AskError, Context, DeadReason, Failure, Persistent, PersistentSpec, Reply,
    Runtime,
};
use serde::{Deserialize, Serialize};

use crate::support::end;

const SECOND: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(600);

/// How the journal treats the next appends.
#[derive(Clone, Copy, Default)]
pub(crate) enum Mood {
    /// It answers at once.
    #[default]
    Prompt,
    /// It stores at once and says so later.
    Slow(Duration),
    /// It stores nothing, and never answers.
    Away,
    /// It refuses.
    Refusing,
    /// It takes its time to refuse.
    Reluctant(Duration),
    /// It stores, and says that it did not.
    Lying,
}

/// A journal in memory with moods.
#[derive(Clone, Default)]
pub(crate) struct MoodyJournal {
    inner: MemoryJournal,
    mood: Arc<Mutex<Mood>>,
    n_loaded: Arc<AtomicUsize>,
    n_bad_loads: Arc<AtomicUsize>,
}

impl MoodyJournal {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no test panics here") = mood;
    }

    fn error(stream: &StreamId) -> JournalError {
        JournalError::of(stream, JournalErrorKind::Full, "the disk is full")
    }

    async fn events(&self, id: &str) -> Vec<Event> {
        let loaded = self.inner.load(&StreamId::of_agent(id.into())).await.expect("it is there");
        loaded.into_iter().map(|recorded| recorded.event).collect()
    }

    pub(crate) fn fail_loads(&self, n: usize) {
        self.n_bad_loads.store(n, Ordering::Relaxed);
    }
}

impl Journal for MoodyJournal {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        let mood = *self.mood.lock().expect("no test panics here");
        let refusal = Err(Self::error(stream));
        match mood {
            Mood::Prompt => self.inner.append(stream, events),
            Mood::Slow(delay) => {
                let stored = self.inner.append(stream, events);
                Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    stored.await
                })
            }
            Mood::Away => Box::pin(std::future::pending()),
            Mood::Refusing => Box::pin(async { refusal }),
            Mood::Reluctant(delay) => Box::pin(async move {
                tokio::time::sleep(delay).await;
                refusal
            }),
            Mood::Lying => {
                drop(self.inner.append(stream, events));
                Box::pin(async { refusal })
            }
        }
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        let n_bad = &self.n_bad_loads;
        if n_bad.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
            let refusal = Err(Self::error(stream));
            return Box::pin(async { refusal });
        }
        let (loaded, n_loaded) = (self.inner.load(stream), Arc::clone(&self.n_loaded));
        Box::pin(async move {
            let loaded = loaded.await?;
            n_loaded.store(loaded.len(), Ordering::Relaxed);
            Ok(loaded)
        })
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.inner.streams(run)
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.inner.runs(which)
    }
}

/// What an account was sent and did, in order.
pub(crate) type Notes = Arc<Mutex<Vec<String>>>;

#[derive(Default)]
pub(crate) struct Account {
    n_coins: i64,
    notes: Notes,
    /// Coins that a new account begins with.
    n_given: i64,
}

impl Account {
    pub(crate) fn new(notes: &Notes) -> Self {
        Self { notes: Arc::clone(notes), ..Self::default() }
    }

    fn note(&self, what: impl Into<String>) {
        self.notes.lock().expect("no test panics here").push(what.into());
    }
}

pub(crate) enum Message {
    /// Adds coins; answers with the balance. Whether a delivery that was stored before is recorded again
    /// is for the handler to decide, and this one does not.
    Deposit(i64, Reply<i64>),
    /// Records two events, and the second only once the first is applied.
    Twice(i64, Reply<i64>),
    /// Records, and fails all the same.
    Half(i64),
    /// Records, and panics when it is stored.
    Trap(i64),
    /// Records, and stops.
    Last(i64, Reply<i64>),
    /// Records so many events.
    Many(usize),
    /// Records one coin more, for nobody.
    Add(i64),
    Peek,
    Balance(Reply<i64>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Happened {
    Deposited(i64),
}

impl Actor for Account {
    type Message = Message;

    fn started(&mut self, context: &mut Context<'_, Self>) -> Result<(), Failure> {
        self.note(format!("started {} with {}", context.generation(), self.n_coins));
        if self.n_coins < self.n_given {
            context.persist(Happened::Deposited(self.n_given), |_, _| {});
        }
        Ok(())
    }

    fn handle(
        &mut self,
        message: &Message,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        let answer = |reply: &Reply<i64>| {
            let reply = reply.clone();
            move |account: &mut Self, _: &mut Context<'_, Self>| {
                account.note(format!("answered {}", account.n_coins));
                let _ = reply.send(account.n_coins);
            }
        };
        match message {
            Message::Deposit(_, reply) if context.was_persisted() => {
                self.note("was stored");
                let _ = reply.send(self.n_coins);
            }
            Message::Deposit(n, reply) => {
                self.note(format!("deposit {n}"));
                context.persist(Happened::Deposited(*n), answer(reply));
            }
            Message::Twice(n, reply) => {
                let (n, then) = (*n, answer(reply));
                context.persist(Happened::Deposited(n), move |account, context| {
                    account.note(format!("first {}", account.n_coins));
                    context.persist(Happened::Deposited(n), then);
                });
            }
            Message::Half(n) => {
                context.persist(Happened::Deposited(*n), |_, _| {});
                return Err(Failure::new("half done"));
            }
            Message::Trap(n) if !context.was_persisted() => {
                context.persist(Happened::Deposited(*n), |_, _| panic!("the trap"));
            }
            Message::Trap(_) => {}
            Message::Last(n, reply) => {
                context.persist(Happened::Deposited(*n), answer(reply));
                context.stop();
            }
            Message::Many(n_events) => {
                for _ in 0..*n_events {
                    context.persist(Happened::Deposited(1), |_, _| {});
                }
            }
            Message::Add(n) => context.persist(Happened::Deposited(*n), |account, _| {
                account.note(format!("added {}", account.n_coins));
            }),
            Message::Peek => self.note(format!("peek {}", self.n_coins)),
            Message::Balance(reply) => {
                self.note("balance");
                let _ = reply.send(self.n_coins);
            }
        }
        Ok(())
    }
}

impl Persistent for Account {
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

struct Bank {
    runtime: Runtime,
    journal: MoodyJournal,
    account: AgentRef<Message>,
    notes: Notes,
}

impl Bank {
    async fn open() -> Self {
        Self::with(PersistentSpec::new("account")).await
    }

    async fn with(spec: PersistentSpec) -> Self {
        let (journal, notes) = (MoodyJournal::default(), Notes::default());
        let runtime = runtime_on(&journal).await;
        let factory = { Arc::clone(&notes) };
        let account = runtime.spawn_persistent(spec, move || Account::new(&factory)).await;
        Self { runtime, journal, account: account.expect("it starts"), notes }
    }

    fn notes(&self) -> MutexGuard<'_, Vec<String>> {
        self.notes.lock().expect("no test panics here")
    }

    fn taken(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes())
    }

    async fn deposit(&self, n: i64) -> Result<i64, AskError> {
        self.account.ask(SOON, |reply| Message::Deposit(n, reply)).await
    }

    async fn balance(&self) -> Result<i64, AskError> {
        self.account.ask(SOON, Message::Balance).await
    }
}

pub(crate) async fn runtime_on(journal: &MoodyJournal) -> Runtime {
    Runtime::builder().seed(7).journal(journal.clone()).start().await.expect("a runtime starts")
}

fn deposited(n: i64) -> Event {
    let payload = serde_json::json!({ "deposited": n });
    Event::ActorEvent { payload }
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_state_is_there_again_after_a_crash() {
    let bank = Bank::open().await;
    assert_eq!(bank.deposit(40).await, Ok(40));
    assert_eq!(bank.deposit(2).await, Ok(42));
    assert!(bank.account.crash_on_purpose());
    assert_eq!(bank.balance().await, Ok(42));
    let n = bank.account.ask(SOON, |reply| Message::Twice(4, reply)).await;
    assert_eq!(n, Ok(50), "a continuation may record, too");
    let expect = [deposited(40), deposited(2), deposited(4), deposited(4)];
    assert_eq!(bank.journal.events("account").await, expect);
    let expect = "started 1 with 0, deposit 40, answered 40, deposit 2, answered 42, \
                  started 2 with 42, balance, first 46, answered 50";
    assert_eq!(bank.taken().join(", "), expect);
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn another_process_goes_on_where_the_first_ended() {
    let bank = Bank::open().await;
    assert_eq!(bank.deposit(42).await, Ok(42));
    let journal = bank.journal.clone();
    end(bank.runtime).await;
    let runtime = runtime_on(&journal).await;
    let spec = PersistentSpec::new("account");
    let account = runtime.spawn_persistent(spec, Account::default).await.expect("it starts");
    assert_eq!(account.ask(SOON, Message::Balance).await, Ok(42));
    end(runtime).await;
}

/// In real time: the disk does not wait in virtual time.
#[tokio::test]
async fn the_state_is_there_in_the_next_process() {
    let dir = tempfile::tempdir().expect("there is a directory for it");
    let spec = || PersistentSpec::new("account").snapshot_every(3);
    for n_coins in 1..=8 {
        // One process owns the file, so it opens when the one before has ended.
        let journal = SqliteJournal::open(dir.path()).expect("nobody owns it any more");
        let runtime = Runtime::builder().journal(journal).start().await.expect("a runtime starts");
        let account = runtime.spawn_persistent(spec(), Account::default).await.expect("it starts");
        let deposited = account.ask(SOON, |reply| Message::Deposit(1, reply)).await;
        assert_eq!(deposited, Ok(n_coins));
        assert!(account.crash_on_purpose());
        assert_eq!(account.ask(SOON, Message::Balance).await, Ok(n_coins));
        end(runtime).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_after_its_event_is_stored_and_others_wait() {
    let bank = Bank::open().await;
    bank.journal.set(Mood::Slow(SECOND));
    let since = tokio::time::Instant::now();
    let first = async {
        let n = bank.deposit(1).await;
        (n, since.elapsed())
    };
    let second = async {
        settle().await;
        let n = bank.deposit(2).await;
        (n, since.elapsed())
    };
    let look = async {
        settle().await;
        settle().await;
        assert_eq!(bank.account.info().n_queued, 1, "the second waits in the mailbox");
        assert!(bank.account.info().in_flight.is_some(), "the first is still in flight");
        bank.account.control(Message::Peek).expect("room");
        // It records, too: its event goes into the next append.
        bank.account.control(Message::Add(10)).expect("room");
    };
    let (first, second, ()) = tokio::join!(first, second, look);
    assert_eq!((first, second), ((Ok(1), SECOND), (Ok(13), 3 * SECOND)), "one after the other");
    let expect =
        "started 1 with 0, deposit 1, peek 0, answered 1, added 11, deposit 2, answered 13";
    assert_eq!(bank.taken().join(", "), expect);
    assert_eq!(bank.account.info().in_flight, None);
    end(bank.runtime).await;
}

/// Backs off for a second after each crash, and is never given up.
fn patient() -> PersistentSpec {
    let child = ChildSpec::worker("account").backoff(Backoff::new(SECOND, SECOND).jitter(0.0));
    PersistentSpec::new("account").child(child.intensity(Intensity::new(1_000_000, SECOND)))
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_refuses_is_not_applied_and_is_tried_again() {
    let bank = Bank::with(patient()).await;
    bank.journal.set(Mood::Refusing);
    let mend = async {
        settle().await;
        bank.journal.set(Mood::Prompt);
    };
    let (answer, ()) = tokio::join!(bank.deposit(5), mend);
    assert_eq!(answer, Ok(5), "the second delivery");
    assert_eq!(bank.journal.events("account").await, [deposited(5)]);
    let expect = "started 1 with 0, deposit 5, started 2 with 0, deposit 5, answered 5";
    assert_eq!(bank.taken().join(", "), expect);
    bank.journal.set(Mood::Refusing);
    let cause = "journal stream agent:account: the disk is full";
    let poison = DeadReason::Poison { cause: ExitReason::failed(cause) };
    assert_eq!(bank.deposit(6).await, Err(AskError::Dead(poison)), "as often as allowed");
    assert_eq!(bank.balance().await, Ok(5));
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_delivered_again_knows_whether_it_was_stored() {
    let bank = Bank::with(patient()).await;
    bank.journal.set(Mood::Lying);
    let mend = async {
        settle().await;
        bank.journal.set(Mood::Prompt);
    };
    let (answer, ()) = tokio::join!(bank.deposit(5), mend);
    assert_eq!(answer, Ok(5));
    assert_eq!(bank.journal.events("account").await, [deposited(5)], "once");
    let expect = "started 1 with 0, deposit 5, started 2 with 5, was stored";
    assert_eq!(bank.taken().join(", "), expect);
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_during_an_append_loses_and_doubles_nothing() {
    let bank = Bank::with(patient()).await;
    bank.journal.set(Mood::Slow(SECOND / 2));
    let crash = async {
        settle().await;
        assert!(bank.account.crash_on_purpose());
        settle().await;
        assert_eq!(bank.account.info().n_queued, 2, "both wait for the next incarnation");
    };
    let (first, second, ()) = tokio::join!(bank.deposit(5), bank.deposit(6), crash);
    assert_eq!((first, second), (Ok(5), Ok(11)));
    assert_eq!(bank.journal.events("account").await, [deposited(5), deposited(6)]);
    let expect =
        "started 1 with 0, deposit 5, started 2 with 5, was stored, deposit 6, answered 11";
    assert_eq!(bank.taken().join(", "), expect);
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_does_not_answer_ends_the_incarnation_after_thirty_seconds() {
    let bank = Bank::open().await;
    bank.journal.set(Mood::Slow(100 * SECOND));
    let since = tokio::time::Instant::now();
    assert_eq!(bank.deposit(5).await, Ok(5), "it was stored all the same");
    assert_eq!((since.elapsed(), bank.account.info().generation), (30 * SECOND, 2));
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_stores_nothing_and_a_continuation_that_panics_does() {
    let bank = Bank::open().await;
    bank.account.send(Message::Half(5)).await.expect("it lives");
    assert_eq!(bank.balance().await, Ok(0));
    assert_eq!(bank.journal.events("account").await, []);
    bank.account.send(Message::Trap(7)).await.expect("it lives");
    assert_eq!(bank.balance().await, Ok(7));
    assert_eq!(bank.journal.events("account").await, [deposited(7)], "and the second time none");
    let info = bank.account.info();
    assert_eq!((info.generation, info.n_handled), (4, 3), "two crashes, then the trap");
    assert_eq!(bank.runtime.dead_letters().len(), 1, "the half one");
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_itself_stores_and_answers_first() {
    let bank = Bank::open().await;
    bank.journal.set(Mood::Slow(SECOND));
    let last = bank.account.ask(SOON, |reply| Message::Last(5, reply));
    let (last, next) = tokio::join!(last, bank.deposit(1));
    assert_eq!((last, next), (Ok(5), Ok(6)), "permanent, it is started again");
    let expect = "started 1 with 0, answered 5, started 2 with 5, deposit 1, answered 6";
    assert_eq!(bank.taken().join(", "), expect);
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_stopped_for_a_siblings_sake_during_an_append_is_not_to_blame() {
    let (journal, notes) = (MoodyJournal::default(), Notes::default());
    let runtime = runtime_on(&journal).await;
    let once = MailboxSpec { deliveries_max: 1, ..MailboxSpec::default() };
    let factory = { Arc::clone(&notes) };
    let spec = PersistentSpec::new("account").mailbox(once);
    let (account, start) = runtime.persistent_child(spec, move || Account::new(&factory));
    let (sibling, other) = runtime.child("sibling", MailboxSpec::default(), Account::default);
    let children =
        vec![(ChildSpec::worker("account"), start), (ChildSpec::worker("sibling"), other)];
    let spec = SupervisorSpec::new(Strategy::OneForAll);
    runtime.supervise("group", spec, children).await.expect("it starts");
    journal.set(Mood::Slow(SECOND));
    let crash = async {
        settle().await;
        assert!(sibling.crash_on_purpose());
    };
    let deposit = account.ask(SOON, |reply| Message::Deposit(5, reply));
    let (answer, ()) = tokio::join!(deposit, crash);
    assert_eq!(answer, Ok(5));
    let notes = std::mem::take(&mut *notes.lock().expect("no test panics here"));
    assert_eq!(notes.join(", "), "started 1 with 0, deposit 5, started 2 with 5, was stored");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_stopped_during_an_append_leaves_its_asker_in_doubt() {
    let bank = Bank::open().await;
    bank.journal.set(Mood::Slow(SECOND));
    let stop = async {
        settle().await;
        bank.runtime.supervisor().terminate_child("account").await.expect("it stops");
    };
    let (answer, ()) = tokio::join!(bank.deposit(5), stop);
    assert_eq!(answer, Err(AskError::Dead(DeadReason::Stopped)));
    assert_eq!(bank.journal.events("account").await, [deposited(5)], "stored, as it happens");
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_read_is_a_failed_start() {
    let journal = MoodyJournal::default();
    let runtime = runtime_on(&journal).await;
    let spawn =
        |id: &'static str| runtime.spawn_persistent(PersistentSpec::new(id), Account::default);
    let failed = |cause: &str| Err(AdminError::StartFailed { cause: ExitReason::failed(cause) });
    journal.fail_loads(1);
    let started = spawn("account").await.map(|_| ());
    assert_eq!(started, failed("journal stream agent:account: the disk is full"));
    let at = greenroom_core::time::Timestamp::from_millis(0);
    let foreign = [
        (
            "run",
            Event::GatheringEnded,
            "not an actor's state: the event at place 0 is not an actor's",
        ),
        (
            "other",
            Event::ActorEvent { payload: "withdrawn".into() },
            "event 0: unknown variant `withdrawn`, expected `deposited`",
        ),
        (
            "old",
            Event::ActorSnapshot { state: "7".into() },
            "the snapshot: invalid type: string \"7\", expected i64",
        ),
    ];
    for (id, event, cause) in foreign {
        let stream = StreamId::of_agent(id.into());
        let events = [Recorded { seq: 0, at, event }].into();
        journal.append(&stream, events).await.expect("the stream is empty");
        let cause = format!("journal stream agent:{id}: {cause}");
        assert_eq!(spawn(id).await.map(|_| ()), failed(&cause));
    }
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_is_away_during_a_restart_is_asked_again() {
    let bank = Bank::with(patient()).await;
    assert_eq!(bank.deposit(5).await, Ok(5));
    bank.journal.fail_loads(3);
    assert!(bank.account.crash_on_purpose());
    let since = tokio::time::Instant::now();
    assert_eq!(bank.deposit(6).await, Ok(11));
    assert_eq!(since.elapsed(), 4 * SECOND, "three bad starts");
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn a_recovery_reads_a_bounded_piece_of_the_past() {
    let bank = Bank::with(PersistentSpec::new("account").snapshot_every(10)).await;
    for n in 1..=95 {
        bank.deposit(1).await.expect("it lives");
        if n % 7 == 0 {
            assert!(bank.account.crash_on_purpose());
            assert_eq!(bank.balance().await, Ok(n));
            let n_loaded = bank.journal.n_loaded.load(Ordering::Relaxed);
            assert!(n_loaded <= 10, "{n_loaded} events were read");
        }
    }
    let events = bank.journal.events("account").await;
    let expect: Vec<_> = std::iter::once(Event::ActorSnapshot { state: 90.into() })
        .chain((0..5).map(|_| deposited(1)))
        .collect();
    assert_eq!(events, expect);
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_may_record_before_its_first_message() {
    let journal = MoodyJournal::default();
    journal.set(Mood::Slow(SECOND));
    let runtime = runtime_on(&journal).await;
    let given = || Account { n_given: 100, ..Account::default() };
    let account = runtime.spawn_persistent(PersistentSpec::new("account"), given).await;
    let account = account.expect("it starts");
    assert_eq!(account.ask(SOON, Message::Balance).await, Ok(100), "the message waits for it");
    assert!(account.crash_on_purpose());
    assert_eq!(account.ask(SOON, Message::Balance).await, Ok(100), "once");
    end(runtime).await;
}

#[tokio::test(start_paused = true)]
async fn recording_has_a_bound_and_needs_a_journalled_actor() {
    let bank = Bank::open().await;
    bank.account.send(Message::Many(4096)).await.expect("it lives");
    bank.account.send(Message::Many(4097)).await.expect("it lives");
    assert_eq!(bank.balance().await, Ok(4096), "too many are none");
    let plain = bank.runtime.spawn("plain", Account::default).await.expect("it starts");
    plain.send(Message::Add(1)).await.expect("it lives");
    assert_eq!(plain.ask(SOON, Message::Balance).await, Ok(0));
    let causes: Vec<_> = bank.runtime.dead_letters().into_iter().map(|l| l.reason).collect();
    let poison = |cause| DeadReason::Poison { cause: ExitReason::failed(cause) };
    let expect = [
        poison("more than 4096 events wait to be journalled"),
        poison("its state is not journalled: spawn_persistent does that"),
    ];
    assert_eq!(causes, expect);
    end(bank.runtime).await;
}

/// Deposits from several senders while the journal has moods and the account crashes: what was acknowledged
/// is in the journal once, what was not is there at most once, each sender's in its order, and the balance
/// is the sum.
async fn storm(seed: u64) {
    let spec = patient().snapshot_every(u64::MAX);
    let spec = spec.mailbox(MailboxSpec { deliveries_max: 3, ..MailboxSpec::default() });
    let bank = Bank::with(spec).await;
    let is_over = std::cell::Cell::new(false);
    let senders = (0..4_i64).map(|sender| {
        let (account, mut chance) = (bank.account.clone(), SplitMix64::new(seed ^ sender as u64));
        async move {
            let mut acknowledged = Vec::new();
            for n in 0..40 {
                tokio::time::sleep(Duration::from_millis(chance.bits() % 700)).await;
                let deposit = sender * 1000 + n;
                let answer = account.ask(SOON, |reply| Message::Deposit(deposit, reply)).await;
                acknowledged.extend(answer.is_ok().then_some(deposit));
            }
            acknowledged
        }
    });
    let senders = async {
        let acknowledged = futures_util::future::join_all(senders).await;
        is_over.set(true);
        acknowledged
    };
    let chaos = async {
        let mut chance = SplitMix64::new(!seed);
        while !is_over.get() {
            tokio::time::sleep(Duration::from_millis(chance.bits() % 400)).await;
            let delay = Duration::from_millis(chance.bits() % 900);
            match chance.bits() % 8 {
                0 => bank.journal.set(Mood::Refusing),
                1 => bank.journal.set(Mood::Lying),
                2 | 3 => bank.journal.set(Mood::Slow(delay)),
                4 => drop(bank.account.crash_on_purpose()),
                5 => bank.journal.fail_loads(1),
                _ => bank.journal.set(Mood::Prompt),
            }
        }
        bank.journal.set(Mood::Prompt);
    };
    let (acknowledged, ()) = tokio::join!(senders, chaos);
    let in_journal: Vec<i64> = bank
        .journal
        .events("account")
        .await
        .iter()
        .map(|event| {
            let Event::ActorEvent { payload } = event else { panic!("seed {seed}: {event:?}") };
            payload["deposited"].as_i64().expect("a number")
        })
        .collect();
    assert_eq!(bank.balance().await, Ok(in_journal.iter().sum()), "seed {seed}");
    for (sender, acknowledged) in (0..).zip(acknowledged) {
        let stored: Vec<_> = in_journal.iter().filter(|n| *n / 1000 == sender).collect();
        assert!(
            stored.is_sorted_by(|a, b| a < b),
            "seed {seed}: {stored:?} is doubled or reordered"
        );
        let is_there = acknowledged.iter().all(|n| stored.contains(&n));
        assert!(is_there, "seed {seed}: {acknowledged:?} was acknowledged, {stored:?} is stored");
    }
    end(bank.runtime).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_acknowledged_is_stored_once_whatever_crashes() {
    for seed in 0..40 {
        storm(seed).await;
    }
}
