//! Reading the machine, and turning readings into tables.

use std::process::Command;
use std::time::Duration;

/// The readings of one system, a list per column.
pub(crate) struct Row {
    name: String,
    columns: Vec<Vec<f64>>,
}

impl Row {
    pub(crate) fn new(name: String) -> Self {
        Self { name, columns: Vec::new() }
    }

    pub(crate) fn push<const N: usize>(&mut self, readings: [f64; N]) {
        self.columns.resize_with(N, Vec::new);
        for (column, reading) in self.columns.iter_mut().zip(readings) {
            column.push(reading);
        }
    }
}

/// Prints rows in groups. Behind each figure stands what multiple it is of the first of its group.
pub(crate) fn table(title: &str, heads: &[&str], rows: &[Row], group: usize) {
    println!("\n### {title}\n\n| | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for (i, row) in rows.iter().enumerate() {
        let first = &rows[i - i % group];
        let cells = row.columns.iter().zip(&first.columns).map(|(own, base)| {
            let ratios = own.iter().zip(base).map(|(own, base)| own / base);
            format!("{} (×{:.2})", shown(median(own.clone())), median(ratios.collect()))
        });
        println!("| {} | {} |", row.name, cells.collect::<Vec<_>>().join(" | "));
    }
}

fn shown(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

fn median(mut readings: Vec<f64>) -> f64 {
    readings.sort_by(f64::total_cmp);
    readings[readings.len() / 2]
}

/// Where a half and a hundredth of the readings are above, in microseconds.
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Quantiles {
    pub(crate) fn of(mut taken: Vec<Duration>) -> Self {
        taken.sort_unstable();
        let at = |share: usize| taken[taken.len() * share / 100].as_secs_f64() * 1e6;
        Self { p50: at(50), p99: at(99) }
    }
}

/// What this process holds of the machine's memory.
pub(crate) fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("Linux tells");
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    resident.expect("the second figure is the resident pages") * 4096
}

/// Runs this program once more and reads the figures that it prints.
pub(crate) fn in_own_process<const N: usize>(words: &[&str]) -> [f64; N] {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(words).output().expect("it can be run");
    let text = String::from_utf8(output.stdout).expect("figures are text");
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    figures.try_into().unwrap_or_else(|_| panic!("{words:?} printed {text:?}"))
}
