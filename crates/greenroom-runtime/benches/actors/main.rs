//! What actors cost: Greenroom's beside plain ractor's and kameo's, in the same process and the same minute.
//!
//! `cargo bench -p greenroom-runtime --bench actors` prints tables in Markdown. The three take turns, so that a
//! machine that slows down slows all of them; each figure is the median of the rounds, and each ratio the
//! median of the rounds' ratios. A wrong count, a wrong answer or a lost message ends the program.
//! `-- NAME` runs one table, `-- NAME SYSTEM N` one measurement, for a profiler.

#![expect(clippy::print_stdout, reason = "what a benchmark prints is its result")]

mod green;
mod kameos;
mod measure;
mod plain;

use std::time::Duration;

use measure::{Quantiles, Row, resident_bytes, table};

/// Rounds of each measurement.
const ROUNDS: usize = 5;

/// Messages of one storm, from all senders together.
const MESSAGES: u64 = 1_000_000;
/// Senders of a storm.
pub(crate) const SENDERS: u64 = 8;
/// Questions asked one after another.
const ASKS: u32 = 100_000;
/// Crashes, one after another.
const CRASHES: u32 = 5_000;
/// Agents that do nothing.
const IDLE: u32 = 100_000;
/// Children that are started and stopped together.
const CHILDREN: [u32; 2] = [1_000, 10_000];
/// More than any answer takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The systems that are compared.
const SYSTEMS: [&str; 3] = ["greenroom", "ractor", "kameo"];

/// What one system can be asked to do.
macro_rules! each {
    ($system:expr, $work:ident($($argument:expr),*)) => {
        match $system {
            "greenroom" => block_on(green::$work($($argument),*)),
            "ractor" => block_on(plain::$work($($argument),*)),
            _ => block_on(kameos::$work($($argument),*)),
        }
    };
}

fn main() {
    // Crashes are on purpose; printing them would be most of what they cost.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => ["storm", "ask", "crash", "children", "memory"].into_iter().for_each(run),
        [name] => run(name),
        [name, system, n] => once(name, system, n.parse().expect("a number")),
        _ => eprintln!("[NAME [SYSTEM N]]"),
    }
}

/// Does one thing once, for a profiler or for the process that started this one.
fn once(name: &str, system: &str, n: u32) {
    match name {
        "storm" => drop(each!(system, storm(n.into(), 64))),
        "ask" => drop(each!(system, asks(n))),
        "crash" => drop(each!(system, crashes(n))),
        "children" => drop(each!(system, children(n))),
        "memory" => idle(system, n),
        other => eprintln!("no benchmark {other:?}"),
    }
}

fn run(name: &str) {
    match name {
        "storm" => storm(),
        "ask" => latency("ask", "one question after another", |system| each!(system, asks(ASKS))),
        "crash" => {
            latency("crash", "from a crash to the first answer of the replacement", |system| {
                each!(system, crashes(CRASHES))
            })
        }
        "children" => children(),
        "memory" => memory(),
        other => eprintln!("no benchmark {other:?}"),
    }
}

/// Runs the work as a task among the others, as an asker in a real program is one: the thread that waits for
/// the runtime is not one of its workers, and would be woken by the system for every answer.
fn block_on<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.expect("tokio starts").block_on(async { green::spawn(work).await });
    ended.expect("a benchmark does not panic")
}

fn storm() {
    let mut rows = Vec::new();
    for capacity in [64, 1024] {
        for system in SYSTEMS {
            rows.push(Row::new(format!("{system}, {capacity} places")));
        }
    }
    for _ in 0..ROUNDS {
        for (i, capacity) in [64, 1024].into_iter().enumerate() {
            for (j, system) in SYSTEMS.into_iter().enumerate() {
                let took = each!(system, storm(MESSAGES, capacity));
                rows[3 * i + j].push([MESSAGES as f64 / took.as_secs_f64() / 1e6]);
            }
        }
    }
    table(
        &format!(
            "storm: {MESSAGES} messages from {SENDERS} senders to one actor with a bounded mailbox"
        ),
        &["million messages/s"],
        &rows,
        3,
    );
}

fn latency(name: &str, what: &str, measured: impl Fn(&str) -> Vec<Duration>) {
    let mut rows: Vec<_> = SYSTEMS.iter().map(|system| Row::new((*system).to_owned())).collect();
    let mut n = 0;
    for _ in 0..ROUNDS {
        for (row, system) in rows.iter_mut().zip(SYSTEMS) {
            let taken = measured(system);
            n = taken.len();
            let Quantiles { p50, p99 } = Quantiles::of(taken);
            row.push([p50, p99]);
        }
    }
    table(&format!("{name}: {what}, {n} times"), &["p50 µs", "p99 µs"], &rows, 3);
}

fn children() {
    let mut rows: Vec<_> = SYSTEMS.iter().map(|system| Row::new((*system).to_owned())).collect();
    for _ in 0..ROUNDS {
        for (row, system) in rows.iter_mut().zip(SYSTEMS) {
            let [few, many] = CHILDREN.map(|n| each!(system, children(n)).as_secs_f64() * 1e3);
            row.push([few, many, many / few]);
        }
    }
    table(
        "children: start and stop of the children of one supervisor",
        &["1,000: ms", "10,000: ms", "ratio"],
        &rows,
        3,
    );
}

fn memory() {
    let mut rows: Vec<_> = SYSTEMS.iter().map(|system| Row::new((*system).to_owned())).collect();
    for _ in 0..ROUNDS {
        for (row, system) in rows.iter_mut().zip(SYSTEMS) {
            row.push::<2>(measure::in_own_process(&["memory", system, &IDLE.to_string()]));
        }
    }
    table(
        &format!("memory: {IDLE} idle actors with a mailbox of 64, each in a process of its own"),
        &["bytes/actor", "spawn µs/actor"],
        &rows,
        3,
    );
}

/// Prints what idle actors take.
fn idle(system: &str, n: u32) {
    let before = resident_bytes();
    let (took, after) = each!(system, idle(n, resident_bytes));
    let bytes = after.saturating_sub(before) as f64 / f64::from(n);
    println!("{bytes} {}", took.as_secs_f64() * 1e6 / f64::from(n));
}
