//! What an agent costs beside the loop that people write by hand with `reqwest` and `tokio`, over real connections to a
//! provider in a process of its own.

mod floor;
mod green;
mod provider;
mod work;

use std::sync::Arc;
use std::time::Duration;

use crate::measure::{Taken, all_threads, head, in_own_process, one_thread, print, row, taken};
use floor::Hand;
use green::Green;
pub(crate) use provider::serve;
use provider::{Manner, Provider, Speech, TOKENS};
use tokio::task::JoinSet;
use work::Work;

const ROUNDS: usize = 5;
/// Runs of the first table, one after another.
const RUNS: usize = 3_000;
/// Runs at once.
const CROWDS: [usize; 4] = [100, 1_000, 5_000, 10_000];
/// What a call takes when runs come at once.
const LATENCY: Duration = Duration::from_millis(50);
/// Runs at once over TLS.
const CROWD_OVER_TLS: usize = 1_000;
/// How many streams of a connection an HTTP/2 server allows at once: what most do, and more than there are calls.
const STREAMS_MAX: [u32; 2] = [100, 10_000];
/// What is left over of making connections is not counted to the second wave.
const BETWEEN_WAVES: Duration = Duration::from_secs(2);
const STREAMS: usize = 200;
/// How long a token takes, when it takes time.
const PACE: Duration = Duration::from_millis(20);
/// Between the beginnings of streams that do not begin together.
const APART: Duration = Duration::from_millis(5);
const TEAMS: usize = 500;

pub(crate) const TABLES: [&str; 5] = ["run", "crowd", "http2", "streams", "teams"];

pub(crate) fn table(name: &str) {
    match name {
        "run" => run(),
        "crowd" => CROWDS.into_iter().for_each(crowd),
        "http2" => http2(),
        "streams" => streams(),
        _ => teams(),
    }
}

/// Has both do it by turns, each time in a process of its own. Gives what each of its two waves took; the connections of
/// a process are counted with both.
fn rounds(what: &str, n: usize, manner: Manner) -> [Vec<Vec<Taken>>; 2] {
    let mut provider = Provider::start(manner);
    let mut taken = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for i in [round % 2, 1 - round % 2] {
            let who = ["hand", "green"][i];
            let words = ["models", who, what, &n.to_string(), &provider.url].map(str::to_owned);
            let [made, used] = provider.n_connections();
            let waves = in_own_process(&words);
            let [made, used] = [(0, made), (1, used)].map(|(i, n)| provider.n_connections()[i] - n);
            for (wave, figures) in waves.into_iter().enumerate() {
                taken[i].resize_with(taken[i].len().max(wave + 1), Vec::new);
                taken[i][wave].push(Taken { n_connections: [made, used], ..figures });
            }
        }
    }
    taken
}

fn run() {
    for (what, threads) in [("run-alone", "one thread"), ("run", "all threads")] {
        let [hand, green] = rounds(what, RUNS, Manner::AT_ONCE);
        head(&format!("{RUNS} runs one after another, {threads}: model, tool, model"));
        row("CPU per run, µs", |taken| taken.cpu_ms * 1e3 / RUNS as f64, &hand[1], &green[1]);
        row("wall per run, µs", |taken| taken.wall_ms * 1e3 / RUNS as f64, &hand[1], &green[1]);
    }
}

fn crowd(n: usize) {
    let [hand, green] = rounds("crowd", n, Manner { latency: LATENCY, ..Manner::AT_ONCE });
    head(&format!("{n} runs at once, each with two calls of {} ms", LATENCY.as_millis()));
    crowd_rows(n, &hand, &green);
}

fn crowd_rows(n: usize, hand: &[Vec<Taken>], green: &[Vec<Taken>]) {
    for (wave, name) in ["connections are made", "connections are there"].iter().enumerate() {
        let (hand, green) = (&hand[wave], &green[wave]);
        row(&format!("wall, {name}, ms"), |taken| taken.wall_ms, hand, green);
        row(
            &format!("CPU per run, {name}, µs"),
            |taken| taken.cpu_ms * 1e3 / n as f64,
            hand,
            green,
        );
    }
    row("memory per run, KiB", |taken| taken.grown_kib / n as f64, &hand[0], &green[0]);
}

