//! Teams: a router with research, retrieval and tool agents, and whatever the application adds.

mod builder;
mod prompts;
mod seat;
pub(crate) mod specialist;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use greenroom_core::budget::{Ledger, Usage};
use greenroom_core::ids::{AgentId, StreamId};
use greenroom_core::journal::{Event, Journal, Recorded};
use greenroom_core::report::{Goal, Outcome, Status, TaskFailure, TaskFailureKind};
use greenroom_core::router::RouterSpec;
use greenroom_core::supervision::{
    AdminError, AutoShutdown, ChildSpec, ExitReason, Fact, Restart, SupervisionEvent,
    SupervisorSpec,
};
use greenroom_core::time::Clock;

use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::retrieval::RetrievalMessage;
use crate::agents::router::{Router, RouterMessage, RouterSetup};
use crate::agents::tools::ToolMessage;
use crate::inspect::AgentInfo;
use crate::run::events::{Emitter, RunEvent};
use crate::run::{Run, RunShared};
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use crate::supervisor::{AgentStart, Observer, SupervisorRef, SupervisorStart};
use crate::team::specialist::Specialist;

pub use builder::TeamBuilder;
pub(crate) use seat::{Seat, child_of_run};

/// What the runs of a team share.
pub(crate) struct Crew {
    pub(crate) runtime: Runtime,
    pub(crate) router: Arc<RouterSpec>,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The agents that live as long as the team.
    pub(crate) residents: Vec<Arc<dyn AnySlot>>,
}

/// Who does the tasks of a role.
pub(crate) enum Member {
    /// An agent that is started for each task.
    Seat(Seat),
    /// The retrieval agent.
    Retrieval(AgentRef<RetrievalMessage>),
    /// The tool agent.
    Tools(AgentRef<ToolMessage>),
    /// An actor of the application's own.
    Specialist(Specialist),
}

/// A team, ready to be asked. Cheap to clone.
#[derive(Clone)]
pub struct Team {
    crew: Arc<Crew>,
}

impl Team {
    /// Accepts a goal, starts its run, and lets the caller watch it.
    ///
    /// # Errors
    ///
    /// [`RunError`] when the goal is unusable, when it cannot be journalled, or when the runtime is full
    /// or stopping; there is no run then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it completes may leave an accepted run behind, which goes on.
    pub async fn submit(&self, goal: Goal) -> Result<Run<Outcome>, RunError> {
        if goal.question.trim().is_empty() {
            return Err(RunError::EmptyQuestion);
        }
        let crew = &self.crew;
        let place = crew.runtime.admit_run().ok_or(RunError::TooManyRuns)?;
        let id = crew.runtime.new_run_id();
        let stream = StreamId::root(id);
        let at = crew.clock.now();
        let deadline = at.after(goal.budget.wall_max);
        let ledger = Ledger::new(goal.budget, Usage::default());
        let top_k = goal.top_k;
        let event = Event::RunAccepted { goal, deadline };
        let accepted = Arc::from([Recorded { seq: 0, at, event }]);
        crew.journal.append(&stream, accepted).await.map_err(RunError::Journal)?;

        let shared = Arc::new(RunShared::new(id, ledger, Emitter::watched(), top_k, place));
        let events = shared.subscribe();
        shared.emit(|| RunEvent::Accepted { run: id });
        let (team, run) = (self.clone(), Arc::clone(&shared));
        // An accepted run is started whether its submitter waits for that or not.
        let started = crew.runtime.tasks().spawn("start-run", async move {
            let supervisor = SupervisorRef::new(AgentId::new(format!("run-{id}")));
            team.start_supervisor(&run, &supervisor).await?;
            let router = team.start_router(&run, &supervisor, stream).await;
            if router.is_err() {
                supervisor.shutdown(ExitReason::Killed);
            }
            router
        });
        let router =
            started.await.unwrap_or(Err(RunError::Supervisor(AdminError::ShuttingDown)))?;
        let cancel = Arc::new(move || {
            // A router that takes no message has finished, or will be finished by its supervisor.
            let _ = router.control(RouterMessage::Cancel);
        });
        Ok(Run { shared, cancel, events })
    }

