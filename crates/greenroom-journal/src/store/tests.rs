//! Files that are damaged, full, locked, replaced or newer: each is refused by its kind, and what is not
//! concerned lives.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use greenroom_core::ids::RunId;
use greenroom_core::journal::{Event, Journal as _, RunHead, Runs};
use greenroom_core::report::{Outcome, Status};
use tempfile::TempDir;

use super::*;
use crate::{SqliteJournal, SqliteOptions};

fn root(n: u128) -> StreamId {
    StreamId::root(RunId::from_bits(n))
}

fn events(seq: u64, events: impl IntoIterator<Item = Event>) -> Arc<[Recorded]> {
    Recorded::sequence(seq, Timestamp::from_millis(1_000), events)
}

fn happened(seq: u64, payloads: impl IntoIterator<Item = String>) -> Arc<[Recorded]> {
    events(seq, payloads.into_iter().map(|text| Event::ActorEvent { payload: text.into() }))
}

fn finished() -> Event {
    Event::RunFinished { outcome: Box::new(Outcome::without_answer(Status::Completed, None)) }
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("there is a directory for it")
}

fn database(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("journal.db")
}

/// A journal with three runs of five events, closed again.
async fn written(dir: &TempDir) -> [Arc<[Recorded]>; 3] {
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    let runs = [1, 2, 3].map(|n| happened(0, (0..5).map(|i| format!("event {i} of run {n}"))));
    for (n, run) in (1..).zip(&runs) {
        journal.append(&root(n), Arc::clone(run)).await.expect("there is room");
    }
    runs
}

/// Does something to the file behind the journal's back.
fn tamper(dir: &TempDir, sql: &str) {
    let connection = Connection::open(database(dir)).expect("it is there");
    connection.execute_batch(sql).expect("it is SQL");
}

async fn kind_of<T>(
    result: impl Future<Output = Result<T, JournalError>>,
) -> Option<JournalErrorKind> {
    result.await.err().map(|error| error.kind)
}

/// The kind of error with which a journal is not opened.
fn refusal(dir: &Path) -> Option<JournalErrorKind> {
    SqliteJournal::open(dir).err().map(|error| error.kind)
}

#[tokio::test]
async fn whatever_is_changed_in_a_run_is_noticed_and_the_others_live() {
    let second = "stream = (SELECT id FROM streams WHERE owner LIKE '%2')";
    for change in [
        "UPDATE events SET body = replace(body, 'event 3', 'event 8') WHERE {} AND seq = 3",
        "UPDATE events SET body = substr(body, 1, 20) WHERE {} AND seq = 4",
        "UPDATE events SET body = NULL WHERE {} AND seq = 4",
        "UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE {} AND seq = 4",
        "UPDATE events SET at = at + 1 WHERE {} AND seq = 0",
        "UPDATE events SET kind = 'actor_snapshot' WHERE {} AND seq = 2",
        "UPDATE events SET v = 2 WHERE {} AND seq = 2",
        "UPDATE events SET checksum = zeroblob(32) WHERE {} AND seq = 2",
        "UPDATE events SET checksum = x'00' WHERE {} AND seq = 2",
        "UPDATE events SET seq = -1 WHERE {} AND seq = 4",
        "DELETE FROM events WHERE {} AND seq = 0",
        "DELETE FROM events WHERE {} AND seq = 2",
        "DELETE FROM events WHERE {} AND seq = 4",
        "DELETE FROM events WHERE {}",
        "UPDATE events SET seq = seq + 1 WHERE {} AND seq = 4",
        "UPDATE streams SET n_events = 6 WHERE owner LIKE '%2'",
        "UPDATE streams SET head = zeroblob(32) WHERE owner LIKE '%2'",
        // Another run's events are whole, and not this run's.
        "DELETE FROM events WHERE {}; UPDATE events SET {} WHERE stream = 1;
         UPDATE streams SET head = (SELECT head FROM streams WHERE id = 1) WHERE owner LIKE '%2'",
    ] {
        let dir = dir();
        let runs = written(&dir).await;
        tamper(&dir, &change.replace("{}", second));
        let journal = SqliteJournal::open(dir.path()).expect("the file is whole");
        let error = journal.load(&root(2)).await.expect_err(change);
        assert_eq!(
            (error.kind, error.stream),
            (JournalErrorKind::Corrupt, Some(root(2))),
            "{change}"
        );
        assert_eq!(journal.load(&root(3)).await, Ok(runs[2].to_vec()), "{change}");
        journal.append(&root(3), happened(5, ["more".into()])).await.expect(change);
    }
}

