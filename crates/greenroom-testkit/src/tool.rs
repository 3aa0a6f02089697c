//! A tool that does what a test says, whatever its arguments.

use std::fmt;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use greenroom_core::BoxFuture;
use greenroom_core::tool::{Approval, DynTool, EffectClass, ToolContext, ToolError, ToolSpec};
use serde_json::{Value, json};

use crate::calls::Calls;

type Function = dyn Fn(Value) -> Result<Value, ToolError> + Send + Sync;

#[derive(Clone)]
enum Behaviour {
    Function(Arc<Function>),
    Hang,
    Panic(Arc<str>),
    Block(Duration),
}

/// A tool that records its calls and then succeeds, fails, panics, hangs or blocks its thread.
///
/// It takes any JSON object, and is [`EffectClass::AtMostOnce`] unless told otherwise.
#[derive(Clone)]
pub struct ScriptedTool {
    name: Arc<str>,
    effect: EffectClass,
    approval: Approval,
    delay: Duration,
    behaviour: Behaviour,
    calls: Calls<(ToolContext, Value)>,
}

impl ScriptedTool {
    fn new(name: impl Into<Arc<str>>, behaviour: Behaviour) -> Self {
        Self {
            name: name.into(),
            effect: EffectClass::default(),
            approval: Approval::default(),
            delay: Duration::ZERO,
            behaviour,
            calls: Calls::new(),
        }
    }

    /// A tool whose output is its arguments.
    #[must_use]
    pub fn echo(name: impl Into<Arc<str>>) -> Self {
        Self::answering(name, Ok)
    }

    /// A tool that is a function of its arguments.
    #[must_use]
    pub fn answering(
        name: impl Into<Arc<str>>,
        function: impl Fn(Value) -> Result<Value, ToolError> + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, Behaviour::Function(Arc::new(function)))
    }

    /// A tool that fails.
    #[must_use]
    pub fn failing(name: impl Into<Arc<str>>, error: ToolError) -> Self {
        Self::answering(name, move |_| Err(error.clone()))
    }

    /// A tool that panics with a message while it is polled.
    #[must_use]
    pub fn panicking(name: impl Into<Arc<str>>, message: impl Into<Arc<str>>) -> Self {
        Self::new(name, Behaviour::Panic(message.into()))
    }

    /// A tool that never answers.
    #[must_use]
    pub fn hanging(name: impl Into<Arc<str>>) -> Self {
        Self::new(name, Behaviour::Hang)
    }

    /// A tool that blocks the thread it runs on, as a tool must not, for so much **real** time, and
    /// then answers with its arguments.
    #[must_use]
    pub fn blocking(name: impl Into<Arc<str>>, span: Duration) -> Self {
        Self::new(name, Behaviour::Block(span))
    }

    /// Waits in tokio's time before it does anything else. Default none.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets what the tool declares of being repeated.
    #[must_use]
    pub fn effect(mut self, effect: EffectClass) -> Self {
        self.effect = effect;
        self
    }

    /// Sets which calls wait for a person. Default none.
    #[must_use]
    pub fn approval(mut self, approval: Approval) -> Self {
        self.approval = approval;
        self
    }

    /// The record of the calls, contexts included; stays valid when the tool is given away.
    #[must_use]
    pub fn calls(&self) -> Calls<(ToolContext, Value)> {
        self.calls.clone()
    }
}

impl fmt::Debug for ScriptedTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTool")
            .field("name", &self.name)
            .field("effect", &self.effect)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

impl DynTool for ScriptedTool {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_string(),
            description: "Does what a test says.".into(),
            parameters: json!({ "type": "object" }),
            effect: self.effect,
        }
    }

    fn approval(&self) -> Approval {
        self.approval.clone()
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            let (_, _in_flight) = self.calls.begin((context, arguments.clone()));
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            match &self.behaviour {
                Behaviour::Function(function) => function(arguments),
                Behaviour::Hang => future::pending().await,
                Behaviour::Panic(message) => panic!("{message}"),
                Behaviour::Block(span) => {
                    block(*span);
                    Ok(arguments)
                }
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "to block its thread is what this tool is for")]
fn block(span: Duration) {
    std::thread::sleep(span);
}

#[cfg(test)]
mod tests;
