//! What the runs of an agent have in common, and how one is begun or continued.

use std::collections::BTreeMap;
use std::sync::Arc;

use greenroom_core::agent::AgentSpec;
use greenroom_core::budget::{Budget, Ledger, Usage};
use greenroom_core::ids::{AgentId, StreamId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::message::Message;
use greenroom_core::model::ChatModel;
use greenroom_core::recovery::{Config, Owner};
use greenroom_core::report::Goal;
use greenroom_core::time::Timestamp;

use super::AgentOutcome;
use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::turn::{Sleeps, Timeouts, ToolRoute, TurnAgent, TurnMessage, TurnSetup, Waits};
use crate::journalled::Known;
use crate::recovery::{Resumable, Resuming, Seen};
use crate::run::closing::{Closer, without_outcome};
use crate::run::events::Emitter;
use crate::run::live::{Control, LiveRun, Place};
use crate::run::sleep::Wakes;
use crate::run::{Run, RunShared};
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use crate::supervisor::AgentStart;
use crate::team::child_of_run;

pub(super) struct Blueprint {
    pub(super) config: Config,
    pub(super) spec: Arc<AgentSpec>,
    pub(super) model: Arc<dyn ChatModel>,
    pub(super) tools: Arc<BTreeMap<String, ToolRoute>>,
    pub(super) timeouts: Timeouts,
    pub(super) budget: Budget,
}

impl Blueprint {
    /// Who waits when nobody asked for the run but the application.
    pub(super) fn alone(&self) -> Arc<[AgentId]> {
        Arc::from([self.spec.id.clone()])
    }

    /// By which its runs find it again in another process.
    pub(super) fn owner(&self) -> Owner {
        Owner::Agent(self.spec.id.to_string())
    }

    /// Begins a run, for which these agents wait: it is journalled first. Its handle is there before its actor, and
    /// misses nothing.
    pub(super) async fn begin(
        self: &Arc<Self>,
        runtime: &Runtime,
        input: String,
        events: Emitter,
        waiting: Arc<[AgentId]>,
    ) -> Result<Run<AgentOutcome>, RunError> {
        let id = runtime.new_run_id();
        let place = runtime.admit(id)?;
        let at = runtime.clock().now();
        let deadline = at.after(self.budget.wall_max);
        let agent = self.spec.id.clone();
        let started = Event::TaskStarted { agent, input: vec![Message::user(input)] };
        let (owner, config, budget) = (self.owner(), self.config.clone(), self.budget);
        let bound = Event::RunBound { owner, config, budget, deadline };
        let begun = Recorded::sequence(0, at, [started, bound]);
        runtime.accept(id, Arc::clone(&begun)).await?;
        let ledger = Ledger::new(self.budget, Usage::default());
        let shared = RunShared::open(place, ledger, events, Goal::TOP_K);
        let run = Run::new(Arc::clone(&shared));
        let (plan, started_in) = (Arc::clone(self), runtime.clone());
        let launch = async move {
            plan.launch(&started_in, &shared, deadline, Known::of(begun.to_vec()), waiting).await
        };
        runtime.at_once_or_in_turn(launch).await?;
        Ok(run)
    }

    /// Starts the actor of a run, as often as it is woken. It does not keep the runtime.
    fn wakes(
        self: &Arc<Self>,
        shared: &Arc<RunShared<AgentOutcome>>,
        deadline: Timestamp,
        waiting: Arc<[AgentId]>,
    ) -> Wakes {
        let (plan, shared) = (Arc::clone(self), Arc::clone(shared));
        Arc::new(move |runtime, known| {
            let (plan, runtime, shared) = (Arc::clone(&plan), runtime.clone(), Arc::clone(&shared));
            let waiting = Arc::clone(&waiting);
            Box::pin(async move { plan.launch(&runtime, &shared, deadline, known, waiting).await })
        })
    }

    /// Starts the actor of a run that is in the journal.
    async fn launch(
        self: &Arc<Self>,
        runtime: &Runtime,
        shared: &Arc<RunShared<AgentOutcome>>,
        deadline: Timestamp,
        known: Known,
        waiting: Arc<[AgentId]>,
    ) -> Result<(), RunError> {
        let id = shared.id;
        let setup = Arc::new(self.setup(runtime, shared, deadline, known, waiting));
        let (closer, over) = (Closer::of(runtime), Arc::clone(shared));
        let slot = runtime.slot(self.spec.id.clone(), "agent", internal_mailbox());
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: runtime.tasks().clone(),
            factory: Arc::new(move || TurnAgent::new(Arc::clone(&setup))),
            on_closed: Some(Arc::new(move |reason| {
                if !over.begins_to_close() {
                    return;
                }
                closer.close(&over, reason, Err(without_outcome("the agent", reason)));
            })),
        };
        let agent = AgentRef::new(Arc::clone(&slot));
        shared.add_turn(StreamId::root(id), agent.clone());
        // An agent that takes no message has its result.
        shared.controlled_by(move |control| match control {
            Control::Cancel => agent.control(TurnMessage::Cancel).is_ok(),
            // It is told as all agents of the run are.
            Control::Pause(_) => false,
        });
        shared.add_agent(slot as Arc<dyn AnySlot>);
        let child = child_of_run(AgentId::new(format!("run-{id}")));
        let started = runtime.partition(id).start_child(child, Arc::new(start)).await;
        started.map(drop).map_err(|error| {
            shared.abandon();
            RunError::Supervisor(error)
        })
    }

    fn setup(
        self: &Arc<Self>,
        runtime: &Runtime,
        shared: &Arc<RunShared<AgentOutcome>>,
        deadline: Timestamp,
        known: Known,
        waiting: Arc<[AgentId]>,
    ) -> TurnSetup {
        let report = Arc::clone(shared);
        let sleeps = Sleeps {
            runtime: runtime.downgrade(),
            live: Arc::clone(shared) as Arc<dyn LiveRun>,
            wakes: self.wakes(shared, deadline, Arc::clone(&waiting)),
        };
        TurnSetup {
            spec: Arc::clone(&self.spec),
            role: "agent",
            stream: StreamId::root(shared.id),
            known,
            // It is in the stream.
            input: Vec::new(),
            model: Arc::clone(&self.model),
            tools: Arc::clone(&self.tools),
            journal: runtime.journal(),
            clock: runtime.clock(),
            account: Arc::clone(&shared.account),
            events: shared.events.clone(),
            report_to: Arc::new(move |result| report.finish(result.clone())),
            timeouts: self.timeouts,
            top_k: shared.top_k,
            is_answer: true,
            waiting,
            deadline: Some(deadline),
            pace: shared.pace.clone(),
            door: Arc::clone(&shared.door),
            waits: Waits::Sleeps(sleeps),
        }
    }
}

impl Resumable for Blueprint {
    fn config(&self) -> &Config {
        &self.config
    }

    fn resume(self: Arc<Self>, runtime: &Runtime, place: Place, seen: &Seen) -> Resuming {
        let shared = RunShared::reopen(place, &seen.footprint);
        // Whoever asked for it in another process waits no more.
        let wakes = self.wakes(&shared, seen.footprint.deadline(), self.alone());
        runtime.go_on(shared, wakes, seen)
    }
}
