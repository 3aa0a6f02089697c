//! What is done to a journal on the simulated disk, and how the next process finds it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use greenroom_core::BoxFuture;
use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, JournalError, Recorded, RunHead, Runs};
use greenroom_core::report::{Outcome, Status};
use greenroom_core::time::Timestamp;
use greenroom_testkit::kills::{Acknowledged, Invariant, Violation};
use tempfile::TempDir;

use super::platter::lay;
use super::vfs::Disk;
use crate::files::Files;
use crate::store::{Store, load};
use crate::writer::{Backend, Writer};
use crate::{Durability, SqliteJournal};

/// An append.
pub(super) type Append = (StreamId, Arc<[Recorded]>);

/// The appends of two processes.
pub(super) fn appends() -> [Vec<Append>; 2] {
    let run = |n| StreamId::root(RunId::from_bits(n));
    let agent = StreamId::of_agent("account".into());
    let at = Timestamp::from_millis(1_000);
    let happened = |text: String| Event::ActorEvent { payload: text.into() };
    let some = |stream: &StreamId, seq: u64, n: usize, n_bytes: usize| {
        let events = (0..n).map(|i| happened(format!("{i} {}", "x".repeat(n_bytes))));
        (stream.clone(), Recorded::sequence(seq, at, events))
    };
    let snapshot = |seq: u64| {
        let state = Event::ActorSnapshot { state: seq.into() };
        (agent.clone(), Recorded::sequence(seq, at, [state]))
    };
    let outcome = Outcome::without_answer(Status::Failed, None);
    let end = Recorded::sequence(3, at, [Event::RunFinished { outcome: outcome.into() }]);
    [
        vec![
            some(&run(1), 0, 3, 10),
            some(&agent, 0, 2, 10),
            some(&run(2), 0, 1, 9_000),
            snapshot(2),
        ],
        vec![some(&agent, 3, 1, 10), some(&run(2), 1, 2, 70_000), (run(1), end), snapshot(4)],
    ]
}

/// A directory for the files of a case; memory where there is some.
pub(super) fn dir() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("there is a directory for it")
}

/// A journal on a simulated disk, as a script uses it.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) disk: Disk,
    pub(super) durability: Durability,
    dir: PathBuf,
}

impl Stage {
    pub(super) fn new(disk: &Disk, durability: Durability, dir: &TempDir) -> Self {
        Self { disk: disk.clone(), durability, dir: dir.path().to_owned() }
    }

    /// A process opens the store. Its log is written over from the beginning now and then.
    pub(super) fn open(&self) -> Result<Store, JournalError> {
        let files = Files::own(&self.dir, self.durability)?.through(self.disk.name());
        let store = Store::open(files, self.durability, None, false)?;
        store.checkpoint_every(12);
        Ok(store)
    }

    /// Two processes make their appends, and a third one looks. Whatever fails, they go on.
    pub(super) async fn play<B: Backend>(&self, onto: impl Fn(Store) -> B) -> Acknowledged {
        let mut acknowledged = Acknowledged::new();
        let mut n_answered = 0;
        for appends in appends() {
            let Ok(store) = self.open() else { continue };
            let writer = Writer::start(onto(store)).expect("there is a thread");
            for (stream, events) in appends {
                let answer = writer.append(&stream, Arc::clone(&events)).await;
                if let Err(error) = &answer {
                    assert!(!error.message.contains("has ended"), "the writer panicked");
                }
                acknowledged.offered(&stream, events, Some(&answer));
                n_answered += 1;
                self.disk.answered(n_answered);
            }
        }
        acknowledged
    }

    /// What a process on the same disk reads, as long as nothing but reading goes wrong.
    pub(super) async fn look(&self, acknowledged: &Acknowledged) -> Vec<Violation> {
        match self.open() {
            Ok(store) => acknowledged.check_damaged(&Alone(Mutex::new(store))).await,
            Err(_) => Vec::new(),
        }
    }
}

/// A store that one reader has for itself.
struct Alone(Mutex<Store>);

impl Alone {
    fn with<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, JournalError>,
    ) -> BoxFuture<'static, Result<T, JournalError>> {
        Box::pin(std::future::ready(read(&self.0.lock().expect("nobody panics with it"))))
    }
}

impl Journal for Alone {
    fn append(
        &self,
        stream: &StreamId,
        events: Arc<[Recorded]>,
    ) -> BoxFuture<'static, Result<(), JournalError>> {
        let group = [(stream.clone(), events)];
        let appended = self.0.lock().expect("nobody panics with it").append(&group);
        let answer = appended.map_or_else(Err, |answers| answers.into_iter().collect());
        Box::pin(std::future::ready(answer))
    }

    fn load(&self, stream: &StreamId) -> BoxFuture<'static, Result<Vec<Recorded>, JournalError>> {
        self.with(|store| load::load(store.connection(), stream))
    }

    fn streams(&self, run: RunId) -> BoxFuture<'static, Result<Vec<StreamId>, JournalError>> {
        self.with(|store| load::streams(store.connection(), run))
    }

    fn runs(&self, which: Runs) -> BoxFuture<'static, Result<Vec<RunHead>, JournalError>> {
        self.with(|store| load::runs(store.connection(), which))
    }
}

/// The next process, on a real disk with these files.
pub(super) fn next_boot(
    files: &BTreeMap<String, Vec<u8>>,
    durability: Durability,
) -> (TempDir, Result<SqliteJournal, JournalError>) {
    let dir = dir();
    lay(files, dir.path());
    let mode = if durability == Durability::Durable { "durable" } else { "relaxed" };
    std::fs::write(dir.path().join("journal.lock"), format!("1 {mode}\n")).expect("there is room");
    let journal = SqliteJournal::open(dir.path());
    (dir, journal)
}

/// What the next process finds to be wrong with these files.
pub(super) async fn wrong_at_boot(
    files: &BTreeMap<String, Vec<u8>>,
    durability: Durability,
    acknowledged: &Acknowledged,
) -> Vec<Violation> {
    let broken = |error: JournalError| Violation::new(Invariant::I5, error.to_string());
    let (_dir, journal) = next_boot(files, durability);
    match journal {
        Ok(journal) => {
            let mut found = acknowledged.check(&journal).await;
            found.extend(journal.runs(Runs::Newest(9)).await.err().map(broken));
            found
        }
        Err(error) => vec![broken(error)],
    }
}
