//! A single agent: a model with tools, asked one thing at a time, as often as wanted.

mod blueprint;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::agent::{AgentSpec, TurnLimits};
use greenroom_core::approval::InDoubt;
use greenroom_core::budget::Budget;
use greenroom_core::delegation::delegate;
use greenroom_core::ids::{AgentId, RunId};
use greenroom_core::model::ChatModel;
use greenroom_core::report::{Report, TaskFailure};
use greenroom_core::tool::{DynTool, ToolContext};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::agents::tools::approvals;
use crate::agents::turn::{Timeouts, ToolRoute};
use crate::run::Run;
use crate::run::events::Emitter;
use crate::runtime::Runtime;
use crate::runtime::error::RunError;
use blueprint::Blueprint;

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

    /// Tools that the model may call.
    pub fn tools(mut self, tools: impl IntoIterator<Item = impl DynTool>) -> Self {
        self.tools.extend(tools.into_iter().map(|tool| Arc::new(tool) as Arc<dyn DynTool>));
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

    /// What becomes of an at-most-once call that was cut off. Default: the model is told.
    pub fn in_doubt(mut self, in_doubt: InDoubt) -> Self {
        self.spec.in_doubt = in_doubt;
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
        let approvals = approvals(specs.iter().map(|spec| &spec.name).zip(&self.tools));
        let names = specs.iter().map(|spec| spec.name.clone());
        let routes: BTreeMap<_, _> =
            names.zip(self.tools.into_iter().map(ToolRoute::Local)).collect();
        let spec = AgentSpec { tools: specs.into(), approvals: Arc::new(approvals), ..self.spec };
        let mut config = spec.config();
        config.name("model", model.name());
        let plan = Arc::new(Blueprint {
            config,
            spec: Arc::new(spec),
            model,
            tools: Arc::new(routes),
            timeouts: self.timeouts,
            budget: self.budget,
        });
        self.runtime.bind(plan.owner(), &plan);
        Ok(Agent { runtime: self.runtime, plan, output: PhantomData })
    }
}

impl<T> fmt::Debug for AgentBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentBuilder").field("spec", &self.spec).finish_non_exhaustive()
    }
}

/// An agent, ready to be asked. Each question is a run of its own: a supervised actor with its own
/// journal stream, budget and deadline.
pub struct Agent<T = String> {
    runtime: Runtime,
    plan: Arc<Blueprint>,
    output: PhantomData<fn() -> T>,
}

impl<T> Clone for Agent<T> {
    fn clone(&self) -> Self {
        let (runtime, plan) = (self.runtime.clone(), Arc::clone(&self.plan));
        Self { runtime, plan, output: PhantomData }
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
        let plan = &self.plan;
        plan.begin(&self.runtime, input.into(), Emitter::watched(), plan.alone()).await
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
        Run::attach(&self.runtime, run).await
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
        self.run_for(input.into(), self.plan.alone()).await
    }

    /// Asks on behalf of a tool's call, and waits for the answer: so agents ask each other. One that waits
    /// for the call is not asked, nor is anybody when [too many](greenroom_core::delegation::DELEGATION_DEPTH_MAX) wait already.
    ///
    /// # Errors
    ///
    /// [`RunError::Delegation`] when it is not asked; or as [`Agent::run`]. A tool can return either with
    /// `?`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run.
    pub async fn delegate(
        &self,
        context: &ToolContext,
        input: impl Into<String>,
    ) -> Result<T, RunError> {
        let waiting =
            delegate(&context.waiting, &self.plan.spec.id).map_err(RunError::Delegation)?;
        self.run_for(input.into(), waiting).await
    }

    async fn run_for(&self, input: String, waiting: Arc<[AgentId]>) -> Result<T, RunError> {
        let run = self.plan.begin(&self.runtime, input, Emitter::default(), waiting).await?;
        let guard = CancelOnDrop { run, is_armed: true };
        let report = guard.run.outcome().await.map_err(RunError::Failed)?;
        guard.disarm();
        let value = report.value.unwrap_or(serde_json::Value::String(report.text));
        serde_json::from_value(value).map_err(|error| RunError::Output(error.to_string()))
    }
}

struct CancelOnDrop {
    run: Run<AgentOutcome>,
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
            self.run.cancel();
        }
    }
}

impl<T> fmt::Debug for Agent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("spec", &self.plan.spec).finish_non_exhaustive()
    }
}
