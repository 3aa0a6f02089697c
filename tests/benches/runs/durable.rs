//! What it costs that runs outlive their process: while they run, and when they go on.

mod talk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use greenroom_core::journal::MemoryJournal;
use greenroom_core::recovery::RecoverySpec;
use greenroom_journal::{Durability, SqliteJournal, SqliteOptions};
use greenroom_runtime::{Agent, Runtime};
use tokio::task::JoinSet;

use crate::measure::{Taken, all_threads, in_own_process, median, millis_since, now, print, taken};
use talk::{Talk, agent};

const ROUNDS: usize = 9;
/// Turns of the conversation, each with one tool call.
const TURNS: usize = 25;
/// Runs at once, and their turns with a tool.
const CROWD: usize = 1_000;
const CROWD_TURNS: usize = 3;
/// Four events each, which makes a run of 1,000.
const LONG_TURNS: usize = 250;
const N_RESUMED: usize = 100;
const UNFINISHED: usize = 10_000;
const MODES: [&str; 4] = ["off", "ephemeral", "relaxed", "durable"];

pub(crate) const TABLES: [&str; 4] = ["turns", "langgraph", "many", "resume"];

pub(crate) fn table(name: &str) {
    match name {
        "turns" => turns(),
        "langgraph" => langgraph(),
        "many" => many(),
        _ => resume(),
    }
}

/// What a process of its own does.
pub(crate) fn do_it(what: &str, dir: &str) {
    let dir = Path::new(dir);
    all_threads(async {
        match what {
            "make-long" => make(dir, 1, LONG_TURNS).await,
            "make-unfinished" => make(dir, UNFINISHED, 1).await,
            "go-on-long" => print(&go_on(dir, 1, LONG_TURNS).await),
            "go-on-unfinished" => print(&go_on(dir, UNFINISHED, 1).await),
            _ => println!("there is no {what}"),
        }
    });
}

fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir().expect("there is a directory for it")
}

fn open(mode: &str, dir: &Path) -> SqliteJournal {
    let mode = match mode {
        "durable" => Durability::Durable,
        "relaxed" => Durability::Relaxed,
        _ => Durability::Ephemeral,
    };
    SqliteOptions::new(dir).durability(mode).open().expect("it is whole")
}

/// A runtime whose journal is of a mode; without one it keeps what a restart of its agents needs, in memory.
async fn runtime(mode: &str, dir: &Path) -> Runtime {
    let builder = Runtime::builder().runs_max(2 * UNFINISHED);
    let builder = match mode {
        "off" => builder.journal(MemoryJournal::new()),
        _ => builder.journal(open(mode, dir)),
    };
    builder.start().await.expect("it starts")
}

async fn converse(agent: &Agent, n_turns: usize) {
    assert_eq!(agent.run("Go on.").await.as_deref(), Ok(talk::ANSWER), "of {n_turns} turns");
}

/// A conversation in each mode.
async fn conversation(mode: &str, n_turns: usize) -> Taken {
    let dir = tempdir();
    let runtime = runtime(mode, dir.path()).await;
    let agent = agent(&runtime, Talk::of(n_turns));
    converse(&agent, n_turns).await;
    let taken = taken(async {
        converse(&agent, n_turns).await;
        Vec::new()
    });
    let taken = taken.await;
    runtime.shutdown().await;
    taken
}

fn turns() {
    println!("\nA conversation of {TURNS} turns, with one tool call each\n");
    println!(
        "| journal | the conversation, ms | wall per turn, µs | CPU per turn, µs |\n|---|---|---|---|"
    );
    for mode in MODES {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| all_threads(conversation(mode, TURNS))).collect();
        let wall = median(rounds.iter().map(|taken| taken.wall_ms));
        let cpu = median(rounds.iter().map(|taken| taken.cpu_ms));
        let [wall_turn, cpu_turn] = [wall, cpu].map(|ms| ms * 1e3 / TURNS as f64);
        println!("| {mode} | {wall:.2} | {wall_turn:.0} | {cpu_turn:.0} |");
    }
}

/// The same conversation with LangGraph and its checkpoints in SQLite, by turns.
fn langgraph() {
    let Some(python) = std::env::var_os("LANGGRAPH_PYTHON") else {
        println!("\nLANGGRAPH_PYTHON names no Python that has LangGraph: see checkpoints.py");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runs/durable/checkpoints.py");
    let mut theirs = [Vec::new(), Vec::new()];
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(all_threads(conversation("durable", TURNS)).wall_ms);
        for (when, taken) in ["sync", "async"].iter().zip(&mut theirs) {
            let dir = tempdir();
            let mut command = Command::new(&python);
            let command = command.arg(&script).arg(when).arg(TURNS.to_string()).arg(dir.path());
            let output = command.output().expect("it can be run");
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            taken.push(text.trim().parse::<f64>().expect("milliseconds"));
        }
    }
    println!("\nA conversation of {TURNS} turns, with one tool call each, ms\n");
    let [sync, background] = theirs.map(median);
    println!("| greenroom, durable | LangGraph, sync | LangGraph, async |\n|---|---|---|");
    println!("| {:.1} | {sync:.1} | {background:.1} |", median(ours));
}

