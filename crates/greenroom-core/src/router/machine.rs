//! The fold and the decisions of one run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::evidence::EvidenceTable;
use super::plan::{Plan, PlannedTask};
use super::task::{Progress, TaskState};
use super::verify::{Verified, verify};
use crate::brief::{AgentCard, Brief};
use crate::budget::{Limit, Usage};
use crate::ids::TaskId;
use crate::journal::Event;
use crate::report::{Goal, Outcome, Report, TaskFailure, TaskFailureKind};
use crate::time::Timestamp;

/// The id of the task that makes the plan, and the role that does it.
pub const PLAN: &str = "plan";
/// The id of the task that writes the answer, and the role that does it.
pub const ANSWER: &str = "answer";

/// What a router knows of its team.
#[derive(Debug, Clone)]
pub struct RouterSpec {
    /// The agents that tasks can be given to.
    pub agents: Arc<[AgentCard]>,
    /// How often one piece of work may be given out: at least once, the fallback's tries not counted.
    /// A revision is a piece of work of its own. Default 2.
    pub attempts_max: u32,
    /// How often a draft may be sent back to the writer. Default 1.
    pub revisions_max: u32,
}

impl RouterSpec {
    /// A router of a team with these agents.
    #[must_use]
    pub fn new(agents: impl Into<Arc<[AgentCard]>>) -> Self {
        Self { agents: agents.into(), attempts_max: 2, revisions_max: 1 }
    }
}

/// A task on its way to an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The task.
    pub task: TaskId,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
    /// The role of the agent.
    pub to: String,
    /// What is to be done.
    pub work: Work,
}

/// What an assignment asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// Answer a brief.
    Brief(Brief),
    /// Call a tool.
    Call {
        /// The tool.
        tool: String,
        /// Its arguments, with the results of other tasks filled in.
        arguments: Value,
    },
}

/// What the runtime is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Send a task to an agent. The answer is [`Event::TaskReported`] or [`Event::TaskFailed`].
    Assign(Assignment),
    /// Stop working on these tasks; nobody waits for them any more.
    Withdraw(Vec<TaskId>),
    /// Stop the run until a person does something: all agents that have a task wait for people.
    Sleep,
    /// The run is over.
    Finish(Box<Outcome>),
}

/// The state of one run: a fold of the events of its root stream.
#[derive(Debug, Clone)]
pub struct Machine {
    pub(super) spec: Arc<RouterSpec>,
    pub(super) goal: Option<(Goal, Timestamp)>,
    pub(super) plan: Option<TaskState>,
    pub(super) tasks: Vec<TaskState>,
    pub(super) answer: Option<TaskState>,
    /// The evidence that the writer was shown, and the best draft so far.
    pub(super) table: EvidenceTable,
    pub(super) draft: Option<Verified>,
    pub(super) n_revisions: u32,
    pub(super) is_gathering_over: bool,
    pub(super) is_cancelled: bool,
    pub(super) is_late: bool,
    /// Whether nothing is given out.
    pub(super) is_paused: bool,
    pub(super) limit: Option<Limit>,
    /// What finished attempts cost, failed ones included.
    pub(super) usage: Usage,
    pub(super) outcome: Option<Box<Outcome>>,
}

impl Machine {
    /// A machine that has seen no event.
    #[must_use]
    pub fn new(spec: Arc<RouterSpec>) -> Self {
        Self {
            spec,
            goal: None,
            plan: None,
            tasks: Vec::new(),
            answer: None,
            table: EvidenceTable::default(),
            draft: None,
            n_revisions: 0,
            is_gathering_over: false,
            is_cancelled: false,
            is_late: false,
            is_paused: false,
            limit: None,
            usage: Usage::default(),
            outcome: None,
        }
    }

    /// Folds an event. Reports of attempts that are no longer waited for are ignored, and so is
    /// everything after the outcome.
    pub fn apply(&mut self, event: &Event) {
        if self.outcome.is_some() {
            return;
        }
        if self.goal.is_none() {
            if let Event::RunAccepted { goal, deadline } = event {
                self.goal = Some((goal.clone(), *deadline));
            }
            return;
        }
        match event {
            Event::TaskAssigned { task, attempt } => self.fold_assigned(task, *attempt),
            Event::TaskReported { task, attempt, report } => {
                self.fold_settled(task, *attempt, Ok(report));
            }
            Event::TaskFailed { task, attempt, failure } => {
                self.fold_settled(task, *attempt, Err(failure));
            }
            Event::GatheringEnded => self.end_gathering(),
            Event::CancelRequested => self.is_cancelled = true,
            Event::WorkPaused => self.is_paused = true,
            Event::WorkResumed => self.is_paused = false,
            Event::RunClaimed { again, .. } => self.usage.add(*again),
            Event::RunAwake { slept } => {
                self.goal.iter_mut().for_each(|(_, deadline)| *deadline = deadline.after(*slept));
            }
            Event::DeadlinePassed => {
                self.is_late = true;
                self.limit = Some(Limit::Deadline);
            }
            Event::RunFinished { outcome } => self.outcome = Some(outcome.clone()),
            _ => {}
        }
    }

