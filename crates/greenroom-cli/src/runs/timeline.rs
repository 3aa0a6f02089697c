//! The events of a run, to read and to export.

use std::path::Path;

use greenroom_core::journal::Event;
use greenroom_core::message::ToolOutcome;
use serde::Serialize;
use serde_json::Value;

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
pub(super) async fn show(dir: &Path, id: &str, json: bool) -> Result<String, Failure> {
    let run = Stored::find(dir, id).await?;
    let state = super::state(run.head.status);
    if json {
        let (question, events) = (run.question(), run.lines());
        return Ok(json_line(&Shown { run: run.head.run.to_string(), question, state, events }));
    }
    let question = clipped(&printable(run.question()), WHAT_CHARS_MAX);
    let mut text = format!("{}  {state}\n{question}\n\n", run.head.run);
    for (n, Entry { stream, recorded }) in run.timeline().into_iter().enumerate() {
        let after = seconds(recorded.at.since(run.head.started_at));
        let what = clipped(&printable(&what(&recorded.event)), WHAT_CHARS_MAX);
        text.push_str(&format!("{n:>4}  {after:>9}  {:<12}  {what}\n", stream.path()));
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
        Event::LimitReached { limit } => format!("{limit} reached"),
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