#[tokio::test]
async fn no_flipped_bit_is_ever_read_as_something_else() {
    let dir = dir();
    let runs = written(&dir).await;
    let whole = fs::read(database(&dir)).expect("it is there");
    let (mut n_refused, mut n_read) = (0, 0);
    for i in 0..300 {
        // Every place is met as often as any other, and the pages of the tables among them.
        let (byte, bit) = ((i * 7_919) % whole.len(), i % 8);
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << bit;
        let copy = tempfile::tempdir().expect("there is a directory for it");
        fs::write(database(&copy), flipped).expect("there is room");
        let Ok(journal) = SqliteJournal::open_for_reading(copy.path()) else {
            n_refused += 1;
            continue;
        };
        for (n, run) in (1..).zip(&runs) {
            match journal.load(&root(n)).await {
                Ok(read) if read == run.to_vec() => n_read += 1,
                // The table does not know the run any more, which is not the same as other events.
                Ok(read) => assert_eq!(read, [], "byte {byte}, bit {bit}"),
                Err(error) => {
                    let kind = error.kind;
                    let is_named = error.stream == Some(root(n));
                    assert!(is_named && kind != JournalErrorKind::Conflict, "{error:?}");
                    n_refused += 1;
                }
            }
        }
    }
    assert!(n_refused > 20 && n_read > 300, "{n_refused} were refused, {n_read} were read");
}

#[tokio::test]
async fn a_file_that_is_cut_is_refused_and_its_log_loses_its_torn_end_only() {
    let dir = dir();
    written(&dir).await;
    let whole = fs::read(database(&dir)).expect("it is there");
    fs::write(database(&dir), &whole[..whole.len() / 2]).expect("there is room");
    assert_eq!(refusal(dir.path()), Some(JournalErrorKind::Corrupt));

    // What a crash leaves: the log, with less and less of its last append.
    let dir = self::dir();
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    for seq in 0..4 {
        journal
            .append(&root(1), happened(seq, [format!("event {seq}")]))
            .await
            .expect("there is room");
    }
    let [database, log] = ["journal.db", "journal.db-wal"].map(|name| dir.path().join(name));
    let (database, log) =
        (fs::read(database).expect("it is there"), fs::read(log).expect("it is there"));
    let mut lengths = Vec::new();
    for n_cut in (1..log.len()).step_by(1_009) {
        let copy = self::dir();
        fs::write(copy.path().join("journal.db"), &database).expect("there is room");
        fs::write(copy.path().join("journal.db-wal"), &log[..log.len() - n_cut])
            .expect("there is room");
        let Ok(journal) = SqliteJournal::open(copy.path()) else { continue };
        let read = journal.load(&root(1)).await.expect("a prefix is whole");
        let expect = happened(0, (0..read.len()).map(|i| format!("event {i}")));
        assert_eq!(read, expect.to_vec());
        lengths.push(read.len());
    }
    lengths.dedup();
    assert_eq!(lengths, [3, 2, 1, 0], "one append after the other is lost, never a piece");
}

/// What a killed process leaves: the database, its log and its lock file, of six appends.
async fn killed(durability: Durability) -> TempDir {
    let (dir, left) = (dir(), dir());
    let options = SqliteOptions::new(dir.path()).durability(durability);
    let journal = options.open().expect("it is new");
    for seq in 0..6 {
        let stored = journal.append(&root(1), happened(seq, [format!("event {seq}")])).await;
        stored.expect("there is room");
    }
    copy(&dir, &left);
    left
}

fn copy(from: &TempDir, to: &TempDir) {
    for name in ["journal.db", "journal.db-wal", "journal.lock"] {
        fs::copy(from.path().join(name), to.path().join(name)).expect("there is room");
    }
}

/// The same, with a bit of the log flipped.
fn damaged(whole: &TempDir, place: usize) -> TempDir {
    let dir = dir();
    copy(whole, &dir);
    let log = dir.path().join("journal.db-wal");
    let mut bytes = fs::read(&log).expect("it is there");
    bytes[place] ^= 0x10;
    fs::write(&log, bytes).expect("there is room");
    dir
}

