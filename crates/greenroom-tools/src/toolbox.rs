//! An ordered set of tools under distinct names.
//!
//! It finds a tool and calls it. It never catches panics, measures time or repeats a call: the
//! runtime's tool agent does.

use std::fmt;
use std::sync::Arc;

use greenroom_core::BoxFuture;
use greenroom_core::tool::{DynTool, ToolContext, ToolError, ToolErrorKind, ToolSpec};
use serde_json::Value;

/// The most characters of a tool's name; what the common providers accept.
const NAME_CHARS_MAX: usize = 64;

/// An ordered set of tools. Clones share the tools and their specs.
///
/// # Examples
///
/// ```
/// use greenroom_tools::{CalculateTool, DateTool, Toolbox};
///
/// let toolbox = Toolbox::default().with(CalculateTool)?.with(DateTool::new())?;
/// assert_eq!(toolbox.names().collect::<Vec<_>>(), ["calculate", "date"]);
/// # Ok::<(), greenroom_tools::ToolboxError>(())
/// ```
#[derive(Clone, Default)]
pub struct Toolbox {
    tools: Arc<[Arc<dyn DynTool>]>,
    specs: Arc<[ToolSpec]>,
}

impl IntoIterator for Toolbox {
    type Item = Arc<dyn DynTool>;
    type IntoIter = std::vec::IntoIter<Arc<dyn DynTool>>;

    fn into_iter(self) -> Self::IntoIter {
        self.tools.iter().cloned().collect::<Vec<_>>().into_iter()
    }
}

impl Toolbox {
    /// The tools in the given order. Each one's spec is computed here, once.
    ///
    /// # Errors
    ///
    /// [`ToolboxError`] when a name is badly formed or taken.
    pub fn new(tools: impl IntoIterator<Item = Arc<dyn DynTool>>) -> Result<Self, ToolboxError> {
        Self::default().extended(tools)
    }

    /// The same tools and one more.
    ///
    /// # Errors
    ///
    /// [`ToolboxError`] when the name is badly formed or taken.
    pub fn with(self, tool: impl DynTool) -> Result<Self, ToolboxError> {
        self.extended([Arc::new(tool) as Arc<dyn DynTool>])
    }

    fn extended(
        &self,
        added: impl IntoIterator<Item = Arc<dyn DynTool>>,
    ) -> Result<Self, ToolboxError> {
        let mut tools = self.tools.to_vec();
        let mut specs = self.specs.to_vec();
        for tool in added {
            let spec = tool.spec();
            if !is_name(&spec.name) {
                return Err(ToolboxError { name: spec.name, kind: ToolboxErrorKind::BadName });
            }
            if specs.iter().any(|taken| taken.name == spec.name) {
                return Err(ToolboxError { name: spec.name, kind: ToolboxErrorKind::Duplicate });
            }
            tools.push(tool);
            specs.push(spec);
        }
        Ok(Self { tools: tools.into(), specs: specs.into() })
    }

    /// The tool of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn DynTool>> {
        let place = self.specs.iter().position(|spec| spec.name == name)?;
        self.tools.get(place)
    }

    /// What a model is told of the tools, in their order.
    #[must_use]
    pub fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    /// The names of the tools, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.specs.iter().map(|spec| spec.name.as_str())
    }

    /// Calls the tool of a name. Nothing runs before the future is first polled.
    ///
    /// # Errors
    ///
    /// [`ToolErrorKind::NotFound`], naming the tools that exist, when there is none of that name;
    /// otherwise the tool's own.
    ///
    /// # Panics
    ///
    /// The future panics when the tool does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the tool's; see the tool for what that loses.
    #[must_use]
    pub fn call(
        &self,
        name: &str,
        arguments: Value,
        context: ToolContext,
    ) -> BoxFuture<'static, Result<Value, ToolError>> {
        match self.get(name) {
            Some(tool) => {
                let tool = Arc::clone(tool);
                Box::pin(async move { tool.call_json(arguments, context).await })
            }
            None => {
                let error = self.unknown(name);
                Box::pin(async move { Err(error) })
            }
        }
    }

    fn unknown(&self, name: &str) -> ToolError {
        // The name is a model's: it is quoted escaped and cut.
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let existing = match self.specs.len() {
            0 => "there are no tools".to_owned(),
            _ => format!("the tools are {}", self.names().collect::<Vec<_>>().join(", ")),
        };
        ToolError::new(ToolErrorKind::NotFound, format!("there is no tool {name:?}; {existing}"))
    }
}

impl fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

fn is_name(name: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_name_byte)
}

/// Why a tool was not taken into a [`Toolbox`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tool {name:?}: {kind}")]
#[non_exhaustive]
pub struct ToolboxError {
    /// The name of the tool.
    pub name: String,
    /// What is wrong with the name.
    pub kind: ToolboxErrorKind,
}

/// The kinds of [`ToolboxError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToolboxErrorKind {
    /// Providers would refuse the name: it does not match `^[A-Za-z0-9_-]{1,64}$`.
    BadName,
    /// Another tool has the name.
    Duplicate,
}

impl fmt::Display for ToolboxErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "a name is 1 to 64 letters, digits, `_` or `-`",
            Self::Duplicate => "the name is taken",
        })
    }
}

#[cfg(test)]
mod tests;
