//! Runs of an agent next to the loop written by hand: one after another, and many at once.

use std::sync::Arc;
use std::time::Duration;

use greenroom_runtime::{Agent, RunError, Runtime};
use greenroom_tools::CalculateTool;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::machine::{cpu_time, peak_memory, reset_peak_memory};
use super::table::Table;
use super::work::{self, Loop, QUESTION};
use super::{Report, micros_per};
use crate::exit::{Exit, Failure, Problem, chain};
use crate::render::grouped;

const ANSWER: &str = "768";

/// Runs that nobody measures, so that caches and threads are warm.
const WARM_UP: u32 = 1000;

/// What a number of runs took.
struct Taken {
    wall: Duration,
    cpu: Duration,
    memory: Option<f64>,
}

/// Measures what `work` takes.
async fn taken(work: impl Future<Output = Result<(), Failure>>) -> Result<Taken, Failure> {
    reset_peak_memory();
    let (begun_at, cpu_before) = (Instant::now(), cpu_time());
    work.await?;
    let (wall, cpu) = (begun_at.elapsed(), cpu_time().saturating_sub(cpu_before));
    Ok(Taken { wall, cpu, memory: peak_memory() })
}

/// One run after another on a model that answers at once: on one thread, where nothing is spent on waking
/// another one, and on all of them.
pub(super) async fn overhead(runs: u32) -> Result<Report, Failure> {
    let alone = tokio::task::spawn_blocking(move || {
        let one_thread = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let one_thread = one_thread.map_err(|error| failed(&chain(&error)))?;
        one_thread.block_on(one_after_another(runs))
    });
    let (hand_alone, green_alone) = alone.await.map_err(|error| failed(&chain(&error)))??;
    let (hand, green) = one_after_another(runs).await?;
    let row = |name: &str, taken: &Taken| {
        [name.to_owned(), micros_per(taken.cpu, runs), micros_per(taken.wall, runs)]
    };
    let table = Table::new(["per run", "CPU µs", "wall µs"])
        .row(row("greenroom agent, one thread", &green_alone))
        .row(row("loop by hand, one thread", &hand_alone))
        .row(row("greenroom agent, all threads", &green))
        .row(row("loop by hand, all threads", &hand));
    Ok(Report {
        title: format!(
            "overhead: {} runs one after another; a run is two model turns and one tool call, \
             and the model answers at once",
            grouped(runs.into())
        ),
        table,
        notes: vec![
            "CPU is that of all threads of the process. A Greenroom run is a supervised actor with a \
             journal in memory, a budget and a deadline; the loop has none of these. On all threads, \
             runs one after another wake idle threads at every step, and the system's share of that is \
             counted."
                .to_owned(),
        ],
    })
}

/// What the loop and what the agent takes.
async fn one_after_another(runs: u32) -> Result<(Taken, Taken), Failure> {
    let model = work::Instant { latency: Duration::ZERO };
    let by_hand = Loop::new(model);
    loops(&by_hand, WARM_UP).await?;
    let hand = taken(loops(&by_hand, runs)).await?;
    let runtime = started().await?;
    let agent = agent(&runtime, model)?;
    asks(&agent, WARM_UP).await?;
    let green = taken(asks(&agent, runs)).await?;
    runtime.shutdown().await;
    Ok((hand, green))
}

/// All runs at once on a model that takes its time.
pub(super) async fn concurrent(runs: u32, latency: Duration) -> Result<Report, Failure> {
    let model = work::Instant { latency };
    let by_hand = Arc::new(Loop::new(model));
    let hand = taken(loops_at_once(&by_hand, runs)).await?;
    let runtime = started().await?;
    let agent = agent(&runtime, model)?;
    let green = taken(asks_at_once(&agent, runs)).await?;
    runtime.shutdown().await;
    let row = |name: &str, taken: &Taken| {
        let per_s = f64::from(runs) / taken.wall.as_secs_f64().max(1e-9);
        [
            name.to_owned(),
            format!("{:.0}", taken.wall.as_secs_f64() * 1e3),
            grouped(per_s as u64),
            micros_per(taken.cpu, runs),
            taken.memory.map_or_else(|| "?".to_owned(), |mib| format!("{mib:.0}")),
        ]
    };
    let table = Table::new(["", "wall ms", "runs/s", "CPU µs/run", "peak MiB"])
        .row(row("greenroom agents", &green))
        .row(row("loops by hand", &hand));
    let (runs, latency) = (grouped(runs.into()), latency.as_millis());
    let least = 2 * latency;
    Ok(Report {
        title: format!(
            "concurrent: {runs} runs at once; a run is two model turns of {latency} ms and one tool call"
        ),
        table,
        notes: vec![format!(
            "No run can take less than {least} ms. The peak is the resident memory of the whole \
             process; the loops went first, so the agents' peak includes what the loops left behind."
        )],
    })
}

async fn started() -> Result<Runtime, Failure> {
    Runtime::start().await.map_err(|error| failed(&chain(&error)))
}

fn agent(runtime: &Runtime, model: work::Instant) -> Result<Agent, Failure> {
    let agent = runtime.agent("bench").model(model).tool(CalculateTool).build();
    agent.map_err(|error| failed(&chain(&error)))
}

async fn loops(by_hand: &Loop, n: u32) -> Result<(), Failure> {
    for _ in 0..n {
        check(by_hand.run().await.as_deref())?;
    }
    Ok(())
}

async fn asks(agent: &Agent, n: u32) -> Result<(), Failure> {
    for _ in 0..n {
        check_run(agent.run(QUESTION).await)?;
    }
    Ok(())
}

async fn loops_at_once(by_hand: &Arc<Loop>, n: u32) -> Result<(), Failure> {
    let mut all = JoinSet::new();
    for _ in 0..n {
        let by_hand = Arc::clone(by_hand);
        all.spawn(async move { by_hand.run().await });
    }
    while let Some(ended) = all.join_next().await {
        check(ended.ok().flatten().as_deref())?;
    }
    Ok(())
}

async fn asks_at_once(agent: &Agent, n: u32) -> Result<(), Failure> {
    let mut all = JoinSet::new();
    for _ in 0..n {
        let agent = agent.clone();
        all.spawn(async move { agent.run(QUESTION).await });
    }
    while let Some(ended) = all.join_next().await {
        check_run(ended.map_err(|error| failed(&chain(&error)))?)?;
    }
    Ok(())
}

/// A wrong answer would make the figures worthless.
fn check(answer: Option<&str>) -> Result<(), Failure> {
    match answer {
        Some(ANSWER) => Ok(()),
        other => Err(failed(&format!("a run answered {other:?}"))),
    }
}

fn check_run(answer: Result<String, RunError>) -> Result<(), Failure> {
    check(Some(&answer.map_err(|error| failed(&chain(&error)))?))
}

fn failed(message: &str) -> Failure {
    Problem::new(Exit::Failed, "GR0109", format!("the benchmark failed: {message}")).into()
}
