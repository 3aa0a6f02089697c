//! Specialists: a user's own actors as members of a team.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::brief::Finding;
use greenroom_core::ids::{RunId, TaskId};
use greenroom_core::report::{Report, TaskFailure};

use crate::actor::address::{AgentRef, AskError, Reply};

/// A task of a run on its way to a specialist.
#[derive(Debug)]
pub struct Task {
    /// The run.
    pub run: RunId,
    /// The task.
    pub id: TaskId,
    /// Which attempt this is, counted from 1. A task may be delivered again after a crash.
    pub attempt: u32,
    /// What is to be done.
    pub question: String,
    /// What the tasks that this one needs have found.
    pub context: Vec<Finding>,
    /// Where the report goes. Dropping it is a failure of the task.
    pub reply: Reply<Result<Report, TaskFailure>>,
}

/// A task without the way back, which is made anew for each attempt.
#[derive(Debug, Clone)]
pub(crate) struct TaskDraft {
    pub(crate) run: RunId,
    pub(crate) id: TaskId,
    pub(crate) attempt: u32,
    pub(crate) question: String,
    pub(crate) context: Vec<Finding>,
}

pub(crate) type SpecialistAnswer = Result<Result<Report, TaskFailure>, AskError>;

/// An agent of any message type that takes tasks.
#[derive(Clone)]
pub(crate) struct Specialist {
    ask: Arc<dyn Fn(TaskDraft, Duration) -> BoxFuture<'static, SpecialistAnswer> + Send + Sync>,
}

impl Specialist {
    pub(crate) fn new<M: Send + 'static>(
        agent: &AgentRef<M>,
        into_message: impl Fn(Task) -> M + Send + Sync + 'static,
    ) -> Self {
        let (agent, into_message) = (agent.clone(), Arc::new(into_message));
        let ask = move |draft: TaskDraft, deadline| {
            let (agent, into_message) = (agent.clone(), Arc::clone(&into_message));
            let answer = async move {
                agent.ask(deadline, |reply| into_message(draft.addressed(reply))).await
            };
            Box::pin(answer) as BoxFuture<'static, SpecialistAnswer>
        };
        Self { ask: Arc::new(ask) }
    }

    pub(crate) fn ask(
        &self,
        draft: TaskDraft,
        deadline: Duration,
    ) -> BoxFuture<'static, SpecialistAnswer> {
        (self.ask)(draft, deadline)
    }
}

impl TaskDraft {
    fn addressed(self, reply: Reply<Result<Report, TaskFailure>>) -> Task {
        let Self { run, id, attempt, question, context } = self;
        Task { run, id, attempt, question, context, reply }
    }
}

impl fmt::Debug for Specialist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Specialist")
    }
}
