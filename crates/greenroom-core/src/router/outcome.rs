//! What the router tells others: the work of an assignment, and the outcome of the run.

use super::evidence::{EvidenceTable, all_passages, words_of};
use super::fill::filled;
use super::machine::{ANSWER, Assignment, Machine, PLAN, Work};
use super::plan::PlannedTask;
use super::task::{Progress, TaskState};
use super::verify::{Verified, verify_findings};
use crate::brief::{AnswerBrief, Brief, Finding, Gap, PlanBrief, ResearchBrief};
use crate::budget::Limit;
use crate::report::{Outcome, Report, Status, TaskFailure, TaskFailureKind};

impl Machine {
    /// A task as it is sent to its agent, with the results that it was given filled in.
    pub(super) fn assignment(&self, state: &TaskState) -> Assignment {
        let TaskState { task, attempt, given, .. } = state;
        let reports = || self.reports().filter(|(other, _)| given.contains(&other.id));
        let work = match (task.id.as_str(), &task.call) {
            (PLAN, _) => Work::Brief(Brief::Plan(self.plan_brief())),
            (ANSWER, _) => Work::Brief(Brief::Answer(self.answer_brief())),
            (_, Some(call)) => Work::Call {
                tool: call.tool.clone(),
                arguments: filled(&call.arguments, &|id| {
                    reports().find(|(other, _)| other.id.as_str() == id).map(|(_, report)| report)
                }),
            },
            _ => {
                let context = reports().map(|(other, report)| Finding {
                    task: other.id.clone(),
                    question: other.question.clone(),
                    text: words_of(other, report),
                    evidence: Vec::new(),
                });
                let (question, context) = (task.question.clone(), context.collect());
                Work::Brief(Brief::Research(ResearchBrief { question, context }))
            }
        };
        Assignment { task: task.id.clone(), attempt: *attempt, to: task.to.clone(), work }
    }

    /// The reports of the plan's tasks, in its order.
    pub(super) fn reports(&self) -> impl Iterator<Item = (&PlannedTask, &Report)> + Clone {
        self.tasks.iter().filter_map(|state| match &state.progress {
            Progress::Reported(report) => Some((&state.task, report)),
            _ => None,
        })
    }

    /// The outcome when the answer was written.
    pub(super) fn answered(&self) -> Outcome {
        let draft = self.draft.clone().unwrap_or_default();
        if draft.text.is_empty() {
            let why = "no sentence of the answer is supported by its evidence";
            return self.unwritten(&TaskFailure::new(TaskFailureKind::Output, why));
        }
        self.with_text(draft, self.gaps())
    }

    /// The outcome when nobody could write the answer: what the tasks found stands for it, as far as
    /// their evidence supports it.
    pub(super) fn unwritten(&self, failure: &TaskFailure) -> Outcome {
        let (table, findings) = EvidenceTable::gather(self.reports());
        let found = verify_findings(&findings, &table);
        if found.text.is_empty() {
            return self.without_text(Status::Failed, Some(failure.clone()));
        }
        let mut missing = self.gaps();
        missing.push(self.gap(failure.to_string()));
        self.with_text(found, missing)
    }

    /// The outcome when the run was cancelled or its deadline passed.
    pub(super) fn interrupted(&self) -> Outcome {
        if self.is_cancelled {
            let failure = TaskFailure::new(TaskFailureKind::Cancelled, "the run was cancelled");
            return self.without_text(Status::Cancelled, Some(failure));
        }
        let failure = TaskFailure::new(TaskFailureKind::Limit, "the deadline has passed");
        match &self.draft {
            Some(draft) if !draft.text.is_empty() => self.answered(),
            _ => self.unwritten(&failure),
        }
    }

    /// Completed when nothing is missing, no limit was reached and something was found; else partial.
    fn with_text(&self, verified: Verified, mut missing: Vec<Gap>) -> Outcome {
        let taken_out = verified.objections.iter();
        missing.extend(
            taken_out.map(|objection| self.gap(format!("a sentence was taken out: {objection}"))),
        );
        // An answer that admits what the tasks have admitted before says nothing new.
        if missing.is_empty() {
            missing.extend(verified.admissions.into_iter().map(|admission| self.gap(admission)));
        }
        let is_whole = missing.is_empty() && self.limit.is_none() && self.found_something();
        let status = if is_whole { Status::Completed } else { Status::Partial };
        Outcome {
            answer: verified.text,
            citations: verified.citations,
            missing,
            ..self.without_text(status, None)
        }
    }

    fn without_text(&self, status: Status, failure: Option<TaskFailure>) -> Outcome {
        let limit = self.limit.or_else(|| match &failure {
            Some(failure) if failure.kind == TaskFailureKind::Limit => Some(Limit::ModelCalls),
            _ => None,
        });
        Outcome {
            passages: all_passages(self.reports().map(|(_, report)| report)),
            missing: self.gaps(),
            usage: self.usage,
            limit,
            ..Outcome::without_answer(status, failure)
        }
    }

    fn gap(&self, why: String) -> Gap {
        Gap { question: self.question().to_owned(), why }
    }

    /// What could not be found out: tasks that failed, and research that came back with nothing.
    fn gaps(&self) -> Vec<Gap> {
        let gaps = self.tasks.iter().filter_map(|state| {
            let why = match &state.progress {
                Progress::Reported(report) if !report.text.trim().is_empty() => return None,
                Progress::Reported(Report { limit: Some(limit), .. }) => limit.to_string(),
                Progress::Reported(report) if !report.passages.is_empty() => {
                    "passages were found, and nothing was made of them".to_owned()
                }
                Progress::Reported(_) => TaskFailureKind::NotFound.to_string(),
                Progress::Lost(_) if state.is_withdrawn => return None,
                Progress::Lost(failure) => failure.to_string(),
                _ if self.is_cancelled => TaskFailureKind::Cancelled.to_string(),
                _ => TaskFailureKind::TimedOut.to_string(),
            };
            Some(Gap { question: state.task.question.clone(), why })
        });
        gaps.collect()
    }

    fn found_something(&self) -> bool {
        self.reports().any(|(_, report)| !report.text.trim().is_empty())
    }

    fn question(&self) -> &str {
        self.goal.as_ref().map_or("", |(goal, _)| goal.question.as_str())
    }

    pub(super) fn takes_calls(&self, role: &str) -> bool {
        self.spec.agents.iter().any(|card| card.role == role && !card.tools.is_empty())
    }

    fn plan_brief(&self) -> PlanBrief {
        let goal = self.goal.as_ref().map(|(goal, _)| goal);
        PlanBrief {
            question: self.question().to_owned(),
            conversation: goal.map(|goal| goal.conversation.clone()).unwrap_or_default(),
            agents: self.spec.agents.to_vec(),
            tasks_max: goal.map_or(1, |goal| goal.budget.tasks_max),
        }
    }

    fn answer_brief(&self) -> AnswerBrief {
        let (table, findings) = EvidenceTable::gather(self.reports());
        AnswerBrief {
            question: self.question().to_owned(),
            conversation: self
                .goal
                .iter()
                .flat_map(|(goal, _)| goal.conversation.clone())
                .collect(),
            findings,
            evidence: table.evidence(),
            missing: self.gaps(),
            objections: self.draft.iter().flat_map(|draft| draft.objections.clone()).collect(),
        }
    }
}
