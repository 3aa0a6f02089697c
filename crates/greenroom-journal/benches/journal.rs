//! What journalling costs in each mode: alone, in a conversation, and with a thousand runs at once; how long
//! reading takes, and how many bytes an event takes up.
//!
//! `cargo bench -p greenroom-journal`. The directory is below `TMPDIR`, which should be on the disk that is meant.

#![expect(clippy::print_stdout, reason = "what a benchmark prints is its result")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::{RunId, StreamId};
use greenroom_core::journal::{Event, Journal, Recorded, Runs};
use greenroom_core::message::{ToolCall, ToolOutcome};
use greenroom_core::model::ChatReply;
use greenroom_core::time::Timestamp;
use greenroom_core::tool::EffectClass;
use greenroom_journal::{Durability, SqliteJournal, SqliteOptions};
use tokio::task::JoinSet;
use tokio::time::Instant;

const MODES: [Durability; 3] = [Durability::Durable, Durability::Relaxed, Durability::Ephemeral];

/// Appends that are awaited one after another, in each mode.
const N_ALONE: u64 = 1_000;

/// Turns of the conversation, each with one tool call.
const N_TURNS: u32 = 25;

const N_RUNS: u128 = 1_000;

/// Events of each of the runs at once.
const N_EACH: u64 = 12;

const N_LOADED: u64 = 1_000;

const N_UNFINISHED: u128 = 10_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
    runtime.expect("threads can be had").block_on(measure());
}

async fn measure() {
    println!("{:<44} {:>10} {:>10} {:>10}", "", "durable", "relaxed", "ephemeral");
    let (mut alone, mut turns, mut at_once) = (Vec::new(), Vec::new(), Vec::new());
    for mode in MODES {
        let dir = tempfile::tempdir().expect("there is a directory for it");
        let journal = SqliteOptions::new(dir.path()).durability(mode).open().expect("it is new");
        alone.push(appends(&journal).await);
        turns.push(conversations(&journal).await);
        at_once.push(runs_at_once(&journal).await);
    }
    row("one event of 1 KB, awaited, p50 µs", alone.iter().map(|(p50, _)| micros(*p50)));
    row("the same, p99 µs", alone.iter().map(|(_, p99)| micros(*p99)));
    row("25 turns with a tool call each, median ms", turns.iter().map(|taken| millis(*taken)));
    row("1,000 runs at once, events/s", at_once.iter().map(|per_s| format!("{per_s:.0}")));
    reading().await;
}

fn row(name: &str, figures: impl Iterator<Item = String>) {
    let figures: Vec<_> = figures.map(|figure| format!("{figure:>10}")).collect();
    println!("{name:<44} {}", figures.join(" "));
}

fn micros(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e6)
}