#[tokio::test]
async fn a_log_that_is_damaged_before_its_end_is_refused_and_a_torn_end_is_not() {
    let whole = killed(Durability::Durable).await;
    let log = fs::metadata(whole.path().join("journal.db-wal")).expect("it is there");
    let (mut n_refused, mut n_cut) = (0, 0);
    for place in (0..log.len() as usize).step_by(3_989) {
        let dir = damaged(&whole, place);
        match SqliteJournal::open(dir.path()) {
            Ok(journal) => {
                // The end may be torn: only the last append can be missing, and nobody knows whether
                // anybody was told of it.
                let read = journal.load(&root(1)).await.expect("a prefix is whole");
                assert!(read.len() >= 5, "byte {place}: {} are left", read.len());
                n_cut += 1;
            }
            Err(error) => {
                assert_eq!(error.kind, JournalErrorKind::Corrupt, "byte {place}: {error}");
                n_refused += 1;
                let lossy = SqliteOptions::new(dir.path()).accept_loss().open().expect("as asked");
                assert!(lossy.load(&root(1)).await.is_ok_and(|read| read.len() < 6));
            }
        }
    }
    assert!(n_refused > 10 && n_cut >= 2, "{n_refused} were refused, {n_cut} were cut");
    // What was not synced may be torn in any place.
    let relaxed = damaged(&killed(Durability::Relaxed).await, 100);
    SqliteJournal::open(relaxed.path()).expect("a loss of power explains it");
}

