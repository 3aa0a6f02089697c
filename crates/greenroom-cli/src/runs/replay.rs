//! The state of a run at a point of its past: its events, folded again by the machines that fold them while
//! it runs.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use greenroom_core::agent::{self, AgentSpec};
use greenroom_core::budget::Usage;
use greenroom_core::ids::{StreamId, TaskId};
use greenroom_core::journal::Event;
use greenroom_core::message::Message;
use greenroom_core::report::Status;
use serde::Serialize;

use super::stored::{Entry, Stored};
use super::timeline::what;
use crate::console::printable;
use crate::exit::{Exit, Failure, Problem};
use crate::render::{Used, clipped, count, json_line};

/// The most that is told of a message, in characters.
const MESSAGE_CHARS_MAX: usize = 100;

/// What the events up to one make of a run.
#[derive(Debug, Serialize)]
struct State<'a> {
    run: String,
    /// The number of the last event that is folded.
    at: usize,
    n_events: usize,
    question: &'a str,
    status: Option<Status>,
    tasks: BTreeMap<&'a TaskId, TaskState<'a>>,
    agents: BTreeMap<&'a str, AgentState>,
    usage: Used,
    answer: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct TaskState<'a> {
    to: &'a str,
    question: &'a str,
    attempt: u32,
    /// `assigned`, `reported` or `failed`.
    state: &'static str,
}

/// What an agent's machine has folded.
#[derive(Debug, Serialize)]
struct AgentState {
    is_done: bool,
    /// Tool calls that have begun and not ended.
    open_calls: Vec<String>,
    messages: Vec<Message>,
}

/// Folds a run up to an event, or as far as it goes.
pub(super) async fn replay(
    dir: &Path,
    id: &str,
    to: Option<usize>,
    json: bool,
) -> Result<String, Failure> {
    let run = Stored::find(dir, id).await?;
    let timeline = run.timeline();
    let at = last(&timeline, to)?;
    let state = fold(&run, &timeline[..=at], timeline.len());
    Ok(if json { json_line(&state) } else { text(&state, &timeline[at]) })
}

/// The number of the last event to take: the one that was named, when there is one.
pub(super) fn last(timeline: &[Entry<'_>], named: Option<usize>) -> Result<usize, Failure> {
    let newest = timeline.len().saturating_sub(1);
    match named.unwrap_or(newest) {
        at if at < timeline.len() => Ok(at),
        at => {
            let why = format!("the run has no event {at}: its last one is {newest}");
            Err(Problem::new(Exit::Usage, "GR0513", why).into())
        }
    }
}

fn fold<'a>(run: &'a Stored, events: &[Entry<'a>], n_events: usize) -> State<'a> {
    let mut state = State {
        run: run.head.run.to_string(),
        at: events.len() - 1,
        n_events,
        question: run.question(),
        status: None,
        tasks: BTreeMap::new(),
        agents: BTreeMap::new(),
        usage: Used::default(),
        answer: None,
    };
    let mut spent = Usage::default();
    let mut machines: BTreeMap<&StreamId, agent::Machine> = BTreeMap::new();
    for &Entry { stream, recorded } in events {
        let event = &recorded.event;
        event.spend(&mut spent);
        state.root(event);
        if stream.path().is_empty() {
            state.status = event.status().or(state.status);
        }
        if let Event::TaskStarted { agent, .. } = event {
            let spec = Arc::new(AgentSpec::new(agent.clone()));
            machines.entry(stream).or_insert_with(|| agent::Machine::new(spec, stream.seed()));
        }
        let Some(machine) = machines.get_mut(&stream) else { continue };
        machine.apply(event);
        let agent = state.agents.entry(stream.path()).or_insert_with(AgentState::new);
        agent.apply(event);
    }
    for (stream, machine) in machines {
        let agent = state.agents.entry(stream.path()).or_insert_with(AgentState::new);
        (agent.is_done, agent.messages) = (machine.is_done(), machine.messages().to_vec());
    }
    state.usage = spent.into();
    state
}

impl<'a> State<'a> {
    /// Folds an event of the run's root.
    fn root(&mut self, event: &'a Event) {
        match event {
            Event::TaskAssigned { task, attempt } => {
                let (to, question) = (task.to.as_str(), task.question.as_str());
                let assigned = TaskState { to, question, attempt: *attempt, state: "assigned" };
                self.tasks.insert(&task.id, assigned);
            }
            Event::TaskReported { task, .. } => self.set(task, "reported"),
            Event::TaskFailed { task, .. } => self.set(task, "failed"),
            Event::RunFinished { outcome } => self.answer = Some(&outcome.answer),
            _ => {}
        }
    }

    fn set(&mut self, task: &TaskId, state: &'static str) {
        if let Some(known) = self.tasks.get_mut(task) {
            known.state = state;
        }
    }
}

impl AgentState {
    fn new() -> Self {
        Self { is_done: false, open_calls: Vec::new(), messages: Vec::new() }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::ToolStarted { call, tool, .. } => self.open_calls.push(format!("{tool} {call}")),
            Event::ToolFinished { call, .. } => {
                self.open_calls.retain(|open| open.rsplit(' ').next() != Some(call.as_str()));
            }
            _ => {}
        }
    }
}

fn text(state: &State<'_>, last: &Entry<'_>) -> String {
    let line = |text: &str| clipped(&printable(text), MESSAGE_CHARS_MAX);
    let (status, usage) = (super::state(state.status), state.usage.usage);
    let mut out = format!("{}  {status}\n{}\n\n", state.run, line(state.question));
    out += &format!(
        "after event {} of {}: {}\n",
        state.at,
        state.n_events - 1,
        line(&what(&last.recorded.event))
    );
    out += &format!(
        "{} · {} · {}\n",
        count(usage.model_calls, "model call"),
        count(usage.tool_calls, "tool call"),
        count(usage.tokens(), "token"),
    );
    for (task, TaskState { to, question, attempt, state }) in &state.tasks {
        out += &format!("\ntask {task}: {state}, {to}, attempt {attempt}: {}", line(question));
    }
    if !state.tasks.is_empty() {
        out.push('\n');
    }
    for (task, agent) in &state.agents {
        let (name, done) = (if task.is_empty() { "agent" } else { *task }, agent.is_done);
        out += &format!("\n{name}: {}\n", if done { "done" } else { "at work" });
        for call in &agent.open_calls {
            out += &format!("  has no outcome of {call}\n");
        }
        for message in &agent.messages {
            out += &format!("  {}\n", line(&said(message)));
        }
    }
    if let Some(answer) = state.answer.filter(|answer| !answer.is_empty()) {
        out += &format!("\n{}\n", printable(answer));
    }
    out
}

fn said(message: &Message) -> String {
    match message {
        Message::System { text } => format!("system: {text}"),
        Message::User { text, .. } => format!("user: {text}"),
        Message::Assistant { text, tool_calls, .. } => {
            let calls = tool_calls.iter().map(|call| format!("[{} {}]", call.name, call.arguments));
            format!("model: {text} {}", calls.collect::<Vec<_>>().join(" "))
        }
        Message::Tool { name, outcome, .. } => {
            let outcome = serde_json::to_string(outcome).unwrap_or_default();
            format!("{name}: {outcome}")
        }
    }
}