/// The same crowd over TLS, with HTTP/1.1 and with HTTP/2. A run that fails ends the program.
fn http2() {
    let speeches = [Speech::Tls].into_iter();
    for speech in speeches.chain(STREAMS_MAX.map(|streams_max| Speech::Http2 { streams_max })) {
        let manner = Manner { latency: LATENCY, speech, ..Manner::AT_ONCE };
        let [hand, green] = rounds("crowd", CROWD_OVER_TLS, manner);
        let latency_ms = LATENCY.as_millis();
        head(&format!("{CROWD_OVER_TLS} runs at once, two calls of {latency_ms} ms, {speech:?}"));
        crowd_rows(CROWD_OVER_TLS, &hand, &green);
        for (i, what) in ["made", "that carried a request"].iter().enumerate() {
            let of = |taken: &Taken| taken.n_connections[i];
            row(&format!("connections {what}"), of, &hand[0], &green[0]);
        }
    }
    let speech = Speech::Http2 { streams_max: STREAMS_MAX[0] };
    let manner = Manner { pace: PACE, speech, ..Manner::AT_ONCE };
    stream_rows("streams", manner, "a token in 20 ms, all begun together, over HTTP/2");
}

fn streams() {
    for (what, pace, title) in [
        ("streams-apart", PACE, "a token in 20 ms, one begun in 5 ms"),
        ("streams", PACE, "a token in 20 ms, all begun together"),
        ("streams", Duration::ZERO, "as fast as they come"),
    ] {
        stream_rows(what, Manner { pace, ..Manner::AT_ONCE }, title);
    }
}

fn stream_rows(what: &str, manner: Manner, title: &str) {
    let n_tokens = (STREAMS * TOKENS) as f64;
    let [hand, green] = rounds(what, STREAMS, manner);
    let (hand, green) = (&hand[1], &green[1]);
    head(&format!("{STREAMS} streams at once, {TOKENS} tokens each, {title}"));
    row("tokens per second, thousands", |taken| n_tokens / taken.wall_ms, hand, green);
    row("CPU per token, µs", |taken| taken.cpu_ms * 1e3 / n_tokens, hand, green);
    row("time to the first token, median, ms", |taken| taken.first_ms, hand, green);
}

fn teams() {
    let [hand, green] = rounds("teams", TEAMS, Manner { latency: LATENCY, ..Manner::AT_ONCE });
    head(&format!(
        "{TEAMS} teams at once: a plan, three specialists side by side with a tool each, an answer"
    ));
    row("wall, ms", |taken| taken.wall_ms, &hand[1], &green[1]);
    row("CPU per team, µs", |taken| taken.cpu_ms * 1e3 / TEAMS as f64, &hand[1], &green[1]);
}

/// Does work twice, and prints what it took each time: the first time connections are made.
pub(crate) fn do_it(who: &str, what: &str, n: usize, url: &str) {
    let [who, asked, url] = [who, what, url].map(str::to_owned);
    let work = async move {
        match who.as_str() {
            "hand" => twice(Arc::new(Hand::new(&url)), &asked, n).await,
            _ => twice(Arc::new(Green::new(&url).await), &asked, n).await,
        }
    };
    if what == "run-alone" {
        return one_thread(work);
    }
    // A task, as it is in a server: on the main thread it would be woken by another one for each event.
    let mut task = JoinSet::new();
    all_threads(async move {
        task.spawn(work);
        task.join_all().await
    });
}

async fn twice<W: Work>(work: Arc<W>, what: &str, n: usize) {
    for wave in 0..2 {
        if wave > 0 && what == "crowd" {
            tokio::time::sleep(BETWEEN_WAVES).await;
        }
        let taken = match what {
            "run" | "run-alone" => taken(one_by_one(&*work, n)).await,
            "crowd" => {
                taken(at_once(n, &work, |work| async move {
                    work.run().await;
                    0.0
                }))
                .await
            }
            "teams" => {
                taken(at_once(n, &work, |work| async move {
                    work.team().await;
                    0.0
                }))
                .await
            }
            "streams-apart" => taken(apart(n, &work)).await,
            _ => taken(at_once(n, &work, |work| async move { work.stream().await })).await,
        };
        print(&taken);
    }
}

async fn one_by_one(work: &impl Work, n: usize) -> Vec<f64> {
    for _ in 0..n {
        work.run().await;
    }
    Vec::new()
}

async fn at_once<W, F>(n: usize, work: &Arc<W>, one: impl Fn(Arc<W>) -> F) -> Vec<f64>
where
    F: Future<Output = f64> + Send + 'static,
{
    let mut all = JoinSet::new();
    for _ in 0..n {
        all.spawn(one(Arc::clone(work)));
    }
    all.join_all().await
}

async fn apart(n: usize, work: &Arc<impl Work>) -> Vec<f64> {
    let mut all = JoinSet::new();
    for _ in 0..n {
        let work = Arc::clone(work);
        all.spawn(async move { work.stream().await });
        tokio::time::sleep(APART).await;
    }
    all.join_all().await
}
