//! A server's tool, as agents hold it.

use std::fmt;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::tool::{
    Approval, DynTool, EffectClass, ToolContext, ToolError, ToolErrorKind, ToolSpec,
};
use rmcp::model::Tool;
use serde_json::Value;

use crate::client::Shared;
use crate::names::exposed;

/// A tool of an MCP server, under the name `server__tool`.
///
/// What the model is told of it is what the server said when it was connected. What repeating a call would do is
/// yours to say: [`EffectClass::AtMostOnce`], unless [`effect`](Self::effect) says otherwise.
#[derive(Clone)]
pub struct McpTool {
    shared: Arc<Shared>,
    /// The server's own name for it.
    name: Arc<str>,
    spec: ToolSpec,
    approval: Approval,
}

impl McpTool {
    pub(crate) fn new(shared: Arc<Shared>, tool: &Tool) -> Self {
        let server = shared.server();
        let only_reads =
            tool.annotations.as_ref().is_some_and(|hints| hints.read_only_hint == Some(true));
        let effect = match server.trusts_hints && only_reads {
            true => EffectClass::ReadOnly,
            false => EffectClass::AtMostOnce,
        };
        let mut parameters = (*tool.input_schema).clone();
        // Some providers refuse it, and it tells a model nothing.
        parameters.remove("$schema");
        let spec = ToolSpec {
            name: exposed(&server.name, &tool.name),
            description: tool.description.as_deref().unwrap_or_default().to_owned(),
            parameters: Value::Object(parameters),
            effect,
        };
        Self { shared, name: tool.name.as_ref().into(), spec, approval: Approval::none() }
    }

    /// The name that the server gives it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What repeating a call would do.
    #[must_use]
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.spec.effect = effect;
        self
    }

    /// Which calls need a person's approval. Default none.
    #[must_use]
    pub fn approval(mut self, approval: Approval) -> Self {
        self.approval = approval;
        self
    }

    async fn call(&self, arguments: Value) -> Result<Value, ToolError> {
        let arguments = match arguments {
            Value::Object(arguments) => arguments,
            Value::Null => serde_json::Map::new(),
            _ => {
                let message = "the arguments are not an object";
                return Err(ToolError::new(ToolErrorKind::InvalidArguments, message));
            }
        };
        self.shared.call(&self.name, arguments, self.spec.effect.may_repeat()).await
    }
}

impl DynTool for McpTool {
    fn spec(&self) -> ToolSpec {
        self.spec.clone()
    }

    fn approval(&self) -> Approval {
        self.approval.clone()
    }

    fn call_json(
        &self,
        arguments: Value,
        _context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(self.call(arguments))
    }
}

impl From<McpTool> for Arc<dyn DynTool> {
    fn from(tool: McpTool) -> Self {
        Arc::new(tool)
    }
}

impl fmt::Debug for McpTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("McpTool").field(&self.spec.name).finish()
    }
}