    /// What an event that was just folded asks to be done. An assignment that the fold ignored asks for
    /// nothing.
    #[must_use]
    pub fn command(&self, event: &Event) -> Option<Command> {
        match event {
            Event::TaskAssigned { task, attempt } => {
                let state = self.states().find(|state| state.task.id == task.id)?;
                let is_current = state.attempt == *attempt && state.progress == Progress::Assigned;
                is_current.then(|| Command::Assign(self.assignment(state)))
            }
            Event::GatheringEnded => self.withdrawal(),
            Event::TaskFailed { task, failure, .. }
                if failure.kind == TaskFailureKind::Cancelled =>
            {
                Some(Command::Withdraw(vec![task.clone()]))
            }
            Event::RunAsleep { .. } => Some(Command::Sleep),
            Event::RunFinished { outcome } => Some(Command::Finish(outcome.clone())),
            _ => None,
        }
    }

    /// What a fresh incarnation does once it has folded the stream: what was given up is withdrawn
    /// again, because that may not have been done, and unfinished tasks are given out again. An agent
    /// that already has the task goes on with it; it does not start over.
    #[must_use]
    pub fn resume(&self) -> Vec<Command> {
        if let Some(outcome) = &self.outcome {
            return vec![Command::Finish(outcome.clone())];
        }
        let open = self.states().filter(|state| state.progress == Progress::Assigned);
        let assign = open.map(|state| Command::Assign(self.assignment(state)));
        self.withdrawal().into_iter().chain(assign).collect()
    }

    /// Whether the answer is made of what is there, and nothing more is waited for.
    #[must_use]
    pub fn is_gathering_over(&self) -> bool {
        self.is_gathering_over
    }

