//! How far one task of a run is, and who tries next.

use super::plan::PlannedTask;
use crate::ids::TaskId;
use crate::report::{Report, TaskFailure, TaskFailureKind};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Progress {
    /// Not yet given out.
    Waiting,
    /// An agent has it.
    Assigned,
    /// The attempt failed, and there is another try.
    Failed { role: String },
    /// Done.
    Reported(Report),
    /// Failed for good.
    Lost(TaskFailure),
}

impl Progress {
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Reported(_) | Self::Lost(_))
    }

    /// Whether the task can be given out.
    pub(super) fn is_due(&self) -> bool {
        matches!(self, Self::Waiting | Self::Failed { .. })
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TaskState {
    /// The task as it was last assigned: its `to` changes when it falls back.
    pub(super) task: PlannedTask,
    /// The last attempt, counted from 1; 0 before the first.
    pub(super) attempt: u32,
    /// Tries that are left to the agent that has the task.
    pub(super) tries_left: u32,
    pub(super) progress: Progress,
    /// The tasks whose results went into the last attempt: another look at the same work must not show
    /// what came in since.
    pub(super) given: Vec<TaskId>,
    /// Whether the router gave the task up because nobody needs it any more.
    pub(super) is_withdrawn: bool,
}

impl TaskState {
    /// A task that was not yet given out.
    pub(super) fn waiting(task: PlannedTask, tries_left: u32) -> Self {
        Self {
            task,
            attempt: 0,
            tries_left,
            progress: Progress::Waiting,
            given: Vec::new(),
            is_withdrawn: false,
        }
    }

    /// Whether the task can be settled so. Before and between attempts only the router itself gives it
    /// up.
    pub(super) fn waits_for(&self, result: Result<&Report, &TaskFailure>) -> bool {
        use TaskFailureKind::{Cancelled, Dependency};
        match self.progress {
            Progress::Assigned => true,
            Progress::Waiting | Progress::Failed { .. } => {
                result.is_err_and(|failure| matches!(failure.kind, Cancelled | Dependency))
            }
            Progress::Reported(_) | Progress::Lost(_) => false,
        }
    }

    /// Who tries next after a failure: the same agent while it has tries left and another incarnation
    /// may succeed, then the fallback, then nobody.
    pub(super) fn next_role(&self, failure: &TaskFailure) -> Option<String> {
        if failure.kind.is_retryable() && self.tries_left > 0 {
            return Some(self.task.to.clone());
        }
        let is_final = matches!(
            failure.kind,
            TaskFailureKind::Cancelled | TaskFailureKind::Dependency | TaskFailureKind::InDoubt
        );
        if is_final { None } else { self.task.fallback.clone() }
    }
}
