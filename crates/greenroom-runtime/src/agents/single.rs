//! A single agent: a model with tools, asked one thing at a time, as often as wanted.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::{AgentSpec, OutputCheck, TurnLimits};
use greenroom_core::budget::{Budget, Ledger, Usage};
use greenroom_core::ids::{AgentId, StreamId};
use greenroom_core::message::Message;
use greenroom_core::model::{ChatModel, OutputSchema};
use greenroom_core::report::{Report, TaskFailure, TaskFailureKind};
use greenroom_core::tool::{DynTool, schema_of};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::actor::address::AgentRef;
use crate::actor::slot::AnySlot;
use crate::agents::mailbox::internal_mailbox;
use crate::agents::turn::{Timeouts, ToolRoute, TurnAgent, TurnMessage, TurnSetup};
use crate::run::events::{Emitter, RunEvents};
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
    pub fn output<U: DeserializeOwned + JsonSchema>(self) -> AgentBuilder<U> {
        let schema = OutputSchema { name: U::schema_name().into_owned(), schema: schema_of::<U>() };
        let check: OutputCheck = Arc::new(|text| {
            let value: serde_json::Value =
                serde_json::from_str(text.trim()).map_err(|error| error.to_string())?;
            serde_json::from_value::<U>(value.clone()).map_err(|error| error.to_string())?;
            Ok(value)
        });
        let spec = AgentSpec { output: Some((Arc::new(schema), check)), ..self.spec };
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
        let plan = Blueprint {
            runtime: self.runtime,
            spec: Arc::new(spec),
            model,
            tools: Arc::new(routes),
            timeouts: self.timeouts,
            budget: self.budget,
        };
        Ok(Agent { plan: Arc::new(plan), output: PhantomData })
    }
}

impl<T> fmt::Debug for AgentBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("spec", &self.spec).finish_non_exhaustive()
    }
}

struct Blueprint {
    runtime: Runtime,
    spec: Arc<AgentSpec>,
    model: Arc<dyn ChatModel>,
    tools: Arc<BTreeMap<String, ToolRoute>>,
    timeouts: Timeouts,
    budget: Budget,
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
        let (shared, agent, events) = self.launch(input.into(), Emitter::watched()).await?;
        let cancel = Arc::new(move || {
            // An agent that takes no message has its result.
            let _ = agent.control(TurnMessage::Cancel);
        });
        Ok(Run { shared, cancel, events })
    }

    async fn launch(&self, input: String, events: Emitter) -> Result<Launched, RunError> {
        let plan = &self.plan;
        let place = plan.runtime.admit_run().ok_or(RunError::TooManyRuns)?;
        let id = plan.runtime.new_run_id();
        let ledger = Ledger::new(plan.budget, Usage::default());
        let shared = Arc::new(RunShared::new(id, ledger, events, 8, place));
        let events = shared.subscribe();
        let report = Arc::clone(&shared);
        let setup = Arc::new(TurnSetup {
            spec: Arc::clone(&plan.spec),
            role: "agent",
            stream: StreamId::root(id),
            input: vec![Message::user(input)],
            model: Arc::clone(&plan.model),
            tools: Arc::clone(&plan.tools),
            journal: plan.runtime.journal(),
            clock: plan.runtime.clock(),
            ledger: Arc::clone(&shared.ledger),
            events: shared.events.clone(),
            report_to: Arc::new(move |result| report.finish(result.clone())),
            timeouts: plan.timeouts,
            top_k: shared.top_k,
            is_answer: true,
            wall_max: Some(plan.budget.wall_max),
        });
        let over = Arc::clone(&shared);
        let slot = plan.runtime.slot(plan.spec.id.clone(), "agent", internal_mailbox());
        let start = AgentStart {
            slot: Arc::clone(&slot),
            tasks: plan.runtime.tasks().clone(),
            factory: Arc::new(move || TurnAgent::new(Arc::clone(&setup))),
            on_closed: Some(Arc::new(move |reason| {
                let (kind, why) =
                    (TaskFailureKind::AgentLost, format!("the agent ended: {reason}"));
                over.finish(Err(TaskFailure::new(kind, why)));
            })),
        };
        shared.add_agent(Arc::clone(&slot) as Arc<dyn AnySlot>);
        let child = child_of_run(AgentId::new(format!("run-{id}")));
        let partition = plan.runtime.partition(id);
        partition.start_child(child, Arc::new(start)).await.map_err(RunError::Supervisor)?;
        Ok((shared, AgentRef::new(slot), events))
    }
}

/// A run that was started: what it shares, its agent, and its events when it is watched.
type Launched = (Arc<RunShared<AgentOutcome>>, AgentRef<TurnMessage>, Option<RunEvents>);

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
        let (shared, agent, _) = self.launch(input.into(), Emitter::default()).await?;
        let guard = CancelOnDrop { agent, is_armed: true };
        let report = shared.outcome().await.map_err(RunError::Failed)?;
        guard.disarm();
        let value = report.value.unwrap_or(serde_json::Value::String(report.text));
        serde_json::from_value(value).map_err(|error| RunError::Output(error.to_string()))
    }
}

struct CancelOnDrop {
    agent: AgentRef<TurnMessage>,
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
            let _ = self.agent.control(TurnMessage::Cancel);
        }
    }
}

impl<T> fmt::Debug for Agent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("spec", &self.plan.spec).finish_non_exhaustive()
    }
}
