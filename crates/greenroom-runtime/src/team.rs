//! Teams: a router with research, retrieval and tool agents, and whatever the application adds.

mod assembly;
mod builder;
mod prompts;
mod seat;
pub(crate) mod specialist;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use greenroom_core::budget::{Ledger, Usage};
use greenroom_core::ids::{AgentId, RunId, StreamId};
use greenroom_core::journal::{Event, Journal, Recorded};
use greenroom_core::recovery::{Config, Owner};
use greenroom_core::report::{Goal, Outcome};
use greenroom_core::router::RouterSpec;
use greenroom_core::supervision::{
    AutoShutdown, ChildSpec, ExitReason, Fact, Restart, SupervisionEvent, SupervisorSpec,
};
use greenroom_core::time::Clock;

use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::retrieval::RetrievalMessage;
use crate::agents::router::{Router, RouterMessage, RouterSetup};
use crate::agents::tools::ToolMessage;
use crate::inspect::AgentInfo;
use crate::journalled::Known;
use crate::recovery::{Resumable, Resuming, Seen};
use crate::run::closing::{Closer, without_outcome};
use crate::run::ending::Ending;
use crate::run::events::{Emitter, RunEvent};
use crate::run::live::{Control, Place};
use crate::run::sleep::Wakes;
use crate::run::{Run, RunShared};
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use crate::supervisor::{AgentStart, Observer, OnClosed, SupervisorRef, SupervisorStart};
use crate::team::specialist::Specialist;

pub use builder::TeamBuilder;
pub(crate) use seat::{Seat, child_of_run};

/// What the runs of a team share.
pub(crate) struct Crew {
    pub(crate) runtime: Runtime,
    /// By which its runs find it again in another process.
    pub(crate) owner: Owner,
    pub(crate) config: Config,
    pub(crate) router: Arc<RouterSpec>,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The agents that live as long as the team.
    pub(crate) residents: Vec<Arc<dyn AnySlot>>,
}

impl Crew {
    /// Whether the planner may have a tool called by this role.
    pub(crate) fn offers(&self, role: &str, tool: &str) -> bool {
        let cards = self.router.agents.iter().filter(|card| card.role == role);
        cards.flat_map(|card| &card.tools).any(|card| card.name == tool)
    }
}

/// Who does the tasks of a role.
pub(crate) enum Member {
    /// An agent that is started for each task.
    Seat(Box<Seat>),
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
        let id = crew.runtime.new_run_id();
        let place = crew.runtime.admit(id)?;
        let at = crew.clock.now();
        let (budget, top_k) = (goal.budget, goal.top_k);
        let deadline = at.after(budget.wall_max);
        let (owner, config) = (crew.owner.clone(), crew.config.clone());
        let bound = Event::RunBound { owner, config, budget, deadline };
        let accepted = [Event::RunAccepted { goal, deadline }, bound];
        let accepted = Recorded::sequence(0, at, accepted);
        crew.runtime.accept(id, Arc::clone(&accepted)).await?;
        let ledger = Ledger::new(budget, Usage::default());
        let shared = RunShared::open(place, ledger, Emitter::watched(), top_k);
        let run = Run::new(Arc::clone(&shared));
        shared.emit(|| RunEvent::Accepted { run: id });
        self.launch(shared, Known::of(accepted.to_vec())).await?;
        Ok(run)
    }

    /// A run of this team that is at work, or is over and still in the journal: to wait for its outcome, and
    /// to watch it from now on. `None` when it is neither.
    ///
    /// # Errors
    ///
    /// [`RunError::Journal`] when the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn attach(&self, run: RunId) -> Result<Option<Run<Outcome>>, RunError> {
        Run::attach(&self.crew.runtime, run).await
    }

    pub(crate) fn of(crew: &Arc<Crew>) -> Self {
        Self { crew: Arc::clone(crew) }
    }

    /// Starts the actors of a run, as often as it is woken. It keeps the team.
    pub(crate) fn wakes(self, shared: &Arc<RunShared<Outcome>>) -> Wakes {
        let shared = Arc::clone(shared);
        Arc::new(move |_, known| {
            let (team, shared) = (self.clone(), Arc::clone(&shared));
            Box::pin(async move { team.launch(shared, known).await })
        })
    }

    /// Starts the actors of a run that is in the journal. It is started whether its submitter waits for that
    /// or not.
    async fn launch(&self, shared: Arc<RunShared<Outcome>>, known: Known) -> Result<(), RunError> {
        let team = self.clone();
        let start = async move {
            let supervisor = SupervisorRef::new(AgentId::new(format!("run-{}", shared.id)));
            let started = async {
                team.start_supervisor(&shared, &supervisor).await?;
                team.start_router(&shared, &supervisor, known).await
            };
            let started = started.await;
            if started.is_err() {
                supervisor.shutdown(ExitReason::Killed);
                shared.abandon();
            }
            started
        };
        self.crew.runtime.in_turn(start).await
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
        let start = SupervisorStart {
            handle: handle.clone(),
            spec: SupervisorSpec::dynamic().auto_shutdown(AutoShutdown::AnySignificant),
            children: Vec::new(),
            tasks: self.crew.runtime.tasks().clone(),
            observer: observer(shared, self.crew.runtime.observer()),
            archive: None,
            seed: shared.id.bits() as u64,
            on_closed: Some(self.closes(shared)),
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
        known: Known,
    ) -> Result<(), RunError> {
        let setup = Arc::new(RouterSetup {
            crew: Arc::clone(&self.crew),
            shared: Arc::clone(shared),
            supervisor: supervisor.clone(),
            stream: StreamId::root(shared.id),
            known,
        });
        let runtime = &self.crew.runtime;
        let id = AgentId::new("router");
        let slot = runtime.slot(id.clone(), "router", internal_mailbox());
        shared.add_agent(Arc::clone(&slot) as Arc<dyn AnySlot>);
        let router = AgentRef::new(Arc::clone(&slot));
        shared.controlled_by(move |control| {
            // A router that takes no message has finished, or will be finished by its supervisor.
            let told = router.control(match control {
                Control::Cancel => RouterMessage::Cancel,
                Control::Pause(is_on) => RouterMessage::Pause(is_on),
            });
            told.is_ok()
        });
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: runtime.tasks().clone(),
            factory: Arc::new(move || Router::new(Arc::clone(&setup))),
            on_closed: Some(self.closes(shared)),
        };
        let spec = child_of_run(id).significant();
        supervisor.start_child(spec, Arc::new(start)).await.map_err(RunError::Supervisor)?;
        Ok(())
    }

    /// Ends a run whose router or supervisor ended without an outcome.
    fn closes(&self, shared: &Arc<RunShared<Outcome>>) -> OnClosed {
        let (closer, shared) = (Closer::of(&self.crew.runtime), Arc::clone(shared));
        Arc::new(move |reason| {
            if !shared.begins_to_close() {
                return;
            }
            let failure = without_outcome("the run's router", reason);
            let outcome = <Outcome as Ending>::without_answer(failure);
            shared.emit(|| RunEvent::Finished { status: outcome.status });
            closer.close(&shared, reason, outcome);
        })
    }
}

impl Resumable for Crew {
    fn config(&self) -> &Config {
        &self.config
    }

    fn resume(self: Arc<Self>, runtime: &Runtime, place: Place, seen: &Seen) -> Resuming {
        let shared = RunShared::reopen(place, &seen.footprint);
        let wakes = Team { crew: self }.wakes(&shared);
        runtime.go_on(shared, wakes, seen)
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