fn millis(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn stream(n: u128) -> StreamId {
    StreamId::root(RunId::from_bits(n))
}

/// An event whose body is about a kilobyte.
fn kilobyte(seq: u64) -> Recorded {
    let text = format!("{seq:04} ").repeat(190);
    let event = Event::ActorEvent { payload: text.into() };
    Recorded { seq, at: Timestamp::from_millis(1_700_000_000_000 + seq), event }
}

async fn append(journal: &SqliteJournal, stream: &StreamId, events: impl Into<Arc<[Recorded]>>) {
    journal.append(stream, events.into()).await.expect("there is room");
}

async fn appends(journal: &SqliteJournal) -> (Duration, Duration) {
    let mut times = Vec::new();
    for seq in 0..N_ALONE {
        let begun_at = Instant::now();
        append(journal, &stream(1), [kilobyte(seq)]).await;
        times.push(begun_at.elapsed());
    }
    percentiles(times)
}

/// What an agent appends in a conversation, one append after another as it does.
async fn conversations(journal: &SqliteJournal) -> Duration {
    let mut times = Vec::new();
    for n in 0..9 {
        let stream = stream(100 + n);
        let begun_at = Instant::now();
        let mut seq = 0;
        for turn in 1..=N_TURNS {
            for events in turn_of(turn) {
                let at = Timestamp::from_millis(1_700_000_000_000 + seq);
                let recorded = Recorded::sequence(seq, at, events);
                seq += recorded.len() as u64;
                append(journal, &stream, recorded).await;
            }
        }
        times.push(begun_at.elapsed());
    }
    percentiles(times).0
}

fn turn_of(turn: u32) -> [Vec<Event>; 4] {
    let arguments = serde_json::json!({ "text": "the capacity of a mailbox ".repeat(4) });
    let (call, tool) = (format!("call_{turn}"), "search".to_owned());
    let wanted =
        ToolCall { id: call.as_str().into(), name: tool.clone(), arguments: arguments.clone() };
    let found = ToolOutcome::Ok("A mailbox holds 64 messages. ".repeat(20).into());
    let effect = EffectClass::ReadOnly;
    [
        vec![Event::ModelCalled { turn, attempt: 1, delay: Duration::ZERO }],
        vec![Event::ModelReplied { turn, reply: ChatReply::calls([wanted]) }],
        vec![Event::ToolStarted { call: call.as_str().into(), tool, arguments, effect }],
        vec![Event::ToolFinished { call: call.as_str().into(), outcome: found }],
    ]
}

/// Events per second when a thousand writers await their appends.
async fn runs_at_once(journal: &SqliteJournal) -> f64 {
    let begun_at = Instant::now();
    let mut runs = JoinSet::new();
    for n in 0..N_RUNS {
        let journal = journal.clone();
        runs.spawn(async move {
            for seq in 0..N_EACH {
                append(&journal, &stream(10_000 + n), [kilobyte(seq)]).await;
            }
        });
    }
    while runs.join_next().await.is_some() {}
    (N_RUNS as u64 * N_EACH) as f64 / begun_at.elapsed().as_secs_f64()
}

/// The durable file: how long it takes to read, and how large it is.
async fn reading() {
    let dir = tempfile::tempdir().expect("there is a directory for it");
    let journal =
        SqliteOptions::new(dir.path()).durability(Durability::Relaxed).open().expect("new");
    for seq in (0..N_LOADED).step_by(100) {
        append(&journal, &stream(1), (seq..seq + 100).map(kilobyte).collect::<Vec<_>>()).await;
    }
    let mut times = Vec::new();
    for _ in 0..200 {
        let begun_at = Instant::now();
        assert_eq!(journal.load(&stream(1)).await.map(|events| events.len() as u64), Ok(N_LOADED));
        times.push(begun_at.elapsed());
    }
    let (p50, p99) = percentiles(times);
    println!("\nreading a stream of 1,000 events: p50 {} ms, p99 {} ms", millis(p50), millis(p99));
    drop(journal);
    let n_bytes = size(dir.path());
    let n_text: usize = (0..N_LOADED)
        .map(|seq| serde_json::to_vec(&kilobyte(seq).event).map_or(0, |b| b.len()))
        .sum();
    println!(
        "bytes per event: {} on the disk, {} of them JSON",
        n_bytes / N_LOADED,
        n_text as u64 / N_LOADED
    );

    let journal =
        SqliteOptions::new(dir.path()).durability(Durability::Relaxed).open().expect("it is whole");
    let appends: Vec<_> = (0..N_UNFINISHED)
        .map(|n| journal.append(&stream(10_000 + n), [kilobyte(0)].into()))
        .collect();
    for stored in appends {
        stored.await.expect("there is room");
    }
    let begun_at = Instant::now();
    let heads = journal.runs(Runs::Unfinished).await.expect("it is whole");
    let listed = begun_at.elapsed();
    for head in &heads {
        journal.load(&StreamId::root(head.run)).await.expect("it is whole");
    }
    let loaded = begun_at.elapsed();
    println!(
        "finding {} unfinished runs: {} ms; reading them one after another: {} ms",
        heads.len(),
        millis(listed),
        millis(loaded)
    );
}

fn size(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).expect("it is there");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |data| data.len())).sum()
}
