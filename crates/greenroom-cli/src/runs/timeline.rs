//! The events of a run, to read and to export.

use std::path::Path;

use greenroom_core::approval::{Ask, Decision};
use greenroom_core::journal::Event;
use greenroom_core::message::ToolOutcome;
use greenroom_core::time::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::asked::{Asked, text as asked_text};
use super::stored::{Entry, Stored};
use crate::console::printable;
use crate::exit::Failure;
use crate::render::{clipped, json_line, seconds};

/// The most that is told of an event, in characters.
const WHAT_CHARS_MAX: usize = 80;

#[derive(Serialize)]
struct Line<'a> {
    run: String,
    task: &'a str,
    seq: u64,
    at_ms: u64,
    event: &'a Event,
}

#[derive(Serialize)]
struct Shown<'a> {
    run: String,
    question: &'a str,
    state: String,
    /// The calls that wait for a person.
    pending: Vec<Asked>,
    events: Vec<Line<'a>>,
}

impl Stored {
    fn lines(&self) -> Vec<Line<'_>> {
        let lines = self.timeline().into_iter().map(|Entry { stream, recorded }| Line {
            run: self.head.run.to_string(),
            task: stream.path(),
            seq: recorded.seq,
            at_ms: recorded.at.as_millis(),
            event: &recorded.event,
        });
        lines.collect()
    }
}

/// The events of a run as text, one on each line with its number, or as one JSON object.
pub(super) async fn show(
    (dir, store): (&Path, Option<&Path>),
    id: &str,
    json: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    let run = Stored::find(dir, id).await?;
    let state = run.state();
    let pending: Vec<_> = run.pending().iter().map(|call| Asked::new(call, store)).collect();
    if json {
        let (question, events) = (run.question(), run.lines());
        let run = run.head.run.to_string();
        return Ok(json_line(&Shown { run, question, state, pending, events }));
    }
    let question = clipped(&printable(run.question()), WHAT_CHARS_MAX);
    let mut text = format!("{}  {state}\n{question}\n\n", run.head.run);
    for (n, Entry { stream, recorded }) in run.timeline().into_iter().enumerate() {
        let after = seconds(recorded.at.since(run.head.started_at));
        let what = clipped(&printable(&what(&recorded.event)), WHAT_CHARS_MAX);
        text.push_str(&format!("{n:>4}  {after:>9}  {:<12}  {what}\n", stream.path()));
    }
    if !pending.is_empty() {
        text.push('\n');
        text.push_str(&asked_text(&pending, now));
    }
    Ok(text)
}

/// The events of a run as lines of JSON.
pub(super) async fn export(dir: &Path, id: &str) -> Result<String, Failure> {
    let run = Stored::find(dir, id).await?;
    Ok(run.lines().iter().map(json_line).collect())
}

/// An event in words.
pub(super) fn what(event: &Event) -> String {
    match event {
        Event::RunAccepted { goal, .. } => format!("run accepted: {}", goal.question),
        Event::TaskAssigned { task, attempt } => {
            format!("task {} given to {}, attempt {attempt}: {}", task.id, task.to, task.question)
        }
        Event::TaskReported { task, report, .. } => {
            format!("task {task} reported: {}", report.text)
        }
        Event::TaskFailed { task, failure, .. } => format!("task {task} failed: {failure}"),
        Event::RunFinished { outcome } => format!("run {}: {}", outcome.status, outcome.answer),
        Event::TaskStarted { agent, .. } => format!("{agent} began"),
        Event::ModelCalled { turn, attempt, .. } => {
            format!("model called, turn {turn}, attempt {attempt}")
        }
        Event::ModelReplied { reply, .. } if reply.tool_calls.is_empty() => {
            format!("model replied: {}", reply.text)
        }
        Event::ModelReplied { reply, .. } => {
            let names: Vec<_> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
            format!("model wants {}", names.join(", "))
        }
        Event::ModelFailed { error, .. } => format!("model failed: {error}"),
        Event::ToolStarted { call, tool, arguments, .. } => {
            format!("call {call} of {tool} began: {arguments}")
        }
        Event::ToolFinished { call, outcome: ToolOutcome::Ok(value) } => {
            format!("call {call} ended: {value}")
        }
        Event::ToolFinished { call, outcome: ToolOutcome::Error(error) } => {
            format!("call {call} failed: {error}")
        }
        Event::PersonAsked { call, tool, arguments, ask, .. } => {
            let ask = if *ask == Ask::Approval { "may it be made" } else { "it is in doubt" };
            format!("a person is asked of call {call}, {ask}: {tool} {arguments}")
        }
        Event::PersonAnswered { call, decision, by } => match decision {
            Decision::Approved => format!("call {call} approved by {by}"),
            Decision::Denied { why } => format!("call {call} denied by {by}: {why}"),
            Decision::Expired => format!("nobody answered in time of call {call}"),
            _ => format!("{by} says what came of call {call}"),
        },
        Event::RunAsleep { .. } => "the run waits for people, and sleeps".to_owned(),
        Event::RunAwake { slept } => format!("the run goes on after {}", seconds(*slept)),
        Event::LimitReached { limit, .. } => format!("{limit} reached"),
        Event::TaskFinished { result: Ok(report) } => format!("done: {}", report.text),
        Event::TaskFinished { result: Err(failure) } => format!("failed: {failure}"),
        other => words(other),
    }
}

/// The kind of an event in words, and what else it says.
fn words(event: &Event) -> String {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    let fields = value.as_object_mut();
    let kind = fields.and_then(|fields| fields.remove("kind"));
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', " ");
    match value.as_object() {
        Some(fields) if !fields.is_empty() => format!("{kind}: {value}"),
        _ => kind,
    }
}
