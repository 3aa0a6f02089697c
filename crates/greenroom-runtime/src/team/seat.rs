//! Seats: agents that are started for one task of one run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::AgentSpec;
use greenroom_core::brief::Brief;
use greenroom_core::ids::{AgentId, StreamId, TaskId};
use greenroom_core::model::ChatModel;
use greenroom_core::recovery::Config;
use greenroom_core::report::{TaskFailure, TaskFailureKind};
use greenroom_core::router::{ANSWER, PLAN};
use greenroom_core::supervision::{Backoff, ChildSpec, Intensity, Restart};

use crate::actor::address::{AgentRef, SendErrorKind};
use crate::agents::mailbox::internal_mailbox;
use crate::agents::router::{RouterMessage, RouterSetup};
use crate::agents::turn::{ReportTo, Timeouts, ToolRoute, TurnAgent, TurnSetup, Waits};
use crate::journalled::Known;
use crate::runtime::tasks::Tasks;
use crate::supervisor::{AgentStart, OnClosed};

/// What the agents of a role are made of.
pub(crate) struct Seat {
    pub(crate) role: &'static str,
    pub(crate) spec: AgentSpec,
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) tools: Arc<BTreeMap<String, ToolRoute>>,
    pub(crate) timeouts: Timeouts,
}

/// How the children of a run are restarted: often enough to get over a fault, not often enough to hide
/// one. A child that exceeds this is given up, and its run goes on without it.
pub(crate) fn child_of_run(id: AgentId) -> ChildSpec {
    let backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2)).jitter(0.2);
    ChildSpec::worker(id)
        .restart(Restart::Transient)
        .intensity(Intensity::new(3, Duration::from_secs(60)))
        .backoff(backoff)
}

impl Seat {
    /// What it is made of.
    pub(crate) fn config(&self) -> Config {
        let mut config = self.spec.config();
        config.name("model", self.model.name());
        config
    }

    /// The agent for an attempt at a task.
    ///
    /// Another attempt at the same task is another incarnation on the same stream, so it keeps what the
    /// lost one had done. A new draft of the answer is new work, on a stream of its own.
    pub(crate) fn start(
        &self,
        router: &Arc<RouterSetup>,
        task: &TaskId,
        attempt: u32,
        brief: &Brief,
        reply_to: &AgentRef<RouterMessage>,
    ) -> (AgentId, StreamId, AgentStart<TurnAgent>) {
        let id = self.agent_id(task, attempt);
        let is_redraft = task.as_str() == ANSWER && attempt > 1;
        let stream_name =
            if is_redraft { format!("{task}-{attempt}").into() } else { task.clone() };
        let crew = &router.crew;
        let goal_top_k = router.shared.top_k;
        let setup = Arc::new(TurnSetup {
            spec: Arc::new(AgentSpec { id: id.clone(), ..self.spec.clone() }),
            role: self.role,
            stream: router.stream.child(&stream_name),
            known: Known::default(),
            input: vec![brief.to_message()],
            model: Arc::clone(&self.model),
            tools: Arc::clone(&self.tools),
            journal: Arc::clone(&crew.journal),
            clock: Arc::clone(&crew.clock),
            account: Arc::clone(&router.shared.account),
            events: router.shared.events.clone(),
            report_to: report_to(crew.runtime.tasks(), reply_to, task, attempt),
            timeouts: self.timeouts,
            top_k: goal_top_k,
            is_answer: task.as_str() == ANSWER,
            waiting: Arc::from([id.clone()]),
            deadline: None,
            pace: router.shared.pace.clone(),
            door: Arc::clone(&router.shared.door),
            waits: Waits::Router(waits(crew.runtime.tasks(), reply_to)),
        });
        let tasks = crew.runtime.tasks().clone();
        let lost = on_lost(&tasks, reply_to, task, attempt);
        let slot = crew.runtime.slot(id.clone(), self.role, internal_mailbox());
        let stream = setup.stream.clone();
        router.shared.add_turn(stream.clone(), AgentRef::new(Arc::clone(&slot)));
        let start = AgentStart {
            slot,
            tasks,
            factory: Arc::new(move || TurnAgent::new(Arc::clone(&setup))),
            on_closed: Some(lost),
        };
        (id, stream, start)
    }

    fn agent_id(&self, task: &TaskId, attempt: u32) -> AgentId {
        let name = match task.as_str() {
            PLAN | ANSWER => self.role.to_owned(),
            task => format!("{}-{task}", self.role),
        };
        if attempt == 1 { name.into() } else { format!("{name}-{attempt}").into() }
    }
}

fn report_to(
    tasks: &Tasks,
    router: &AgentRef<RouterMessage>,
    task: &TaskId,
    attempt: u32,
) -> ReportTo {
    let (tasks, router, task) = (tasks.clone(), router.clone(), task.clone());
    Arc::new(move |result| {
        let (task, result) = (task.clone(), result.clone());
        let costs = Vec::new();
        deliver(&tasks, &router, RouterMessage::Settled { task, attempt, result, costs });
    })
}

/// Tells the router when its agent waits for people.
fn waits(tasks: &Tasks, router: &AgentRef<RouterMessage>) -> Arc<dyn Fn() + Send + Sync> {
    let (tasks, router) = (tasks.clone(), router.clone());
    Arc::new(move || deliver(&tasks, &router, RouterMessage::AgentWaits))
}

/// Tells the router when its agent is given up.
fn on_lost(
    tasks: &Tasks,
    router: &AgentRef<RouterMessage>,
    task: &TaskId,
    attempt: u32,
) -> OnClosed {
    let (tasks, router, task) = (tasks.clone(), router.clone(), task.clone());
    Arc::new(move |reason| {
        if reason.is_abnormal() {
            let failure = TaskFailure::new(TaskFailureKind::AgentLost, reason.to_string());
            let (task, result, costs) = (task.clone(), Err(failure), Vec::new());
            deliver(&tasks, &router, RouterMessage::Settled { task, attempt, result, costs });
        }
    })
}

/// Sends the router a message whose sender may be gone before there is room for it.
fn deliver(tasks: &Tasks, router: &AgentRef<RouterMessage>, message: RouterMessage) {
    if let Err(error) = router.try_send(message)
        && error.kind == SendErrorKind::Full
    {
        let router = router.clone();
        tasks.spawn("report", async move {
            // A router that has stopped for good has its outcome and waits for no report.
            let _ = router.send(error.message).await;
        });
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("role", &self.role).finish_non_exhaustive()
    }
}
