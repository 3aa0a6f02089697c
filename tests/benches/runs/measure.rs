//! What work takes: time, processor, memory. And the tables that are made of it.

use std::fs;
use std::process::Command;
use std::time::Instant;

/// What some work took, and what else it tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) wall_ms: f64,
    /// Of all threads, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// How much the peak of resident memory was above what was there before.
    pub(crate) grown_kib: f64,
    /// The median time to the first token, where there are any; 0 elsewhere.
    pub(crate) first_ms: f64,
    /// How many connections its process made, and how many carried a request; counted by whoever was connected to.
    pub(crate) n_connections: [f64; 2],
}

/// Measures work. What it gives are the times to the first tokens, in milliseconds.
pub(crate) async fn taken(work: impl Future<Output = Vec<f64>>) -> Taken {
    // 5 starts the peak anew: see proc(5), clear_refs.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let (before_kib, cpu_before) = (status_kib("VmRSS:"), cpu_ms());
    let begun = now();
    let first = work.await;
    let (wall_ms, cpu_ms) = (millis_since(begun), cpu_ms() - cpu_before);
    let grown_kib = status_kib("VmHWM:") - before_kib;
    Taken { wall_ms, cpu_ms, grown_kib, first_ms: median(first), n_connections: [0.0; 2] }
}

pub(crate) fn one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

pub(crate) fn all_threads<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

#[expect(clippy::disallowed_methods, reason = "what is measured is the time of the machine")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn millis_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

/// Of all threads that there are, to the nanosecond. Measured work ends no thread.
fn cpu_ms() -> f64 {
    let threads = fs::read_dir("/proc/self/task").expect("Linux");
    let nanos = threads.filter_map(|thread| {
        let schedule = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        schedule.split_whitespace().next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e6
}

fn status_kib(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

/// The middle one; 0 of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Has this program do some work in a process of its own, whose allocator nobody has used before, and reads what
/// it took: one [`Taken`] for each line.
pub(crate) fn in_own_process(words: &[String]) -> Vec<Taken> {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(words).output().expect("it can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?} failed: {errors}");
    let text = String::from_utf8(output.stdout).expect("figures are text");
    text.lines().map(read).collect()
}

pub(crate) fn print(taken: &Taken) {
    let Taken { wall_ms, cpu_ms, grown_kib, first_ms, .. } = taken;
    println!("{wall_ms} {cpu_ms} {grown_kib} {first_ms}");
}

fn read(line: &str) -> Taken {
    let mut figures = line.split(' ').map(|word| word.parse().expect("a figure"));
    let mut next = || figures.next().expect("four figures");
    Taken {
        wall_ms: next(),
        cpu_ms: next(),
        grown_kib: next(),
        first_ms: next(),
        n_connections: [0.0; 2],
    }
}

pub(crate) fn head(title: &str) {
    println!("\n{title}\n\n| | loop by hand | greenroom | ratio |\n|---|---|---|---|");
}

/// A row: the medians of both, and the median of the rounds' ratios.
pub(crate) fn row(what: &str, of: impl Fn(&Taken) -> f64, hand: &[Taken], green: &[Taken]) {
    let ratios = hand.iter().zip(green).map(|(hand, green)| of(green) / of(hand).max(1e-9));
    let ratio = median(ratios);
    let [hand, green] = [hand, green].map(|taken| median(taken.iter().map(&of)));
    println!("| {what} | {hand:.1} | {green:.1} | {ratio:.2} |");
}
