//! The list of runs.

use std::path::Path;

use greenroom_core::budget::Usage;
use greenroom_core::journal::{Journal as _, Runs};
use greenroom_core::time::Timestamp;
use serde::Serialize;

use super::stored::Stored;
use crate::console::printable;
use crate::exit::Failure;
use crate::render::{clipped, grouped, json_line};

/// The longest question that is listed, in characters.
const QUESTION_CHARS_MAX: usize = 60;

#[derive(Serialize)]
struct Listed {
    run: String,
    /// `unfinished`, `completed`, `partial`, `failed`, `cancelled`, or `unreadable`.
    state: String,
    started_at_ms: u64,
    updated_at_ms: u64,
    n_events: u64,
    question: String,
    usage: Usage,
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
            let status = super::state(head.status);
            let row = Listed {
                run: head.run.to_string(),
                state: status,
                started_at_ms: head.started_at.as_millis(),
                updated_at_ms: head.updated_at.as_millis(),
                n_events: head.n_events,
                question: String::new(),
                usage: Usage::default(),
                error: None,
            };
            // One damaged run does not hide the others.
            listed.push(match Stored::read(&journal, head).await {
                Ok(run) => {
                    Listed { question: run.question().to_owned(), usage: run.usage(), ..row }
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
    let head = format!("{:<8}  {:<10}  {:>6}  {:>9}  question\n", "run", "state", "age", "tokens");
    let rows = listed.iter().map(|run| {
        let age = age(now.since(Timestamp::from_millis(run.started_at_ms)).as_secs());
        let tokens = grouped(run.usage.tokens());
        let question = clipped(&printable(&run.question), QUESTION_CHARS_MAX);
        let question = run.error.map_or(question, |code| format!("[{code}]"));
        format!("{:<8}  {:<10}  {age:>6}  {tokens:>9}  {question}\n", &run.run[..8], run.state)
    });
    head + &rows.collect::<String>()
}

/// An age in its largest unit.
fn age(seconds: u64) -> String {
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
        let ages = [0, 59, 60, 3_599, 3_600, 86_399, 86_400, 8_640_000].map(age);
        assert_eq!(ages, ["0 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "100 d"]);
    }
}
