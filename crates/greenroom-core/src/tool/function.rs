//! Tools made of functions.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Approval, EffectClass, Tool, ToolContext, ToolError, ToolErrorKind};
use crate::BoxFuture;

/// Makes a tool of an async function. The schema is inferred from the function's argument.
///
/// The tool is at-most-once; see [`FnTool::read_only`]. For a function that is told the key of its call use
/// [`tool_with`].
///
/// # Examples
///
/// ```
/// use greenroom_core::{schemars::JsonSchema, tool::tool};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, JsonSchema)]
/// #[schemars(crate = "greenroom_core::schemars")]
/// struct Add {
///     a: i64,
///     b: i64,
/// }
///
/// let add = tool("add", "Adds two integers.", |Add { a, b }| async move { Ok(a + b) });
/// # let _ = add;
/// ```
pub fn tool<I, O, F, Fut>(
    name: impl Into<String>,
    description: impl Into<String>,
    function: F,
) -> FnTool<I, impl Fn(I, ToolContext) -> Fut + Send + Sync + 'static>
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(I) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    tool_with(name, description, move |input, _| function(input))
}

/// As [`tool`], with a function that is told of its call: the key to hand to services that take one.
pub fn tool_with<I, O, F, Fut>(
    name: impl Into<String>,
    description: impl Into<String>,
    function: F,
) -> FnTool<I, F>
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(I, ToolContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    FnTool {
        name: name.into(),
        description: description.into(),
        effect: EffectClass::AtMostOnce,
        approval: Approval::none(),
        lookup: None,
        function,
        input: PhantomData,
    }
}

/// Tells what came of a call.
type Lookup =
    dyn Fn(ToolContext) -> BoxFuture<'static, Result<Option<Value>, ToolError>> + Send + Sync;

/// A tool made of an async function by [`tool`] or [`tool_with`].
pub struct FnTool<I, F> {
    name: String,
    description: String,
    effect: EffectClass,
    approval: Approval,
    lookup: Option<Arc<Lookup>>,
    function: F,
    input: PhantomData<fn(I)>,
}

impl<I, F> FnTool<I, F> {
    /// Declares that the function changes nothing, so that a call may be repeated after a crash.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.effect = EffectClass::ReadOnly;
        self
    }

    /// Declares that a second call with the same key has no further effect, so that a call may be repeated
    /// with its key after a crash.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.effect = EffectClass::Idempotent;
        self
    }

    /// Declares that what came of a call can be looked up by its key: its output as JSON, or `None` when
    /// there was no such call, which is then made.
    #[must_use]
    pub fn reconcilable<L, Fut>(mut self, lookup: L) -> Self
    where
        L: Fn(ToolContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Value>, ToolError>> + Send + 'static,
    {
        self.effect = EffectClass::Reconcilable;
        self.lookup = Some(Arc::new(move |context| Box::pin(lookup(context))));
        self
    }

    /// Makes each call wait until a person approves of it.
    #[must_use]
    pub fn requires_approval(self) -> Self {
        self.approval(Approval::always())
    }

    /// Makes calls wait until a person approves of them, by a policy.
    #[must_use]
    pub fn approval(mut self, approval: Approval) -> Self {
        self.approval = approval;
        self
    }
}

impl<I, F> fmt::Debug for FnTool<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FnTool").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<I, O, F, Fut> Tool for FnTool<I, F>
where
    I: DeserializeOwned + JsonSchema + Send + 'static,
    O: Serialize + Send + 'static,
    F: Fn(I, ToolContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<O, ToolError>> + Send + 'static,
{
    type Input = I;
    type Output = O;

    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn effect(&self) -> EffectClass {
        self.effect
    }

    fn approval(&self) -> Approval {
        self.approval.clone()
    }

    async fn lookup(&self, context: ToolContext) -> Result<Option<Value>, ToolError> {
        match &self.lookup {
            Some(lookup) => lookup(context).await,
            None => {
                let message = format!("{} cannot look up its calls", self.name);
                Err(ToolError::new(ToolErrorKind::InDoubt, message))
            }
        }
    }

    fn call(
        &self,
        input: I,
        context: ToolContext,
    ) -> impl Future<Output = Result<O, ToolError>> + Send {
        (self.function)(input, context)
    }
}
