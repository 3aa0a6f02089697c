//! Tool agents: they own a toolset and run calls side by side, each with its own deadline.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::ids::{AgentId, CallId};
use greenroom_core::message::ToolOutcome;
use greenroom_core::tool::{Approval, DynTool, ToolContext, ToolError, ToolErrorKind, ToolSpec};
use serde_json::Value;

use crate::actor::address::Reply;
use crate::actor::effect::EffectError;
use crate::actor::{Actor, Context, Failure};

/// The tools of an agent, with what models are told of them.
#[derive(Clone, Default)]
pub(crate) struct ToolSet {
    tools: BTreeMap<String, Arc<dyn DynTool>>,
    specs: Vec<ToolSpec>,
}

/// Whether calls of a tool may be repeated, and need nobody's approval: whoever calls it needs no journal.
pub(crate) fn is_free(tool: &dyn DynTool) -> bool {
    tool.spec().effect.may_repeat() && tool.approval().is_none()
}

/// Which calls of tools need a person's approval.
pub(crate) fn approvals<'a>(
    tools: impl Iterator<Item = (&'a String, &'a Arc<dyn DynTool>)>,
) -> BTreeMap<String, Approval> {
    let approvals = tools.map(|(name, tool)| (name.clone(), tool.approval()));
    approvals.filter(|(_, approval)| !approval.is_none()).collect()
}

impl ToolSet {
    /// Adds a tool; one of the same name is replaced.
    pub(crate) fn add(&mut self, tool: Arc<dyn DynTool>) {
        let spec = tool.spec();
        self.specs.retain(|known| known.name != spec.name);
        self.tools.insert(spec.name.clone(), tool);
        self.specs.push(spec);
    }

    /// What models are told.
    pub(crate) fn specs(&self) -> &[ToolSpec] {
        &self.specs
    }

    /// The tools.
    pub(crate) fn tools(&self) -> impl Iterator<Item = (&String, &Arc<dyn DynTool>)> {
        self.tools.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn DynTool>> {
        self.tools.get(name)
    }
}

impl fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.tools.keys()).finish()
    }
}

/// A call for a tool agent.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) call: CallId,
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    /// The same for every attempt of this call.
    pub(crate) idempotency_key: Arc<str>,
    /// The agents that wait for it.
    pub(crate) waiting: Arc<[AgentId]>,
    /// Whether to look first what came of it.
    pub(crate) looks_first: bool,
    pub(crate) reply: Reply<ToolOutcome>,
}

pub(crate) enum ToolMessage {
    Call(Call),
    Done { call: u64, outcome: ToolOutcome },
}

/// Owns a toolset. A panicking tool is an error outcome of its call and of no other.
pub(crate) struct ToolAgent {
    tools: Arc<ToolSet>,
    call_timeout: Duration,
    open: BTreeMap<u64, Reply<ToolOutcome>>,
    n_calls: u64,
}

impl ToolAgent {
    pub(crate) fn new(tools: Arc<ToolSet>, call_timeout: Duration) -> Self {
        Self { tools, call_timeout, open: BTreeMap::new(), n_calls: 0 }
    }

    fn call(&mut self, call: &Call, context: &Context<'_, Self>) {
        let Some(tool) = self.tools.get(&call.tool) else {
            let names: Vec<_> = self.tools.tools.keys().map(String::as_str).collect();
            let message =
                format!("there is no tool {:?}; there are: {}", call.tool, names.join(", "));
            let _ = call.reply.send(ToolError::new(ToolErrorKind::NotFound, message).into());
            return;
        };
        self.n_calls += 1;
        let id = self.n_calls;
        self.open.insert(id, call.reply.take());
        let tool = Arc::clone(tool);
        let (arguments, name) = (call.arguments.clone(), call.tool.clone());
        let looks_first = call.looks_first;
        let tool_context = ToolContext::new(call.call.clone(), Arc::clone(&call.idempotency_key))
            .waited_for_by(Arc::clone(&call.waiting));
        context.effect(
            "tool",
            self.call_timeout,
            async move { make(&*tool, arguments, tool_context, looks_first).await },
            move |result| ToolMessage::Done { call: id, outcome: outcome(&name, result) },
        );
    }
}

impl Actor for ToolAgent {
    type Message = ToolMessage;

    fn handle(
        &mut self,
        message: &ToolMessage,
        context: &mut Context<'_, Self>,
    ) -> Result<(), Failure> {
        match message {
            ToolMessage::Call(call) => self.call(call, context),
            ToolMessage::Done { call, outcome } => {
                if let Some(reply) = self.open.remove(call) {
                    let _ = reply.send(outcome.clone());
                }
            }
        }
        Ok(())
    }
}

/// Makes a call, or, when it was cut off before, finds out what came of it and makes it if nothing did.
pub(crate) async fn make(
    tool: &dyn DynTool,
    arguments: Value,
    context: ToolContext,
    looks_first: bool,
) -> Result<Value, ToolError> {
    if looks_first {
        match tool.lookup(context.clone()).await {
            Ok(Some(output)) => return Ok(output),
            Ok(None) => {}
            Err(error) => {
                let message = format!("the call was cut off, and its outcome is unknown: {error}");
                return Err(ToolError::new(ToolErrorKind::InDoubt, message));
            }
        }
    }
    tool.call_json(arguments, context).await
}

/// What came of a tool's future, as the model will read it.
pub(crate) fn outcome(
    tool: &str,
    result: Result<Result<Value, ToolError>, EffectError>,
) -> ToolOutcome {
    let error = match result {
        Ok(result) => return result.into(),
        Err(EffectError::TimedOut(after)) => {
            ToolError::new(ToolErrorKind::TimedOut, format!("{tool} did not answer in {after:?}"))
        }
        Err(EffectError::Panicked(text)) => {
            ToolError::new(ToolErrorKind::Panicked, format!("{tool} panicked: {text}"))
        }
        Err(EffectError::Cancelled) => {
            ToolError::new(ToolErrorKind::Cancelled, format!("{tool} was cancelled"))
        }
    };
    ToolOutcome::Error(error)
}

impl fmt::Debug for ToolMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Call(_) => "Call",
            Self::Done { .. } => "Done",
        })
    }
}
