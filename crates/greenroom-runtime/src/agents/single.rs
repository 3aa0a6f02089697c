//! A single agent: a model with tools, asked one thing at a time, as often as wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::{AgentSpec, TurnLimits};
use greenroom_core::budget::{Budget, Ledger, Usage};
use greenroom_core::ids::{AgentId, RunId, StreamId};
use greenroom_core::journal::{Event, Recorded};
use greenroom_core::message::Message;
use greenroom_core::model::ChatModel;
use greenroom_core::recovery::{Config, Footprint, Owner};
use greenroom_core::report::{Goal, Report, TaskFailure, TaskFailureKind};
use greenroom_core::time::Timestamp;
use greenroom_core::tool::DynTool;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::turn::{Timeouts, ToolRoute, TurnAgent, TurnMessage, TurnSetup};
use crate::recovery::{Resumable, Resuming};
use crate::run::closing::Closer;
use crate::run::events::Emitter;
use crate::run::live::{Control, LiveRun, Place};
use crate::run::{Run, RunShared};
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use crate::supervisor::AgentStart;
use crate::team::child_of_run;

/// What comes of a single agent's run.
pub type AgentOutcome = Result<Report, TaskFailure>;

/// An agent to be put together. `T` is what it answers with: text, unless [`AgentBuilder::output`] says
/// otherwise.
#[must_use]
pub struct AgentBuilder<T = String> {
    runtime: Runtime,
    spec: AgentSpec,
    model: Option<Arc<dyn ChatModel>>,
    tools: Vec<Arc<dyn DynTool>>,
    timeouts: Timeouts,
    budget: Budget,
    output: PhantomData<fn() -> T>,
}

impl AgentBuilder {
    pub(crate) fn new(runtime: Runtime, id: AgentId) -> Self {
        Self {
            runtime,
            spec: AgentSpec::new(id),
            model: None,
            tools: Vec::new(),
            timeouts: Timeouts::default(),
            budget: Budget::default(),
            output: PhantomData,
        }
    }
}

impl<T> AgentBuilder<T> {
    /// The model.
    pub fn model(mut self, model: impl ChatModel) -> Self {
        self.model = Some(Arc::new(model));
        self
    }

    /// What the model is told before everything else.
    pub fn instructions(mut self, instructions: impl Into<String>) -> Self {
        self.spec.instructions = instructions.into().into();
        self
    }

    /// A tool that the model may call.
    pub fn tool(mut self, tool: impl DynTool) -> Self {
        self.tools.push(Arc::new(tool));
        self
    }

    /// Limits on the agent's turns.
    pub fn limits(mut self, limits: TurnLimits) -> Self {
        self.spec.limits = limits;
        self
    }

    /// What one run may spend.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// How long one model call may take. Default 5 minutes.
    pub fn model_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.model = timeout;
        self
    }

    /// How long one tool call may take. Default 1 minute.
    pub fn tool_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.tool = timeout;
        self
    }

    /// Makes the agent answer with a value of this type. The model is told the schema, and a reply that
    /// does not fit is sent back with what is wrong, a bounded number of times.
    ///
    /// # Panics
    ///
    /// When the schema of the type is none, which only one that is written by hand can be.
    pub fn output<U: DeserializeOwned + JsonSchema>(self) -> AgentBuilder<U> {
        let (schema, check) = greenroom_output::shape::<U>();
        let spec = AgentSpec { output: Some((schema, check)), ..self.spec };
        let Self { runtime, model, tools, timeouts, budget, .. } = self;
        AgentBuilder { runtime, spec, model, tools, timeouts, budget, output: PhantomData }
    }

    /// Completes the agent.
    ///
    /// # Errors
    ///
    /// [`RunError::NoModel`] when it has no model.
    pub fn build(self) -> Result<Agent<T>, RunError> {
        let model = self.model.ok_or(RunError::NoModel)?;
        let specs: Vec<_> = self.tools.iter().map(|tool| tool.spec()).collect();
        let names = specs.iter().map(|spec| spec.name.clone());
        let routes: BTreeMap<_, _> =
            names.zip(self.tools.into_iter().map(ToolRoute::Local)).collect();
        let spec = AgentSpec { tools: specs.into(), ..self.spec };
        let mut config = spec.config();
        config.name("model", model.name());
        let plan = Arc::new(Blueprint {
            config,
            runtime: self.runtime,
            spec: Arc::new(spec),
            model,
            tools: Arc::new(routes),
            timeouts: self.timeouts,
            budget: self.budget,
        });
        plan.runtime.bind(plan.owner(), &plan);
        Ok(Agent { plan, output: PhantomData })
    }
}

impl<T> fmt::Debug for AgentBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("spec", &self.spec).finish_non_exhaustive()
    }
}

struct Blueprint {
    config: Config,
    runtime: Runtime,
    spec: Arc<AgentSpec>,
    model: Arc<dyn ChatModel>,
    tools: Arc<BTreeMap<String, ToolRoute>>,
    timeouts: Timeouts,
    budget: Budget,
}

impl Blueprint {
    /// By which its runs find it again in another process.
    fn owner(&self) -> Owner {
        Owner::Agent(self.spec.id.to_string())
    }