    /// When the run must have an outcome; `None` before it was accepted.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        self.goal.as_ref().map(|(_, deadline)| *deadline)
    }

    /// What was asked; `None` before the run was accepted.
    #[must_use]
    pub fn goal(&self) -> Option<&Goal> {
        self.goal.as_ref().map(|(goal, _)| goal)
    }

    /// What came of the run, once it is over.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_deref()
    }

    /// The part of a run's time after which the answer is made of what is there: four fifths, and at
    /// least all but the last 30 seconds, because writing takes no longer than that.
    #[must_use]
    pub fn gathering_time(total: Duration) -> Duration {
        total - (total / 5).min(Duration::from_secs(30))
    }

    /// Every task, the router's own included.
    pub(super) fn states(&self) -> impl Iterator<Item = &TaskState> {
        self.plan.iter().chain(&self.tasks).chain(&self.answer)
    }

    /// Tasks that an agent may still work on although they were given up.
    fn withdrawal(&self) -> Option<Command> {
        use TaskFailureKind::{Cancelled, TimedOut};
        let given_up = self.states().filter(|state| {
            let is_lost = matches!(&state.progress,
                Progress::Lost(failure) if matches!(failure.kind, Cancelled | TimedOut));
            is_lost && state.attempt > 0
        });
        let ids: Vec<_> = given_up.map(|state| state.task.id.clone()).collect();
        (!ids.is_empty()).then_some(Command::Withdraw(ids))
    }

    fn fold_assigned(&mut self, task: &PlannedTask, attempt: u32) {
        let known = self.states().find(|state| state.task.id == task.id);
        let is_own = [PLAN, ANSWER].contains(&task.id.as_str());
        let is_answer = task.id.as_str() == ANSWER;
        let is_revision =
            is_answer && known.is_some_and(|state| matches!(state.progress, Progress::Reported(_)));
        let is_due = match known {
            Some(state) => is_revision || state.progress.is_due(),
            None => is_own,
        };
        if !is_due || attempt != known.map_or(0, |state| state.attempt) + 1 {
            return;
        }
        let needed = self.reports().filter(|(other, _)| task.needs.contains(&other.id));
        let given = needed.map(|(other, _)| other.id.clone()).collect();
        let takes_calls = self.takes_calls(&task.to);
        let tries_max = self.spec.attempts_max.max(1);
        let fresh = || TaskState::waiting(task.clone(), tries_max);
        let state = match task.id.as_str() {
            PLAN => self.plan.get_or_insert_with(fresh),
            ANSWER => self.answer.get_or_insert_with(fresh),
            _ => match self.tasks.iter_mut().find(|state| state.task.id == task.id) {
                Some(state) => state,
                None => return,
            },
        };
        if state.task.to != task.to {
            state.task.fallback = None;
            state.task.to.clone_from(&task.to);
            state.tries_left = tries_max;
        }
        if is_revision {
            state.tries_left = tries_max;
        }
        if !takes_calls {
            // Words of an agent that takes questions are no result of a tool.
            state.task.call = None;
        }
        state.attempt = attempt;
        state.tries_left = state.tries_left.saturating_sub(1);
        state.progress = Progress::Assigned;
        state.given = given;
        self.n_revisions += u32::from(is_revision);
        if is_answer {
            self.table = EvidenceTable::gather(self.reports()).0;
        }
    }

    fn fold_settled(&mut self, id: &TaskId, attempt: u32, result: Result<&Report, &TaskFailure>) {
        let is_of = |state: &&TaskState| state.task.id == *id && state.attempt == attempt;
        let Some(state) = self.states().find(is_of).filter(|state| state.waits_for(result)) else {
            return;
        };
        let is_withdrawn = result.is_err_and(|failure| failure.kind == TaskFailureKind::Cancelled)
            && self.has_lost_the_race(state);
        let mut all = self.plan.iter_mut().chain(&mut self.tasks).chain(&mut self.answer);
        let Some(state) = all.find(|state| state.task.id == *id) else { return };
        state.is_withdrawn = is_withdrawn;
        let (spent, limit) = match result {
            Ok(report) => (report.usage, report.limit),
            Err(failure) => (failure.usage, failure.limit),
        };
        state.progress = match result {
            Ok(report) => Progress::Reported(report.clone()),
            Err(failure) => match state.next_role(failure) {
                Some(role) => Progress::Failed { role },
                None => Progress::Lost(failure.clone()),
            },
        };
        self.usage.add(spent);
        self.limit = self.limit.or(limit);
        match id.as_str() {
            PLAN => self.read_plan(),
            ANSWER => self.read_draft(),
            _ => {}
        }
    }

    /// Gives up on what is not done: nobody waits for it from here on. An answer that is being written
    /// goes on, and is not revised.
    fn end_gathering(&mut self) {
        self.is_gathering_over = true;
        if self.answer.is_some() {
            return;
        }
        let late = || TaskFailure::new(TaskFailureKind::TimedOut, "not done in time");
        let plan = self.plan.get_or_insert_with(|| {
            TaskState::waiting(PlannedTask::new(PLAN, PLAN, ""), self.spec.attempts_max.max(1))
        });
        if !plan.progress.is_settled() {
            plan.progress = Progress::Lost(late());
            self.read_plan();
        }
        for state in self.tasks.iter_mut().filter(|state| !state.progress.is_settled()) {
            state.progress = Progress::Lost(late());
            self.limit = self.limit.or(Some(Limit::Deadline));
        }
    }

    /// Takes over the plan that the planner made; without a usable one the question is the plan.
    fn read_plan(&mut self) {
        let Some((goal, _)) = &self.goal else { return };
        let plan = match self.plan.as_ref().map(|state| &state.progress) {
            Some(Progress::Reported(report)) => parse_plan(report),
            Some(Progress::Lost(_)) => None,
            _ => return,
        };
        let roles: Vec<_> = self.spec.agents.iter().map(|card| card.role.clone()).collect();
        let plan = plan.filter(|plan| plan.check(&roles, goal.budget.tasks_max).is_ok());
        let plan = plan.unwrap_or_else(|| self.plan_without_planner(&goal.question));
        let tries_max = self.spec.attempts_max.max(1);
        let tasks = plan.tasks.into_iter().map(|task| TaskState::waiting(task, tries_max));
        self.tasks = tasks.collect();
    }

    fn plan_without_planner(&self, question: &str) -> Plan {
        let takes_questions = |card: &&AgentCard| card.tools.is_empty();
        let role = self.spec.agents.iter().find(takes_questions).map(|card| card.role.as_str());
        let tasks = role.map(|role| PlannedTask::new("t1", role, question)).into_iter().collect();
        Plan { tasks }
    }

    /// Keeps the better draft: any words are better than none, then the one with fewer objections, then
    /// the newer.
    fn read_draft(&mut self) {
        let Some(TaskState { progress: Progress::Reported(report), .. }) = &self.answer else {
            return;
        };
        let draft = verify(&report.text, &self.table);
        let faults = |draft: &Verified| (draft.text.is_empty(), draft.objections.len());
        if self.draft.as_ref().is_none_or(|known| faults(&draft) <= faults(known)) {
            self.draft = Some(draft);
        }
    }
}

/// Reads a plan from the planner's report: its typed value, or its text.
fn parse_plan(report: &Report) -> Option<Plan> {
    match &report.value {
        Some(value) => serde_json::from_value(value.clone()).ok(),
        None => serde_json::from_str(&report.text).ok(),
    }
}
