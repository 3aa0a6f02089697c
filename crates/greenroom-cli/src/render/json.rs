//! The one JSON object of `ask --json`. Its keys are the same whatever happened.

use greenroom_core::brief::Gap;
use greenroom_core::budget::{Spent, Usage, Usd};
use greenroom_core::ids::RunId;
use greenroom_core::report::Status;
use greenroom_core::retriever::{Citation, Passage};
use greenroom_runtime::AgentInfo;
use serde::Serialize;

use super::problem_of;
use crate::exit::{Exit, Problem};
use crate::runs::Asked;
use crate::watch::Answered;

#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// Null when there was no run.
    #[serde(serialize_with = "shown")]
    run_id: Option<RunId>,
    /// One of a run's, or `waiting`.
    status: &'a str,
    answer: &'a str,
    citations: &'a [Citation],
    passages: Vec<Found<'a>>,
    agents: Vec<Agent<'a>>,
    missing: &'a [Gap],
    /// The calls that wait for a person.
    pending: &'a [Asked],
    usage: Used,
    models: Vec<Model<'a>>,
    duration_ms: u64,
    /// Only when there is no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
}

#[derive(Debug, Serialize)]
struct Found<'a> {
    source: &'a str,
    start_line: u32,
    end_line: u32,
    score: f32,
    text: &'a str,
}

#[derive(Debug, Serialize)]
struct Agent<'a> {
    id: &'a str,
    role: &'a str,
    restarts: u64,
    messages: u64,
    /// Null for an agent that asked no model.
    usage: Option<Used>,
}

/// A model that was asked.
#[derive(Debug, Serialize)]
struct Model<'a> {
    model: &'a str,
    usage: Used,
}

/// What was used, and what it cost in dollars: null when that is not known.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Used {
    #[serde(flatten)]
    pub(crate) usage: Usage,
    cost_usd: Option<f64>,
}

impl From<Usage> for Used {
    fn from(usage: Usage) -> Self {
        Self { usage, cost_usd: usage.cost.map(Usd::dollars) }
    }
}

#[derive(Debug, Serialize)]
struct Error<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

/// What came of a run, on one line.
pub(crate) fn answered_json(answered: &Answered) -> String {
    let Answered { outcome, run_agents, team_agents, spending, .. } = answered;
    let agent = |info| agent(info, spending);
    let problem = problem_of(answered);
    json_line(&Answer {
        run_id: Some(answered.run),
        status: &outcome.status.to_string(),
        answer: &outcome.answer,
        citations: &outcome.citations,
        passages: best_first(&outcome.passages),
        agents: run_agents.iter().chain(team_agents).map(agent).collect(),
        missing: &outcome.missing,
        pending: &[],
        usage: outcome.usage.into(),
        models: models(spending),
        duration_ms: u64::try_from(answered.duration.as_millis()).unwrap_or(u64::MAX),
        error: problem.as_ref().map(error),
    })
}

/// Why there was no run, on one line.
pub(crate) fn failed_json(problem: &Problem) -> String {
    let status = match problem.exit {
        Exit::Interrupted | Exit::Terminated => Status::Cancelled,
        _ => Status::Failed,
    };
    json_line(&Answer { error: Some(error(problem)), ..nothing(&status.to_string()) })
}

/// What a run waits for, on one line.
pub(crate) fn waiting_json(run: RunId, pending: &[Asked]) -> String {
    json_line(&Answer { run_id: Some(run), pending, ..nothing("waiting") })
}

fn nothing(status: &str) -> Answer<'_> {
    Answer {
        run_id: None,
        status,
        answer: "",
        citations: &[],
        passages: Vec::new(),
        agents: Vec::new(),
        missing: &[],
        pending: &[],
        usage: Used::default(),
        models: Vec::new(),
        duration_ms: 0,
        error: None,
    }
}

/// A value as JSON on one line.
pub(crate) fn json_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("it has string keys only");
    line.push('\n');
    line
}

/// The passages in the order of their scores: those of several searches come task by task.
fn best_first(passages: &[Passage]) -> Vec<Found<'_>> {
    let mut found: Vec<_> = passages.iter().map(found).collect();
    found.sort_by(|left, right| right.score.total_cmp(&left.score));
    found
}

fn found(passage: &Passage) -> Found<'_> {
    let Passage { source, start_line, end_line, score, text, .. } = passage;
    Found { source, start_line: *start_line, end_line: *end_line, score: *score, text }
}

/// The sum of what was spent, by model, in the order of their first calls.
fn models(spending: &[Spent]) -> Vec<Model<'_>> {
    let mut names: Vec<&str> = Vec::new();
    for Spent { model, .. } in spending {
        if !names.contains(&model.as_str()) {
            names.push(model);
        }
    }
    let usage = |name: &str| used(spending.iter().filter(|spent| spent.model == name));
    names.into_iter().filter_map(|model| Some(Model { model, usage: usage(model)? })).collect()
}

/// The sum of what was spent; `None` when nothing was.
fn used<'a>(spent: impl Iterator<Item = &'a Spent>) -> Option<Used> {
    let sum = spent.map(|spent| spent.usage).reduce(|mut sum, usage| {
        sum.add(usage);
        sum
    });
    sum.map(Used::from)
}

fn agent<'a>(info: &'a AgentInfo, spending: &[Spent]) -> Agent<'a> {
    Agent {
        id: info.id.as_str(),
        role: &info.role,
        restarts: info.n_restarts(),
        messages: info.n_handled,
        usage: used(spending.iter().filter(|spent| spent.agent == info.id)),
    }
}

fn error(problem: &Problem) -> Error<'_> {
    Error { code: problem.code, message: &problem.message, help: problem.help.as_deref() }
}

fn shown<S: serde::Serializer>(id: &Option<RunId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Failure;
    use crate::signals::Signal;

    #[test]
    fn an_interrupt_before_there_was_a_run_is_an_object_too() {
        let status = |failure: &Failure| {
            let problem = failure.problem().expect("it is told");
            let json: serde_json::Value =
                serde_json::from_str(&failed_json(&problem)).expect("it is JSON");
            (json["status"].to_string(), json["error"]["code"].to_string())
        };
        let expect = |status: &str, code: &str| (format!("{status:?}"), format!("{code:?}"));
        assert_eq!(status(&Failure::Ended(Signal::Interrupt)), expect("cancelled", "GR0309"));
        let refused = Problem::new(Exit::Config, "GR0201", "no such file");
        assert_eq!(status(&refused.into()), expect("failed", "GR0201"));
    }

    #[test]
    fn passages_are_listed_best_first() {
        let passage = |source: &str, score| Passage {
            source: source.to_owned(),
            start_line: 1,
            end_line: 1,
            heading: Vec::new(),
            score,
            text: String::new(),
            also_at: Vec::new(),
            ranks: None,
        };
        let passages = [passage("a", 1.0), passage("b", 3.0), passage("c", 1.0), passage("d", 2.0)];
        let sources: Vec<_> = best_first(&passages).iter().map(|found| found.source).collect();
        assert_eq!(sources, ["b", "d", "a", "c"]);
    }
}
