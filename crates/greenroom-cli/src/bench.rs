//! `greenroom bench`: what the runtime and retrieval cost on this machine.
//!
//! What is measured is what the first line of each report says; the loop next to it does the same work
//! with the same model and the same tool, in the same process.

mod agents;
mod index;
mod machine;
mod retrieval;
mod table;
mod work;

use std::time::Duration;

use crate::args::Benchmark;
use crate::console::{Console, Ink};
use crate::exit::{Exit, Failure};
use machine::machine;
use table::Table;

/// Measures, and prints a table.
pub(crate) async fn bench(benchmark: Benchmark, console: &Console) -> Result<Exit, Failure> {
    let report = match benchmark {
        Benchmark::Overhead { runs } => agents::overhead(runs).await?,
        Benchmark::Concurrent { runs, latency } => agents::concurrent(runs, latency).await?,
        Benchmark::Index { mb } => index::index(mb, console).await?,
        Benchmark::Retrieval(args) => retrieval::retrieval(&args)?,
    };
    let title = console.on_stdout.paint(Ink::Bold, report.title);
    console.out(&format!("{title}\n{}\n\n{}", machine(), report.table))?;
    for note in report.notes {
        console.out(&format!("\n{note}\n"))?;
    }
    Ok(Exit::Ok)
}

/// What a benchmark found.
struct Report {
    /// What was measured.
    title: String,
    table: Table,
    /// What one must know to read the figures.
    notes: Vec<String>,
}

/// A duration in microseconds per run, with one decimal.
fn micros_per(duration: Duration, runs: u32) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e6 / f64::from(runs))
}
