//! Another run with the past of one.
//!
//! It has an id of its own, and with it other keys for its tool calls: what the first run did after that point
//! happened, and what this one does happens besides.

use std::path::Path;
use std::sync::Arc;

use greenroom_core::ids::{RunId, StreamId, TaskId};
use greenroom_core::journal::{Event, Journal as _, Recorded};
use greenroom_core::report::Goal;
use greenroom_core::time::Timestamp;
use serde::Serialize;

use super::stored::{Entry, Stored};
use crate::exit::{Exit, Failure, Problem};
use crate::render::json_line;

#[derive(Serialize)]
struct Forked {
    run: String,
    from: String,
    n_events: usize,
}

/// Stores the events of a run up to one as those of a new run. The time of the new run begins now.
pub(super) async fn fork(
    dir: &Path,
    id: &str,
    at: usize,
    json: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    let run = Stored::find(dir, id).await?;
    let timeline = run.timeline();
    let at = super::replay::last(&timeline, Some(at))?;
    let past = &timeline[..=at];
    let is_root = |entry: &&Entry<'_>| entry.stream.path().is_empty();
    if past.iter().filter(is_root).any(|entry| entry.recorded.event.is_terminal()) {
        let why = format!("the run was over at event {at}: there is nothing left to do otherwise");
        return Err(Problem::new(Exit::Usage, "GR0513", why).help("fork it before its end").into());
    }
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| Failure::environment("no randomness", &error))?;
    let new = RunId::from_bits(u128::from_le_bytes(bits));
    let journal = super::owned(dir)?;
    // The root comes last: until then nobody takes it for a run, whatever happens meanwhile.
    for (stream, _) in run.streams.iter().rev() {
        let events = past.iter().filter(|entry| entry.stream == stream);
        let events: Arc<[Recorded]> = events.map(|entry| renewed(entry.recorded, now)).collect();
        journal.append(&moved(stream, new), events).await?;
    }
    let (run, from) = (new.to_string(), run.head.run.to_string());
    Ok(match json {
        true => json_line(&Forked { run, from, n_events: past.len() }),
        false => format!("{run}\n"),
    })
}

/// The same stream of another run.
fn moved(stream: &StreamId, run: RunId) -> StreamId {
    let tasks = stream.path().split('/').filter(|task| !task.is_empty());
    tasks.fold(StreamId::root(run), |stream, task| stream.child(&TaskId::from(task)))
}

/// The event as it is in the new run, which has all of its time.
fn renewed(recorded: &Recorded, now: Timestamp) -> Recorded {
    let mut recorded = recorded.clone();
    match &mut recorded.event {
        Event::RunAccepted { goal: Goal { budget, .. }, deadline }
        | Event::RunBound { budget, deadline, .. } => *deadline = now.after(budget.wall_max),
        _ => {}
    }
    recorded
}