/// SQLite writes its log from the beginning again once its pages are in the tables. What is left of the round
/// before belongs to nobody.
#[tokio::test]
async fn a_log_that_went_round_is_whole() {
    let (dir, left) = (dir(), dir());
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    let filler = |seq| happened(seq, (0..100).map(|i| format!("{i} {}", "x".repeat(4_000))));
    for seq in (0..1_300).step_by(100) {
        journal.append(&root(1), filler(seq)).await.expect("there is room");
    }
    journal.append(&root(1), happened(1_300, ["last".into()])).await.expect("there is room");
    copy(&dir, &left);
    let bytes = fs::read(left.path().join("journal.db-wal")).expect("it is there");
    let salt = |frame: usize| bytes[32 + frame * 4_120 + 8..][..8].to_vec();
    let n_frames = (bytes.len() - 32) / 4_120;
    assert_ne!(salt(0), salt(n_frames - 1), "the log went round");
    let journal = SqliteJournal::open(left.path()).expect("it is whole");
    assert_eq!(journal.load(&root(1)).await.map(|events| events.len()), Ok(1_301));
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_goes_on_once_there_is_room() {
    let dir = dir();
    let journal = SqliteOptions::new(dir.path()).bytes_max(200_000).open().expect("it is new");
    let filler = |n: u64| happened(n, [format!("{n} {}", "x".repeat(10_000))]);
    let mut n_stored = 0;
    let refused = loop {
        match journal.append(&root(1), filler(n_stored)).await {
            Ok(()) => n_stored += 1,
            Err(error) => break error,
        }
        assert!(n_stored < 100, "it has no limit");
    };
    assert_eq!((refused.kind, refused.stream), (JournalErrorKind::Full, Some(root(1))));
    assert!(n_stored >= 10, "{n_stored}");
    let read = journal.load(&root(1)).await.expect("it is whole");
    assert_eq!(read.len() as u64, n_stored, "what was refused left nothing behind");
    assert_eq!(
        journal.append(&root(1), filler(n_stored)).await.map_err(|e| e.kind),
        Err(JournalErrorKind::Full)
    );
    // Another run ends, is purged, and makes room.
    let small = events(0, [finished()]);
    if journal.append(&root(2), small).await.is_ok() {
        assert_eq!(journal.purge(Timestamp::from_millis(2_000)).await, Ok(1));
    }
    drop(journal);
    let journal = SqliteOptions::new(dir.path()).bytes_max(400_000).open().expect("it is whole");
    journal.append(&root(1), filler(n_stored)).await.expect("there is room");
}

#[tokio::test]
async fn a_file_that_is_deleted_or_replaced_is_not_written_to_any_more() {
    for replaced in [false, true] {
        let (dir, other) = (dir(), dir());
        written(&other).await;
        let journal = SqliteJournal::open(dir.path()).expect("it is new");
        journal.append(&root(1), happened(0, ["one".into()])).await.expect("there is room");
        fs::remove_file(database(&dir)).expect("it is there");
        if replaced {
            fs::copy(database(&other), database(&dir)).expect("there is room");
        }
        let fatal = Some(JournalErrorKind::Fatal);
        assert_eq!(kind_of(journal.load(&root(1))).await, fatal);
        assert_eq!(kind_of(journal.append(&root(1), happened(1, ["two".into()]))).await, fatal);
        assert_eq!(kind_of(journal.runs(Runs::Unfinished)).await, fatal);
        assert_eq!(kind_of(journal.purge(Timestamp::from_millis(9))).await, fatal);
    }
}

#[tokio::test]
async fn one_process_owns_a_journal_and_others_may_look() {
    let dir = dir();
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    journal.append(&root(1), happened(0, ["one".into()])).await.expect("there is room");
    let error = SqliteJournal::open(dir.path()).expect_err("it is owned");
    assert_eq!(error.kind, JournalErrorKind::Locked);
    let owner = format!("process {} owns the journal in ", std::process::id());
    assert!(error.message.starts_with(&owner), "{error}");

    let looking = SqliteJournal::open_for_reading(dir.path()).expect("anybody may look");
    journal.append(&root(1), happened(1, ["two".into()])).await.expect("nobody is in the way");
    assert_eq!(looking.load(&root(1)).await.map(|events| events.len()), Ok(2));
    assert_eq!(looking.runs(Runs::Newest(9)).await, journal.runs(Runs::Newest(9)).await);
    let read_only = Some(JournalErrorKind::ReadOnly);
    assert_eq!(kind_of(looking.append(&root(1), happened(2, ["three".into()]))).await, read_only);
    assert_eq!(kind_of(looking.purge(Timestamp::from_millis(9))).await, read_only);

    // A lock file that a dead process left behind is nobody's.
    drop(journal);
    assert!(dir.path().join("journal.lock").exists());
    SqliteJournal::open(dir.path()).expect("nobody owns it");
    let nothing = self::dir();
    let missing = SqliteJournal::open_for_reading(nothing.path()).expect_err("there is none");
    assert_eq!(missing.kind, JournalErrorKind::Unavailable);
    // What is left of a journal that could not be made.
    let begun = self::dir();
    fs::write(database(&begun), "").expect("there is room");
    let begun = SqliteJournal::open_for_reading(begun.path()).expect_err("it has nothing");
    assert_eq!(begun.kind, JournalErrorKind::Unavailable);
    assert!(begun.message.ends_with("has no tables yet"), "{}", begun.message);
    assert_eq!(
        fs::read_dir(nothing.path()).expect("it is there").count(),
        0,
        "looking makes nothing"
    );
}

/// Puts a stream with one event into a journal, in whatever version, with the sums that it would have.
fn plant(dir: &TempDir, n: u128, kind: &str, version: u32, body: &str) {
    let (stream, at) = (root(n), Timestamp::from_millis(1_000));
    let entry = Entry { seq: 0, at, kind, version, body };
    let sum = chain::next(&chain::origin(&stream), &entry);
    let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let owner = owner(&stream);
    tamper(
        dir,
        &format!(
            "INSERT INTO streams VALUES (10{n}, '{owner}', '', 1, x'{sum}', 1000, 1000, 'open');
         INSERT INTO events VALUES (10{n}, 10{n}, 0, 1000, '{kind}', {version}, '{body}', NULL, x'{sum}')",
        ),
    );
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_by_name() {
    let dir = dir();
    let runs = written(&dir).await;
    plant(&dir, 4, "moon_landed", 3, r#"{"kind":"moon_landed"}"#);
    plant(&dir, 5, "run_awake", 3, r#"{"kind":"run_awake","slept_ns":7}"#);
    let journal = SqliteJournal::open(dir.path()).expect("the tables are as they were");
    for (n, named) in [(4, "moon_landed of version 3"), (5, "run_awake of version 3")] {
        let error = journal.load(&root(n)).await.expect_err("nobody knows what it means");
        assert_eq!((error.kind, error.stream), (JournalErrorKind::TooNew, Some(root(n))));
        assert!(error.message.ends_with(named), "{}", error.message);
    }
    assert_eq!(journal.load(&root(1)).await, Ok(runs[0].to_vec()));
    drop(journal);

    tamper(&dir, "PRAGMA user_version = 2");
    assert_eq!(refusal(dir.path()), Some(JournalErrorKind::TooNew));
    let looking = SqliteJournal::open_for_reading(dir.path()).err().map(|error| error.kind);
    assert_eq!(looking, Some(JournalErrorKind::TooNew));
}

#[tokio::test]
async fn what_an_older_version_wrote_is_read_and_what_none_wrote_is_refused_by_name() {
    let dir = dir();
    let runs = written(&dir).await;
    let old = r#"{"kind":"run_awake","slept":{"secs":7,"nanos":500000}}"#;
    plant(&dir, 4, "run_awake", 1, old);
    plant(&dir, 5, "run_awake", 0, old);
    plant(&dir, 6, "run_awake", 1, r#"{"kind":"run_awake"}"#);
    let journal = SqliteJournal::open(dir.path()).expect("the tables are as they were");
    let slept = std::time::Duration::from_secs(7);
    let read = journal.load(&root(4)).await.expect("it is known");
    assert_eq!(read, events(0, [Event::RunAwake { slept }]).to_vec());
    for (n, named) in [(5, "no step leads from 0"), (6, "run_awake is not what version 1 of it is")]
    {
        let error = journal.load(&root(n)).await.expect_err("nobody wrote that");
        assert_eq!((error.kind, error.stream), (JournalErrorKind::Corrupt, Some(root(n))));
        assert!(error.message.ends_with(named), "{}", error.message);
    }
    assert_eq!(journal.load(&root(1)).await, Ok(runs[0].to_vec()));
}

#[tokio::test]
async fn what_is_no_journal_is_left_alone() {
    let dir = dir();
    let text = "Dear diary, ".repeat(1_000);
    fs::write(database(&dir), &text).expect("there is room");
    assert_eq!(refusal(dir.path()), Some(JournalErrorKind::Corrupt));
    assert_eq!(fs::read_to_string(database(&dir)).expect("it is text"), text);

    let dir = self::dir();
    tamper(&dir, "CREATE TABLE songs (name TEXT)");
    assert_eq!(refusal(dir.path()), Some(JournalErrorKind::Corrupt));

    let dir = self::dir();
    fs::write(dir.path().join("file"), "").expect("there is room");
    assert_eq!(refusal(&dir.path().join("file/journal")), Some(JournalErrorKind::Unavailable));
}

#[test]
fn what_may_not_be_written_is_read_only() {
    let dir = dir();
    let files = Files::own(dir.path(), Durability::Durable).expect("it is new");
    let mut store = Store::open(files, Durability::Durable, None, false).expect("it is new");
    store.connection.execute_batch("PRAGMA query_only = ON").expect("it is a pragma");
    let group = [(root(1), happened(0, ["one".into()]))];
    let error = store.append(&group).expect_err("it may not be written");
    assert_eq!((error.kind, error.stream), (JournalErrorKind::ReadOnly, Some(root(1))));
}

#[tokio::test]
async fn the_files_are_for_their_user_alone() {
    let above = dir();
    let dir = above.path().join("app/journal");
    let journal = SqliteJournal::open(&dir).expect("it is new");
    journal.append(&root(1), happened(0, ["one".into()])).await.expect("there is room");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let names = ["journal.db", "journal.db-wal", "journal.db-shm", "journal.lock"];
    assert_eq!(names.map(|name| mode(&dir.join(name))), [0o600; 4]);
}

#[tokio::test]
async fn large_bodies_are_kept_apart_once_and_go_with_their_events() {
    let dir = dir();
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    let large = || "x".repeat(BODY_BYTES_MAX);
    let n_blobs = || {
        let connection = Connection::open(database(&dir)).expect("it is there");
        let count =
            connection.query_row("SELECT count(*) FROM blobs", (), |row| row.get::<_, i64>(0));
        count.expect("it is a number")
    };
    let both = happened(0, [large(), "small".into(), large(), format!("other {}", large())]);
    journal.append(&root(1), Arc::clone(&both)).await.expect("there is room");
    let agent = StreamId::of_agent("account".into());
    journal.append(&agent, happened(0, [large()])).await.expect("there is room");
    assert_eq!(journal.load(&root(1)).await, Ok(both.to_vec()));
    assert_eq!(n_blobs(), 2);
    journal.append(&root(1), events(4, [finished()])).await.expect("there is room");
    assert_eq!(journal.purge(Timestamp::from_millis(1_001)).await, Ok(1));
    assert_eq!(n_blobs(), 1, "the agent still has one");
    journal
        .append(&agent, events(1, [Event::ActorSnapshot { state: 1.into() }]))
        .await
        .expect("room");
    assert_eq!(n_blobs(), 0, "the snapshot stands for it");

    let damaged = happened(0, [large()]);
    journal.append(&root(2), damaged).await.expect("there is room");
    tamper(&dir, "UPDATE blobs SET body = replace(body, 'xxx', 'xyx')");
    assert_eq!(kind_of(journal.load(&root(2))).await, Some(JournalErrorKind::Corrupt));
}

#[tokio::test]
async fn finished_runs_are_purged_when_they_are_old_and_no_others() {
    let dir = dir();
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    let at = |millis, event| {
        let at = Timestamp::from_millis(millis);
        Arc::from([Recorded { seq: 0, at, event }])
    };
    let task = |n| root(n).child(&"t1".into());
    for n in 0..250 {
        journal.append(&root(n), at(1, finished())).await.expect("there is room");
    }
    journal.append(&task(7), at(9, Event::GatheringEnded)).await.expect("there is room");
    journal.append(&task(8), at(2, Event::GatheringEnded)).await.expect("there is room");
    journal.append(&root(900), at(1, Event::GatheringEnded)).await.expect("there is room");
    journal.append(&root(901), at(5, finished())).await.expect("there is room");
    let agent = StreamId::of_agent("account".into());
    journal.append(&agent, at(1, Event::ActorEvent { payload: 1.into() })).await.expect("room");
    assert_eq!(journal.purge(Timestamp::from_millis(5)).await, Ok(249));
    let left = journal.runs(Runs::Newest(9)).await.expect("it is whole");
    let left: Vec<_> = left.into_iter().map(|RunHead { run, .. }| run.bits()).collect();
    assert_eq!(left, [7, 900, 901], "7 was written to at 9, 900 goes on, 901 ended at 5");
    assert_eq!(journal.streams(RunId::from_bits(8)).await, Ok(vec![]));
    assert_eq!(journal.load(&task(8)).await, Ok(vec![]));
    assert_eq!(journal.load(&agent).await.map(|events| events.len()), Ok(1));
}

#[tokio::test]
async fn another_process_goes_on_where_this_one_ended() {
    let dir = dir();
    let runs = written(&dir).await;
    let journal = SqliteJournal::open(dir.path()).expect("nobody owns it");
    assert_eq!(journal.load(&root(1)).await, Ok(runs[0].to_vec()));
    assert_eq!(
        kind_of(journal.append(&root(1), happened(4, ["x".into()]))).await,
        Some(JournalErrorKind::Conflict)
    );
    journal.append(&root(1), happened(5, ["x".into()])).await.expect("it has five");
    let heads = journal.runs(Runs::Unfinished).await.expect("it is whole");
    assert_eq!(heads.iter().map(|head| head.n_events).collect::<Vec<_>>(), [6, 5, 5]);
}

#[tokio::test]
async fn the_queries_of_the_page_find_something() {
    let dir = dir();
    let journal = SqliteJournal::open(dir.path()).expect("it is new");
    let run = StreamId::root(RunId::from_bits(0x7f3a << 112));
    // A snapshot would stand for all the others.
    let kinds = crate::golden::events().into_iter().filter(|event| !event.is_snapshot());
    journal.append(&run, events(0, kinds)).await.expect("there is room");
    let open = Event::ToolStarted {
        call: "c9".into(),
        tool: "mail".into(),
        arguments: serde_json::Value::Null,
        effect: greenroom_core::tool::EffectClass::AtMostOnce,
    };
    journal.append(&root(1), events(0, [open])).await.expect("there is room");
    let page = include_str!("../../../../docs/journal.md");
    let connection = open_readable(&database(&dir)).expect("it is there");
    let mut n_queries = 0;
    for query in page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let mut statement = connection.prepare(query).expect(query);
        let mut rows = statement.query(()).expect(query);
        assert!(rows.next().expect(query).is_some(), "nothing is found by {query}");
        n_queries += 1;
    }
    assert_eq!(n_queries, 7);
}
