//! A plan: the tasks of a run as a directed acyclic graph, and the check that it is one.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::TaskId;
use crate::join::Join;
use crate::router::machine::{ANSWER, PLAN};

/// The tasks of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The tasks, in the order in which the answer should treat them.
    pub tasks: Vec<PlannedTask>,
}

/// One task of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedTask {
    /// The task's name, unique in the plan: letters, digits, `-` and `_`, at most 32 of them.
    #[schemars(with = "String")]
    pub id: TaskId,
    /// The role of the agent that is to do it.
    pub to: String,
    /// What is to be found out or done, complete in itself.
    pub question: String,
    /// The tool to call, for a task that goes to a tool agent. In string arguments, `{id}` stands
    /// for what the task `id` found: its value, or the first number of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<PlannedCall>,
    /// The tasks whose results this one needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<TaskId>,
    /// When enough of the needed tasks are done.
    #[serde(default)]
    pub join: Join,
    /// The role to try when the agent cannot do the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// A tool call of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedCall {
    /// The tool's name.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
}

impl PlannedTask {
    /// A task that depends on no other.
    #[must_use]
    pub fn new(id: &str, to: &str, question: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            to: to.into(),
            question: question.into(),
            call: None,
            needs: Vec::new(),
            join: Join::All,
            fallback: None,
        }
    }

    /// The same task, needing the results of others.
    #[must_use]
    pub fn needing(mut self, needs: impl IntoIterator<Item = &'static str>) -> Self {
        self.needs = needs.into_iter().map(TaskId::from).collect();
        self
    }

    /// The same task, calling a tool.
    #[must_use]
    pub fn calling(mut self, tool: &str, arguments: Value) -> Self {
        self.call = Some(PlannedCall { tool: tool.into(), arguments });
        self
    }
}

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// There is nothing to do.
    #[error("the plan has no tasks")]
    Empty,
    /// There are more tasks than the budget allows.
    #[error("the plan has {n_tasks} tasks, and {tasks_max} are allowed")]
    TooManyTasks {
        /// How many there are.
        n_tasks: usize,
        /// How many may be.
        tasks_max: u32,
    },
    /// A task's id is empty, too long, or has characters that a stream's path must not have.
    #[error("the task id {0:?} is not made of 1 to 32 letters, digits, - and _")]
    BadId(TaskId),
    /// A task has the id of one of the router's own tasks.
    #[error("the task id {0} is the router's own")]
    ReservedId(TaskId),
    /// Two tasks have the same id.
    #[error("the task id {0} is used twice")]
    DuplicateId(TaskId),
    /// A task is for an agent that the team does not have.
    #[error("task {task} is for {role:?}, and the team has no such agent")]
    UnknownRole {
        /// The task.
        task: TaskId,
        /// The role it names.
        role: String,
    },
    /// A task needs one that does not exist.
    #[error("task {task} needs {needs}, which does not exist")]
    UnknownNeed {
        /// The task.
        task: TaskId,
        /// What it needs.
        needs: TaskId,
    },
    /// Tasks wait for each other.
    #[error("task {0} waits for itself")]
    Cycle(TaskId),
    /// A task waits for more results than it has needs.
    #[error("task {0} waits for more results than it needs tasks")]
    UnreachableJoin(TaskId),
}