    /// Begins a run: it is journalled first.
    async fn begin(
        &self,
        input: String,
        events: Emitter,
    ) -> Result<Arc<RunShared<AgentOutcome>>, RunError> {
        let id = self.runtime.new_run_id();
        let place = self.runtime.runs().admit(id).ok_or(RunError::TooManyRuns)?;
        let at = self.runtime.clock().now();
        let deadline = at.after(self.budget.wall_max);
        let agent = self.spec.id.clone();
        let (input, config) = (vec![Message::user(input)], self.spec.fingerprint());
        let started = Event::TaskStarted { agent, input, config };
        let (owner, config, budget) = (self.owner(), self.config.clone(), self.budget);
        let bound = Event::RunBound { owner, config, budget, deadline };
        let begun = (0..).zip([started, bound]).map(|(seq, event)| Recorded { seq, at, event });
        let stored = self.runtime.journal().append(&StreamId::root(id), begun.collect());
        stored.await.map_err(RunError::Journal)?;
        let ledger = Ledger::new(self.budget, Usage::default());
        let shared = RunShared::open(place, ledger, events, Goal::TOP_K);
        self.launch(&shared, deadline).await?;
        Ok(shared)
    }

    /// Starts the actor of a run that is in the journal.
    async fn launch(
        &self,
        shared: &Arc<RunShared<AgentOutcome>>,
        deadline: Timestamp,
    ) -> Result<(), RunError> {
        let id = shared.id;
        let report = Arc::clone(shared);
        let setup = Arc::new(TurnSetup {
            spec: Arc::clone(&self.spec),
            role: "agent",
            stream: StreamId::root(id),
            // It is in the stream.
            input: Vec::new(),
            model: Arc::clone(&self.model),
            tools: Arc::clone(&self.tools),
            journal: self.runtime.journal(),
            clock: self.runtime.clock(),
            ledger: Arc::clone(&shared.ledger),
            events: shared.events.clone(),
            report_to: Arc::new(move |result| report.finish(result.clone())),
            timeouts: self.timeouts,
            top_k: shared.top_k,
            is_answer: true,
            deadline: Some(deadline),
            moved: shared.moved.clone(),
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
        shared.controlled_by(move |control| {
            // An agent that takes no message has its result.
            let _ = agent.control(match control {
                Control::Cancel => TurnMessage::Cancel,
            });
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

    fn resume(self: Arc<Self>, place: Place, seen: &Footprint) -> Resuming {
        let ledger = Ledger::new(seen.budget(), seen.spent());
        let shared = RunShared::open(place, ledger, Emitter::watched(), Goal::TOP_K);
        let deadline = seen.deadline();
        Box::pin(async move {
            self.launch(&shared, deadline).await?;
            Ok(shared.moved.clone())
        })
    }
}

/// An agent, ready to be asked. Each question is a run of its own: a supervised actor with its own
/// journal stream, budget and deadline.
pub struct Agent<T = String> {
    plan: Arc<Blueprint>,
    output: PhantomData<fn() -> T>,
}

impl<T> Clone for Agent<T> {
    fn clone(&self) -> Self {
        Self { plan: Arc::clone(&self.plan), output: PhantomData }
    }
}

impl<T> Agent<T> {
    /// Starts a run and lets the caller watch it.
    ///
    /// # Errors
    ///
    /// [`RunError::Supervisor`] when the runtime is full or stopping.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave a run behind, which goes on.
    pub async fn start(&self, input: impl Into<String>) -> Result<Run<AgentOutcome>, RunError> {
        Ok(Run::new(self.plan.begin(input.into(), Emitter::watched()).await?))
    }

    /// A run of this agent that is at work, or is over and still in the journal: to wait for its outcome, and
    /// to watch it from now on. `None` when it is neither.
    ///
    /// # Errors
    ///
    /// [`RunError::Journal`] when the journal cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn attach(&self, run: RunId) -> Result<Option<Run<AgentOutcome>>, RunError> {
        let runtime = &self.plan.runtime;
        if let Some(shared) = runtime.runs().find_of(run) {
            return Ok(Some(Run::new(shared)));
        }
        let stored = runtime.journal().load(&StreamId::root(run)).await;
        let result = stored.map_err(RunError::Journal)?.into_iter().find_map(|r| match r.event {
            Event::TaskFinished { result } => Some(result),
            _ => None,
        });
        Ok(result.map(|result| Run::new(RunShared::ended(run, result))))
    }
}

impl<T: DeserializeOwned> Agent<T> {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`RunError::Failed`] when the agent has no result; [`RunError::Output`] when the text is not of
    /// the type; or as [`Agent::start`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run.
    pub async fn run(&self, input: impl Into<String>) -> Result<T, RunError> {
        let shared = self.plan.begin(input.into(), Emitter::default()).await?;
        let guard = CancelOnDrop { run: Arc::clone(&shared), is_armed: true };
        let report = shared.outcome().await.map_err(RunError::Failed)?;
        guard.disarm();
        let value = report.value.unwrap_or(serde_json::Value::String(report.text));
        serde_json::from_value(value).map_err(|error| RunError::Output(error.to_string()))
    }
}

struct CancelOnDrop {
    run: Arc<RunShared<AgentOutcome>>,
    is_armed: bool,
}

impl CancelOnDrop {
    fn disarm(mut self) {
        self.is_armed = false;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if self.is_armed {
            self.run.control(Control::Cancel);
        }
    }
}

impl<T> fmt::Debug for Agent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("spec", &self.plan.spec).finish_non_exhaustive()
    }
}
