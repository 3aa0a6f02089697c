//! The list of runs.

use std::path::Path;

use greenroom_core::budget::Usd;
use greenroom_core::journal::{Journal as _, Runs};
use greenroom_core::time::Timestamp;
use serde::Serialize;

use super::stored::Stored;
use crate::console::printable;
use crate::exit::Failure;
use crate::render::{Used, clipped, grouped, json_line};

/// The longest question that is listed, in characters.
const QUESTION_CHARS_MAX: usize = 60;

#[derive(Serialize)]
struct Listed {
    run: String,
    /// `unfinished`, `waiting`, `completed`, `partial`, `failed`, `cancelled`, or `unreadable`.
    state: String,
    started_at_ms: u64,
    updated_at_ms: u64,
    n_events: u64,
    question: String,
    /// With `cost_usd`, which is null when no price is known.
    usage: Used,
    /// Whether the prices of all its models are known.
    #[serde(skip)]
    is_priced: bool,
    /// The code of what is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// The newest runs, the last one first.
pub(super) async fn list(
    dir: &Path,
    limit: u32,
    json: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    let mut listed = Vec::new();
    if super::existing(dir) {
        let journal = super::readable(dir)?;
        let runs = journal.runs(Runs::Newest(limit as usize)).await?;
        for head in runs.into_iter().rev() {
            let row = Listed {
                run: head.run.to_string(),
                state: String::new(),
                started_at_ms: head.started_at.as_millis(),
                updated_at_ms: head.updated_at.as_millis(),
                n_events: head.n_events,
                question: String::new(),
                usage: Used::default(),
                is_priced: true,
                error: None,
            };
            // One damaged run does not hide the others.
            listed.push(match Stored::read(&journal, head).await {
                Ok(run) => {
                    let (question, usage) = (run.question().to_owned(), run.usage().into());
                    let (state, is_priced) = (run.state(), run.is_priced());
                    Listed { state, question, usage, is_priced, ..row }
                }
                Err(error) => {
                    Listed { state: "unreadable".to_owned(), error: Some(error.kind.code()), ..row }
                }
            });
        }
    }
    Ok(if json { json_line(&listed) } else { table(&listed, now) })
}

fn table(listed: &[Listed], now: Timestamp) -> String {
    if listed.is_empty() {
        return "no runs\n".to_owned();
    }
    let head = format!(
        "{:<8}  {:<10}  {:>6}  {:>9}  {:>10}  question\n",
        "run", "state", "age", "tokens", "cost"
    );
    let rows = listed.iter().map(|run| {
        let cost = cost(run.usage.usage.cost, run.is_priced);
        let age = span(now.since(Timestamp::from_millis(run.started_at_ms)).as_secs());
        let tokens = grouped(run.usage.usage.tokens());
        let question = clipped(&printable(&run.question), QUESTION_CHARS_MAX);
        let question = run.error.map_or(question, |code| format!("[{code}]"));
        let (run, state) = (&run.run[..8], &run.state);
        format!("{run:<8}  {state:<10}  {age:>6}  {tokens:>9}  {cost:>10}  {question}\n")
    });
    head + &rows.collect::<String>()
}

/// What models cost: what is not known is never told as nothing.
fn cost(cost: Option<Usd>, is_priced: bool) -> String {
    match (cost, is_priced) {
        (None, false) => "unknown".to_owned(),
        (Some(cost), false) => format!("≥ {cost}"),
        (None | Some(Usd::ZERO), true) => "$0".to_owned(),
        (Some(cost), true) => cost.to_string(),
    }
}

/// A span of time in its largest unit.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_640_000].map(span);
        assert_eq!(ages, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "100 d"]);
    }

    #[test]
    fn what_is_not_known_is_never_told_as_nothing() {
        let dollars = |text| Usd::parse(text).ok();
        let told = [
            cost(None, false),
            cost(dollars("0.5"), false),
            cost(dollars("0"), false),
            cost(dollars("0.5"), true),
            cost(dollars("0"), true),
            cost(None, true),
        ];
        assert_eq!(told, ["unknown", "≥ $0.5000", "≥ $0.0000", "$0.5000", "$0", "$0"]);
    }
}