impl Plan {
    /// Checks that the plan can be carried out by a team with these roles.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in the order of [`PlanError`]'s variants per task.
    pub fn check(&self, roles: &[String], tasks_max: u32) -> Result<(), PlanError> {
        if self.tasks.is_empty() {
            return Err(PlanError::Empty);
        }
        if self.tasks.len() > tasks_max as usize {
            return Err(PlanError::TooManyTasks { n_tasks: self.tasks.len(), tasks_max });
        }
        let mut ids = BTreeSet::new();
        for task in &self.tasks {
            if !is_task_id(task.id.as_str()) {
                return Err(PlanError::BadId(task.id.clone()));
            }
            if [PLAN, ANSWER].contains(&task.id.as_str()) {
                return Err(PlanError::ReservedId(task.id.clone()));
            }
            if !ids.insert(&task.id) {
                return Err(PlanError::DuplicateId(task.id.clone()));
            }
            for role in std::iter::once(&task.to).chain(&task.fallback) {
                if !roles.contains(role) {
                    let (task, role) = (task.id.clone(), role.clone());
                    return Err(PlanError::UnknownRole { task, role });
                }
            }
        }
        for task in &self.tasks {
            if let Some(needs) = task.needs.iter().find(|needs| !ids.contains(needs)) {
                let (task, needs) = (task.id.clone(), needs.clone());
                return Err(PlanError::UnknownNeed { task, needs });
            }
            let n_needs = task.needs.iter().collect::<BTreeSet<_>>().len();
            if matches!(task.join, Join::AtLeast(k) if k as usize > n_needs) {
                return Err(PlanError::UnreachableJoin(task.id.clone()));
            }
        }
        self.check_acyclic()
    }

    /// Removes tasks that need nothing unfinished, round by round; what is left waits for itself.
    fn check_acyclic(&self) -> Result<(), PlanError> {
        let mut waiting: BTreeMap<&TaskId, BTreeSet<&TaskId>> =
            self.tasks.iter().map(|task| (&task.id, task.needs.iter().collect())).collect();
        while let Some(id) = waiting.iter().find(|(_, needs)| needs.is_empty()).map(|(id, _)| *id) {
            waiting.remove(id);
            for needs in waiting.values_mut() {
                needs.remove(id);
            }
        }
        match waiting.keys().next() {
            Some(id) => Err(PlanError::Cycle((*id).clone())),
            None => Ok(()),
        }
    }
}

fn is_task_id(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=32).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tasks: Vec<PlannedTask>) -> Result<(), PlanError> {
        Plan { tasks }.check(&["research".into(), "tools".into()], 4)
    }

    fn task(id: &str) -> PlannedTask {
        PlannedTask::new(id, "research", "?")
    }

    #[test]
    fn a_diamond_is_a_plan() {
        assert_eq!(
            check(vec![
                task("d").needing(["b", "c"]),
                task("b").needing(["a"]),
                task("c").needing(["a"]),
                task("a"),
            ]),
            Ok(())
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let id = |text: &str| TaskId::from(text);
        assert_eq!(check(vec![]), Err(PlanError::Empty));
        let many = ["a", "b", "c", "d", "e"].map(task).to_vec();
        assert_eq!(check(many), Err(PlanError::TooManyTasks { n_tasks: 5, tasks_max: 4 }));
        assert_eq!(check(vec![task("../a")]), Err(PlanError::BadId(id("../a"))));
        for own in ["plan", "answer"] {
            assert_eq!(check(vec![task(own)]), Err(PlanError::ReservedId(id(own))));
        }
        assert_eq!(check(vec![task("a"), task("a")]), Err(PlanError::DuplicateId(id("a"))));
        assert_eq!(
            check(vec![PlannedTask::new("a", "wizard", "?")]),
            Err(PlanError::UnknownRole { task: id("a"), role: "wizard".into() })
        );
        assert_eq!(
            check(vec![task("a").needing(["z"])]),
            Err(PlanError::UnknownNeed { task: id("a"), needs: id("z") })
        );
        let mut greedy = task("a").needing(["b"]);
        greedy.join = Join::AtLeast(2);
        assert_eq!(check(vec![greedy, task("b")]), Err(PlanError::UnreachableJoin(id("a"))));
        let mut twice = task("a").needing(["b", "b"]);
        twice.join = Join::AtLeast(2);
        assert_eq!(check(vec![twice, task("b")]), Err(PlanError::UnreachableJoin(id("a"))));
        assert_eq!(
            check(vec![task("ok"), task("x").needing(["y"]), task("y").needing(["x"])]),
            Err(PlanError::Cycle(id("x")))
        );
    }
}
