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
use greenroom_core::report::{Goal, TaskFailure, TaskFailureKind};
use greenroom_core::time::Timestamp;

use super::AgentOutcome;
use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::turn::{Timeouts, ToolRoute, TurnAgent, TurnMessage, TurnSetup};
use crate::journalled::Known;
use crate::recovery::{Resumable, Resuming, Seen};
use crate::run::RunShared;
use crate::run::closing::Closer;
use crate::run::events::Emitter;
use crate::run::live::{Control, Place};
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use crate::supervisor::AgentStart;
use crate::team::child_of_run;

pub(super) struct Blueprint {
    pub(super) config: Config,
    pub(super) runtime: Runtime,
    pub(super) spec: Arc<AgentSpec>,
    /// That of the spec, which is too long to be read for every run.
    pub(super) fingerprint: u64,
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

    /// Begins a run, for which these agents wait: it is journalled first.
    pub(super) async fn begin(
        &self,
        input: String,
        events: Emitter,
        waiting: Arc<[AgentId]>,
    ) -> Result<Arc<RunShared<AgentOutcome>>, RunError> {
        let id = self.runtime.new_run_id();
        let place = self.runtime.admit(id)?;
        let at = self.runtime.clock().now();
        let deadline = at.after(self.budget.wall_max);
        let agent = self.spec.id.clone();
        let (input, config) = (vec![Message::user(input)], self.fingerprint);
        let started = Event::TaskStarted { agent, input, config };
        let (owner, config, budget) = (self.owner(), self.config.clone(), self.budget);
        let bound = Event::RunBound { owner, config, budget, deadline };
        let begun = Recorded::sequence(0, at, [started, bound]);
        self.runtime.accept(id, Arc::clone(&begun)).await?;
        let ledger = Ledger::new(self.budget, Usage::default());
        let shared = RunShared::open(place, ledger, events, Goal::TOP_K);
        self.launch(&shared, deadline, Known::of(begun.to_vec()), waiting).await?;
        Ok(shared)
    }

    /// Starts the actor of a run that is in the journal.
    async fn launch(
        &self,
        shared: &Arc<RunShared<AgentOutcome>>,
        deadline: Timestamp,
        known: Known,
        waiting: Arc<[AgentId]>,
    ) -> Result<(), RunError> {
        let id = shared.id;
        let report = Arc::clone(shared);
        let setup = Arc::new(TurnSetup {
            spec: Arc::clone(&self.spec),
            fingerprint: self.fingerprint,
            role: "agent",
            stream: StreamId::root(id),
            known,
            // It is in the stream.
            input: Vec::new(),
            model: Arc::clone(&self.model),
            tools: Arc::clone(&self.tools),
            journal: self.runtime.journal(),
            clock: self.runtime.clock(),
            account: Arc::clone(&shared.account),
            events: shared.events.clone(),
            report_to: Arc::new(move |result| report.finish(result.clone())),
            timeouts: self.timeouts,
            top_k: shared.top_k,
            is_answer: true,
            waiting,
            deadline: Some(deadline),
            pace: shared.pace.clone(),
        });
        let (closer, over) = (Closer::of(&self.runtime), Arc::clone(shared));
        let slot = self.runtime.slot(self.spec.id.clone(), "agent", internal_mailbox());
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: self.runtime.tasks().clone(),
            factory: Arc::new(move || TurnAgent::new(Arc::clone(&setup))),
            on_closed: Some(Arc::new(move |reason| {
                if !over.begins_to_close() {
                    return;
                }
                let (kind, why) =
                    (TaskFailureKind::AgentLost, format!("the agent ended: {reason}"));
                let outcome = Err(TaskFailure::new(kind, why));
                closer.close(&over, reason, outcome, |result| Event::TaskFinished { result });
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
        let started = self.runtime.partition(id).start_child(child, Arc::new(start)).await;
        started.map(drop).map_err(|error| {
            shared.abandon();
            RunError::Supervisor(error)
        })
    }
}

impl Resumable for Blueprint {
    fn config(&self) -> &Config {
        &self.config
    }

    fn resume(self: Arc<Self>, place: Place, seen: &Seen) -> Resuming {
        let shared = RunShared::reopen(place, &seen.footprint);
        let (deadline, known) = (seen.footprint.deadline(), seen.root.clone());
        Box::pin(async move {
            // Whoever asked for it in another process waits no more.
            let waiting = self.alone();
            self.launch(&shared, deadline, known, waiting).await?;
            Ok(shared.pace.moved.clone())
        })
    }
}
