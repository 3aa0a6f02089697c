//! A tool that a plan strikes.

use std::fmt;
use std::future;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::fault::Fault;
use greenroom_core::tool::{Approval, DynTool, ToolContext, ToolError, ToolErrorKind, ToolSpec};
use serde_json::Value;

use super::rule::Harm;
use super::{FaultPlan, FaultSite};

/// A tool with what a plan says of it; made by [`FaultPlan::tool`]. A call that is struck and does not go on
/// never reaches the tool.
#[derive(Clone)]
pub struct FaultyTool {
    plan: FaultPlan,
    tool: Arc<dyn DynTool>,
}

impl FaultyTool {
    pub(super) fn new(plan: FaultPlan, tool: Arc<dyn DynTool>) -> Self {
        Self { plan, tool }
    }

    async fn suffer(&self) -> Result<(), ToolError> {
        let error = |kind| Err(ToolError::new(kind, self.plan.text()));
        match self.plan.decide(FaultSite::Tool, &self.tool.spec().name) {
            None => Ok(()),
            Some(Harm::Plain(Fault::Delay(span))) => {
                tokio::time::sleep(span).await;
                Ok(())
            }
            Some(Harm::Plain(Fault::Hang)) => future::pending().await,
            Some(Harm::Plain(Fault::Panic)) => panic!("{}", self.plan.text()),
            Some(Harm::ToolError(kind)) => error(kind),
            Some(_) => error(ToolErrorKind::Failed),
        }
    }
}

impl fmt::Debug for FaultyTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyTool").field("tool", &self.tool.spec().name).finish_non_exhaustive()
    }
}

impl DynTool for FaultyTool {
    fn spec(&self) -> ToolSpec {
        self.tool.spec()
    }

    fn approval(&self) -> Approval {
        self.tool.approval()
    }

    fn lookup(&self, context: ToolContext) -> BoxFuture<'_, Result<Option<Value>, ToolError>> {
        self.tool.lookup(context)
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            self.suffer().await?;
            self.tool.call_json(arguments, context).await
        })
    }
}
