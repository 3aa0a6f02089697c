//! The end of a run that nobody works on: whoever owns the journal is its writer.

use std::path::Path;

use greenroom_core::ids::StreamId;
use greenroom_core::journal::{Event, Journal as _, Recorded};
use greenroom_core::report::{Outcome, Status, TaskFailure, TaskFailureKind};
use greenroom_core::time::Timestamp;
use serde::Serialize;

use super::stored::Stored;
use crate::exit::{Exit, Failure, Problem};
use crate::render::json_line;

#[derive(Serialize)]
struct Cancelled {
    run: String,
    status: Status,
}

/// Stores that a run is cancelled. Another process cannot be at work on it: it would own the journal.
pub(super) async fn cancel(
    dir: &Path,
    id: &str,
    json: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    // Whoever looks for a run that is not there makes no journal.
    super::find(dir, &super::readable(dir)?, id).await?;
    let journal = super::owned(dir)?;
    let head = super::find(dir, &journal, id).await?;
    if let Some(status) = head.status {
        let why = format!("the run is over: {status}");
        return Err(Problem::new(Exit::Usage, "GR0513", why).into());
    }
    let run = Stored::read(&journal, head).await?;
    let root = StreamId::root(run.head.run);
    let events = run.streams.iter().find(|(stream, _)| *stream == root).map(|(_, events)| events);
    let events = events.map_or(&[][..], Vec::as_slice);
    let usage = run.usage();
    let kind = TaskFailureKind::Cancelled;
    let failure = TaskFailure { usage, ..TaskFailure::new(kind, "cancelled by a person") };
    let is_single = events.iter().any(|r| matches!(r.event, Event::TaskStarted { .. }));
    let end = if is_single {
        Event::TaskFinished { result: Err(failure) }
    } else {
        let outcome = Outcome::without_answer(Status::Cancelled, Some(failure));
        Event::RunFinished { outcome: Outcome { usage, ..outcome } }
    };
    let next = events.last().map_or(0, |last| last.seq + 1);
    let ending = Recorded::sequence(next, now, [Event::CancelRequested, end]);
    journal.append(&root, ending).await?;
    let run = run.head.run.to_string();
    Ok(match json {
        true => json_line(&Cancelled { run, status: Status::Cancelled }),
        false => format!("{run} cancelled\n"),
    })
}
