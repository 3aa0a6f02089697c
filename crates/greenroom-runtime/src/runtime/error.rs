//! What can go wrong when a runtime, a team or a run is started.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use greenroom_core::delegation::DelegationRefused;
use greenroom_core::journal::JournalError;
use greenroom_core::report::TaskFailure;
use greenroom_core::supervision::AdminError;
use greenroom_core::tool::{ToolError, ToolErrorKind};

/// Why a runtime or a team did not start: the subsystem that failed, and its own error.
#[derive(Debug, Clone)]
pub struct StartError {
    /// The subsystem, for example `source docs`.
    pub subsystem: String,
    /// Its error.
    pub cause: Arc<dyn Error + Send + Sync>,
}

impl StartError {
    pub(crate) fn new(
        subsystem: impl Into<String>,
        cause: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { subsystem: subsystem.into(), cause: Arc::new(cause) }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not start", self.subsystem)
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}

/// Why there is no run, or no result of one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The agent was given no model.
    #[error("the agent has no model; give it one with `.model(…)`")]
    NoModel,
    /// There is nothing to answer.
    #[error("the question is empty")]
    EmptyQuestion,
    /// The run could not be journalled, so it was not accepted.
    #[error("the run could not be journalled")]
    Journal(#[source] JournalError),
    /// The runtime has as many runs as it may have.
    #[error("the runtime has as many runs as it may have")]
    TooManyRuns,
    /// The runtime [drains](crate::Runtime::drain), or stops.
    #[error("the runtime is draining and takes no new runs")]
    Draining,
    /// The agent was to be asked by somebody whom it waits for, or at the end of too long a line.
    #[error("{0}")]
    Delegation(DelegationRefused),
    /// The team or agent that the run belongs to is not here.
    #[error("nobody here can continue the run")]
    NoOwner,
    /// The run's actors could not be started: the runtime is stopping.
    #[error("the run could not be started")]
    Supervisor(#[source] AdminError),
    /// The agent ended without a result.
    #[error(transparent)]
    Failed(TaskFailure),
    /// The agent's value is not of the type that was asked for.
    #[error("the output is not of the expected type: {0}")]
    Output(String),
}

impl RunError {
    /// The code that `docs/errors.md` explains.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EmptyQuestion => "GR0101",
            Self::Journal(error) => error.kind.code(),
            Self::TooManyRuns => "GR0111",
            Self::Draining => "GR0112",
            Self::Delegation(_) => "GR0113",
            Self::Failed(_) => "GR0300",
            Self::Output(_) => "GR0306",
            Self::NoModel | Self::NoOwner | Self::Supervisor(_) => "GR0106",
        }
    }
}

/// What a tool that asked another agent tells the model of its failure.
impl From<RunError> for ToolError {
    fn from(error: RunError) -> Self {
        let kind = match error {
            RunError::Delegation(_) => ToolErrorKind::Denied,
            _ => ToolErrorKind::Failed,
        };
        Self::new(kind, error.to_string())
    }
}