    /// Asks a question with the default limits.
    ///
    /// # Errors
    ///
    /// As [`Team::submit`].
    pub async fn ask(&self, question: impl Into<String>) -> Result<Run<Outcome>, RunError> {
        self.submit(Goal::new(question)).await
    }

    /// The agents that live as long as the team.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentInfo> {
        self.crew.residents.iter().map(|slot| slot.info()).collect()
    }

    /// A run has a supervisor of its own, so that a run that crashes again and again uses up its own
    /// intensity and nobody else's. It ends when its router does.
    async fn start_supervisor(
        &self,
        shared: &Arc<RunShared<Outcome>>,
        handle: &SupervisorRef,
    ) -> Result<(), RunError> {
        let over = Arc::clone(shared);
        let start = SupervisorStart {
            handle: handle.clone(),
            spec: SupervisorSpec::dynamic().auto_shutdown(AutoShutdown::AnySignificant),
            children: Vec::new(),
            tasks: self.crew.runtime.tasks().clone(),
            observer: observer(shared, self.crew.runtime.observer()),
            seed: shared.id.bits() as u64,
            on_closed: Some(Arc::new(move |reason| close_run(&over, reason))),
        };
        let spec = ChildSpec::supervisor(handle.id().clone()).restart(Restart::Temporary);
        let partition = self.crew.runtime.partition(shared.id);
        partition.start_child(spec, Arc::new(start)).await.map_err(RunError::Supervisor)?;
        Ok(())
    }

    async fn start_router(
        &self,
        shared: &Arc<RunShared<Outcome>>,
        supervisor: &SupervisorRef,
        stream: StreamId,
    ) -> Result<AgentRef<RouterMessage>, RunError> {
        let setup = Arc::new(RouterSetup {
            crew: Arc::clone(&self.crew),
            shared: Arc::clone(shared),
            supervisor: supervisor.clone(),
            stream,
        });
        let runtime = &self.crew.runtime;
        let id = AgentId::new("router");
        let slot = runtime.slot(id.clone(), "router", internal_mailbox());
        shared.add_agent(Arc::clone(&slot) as Arc<dyn AnySlot>);
        let over = Arc::clone(shared);
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: runtime.tasks().clone(),
            factory: Arc::new(move || Router::new(Arc::clone(&setup))),
            on_closed: Some(Arc::new(move |reason| close_run(&over, reason))),
        };
        let spec = child_of_run(id).significant();
        supervisor.start_child(spec, Arc::new(start)).await.map_err(RunError::Supervisor)?;
        Ok(AgentRef::new(slot))
    }
}

/// Ends a run whose router or supervisor ended without an outcome.
fn close_run(shared: &RunShared<Outcome>, reason: &ExitReason) {
    if !shared.is_over() {
        let status = if reason.is_abnormal() { Status::Failed } else { Status::Cancelled };
        let kind = if reason.is_abnormal() {
            TaskFailureKind::AgentLost
        } else {
            TaskFailureKind::Cancelled
        };
        let failure = TaskFailure::new(kind, format!("the run's router ended: {reason}"));
        shared.emit(|| RunEvent::Finished { status });
        shared.finish(Outcome::without_answer(status, Some(failure)));
    }
}

/// Turns what a run's supervisor reports into events of the run.
fn observer(shared: &Arc<RunShared<Outcome>>, of_all: Observer) -> Observer {
    let shared = Arc::clone(shared);
    Arc::new(move |supervisor: &AgentId, event: &SupervisionEvent| {
        of_all(supervisor, event);
        match &event.fact {
            Fact::Exited { reason, asked: false } if reason.is_abnormal() => {
                let (agent, reason) = (event.id.clone(), reason.clone());
                shared.emit(|| RunEvent::AgentFailed { agent, reason });
            }
            _ => {}
        }
    })
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("roles", &self.crew.members.keys()).finish()
    }
}
