//! The tool seam: a typed trait that users write, and the object-safe form that agents hold.
//!
//! A tool declares what repeating it would do ([`EffectClass`]). The runtime alone reads that
//! declaration; nothing that a model writes can change it.

mod approval;
mod function;
mod key;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::BoxFuture;
use crate::ids::{AgentId, CallId};

pub use approval::Approval;
pub use function::{FnTool, tool, tool_with};
pub use key::{canonical, idempotency_key};

/// A tool with typed arguments and a typed result. The schema that the model sees is inferred from
/// [`Tool::Input`]; doc comments on its fields become descriptions.
///
/// For a plain function use [`tool`].
pub trait Tool: Send + Sync + 'static {
    /// The arguments.
    type Input: DeserializeOwned + JsonSchema + Send;
    /// The result, which the model reads as JSON.
    type Output: Serialize + Send;

    /// The name that the model calls: letters, digits, `_` and `-`.
    fn name(&self) -> &str;

    /// What the tool does and when to use it, for the model.
    fn description(&self) -> &str;

    /// What repeating a call would do. The default is the most careful class.
    fn effect(&self) -> EffectClass {
        EffectClass::AtMostOnce
    }

    /// Which calls need a person's approval. Default none.
    fn approval(&self) -> Approval {
        Approval::none()
    }

    /// Looks up what came of a call by its idempotency key: its output as JSON, or `None` when there was no
    /// such call. Asked only of a tool that declares [`EffectClass::Reconcilable`], for a call that was cut
    /// off; then an error leaves the call in doubt.
    ///
    /// # Errors
    ///
    /// [`ToolError`] when it cannot be told; that is the default.
    ///
    /// # Cancel safety
    ///
    /// As [`Tool::call`].
    fn lookup(
        &self,
        context: ToolContext,
    ) -> impl Future<Output = Result<Option<Value>, ToolError>> + Send {
        let message = format!("the tool cannot look up {}", context.idempotency_key);
        std::future::ready(Err(ToolError::new(ToolErrorKind::InDoubt, message)))
    }

    /// Runs the tool. Blocking work belongs on a blocking thread, not in this future.
    ///
    /// # Errors
    ///
    /// [`ToolError`], which the model reads and may act upon.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the call times out or its run is cancelled.
    fn call(
        &self,
        input: Self::Input,
        context: ToolContext,
    ) -> impl Future<Output = Result<Self::Output, ToolError>> + Send;
}

/// A [`Tool`] whose types are erased: what a toolbox holds. Every `Tool` is one.
pub trait DynTool: Send + Sync + 'static {
    /// What the model is told of the tool. Computed on each call; keep the result.
    fn spec(&self) -> ToolSpec;

    /// Which calls need a person's approval.
    fn approval(&self) -> Approval {
        Approval::none()
    }

    /// Looks up what came of a call that was cut off; see [`Tool::lookup`].
    ///
    /// # Errors
    ///
    /// [`ToolError`] when it cannot be told; that is the default.
    fn lookup(&self, context: ToolContext) -> BoxFuture<'_, Result<Option<Value>, ToolError>> {
        let message = format!("the tool cannot look up {}", context.idempotency_key);
        Box::pin(std::future::ready(Err(ToolError::new(ToolErrorKind::InDoubt, message))))
    }

    /// Parses the arguments, runs the tool, and gives its output as JSON.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::InvalidArguments`] when the arguments do not fit the schema, or the tool's own.
    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>>;
}

const _: fn(&dyn DynTool) = |_| {};

impl<T: Tool> DynTool for T {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name().to_owned(),
            description: self.description().to_owned(),
            parameters: schema_of::<T::Input>(),
            effect: self.effect(),
        }
    }

    fn approval(&self) -> Approval {
        Tool::approval(self)
    }

    fn lookup(&self, context: ToolContext) -> BoxFuture<'_, Result<Option<Value>, ToolError>> {
        Box::pin(Tool::lookup(self, context))
    }

    fn call_json(
        &self,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'_, Result<Value, ToolError>> {
        Box::pin(async move {
            let input = serde_json::from_value(arguments).map_err(|error| {
                ToolError::new(ToolErrorKind::InvalidArguments, error.to_string())
            })?;
            let output = self.call(input, context).await?;
            serde_json::to_value(output)
                .map_err(|error| ToolError::failed(format!("the output is not JSON: {error}")))
        })
    }
}

/// The JSON Schema (draft 2020-12) of a type, with its definitions inlined.
#[must_use]
pub fn schema_of<T: JsonSchema + ?Sized>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

