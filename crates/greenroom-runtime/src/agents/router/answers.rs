//! What came of an assignment, in the router's terms.

use greenroom_core::brief::Brief;
use greenroom_core::budget::Usage;
use greenroom_core::message::ToolOutcome;
use greenroom_core::report::{Report, TaskFailure, TaskFailureKind};
use greenroom_core::retriever::{RetrieveError, RetrieveErrorKind, SearchCost};
use greenroom_core::router::Work;
use greenroom_core::supervision::{AdminError, Done};
use greenroom_core::tool::ToolErrorKind;

use crate::actor::address::AskError;
use crate::actor::effect::EffectError;
use crate::agents::retrieval::Found;
use crate::team::specialist::SpecialistAnswer;

pub(super) fn question_of(work: &Work) -> &str {
    match work {
        Work::Brief(brief) => brief_question(brief),
        Work::Call { tool, .. } => tool,
    }
}

pub(super) fn brief_question(brief: &Brief) -> &str {
    match brief {
        Brief::Plan(plan) => &plan.question,
        Brief::Research(research) => &research.question,
        Brief::Answer(answer) => &answer.question,
    }
}

/// A child that is there already has the task: the assignment is a repetition after a crash.
pub(super) fn seated_result(
    result: Result<Result<Done, AdminError>, EffectError>,
) -> Result<(), TaskFailure> {
    match result {
        Ok(Ok(_) | Err(AdminError::AlreadyStarted { .. } | AdminError::AlreadyPresent)) => Ok(()),
        Ok(Err(error)) => Err(TaskFailure::new(TaskFailureKind::AgentLost, error.to_string())),
        Err(error) => Err(lost(&error)),
    }
}

pub(super) fn lost(error: &EffectError) -> TaskFailure {
    let kind = match error {
        EffectError::TimedOut(_) => TaskFailureKind::TimedOut,
        EffectError::Cancelled => TaskFailureKind::Cancelled,
        _ => TaskFailureKind::AgentLost,
    };
    TaskFailure::new(kind, error.to_string())
}

fn unanswered(error: &AskError) -> TaskFailure {
    let kind = match error {
        AskError::TimedOut(_) => TaskFailureKind::TimedOut,
        AskError::Cancelled => TaskFailureKind::Cancelled,
        _ => TaskFailureKind::AgentLost,
    };
    TaskFailure::new(kind, error.to_string())
}

/// What a specialist reported. It is a program and knows what it says, so its words count as a value.
pub(super) fn reported(answer: SpecialistAnswer) -> Result<Report, TaskFailure> {
    let mut report = answer.unwrap_or_else(|error| Err(unanswered(&error)))?;
    if report.value.is_none() && report.passages.is_empty() && !report.text.trim().is_empty() {
        report.value = Some(report.text.clone().into());
    }
    Ok(report)
}

/// The failure of a task that was given to an agent of the wrong kind.
pub(super) fn unsuited(to: &str, work: &Work) -> TaskFailure {
    let what = if matches!(work, Work::Call { .. }) { "calls" } else { "questions" };
    TaskFailure::new(TaskFailureKind::Tool, format!("the agent {to:?} does not take {what}"))
}

/// What a search alone found, and what it cost: the best passage stands for the text. Sources that could not
/// be asked are a failure when the others have nothing, and told of in any case.
pub(super) fn found(
    answer: Result<Found, AskError>,
    tell: impl FnMut(&RetrieveError),
) -> (Result<Report, TaskFailure>, Vec<SearchCost>) {
    let Found { passages, errors, costs } = match answer {
        Ok(found) => found,
        Err(error) => return (Err(unanswered(&error)), Vec::new()),
    };
    errors.iter().for_each(tell);
    let mut usage = Usage::default();
    costs.iter().for_each(|cost| usage.add(cost.usage));
    if passages.is_empty() && !errors.is_empty() {
        let is_late = errors.iter().any(|error| error.kind == RetrieveErrorKind::Timeout);
        let kind = if is_late { TaskFailureKind::TimedOut } else { TaskFailureKind::Tool };
        let why: Vec<_> = errors.iter().map(ToString::to_string).collect();
        return (Err(TaskFailure { usage, ..TaskFailure::new(kind, why.join("; ")) }), costs);
    }
    let text = passages.first().map(|best| best.text.clone()).unwrap_or_default();
    (Ok(Report { passages, usage, ..Report::text(text) }), costs)
}

/// What a tool computed: its own words when it has some, else its output.
pub(super) fn computed(answer: Result<ToolOutcome, AskError>) -> Result<Report, TaskFailure> {
    let usage = Usage { tool_calls: 1, ..Usage::default() };
    match answer.map_err(|error| TaskFailure { usage, ..unanswered(&error) })? {
        ToolOutcome::Ok(value) => {
            let words = value.get("text").and_then(serde_json::Value::as_str).map(str::to_owned);
            let text = words.unwrap_or_else(|| value.to_string());
            Ok(Report { value: Some(value), usage, ..Report::text(text) })
        }
        ToolOutcome::Error(error) => {
            let kind = match error.kind {
                ToolErrorKind::TimedOut => TaskFailureKind::TimedOut,
                ToolErrorKind::InDoubt => TaskFailureKind::InDoubt,
                ToolErrorKind::Cancelled => TaskFailureKind::Cancelled,
                _ => TaskFailureKind::Tool,
            };
            Err(TaskFailure { usage, ..TaskFailure::new(kind, error.message) })
        }
    }
}