fn many() {
    println!("\n{CROWD} runs at once, {CROWD_TURNS} turns with a tool call each\n");
    println!(
        "| journal | wall, ms | events/s | CPU per event, µs | bytes on the disk per event |\n|---|---|---|---|---|"
    );
    for mode in ["ephemeral", "relaxed", "durable"] {
        let dir = tempdir();
        let (mut rounds, mut n_events) = (Vec::new(), 0);
        for _ in 0..3 {
            let (taken, n) = all_threads(crowd(mode, dir.path()));
            rounds.push(taken);
            n_events += n;
        }
        let n_each = n_events as f64 / 3.0;
        let wall = median(rounds.iter().map(|taken| taken.wall_ms));
        let cpu = median(rounds.iter().map(|taken| taken.cpu_ms)) * 1e3 / n_each;
        let bytes = size(dir.path()) as f64 / n_events as f64;
        println!("| {mode} | {wall:.0} | {:.0} | {cpu:.0} | {bytes:.0} |", n_each / wall * 1e3);
    }
}

/// What many runs at once take, and how many events they store.
async fn crowd(mode: &str, dir: &Path) -> (Taken, u64) {
    let runtime = runtime(mode, dir).await;
    let agent = agent(&runtime, Talk::of(CROWD_TURNS));
    let taken = taken(async {
        let mut all = JoinSet::new();
        for _ in 0..CROWD {
            let agent = agent.clone();
            all.spawn(async move { converse(&agent, CROWD_TURNS).await });
        }
        all.join_all().await;
        Vec::new()
    });
    let taken = taken.await;
    runtime.shutdown().await;
    // Two for the beginning, four for a turn, two for the last call and one for the end.
    (taken, (CROWD * (CROWD_TURNS * 4 + 5)) as u64)
}

fn size(dir: &Path) -> u64 {
    let files = fs::read_dir(dir).expect("it is there");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |data| data.len())).sum()
}

/// Begins runs, and dies while all of them wait for their model.
async fn make(dir: &Path, n: usize, n_turns: usize) {
    let runtime = runtime("relaxed", dir).await;
    let talk = Talk::dying(n_turns);
    let agent = agent(&runtime, talk.clone());
    for _ in 0..n {
        agent.start("Go on.").await.expect("it starts");
    }
    talk.until_asked_last(n).await;
    std::process::exit(0);
}

/// Goes on with the runs of a process that died, until each has asked its model again.
async fn go_on(dir: &Path, n: usize, n_turns: usize) -> Taken {
    let begun = now();
    let runtime = runtime("durable", dir).await;
    let opened_ms = millis_since(begun);
    let talk = Talk::dying(n_turns);
    let agent = agent(&runtime, talk.clone());
    let taken = taken(async {
        let recovered = runtime.recover(RecoverySpec::default()).await.expect("a round ends");
        assert_eq!(recovered.resumed.len(), n, "{:?}", recovered.parked);
        talk.until_asked_last(n).await;
        vec![opened_ms]
    });
    let taken = taken.await;
    drop(agent);
    taken
}

fn resume() {
    let dir = tempdir();
    let made = |what: &str, dir: &Path| in_own_process(&words(what, dir));
    made("make-long", dir.path());
    let mut long: Vec<_> = (0..N_RESUMED)
        .map(|_| {
            let copy = copied(dir.path());
            made("go-on-long", copy.path())[0].wall_ms
        })
        .collect();
    long.sort_by(f64::total_cmp);
    let [p50, p99] = [50, 99].map(|share| long[long.len() * share / 100]);
    println!("\nA run of {} events goes on, ms: p50 {p50:.1}, p99 {p99:.1}", LONG_TURNS * 4 + 3);

    let dir = tempdir();
    made("make-unfinished", dir.path());
    let rounds = (0..5).map(|_| made("go-on-unfinished", copied(dir.path()).path())[0]);
    let rounds: Vec<_> = rounds.collect();
    let [wall, cpu, opened] = [
        median(rounds.iter().map(|taken| taken.wall_ms)),
        median(rounds.iter().map(|taken| taken.cpu_ms)),
        median(rounds.iter().map(|taken| taken.first_ms)),
    ];
    println!(
        "{UNFINISHED} unfinished runs go on, ms: {wall:.0} (CPU {cpu:.0}), after {opened:.0} to open the journal"
    );
}

fn words(what: &str, dir: &Path) -> [String; 3] {
    ["durable".to_owned(), what.to_owned(), dir.display().to_string()]
}

/// What a process left behind, once more.
fn copied(dir: &Path) -> tempfile::TempDir {
    let copy = tempdir();
    for file in fs::read_dir(dir).expect("it is there") {
        let from: PathBuf = file.expect("it is there").path();
        fs::copy(&from, copy.path().join(from.file_name().expect("it has one"))).expect("room");
    }
    copy
}