/// What a model is told of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// The name that the model calls.
    pub name: String,
    /// What the tool does.
    pub description: String,
    /// The JSON Schema of the arguments.
    pub parameters: Value,
    /// What repeating a call would do; not shown to the model.
    pub effect: EffectClass,
}

/// What repeating a call would do, and so what recovery may do with a call that a crash left in doubt.
///
/// | class | after a crash |
/// |---|---|
/// | `ReadOnly` | run again |
/// | `Idempotent` | run again with the same key |
/// | `Reconcilable` | looked up by its key, and run again only if there was no such call |
/// | `AtMostOnce` | never run again on its own: the call is reported as in doubt |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EffectClass {
    /// Changes nothing.
    ReadOnly,
    /// A second call with the same key has no further effect.
    Idempotent,
    /// The tool can tell what came of a call, by its key.
    Reconcilable,
    /// A second call would act twice.
    #[default]
    AtMostOnce,
}

impl EffectClass {
    /// Whether a call whose outcome is unknown may be run again without asking anybody.
    #[must_use]
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Idempotent)
    }

    /// Whether a call that was cut off goes on without asking anybody: it is run again, or looked up.
    #[must_use]
    pub fn may_recover(self) -> bool {
        self.may_repeat() || self == Self::Reconcilable
    }
}

/// What a tool is told of the call it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolContext {
    /// The call.
    pub call: CallId,
    /// The same for every attempt of one call, different for every other call. Pass it to services that
    /// take an idempotency key.
    pub idempotency_key: Arc<str>,
    /// The agents that wait for the call, the first one first.
    pub waiting: Arc<[AgentId]>,
}

impl ToolContext {
    /// A context for a call.
    #[must_use]
    pub fn new(call: CallId, idempotency_key: impl Into<Arc<str>>) -> Self {
        Self { call, idempotency_key: idempotency_key.into(), waiting: Arc::from([]) }
    }

    /// The same call, for which these agents wait.
    #[must_use]
    pub fn waited_for_by(self, waiting: Arc<[AgentId]>) -> Self {
        Self { waiting, ..self }
    }
}

/// Why a tool call has no output. The model reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// What policy reads.
    pub kind: ToolErrorKind,
    /// What the model and people read.
    pub message: String,
}

impl ToolError {
    /// An error of a kind.
    #[must_use]
    pub fn new(kind: ToolErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The tool ran and could not do what was asked.
    #[must_use]
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ToolErrorKind::Failed, message)
    }
}

/// The kinds of [`ToolError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolErrorKind {
    /// No tool of that name is available to the agent.
    NotFound,
    /// The arguments do not fit the schema.
    InvalidArguments,
    /// The tool could not do what was asked.
    Failed,
    /// The tool refuses what was asked, for example a path outside its root.
    Denied,
    /// The tool did not answer in time.
    TimedOut,
    /// The tool panicked; its agent and its siblings live.
    Panicked,
    /// The call was cancelled with its run.
    Cancelled,
    /// Whether the call took effect is unknown.
    InDoubt,
}

impl fmt::Display for ToolErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::InvalidArguments => "invalid arguments",
            Self::Failed => "failed",
            Self::Denied => "denied",
            Self::TimedOut => "timed out",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
            Self::InDoubt => "in doubt",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Add {
        /// The first summand.
        a: i64,
        b: i64,
    }

    #[test]
    fn the_schema_is_inferred_from_the_functions_argument() {
        let add = tool("add", "Adds.", |Add { a, b }| async move { Ok(a + b) }).read_only();
        let spec = add.spec();
        assert_eq!(spec.effect, EffectClass::ReadOnly);
        assert_eq!(spec.parameters["required"], serde_json::json!(["a", "b"]));
        assert_eq!(spec.parameters["properties"]["a"]["description"], "The first summand.");
        assert_eq!(spec.parameters.get("$schema"), None);
    }

    #[test]
    fn a_function_says_what_it_is() {
        let put = tool_with("put", "Puts.", |Add { a, b }, context: ToolContext| async move {
            Ok(format!("{} {}", a + b, context.idempotency_key))
        });
        let put = put.idempotent().requires_approval();
        assert_eq!(put.spec().effect, EffectClass::Idempotent);
        assert!(DynTool::approval(&put).is_needed(&serde_json::json!({})));
        let put = put.reconcilable(|_| async { Ok(None) });
        assert_eq!(put.spec().effect, EffectClass::Reconcilable);
    }
}
