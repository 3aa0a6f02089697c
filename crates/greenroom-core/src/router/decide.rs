//! What the router does next: a function of its state.

use std::collections::BTreeSet;

use super::machine::{ANSWER, Machine, PLAN};
use super::plan::PlannedTask;
use super::task::{Progress, TaskState};
use crate::ids::TaskId;
use crate::join::{JoinCount, Joined};
use crate::journal::Event;
use crate::report::{TaskFailure, TaskFailureKind};
use crate::time::Timestamp;

impl Machine {
    /// What follows from the state: intents and facts to be recorded next. Empty while the machine
    /// waits for a report, and when the run is over.
    #[must_use]
    pub fn decide(&self) -> Vec<Event> {
        let Some((goal, _)) = &self.goal else { return Vec::new() };
        if self.outcome.is_some() {
            return Vec::new();
        }
        if self.is_cancelled || self.is_late {
            return vec![Event::RunFinished { outcome: self.interrupted().into() }];
        }
        if self.is_paused {
            return Vec::new();
        }
        let Some(plan) = &self.plan else {
            return vec![own_task(PLAN, &goal.question, 1)];
        };
        if !plan.progress.is_settled() {
            return self.decide_task(plan).into_iter().collect();
        }
        if let Some(answer) = &self.answer {
            return self.decide_answer(answer, &goal.question);
        }
        let next = self.tasks.iter().filter_map(|state| match self.has_lost_the_race(state) {
            true => Some(withdraw(state)),
            false => self.decide_task(state),
        });
        let next: Vec<_> = next.collect();
        if !next.is_empty() || !self.tasks.iter().all(|task| task.progress.is_settled()) {
            return next;
        }
        match self.reports().next() {
            Some(_) => vec![own_task(ANSWER, &goal.question, 1)],
            // Nobody found anything out: there is nothing to write an answer from.
            None => {
                vec![Event::RunFinished { outcome: self.unwritten(&self.first_failure()).into() }]
            }
        }
    }

    /// Whether the work is paused: nothing is given out.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// When the first of the agents that have a task stops to wait for a person, by what is known of each:
    /// until then nothing is lost when the run sleeps. `None` when somebody is at work, or something is to
    /// be done.
    #[must_use]
    pub fn may_sleep(&self, waits: impl Fn(&TaskId) -> Option<Timestamp>) -> Option<Timestamp> {
        if self.outcome.is_some() || !self.decide().is_empty() {
            return None;
        }
        let open = self.states().filter(|state| state.progress == Progress::Assigned);
        let until: Option<Vec<_>> = open.map(|state| waits(&state.task.id)).collect();
        // Without a task nobody waits, unless no task is given out.
        until?.into_iter().min().or(self.is_paused.then_some(Timestamp::MAX))
    }

    fn decide_task(&self, state: &TaskState) -> Option<Event> {
        match &state.progress {
            Progress::Waiting => match self.joined(&state.task) {
                Joined::Waiting => None,
                Joined::Ready => Some(Event::TaskAssigned { task: state.task.clone(), attempt: 1 }),
                Joined::Impossible => {
                    let failure =
                        TaskFailure::new(TaskFailureKind::Dependency, "what it needs is missing");
                    Some(Event::TaskFailed { task: state.task.id.clone(), attempt: 0, failure })
                }
            },
            Progress::Failed { role } => {
                let task = PlannedTask { to: role.clone(), ..state.task.clone() };
                Some(Event::TaskAssigned { task, attempt: state.attempt + 1 })
            }
            Progress::Assigned | Progress::Reported(_) | Progress::Lost(_) => None,
        }
    }

    /// Whether what a task needs is there. There is no barrier: only its own needs count.
    fn joined(&self, task: &PlannedTask) -> Joined {
        let mut count = JoinCount::default();
        for need in task.needs.iter().collect::<BTreeSet<_>>() {
            match self.progress_of(need) {
                // A search that found nothing is a success of its agent and no help to those who need it.
                Some(Progress::Reported(report)) if report.is_empty() => count.n_failed += 1,
                Some(Progress::Reported(_)) => count.n_ok += 1,
                Some(Progress::Lost(_)) | None => count.n_failed += 1,
                Some(_) => count.n_open += 1,
            }
        }
        count.joined(task.join)
    }

    fn progress_of(&self, id: &TaskId) -> Option<&Progress> {
        self.tasks.iter().find(|state| state.task.id == *id).map(|state| &state.progress)
    }

    /// Whether everyone who needed the task has gone on without it. A task whose dependents were lost
    /// is still part of the answer; one whose dependents were themselves not needed is not.
    pub(super) fn has_lost_the_race(&self, state: &TaskState) -> bool {
        let mut dependents =
            self.tasks.iter().filter(|other| other.task.needs.contains(&state.task.id)).peekable();
        !state.progress.is_settled()
            && dependents.peek().is_some()
            && dependents.all(|other| other.attempt > 0 || other.is_withdrawn)
    }

    fn decide_answer(&self, answer: &TaskState, question: &str) -> Vec<Event> {
        match &answer.progress {
            Progress::Reported(_) => {
                let is_disputed = self.draft.as_ref().is_some_and(|d| !d.objections.is_empty());
                let may_revise =
                    self.n_revisions < self.spec.revisions_max && !self.is_gathering_over;
                if is_disputed && may_revise {
                    return vec![own_task(ANSWER, question, answer.attempt + 1)];
                }
                vec![Event::RunFinished { outcome: self.answered().into() }]
            }
            Progress::Lost(_) if self.draft.is_some() => {
                vec![Event::RunFinished { outcome: self.answered().into() }]
            }
            Progress::Lost(failure) => {
                vec![Event::RunFinished { outcome: self.unwritten(failure).into() }]
            }
            _ => self.decide_task(answer).into_iter().collect(),
        }
    }

    /// Why nothing was found out: the first failure that is not the consequence of another.
    fn first_failure(&self) -> TaskFailure {
        use TaskFailureKind::{Cancelled, Dependency};
        let lost = || {
            self.tasks.iter().filter_map(|state| match &state.progress {
                Progress::Lost(failure) => Some(failure),
                _ => None,
            })
        };
        let is_cause = |failure: &&TaskFailure| !matches!(failure.kind, Cancelled | Dependency);
        let failure = lost().find(is_cause).or_else(|| lost().next()).cloned();
        let nobody = "there is no usable plan, and no agent of the team takes questions";
        failure.unwrap_or_else(|| TaskFailure::new(TaskFailureKind::AgentLost, nobody))
    }
}

/// One of the router's own tasks: its id is its role.
fn own_task(id: &str, question: &str, attempt: u32) -> Event {
    Event::TaskAssigned { task: PlannedTask::new(id, id, question), attempt }
}

fn withdraw(state: &TaskState) -> Event {
    let failure = TaskFailure::new(TaskFailureKind::Cancelled, "another task was first");
    Event::TaskFailed { task: state.task.id.clone(), attempt: state.attempt, failure }
}
